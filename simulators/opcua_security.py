"""What a simulated OPC UA server asks of its clients: a signed or encrypted channel, known certificates, a user.

The certificates are made here, in a folder of the tester's: `<machine>.der` and its key, `gateway.der` and its key, and
the stores in which each side finds the other, `trusted-servers` and `trusted-clients`.
"""

import hmac
import ipaddress
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from asyncua import Server, ua
from asyncua.crypto import cert_gen
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.crypto.truststore import TrustStore
from asyncua.crypto.validator import CertificateValidator, CertificateValidatorOptions
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from simulators.devices import ChannelSecurity

GATEWAY = "gateway"
_CHECKED = (
    CertificateValidatorOptions.TIME_RANGE
    | CertificateValidatorOptions.URI
    | CertificateValidatorOptions.TRUSTED
    | CertificateValidatorOptions.PEER_CLIENT
)


@dataclass(frozen=True)
class Guarded:
    """How a server is guarded: by nothing unless something is given."""

    security: ChannelSecurity | None = None
    user: str | None = None
    password: str | None = None

    def user_manager(self) -> "OneUser | None":
        """Who decides which user is let in; None lets in everybody."""
        return None if self.user is None or self.password is None else OneUser(self.user, self.password)


@dataclass(frozen=True)
class OneUser:
    """Lets in one user, by password. asyncua asks it."""

    name: str
    password: str

    def get_user(
        self, iserver: object, username: str | None = None, password: str | None = None, certificate: object = None
    ) -> User | None:
        """The user, or None for anybody else."""
        del iserver, certificate
        known = hmac.compare_digest((username or "").encode(), self.name.encode())
        right = hmac.compare_digest((password or "").encode(), self.password.encode())
        return User(role=UserRole.User, name=self.name) if known and right else None


@dataclass(frozen=True)
class CertificateFolder:
    """Certificates and stores in one folder."""

    folder: Path

    def certificate(self, name: str) -> Path:
        """The certificate (DER) of a machine, or of the gateway."""
        return self.folder / f"{name}.der"

    def key(self, name: str) -> Path:
        """Its key (PEM, without password)."""
        return self.folder / f"{name}-key.pem"

    @property
    def servers(self) -> Path:
        """The store of machines that the gateway trusts."""
        return self.folder / "trusted-servers"

    @property
    def clients(self) -> Path:
        """The store of clients that the machines trust; a tester may add others."""
        return self.folder / "trusted-clients"

    def make(self, machine: str, host: str) -> None:
        """Makes what is not there yet; what is there stays."""
        for store in (self.servers, self.clients):
            store.mkdir(parents=True, exist_ok=True)
        for name, store in ((machine, self.servers), (GATEWAY, self.clients)):
            if not self.certificate(name).exists():
                self._issue(name, host)
            trusted = store / f"{name}.der"
            if not trusted.exists():
                trusted.write_bytes(self.certificate(name).read_bytes())

    def _issue(self, name: str, host: str) -> None:
        key = cert_gen.generate_private_key()
        names: list[x509.GeneralName] = [
            x509.UniformResourceIdentifier(uri(name)),
            x509.DNSName("localhost"),
            x509.DNSName(socket.gethostname()),
        ]
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
        uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        made = cert_gen.generate_self_signed_app_certificate(key, uri(name), {}, names, uses)
        with os.fdopen(os.open(self.key(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(cert_gen.dump_private_key_as_pem(key))
        self.certificate(name).write_bytes(made.public_bytes(Encoding.DER))


def uri(name: str) -> str:
    """The application URI that a certificate names."""
    return f"urn:lotwise:simulators:{name}"


async def guard(server: Server, name: str, host: str, guarded: Guarded) -> None:
    """Sets up a server, not yet started, as it is to be guarded. Raises OSError if the folder cannot be written."""
    if guarded.user is not None:
        server.set_identity_tokens([ua.UserNameIdentityToken])
    security = guarded.security
    if security is None:
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        return
    papers = CertificateFolder(security.certificates)
    papers.make(name, host)
    await server.set_application_uri(uri(name))
    await server.load_certificate(papers.certificate(name))
    await server.load_private_key(papers.key(name))
    server.set_security_policy([ua.SecurityPolicyType[f"{security.policy}_{security.mode}"]])
    store = TrustStore([papers.clients], [])
    known = CertificateValidator(_CHECKED, store)

    async def admit(certificate: x509.Certificate, client: ua.ApplicationDescription) -> None:
        await store.load_trust()  # the tester may have added one
        await known(certificate, client)

    server.set_certificate_validator(admit)
