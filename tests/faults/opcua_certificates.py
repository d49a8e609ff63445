"""Certificates for tests, made with `cryptography`."""

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


class Identity:
    """A certificate, its key, and the files they are in (.der and .pem)."""

    def __init__(self, directory: Path, name: str, certificate: x509.Certificate, key: rsa.RSAPrivateKey) -> None:
        self.certificate, self.key = certificate, key
        self.der = directory / f"{name}.der"
        self.pem = directory / f"{name}-key.pem"
        self.der.write_bytes(certificate.public_bytes(Encoding.DER))
        self.pem.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    def trusted_in(self, store: Path) -> Path:
        store.mkdir(exist_ok=True)
        (store / self.der.name).write_bytes(self.der.read_bytes())
        return store


def issue(
    directory: Path,
    name: str,
    *,
    issuer: Identity | None = None,
    authority: bool = False,
    host: str = "127.0.0.1",
    valid: tuple[timedelta, timedelta] = (timedelta(days=-1), timedelta(days=1)),
) -> Identity:
    """A certificate named `name` with URI `urn:test:name`, self-signed unless an issuer is given."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + valid[0])
        .not_valid_after(now + valid[1])
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.UniformResourceIdentifier(f"urn:test:{name}"), x509.IPAddress(ipaddress.ip_address(host))]
            ),
            critical=False,
        )
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
    )
    certificate = builder.sign(issuer.key if issuer else key, hashes.SHA256())
    return Identity(directory, name, certificate, key)
