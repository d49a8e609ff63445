"""NATS servers that want to know who is there: password, token, credentials file, TLS both ways."""

import base64
import contextlib
import hashlib
import ipaddress
import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nkeys  # type: ignore[import-untyped]  # publishes no types
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lotwise.embedded.nats import nats_binary
from lotwise.embedded.process import ServerProcess, accepts
from tests.servers import free_port


@contextlib.contextmanager
def server(folder: Path, settings: str, port: int | None = None) -> Iterator[int]:
    port = port or free_port()
    config = folder / "nats.conf"
    config.write_text(f'listen: 127.0.0.1:{port}\njetstream {{ store_dir: "{folder / "js"}" }}\n{settings}\n')
    process = ServerProcess("nats-server", [nats_binary(), "-c", str(config)], folder / "nats.log")
    process.start(lambda: accepts(port))
    try:
        yield port
    finally:
        process.stop()


def certificate(
    folder: Path, name: str, issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    signer = issuer or (None, key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer[0].subject if signer[0] else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
    )
    made = builder.sign(signer[1], hashes.SHA256())
    (folder / f"{name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return made, key


def tls_settings(folder: Path) -> str:
    """Makes an authority, another one, and certificates of server and client; the server wants to see the client's."""
    authority = certificate(folder, "ca", None)
    certificate(folder, "other", None)
    certificate(folder, "server", authority)
    certificate(folder, "client", authority)
    return (
        f'tls {{ cert_file: "{folder}/server.pem", key_file: "{folder}/server.key", '
        f'ca_file: "{folder}/ca.pem", verify: true }}'
    )


def key_pair(prefix: int) -> tuple[bytes, str]:
    """A seed and its public name."""
    seed = nkeys.encode_seed(os.urandom(32), prefix)
    return bytes(seed), nkeys.from_seed(bytearray(seed)).public_key.decode()


def token(seed: bytes, issuer: str, subject: str, name: str, claims: Mapping[str, object]) -> str:
    """A NATS JWT: signed with the issuer's nkey."""

    def part(value: dict[str, object]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    payload = {"iat": 1_700_000_000, "iss": issuer, "sub": subject, "name": name, "nats": {**claims, "version": 2}}
    payload["jti"] = base64.b32encode(hashlib.sha256(json.dumps(payload).encode()).digest()).decode()
    text = f"{part({'typ': 'JWT', 'alg': 'ed25519-nkey'})}.{part(payload)}"
    signature = nkeys.from_seed(bytearray(seed)).sign(text.encode())
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def operator_settings(folder: Path) -> tuple[str, Path]:
    """A server that knows its users by JWT alone, and the credentials file of one of them."""
    operator_seed, operator = key_pair(nkeys.PREFIX_BYTE_OPERATOR)
    account_seed, account = key_pair(nkeys.PREFIX_BYTE_ACCOUNT)
    user_seed, user = key_pair(nkeys.PREFIX_BYTE_USER)
    unlimited = {"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "conn": -1, "leaf": -1}
    storage = {"mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1, "wildcards": True}
    account_claims = {"type": "account", "limits": unlimited | storage}
    user_claims = {"type": "user", "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1}
    _, system = key_pair(nkeys.PREFIX_BYTE_ACCOUNT)
    system_jwt = token(operator_seed, operator, system, "SYS", {"type": "account", "limits": unlimited})
    (folder / "op.jwt").write_text(token(operator_seed, operator, operator, "op", {"type": "operator"}))
    account_jwt = token(operator_seed, operator, account, "plant", account_claims)
    user_jwt = token(account_seed, account, user, "gw", user_claims)
    creds = folder / "gw.creds"
    creds.write_text(
        f"-----BEGIN NATS USER JWT-----\n{user_jwt}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{user_seed.decode()}\n------END USER NKEY SEED------\n"
    )
    settings = (
        f'operator: "{folder}/op.jwt"\nsystem_account: {system}\nresolver: MEMORY\n'
        f'resolver_preload: {{ {account}: "{account_jwt}", {system}: "{system_jwt}" }}'
    )
    return settings, creds
