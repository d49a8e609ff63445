"""The channel exactly as configured, to a server that is trusted, or none at all."""

import hashlib
import ipaddress
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from asyncua import Client, ua
from asyncua.client.ua_client import UaClient
from asyncua.common.shortcuts import Shortcuts
from asyncua.crypto import security_policies, uacrypto
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
    load_pem_private_key,
)

from core.telemetry.located import nameless
from edge.collectors.opcua_channel import Transport
from edge.collectors.opcua_config import OpcUaServer, Security
from edge.collectors.port import SourceMisconfigured

log = logging.getLogger(__name__)

_POLICIES: dict[str, type[security_policies.SecurityPolicy]] = {
    "None": security_policies.SecurityPolicyNone,
    "Basic256Sha256": security_policies.SecurityPolicyBasic256Sha256,
    "Aes128Sha256RsaOaep": security_policies.SecurityPolicyAes128Sha256RsaOaep,
    "Aes256Sha256RsaPss": security_policies.SecurityPolicyAes256Sha256RsaPss,
}
_TOKEN_POLICIES = tuple(policy.URI for name, policy in _POLICIES.items() if name != "None")
"""Policies by which a password may be encrypted on its own; the deprecated ones (RSA 1.5, SHA-1) do not count."""
_HEALTH_CHECK = frozenset(
    {
        ua.StatusCodes.BadNodeIdUnknown,
        ua.StatusCodes.BadAttributeIdInvalid,
        ua.StatusCodes.BadNotReadable,
        ua.StatusCodes.BadUserAccessDenied,
        ua.StatusCodes.BadSecurityModeInsufficient,
    }
)
"""Answers about the state node that only a living server gives."""
_SESSION_TIMEOUT = 60_000.0
"""Milliseconds; what a session is taken to last where the server says 0."""
_NONE = security_policies.SecurityPolicyNone.URI
_CERTIFICATE_FILES = {".der", ".crt", ".cer", ".pem"}
_DER_LONG = 0x80
_PEM = b"-----BEGIN "


class StrictClient(Client):  # type: ignore[misc] # asyncua publishes no types
    """asyncua's client, except that a password leaves it only as configured.

    The library takes the first user-name policy the server lists, though it send the password in clear; here the
    channel or the token must encrypt it, to a certificate that was checked, unless the configuration says otherwise.
    """

    def __init__(self, config: OpcUaServer) -> None:
        seconds = config.timeout.total_seconds()
        super().__init__(config.endpoint, timeout=seconds, watchdog_intervall=seconds)
        self._config = config
        self._checked: bytes | None = None
        transport = Transport(seconds)
        transport.pre_request_hook = self._wait_until_ready
        self.uaclient: UaClient = transport
        self.nodes: Shortcuts = Shortcuts(transport.session)
        # The library logs every failure with its traceback, a lost server's once a second; the collector logs changes.
        library = logging.getLogger("asyncua.client")
        if library.level == logging.NOTSET:
            library.setLevel(logging.CRITICAL)

    def server_policy(self, token_type: ua.UserTokenType) -> ua.UserTokenPolicy:
        """The policy by which the identity is sent. Raises SourceMisconfigured when it would bare the password."""
        if token_type != ua.UserTokenType.UserName:
            return super().server_policy(token_type)
        offered = [policy for policy in self._policy_ids if policy.TokenType == token_type]
        if not offered:
            raise SourceMisconfigured(f"{self._config.endpoint} takes no user name on this channel")
        for policy in offered:
            policy.SecurityPolicyUri = policy.SecurityPolicyUri or self.security_policy.URI
        if self._config.security.mode == "SignAndEncrypt":
            return offered[0]
        trusted = self._checked is not None and self._checked == self.security_policy.peer_certificate
        encrypted = [policy for policy in offered if policy.SecurityPolicyUri in _TOKEN_POLICIES]
        if encrypted and (trusted or self._config.allow_clear_password):
            return encrypted[0]
        if self._config.allow_clear_password:
            return offered[0]
        why = (
            "to a server whose certificate is not checked (set security.trust)"
            if encrypted
            else _without_chain(offered)
        )
        raise SourceMisconfigured(
            f"{self._config.endpoint}: the password of {self._config.user!r} would be sent {why}; "
            "use mode SignAndEncrypt, or set allow_clear_password if that is meant"
        )

    async def create_session(self) -> Any:
        """As the library's, which gives a server no time to answer that says its sessions last for none."""
        made = await super().create_session()
        if self.session_timeout <= 0:
            self.session_timeout: float = _SESSION_TIMEOUT
        return made

    async def _wait_for_health_signal(self) -> None:
        """As the library's, which takes the server for lost where it does not tell this user what state it is in."""
        try:
            await super()._wait_for_health_signal()
        except ua.UaStatusCodeError as error:
            if error.code not in _HEALTH_CHECK:
                raise

    async def secure(self) -> None:
        """Chooses the configured endpoint and checks the server's certificate before anything is opened to it.

        Raises SourceMisconfigured; connection errors of the library as they are.
        """
        config = self._config
        endpoint = exact_endpoint(await self.connect_and_get_server_endpoints(), config)
        if config.security.trust is not None and endpoint.ServerCertificate:
            check_trusted(endpoint.ServerCertificate, config.security.trust, config.host, datetime.now(UTC))
            self._checked = leaf(endpoint.ServerCertificate)
        if config.security.mode != "None":
            await self._load(config.security, leaf(endpoint.ServerCertificate))
        if config.user is not None and config.password is not None:
            self.set_user(config.user)
            self.set_password(config.password.get_secret_value())

    async def _load(self, security: Security, server: bytes) -> None:
        assert security.certificate is not None
        assert security.key is not None
        password = security.key_password.get_secret_value() if security.key_password else None
        try:
            ours = certificates_in(security.certificate.read_bytes())[0]
            key = security.key.read_bytes()
            _check_own(security.certificate, ours)
            # Servers compare the certificate's URI with the one the client says it has.
            uris = _names(ours).get_values_for_type(x509.UniformResourceIdentifier)
            if uris:
                self.application_uri: str = uris[0]
            await self.set_security(
                _POLICIES[security.policy],
                certificate=uacrypto.CertProperties(ours.public_bytes(Encoding.DER), "der"),
                private_key=uacrypto.CertProperties(key, "pem" if _PEM in key else "der", password),
                server_certificate=uacrypto.CertProperties(server, "der"),
                mode=ua.MessageSecurityMode[security.mode],
            )
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise SourceMisconfigured(f"certificate {security.certificate} or key {security.key}: {error}") from error
        if not _belong_together(ours, key, password):
            raise SourceMisconfigured(f"key {security.key} is not that of certificate {security.certificate}")


def _check_own(path: Path, certificate: x509.Certificate) -> None:
    """Says what servers mostly refuse without saying why. Raises SourceMisconfigured."""
    now = datetime.now(UTC)
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise SourceMisconfigured(
            f"our certificate {path} is valid from {certificate.not_valid_before_utc}"
            f" to {certificate.not_valid_after_utc} only"
        )
    if not _names(certificate).get_values_for_type(x509.UniformResourceIdentifier):
        log.warning("our certificate %s names no application URI (subjectAltName): most servers refuse it", path)


def _without_chain(offered: list[ua.UserTokenPolicy]) -> str:
    """How little the offered policies would hide a password."""
    named = {
        str(policy.SecurityPolicyUri).rpartition("#")[2] for policy in offered if policy.SecurityPolicyUri != _NONE
    }
    return f"encrypted only by what is outdated, {', '.join(sorted(named))}" if named else "readable"


def _belong_together(certificate: x509.Certificate, key: bytes, password: str | None) -> bool:
    secret = password.encode() if password else None
    private = load_pem_private_key(key, secret) if _PEM in key else load_der_private_key(key, secret)
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return private.public_key().public_bytes(*form) == certificate.public_key().public_bytes(*form)


def exact_endpoint(endpoints: list[ua.EndpointDescription], config: OpcUaServer) -> ua.EndpointDescription:
    """The endpoint with the configured policy and mode. Raises SourceMisconfigured with what there is instead."""
    uri = _POLICIES[config.security.policy].URI
    mode = (
        ua.MessageSecurityMode.None_ if config.security.mode == "None" else ua.MessageSecurityMode[config.security.mode]
    )
    offered = []
    for endpoint in endpoints:
        if not str(endpoint.EndpointUrl).startswith("opc.tcp"):
            continue
        if endpoint.SecurityPolicyUri == uri and endpoint.SecurityMode == mode:
            return endpoint
        offered.append(f"{str(endpoint.SecurityPolicyUri).rpartition('#')[2]}/{endpoint.SecurityMode.name.strip('_')}")
    raise SourceMisconfigured(
        f"{config.endpoint} does not offer {config.security.policy}/{config.security.mode}; "
        f"it offers {', '.join(sorted(set(offered))) or 'nothing over opc.tcp'}"
    )


def leaf(chain: bytes) -> bytes:
    """The first certificate of a DER chain, as servers send it. Raises SourceMisconfigured if there is none."""
    if len(chain or b"") < 4:  # noqa: PLR2004 - a DER header alone is longer
        raise SourceMisconfigured("the server sent no certificate")
    length = chain[1]
    header = 2
    if length & _DER_LONG:
        header += length & ~_DER_LONG
        length = int.from_bytes(chain[2:header], "big")
    return chain[: header + length]


def thumbprint(der: bytes) -> str:
    """SHA-1 over the DER, as OPC UA tools show it."""
    return hashlib.sha1(der, usedforsecurity=False).hexdigest().upper()


def certificates_in(data: bytes) -> list[x509.Certificate]:
    """Certificates of a .pem or .der file. Raises ValueError."""
    if _PEM in data:
        return x509.load_pem_x509_certificates(data)
    return [x509.load_der_x509_certificate(data)]


def check_trusted(chain: bytes, store: Path, host: str, now: datetime) -> None:
    """Passes if the server's certificate is in the store, or is signed by an authority that is and names the host.

    Either must be valid now. Raises SourceMisconfigured, which says where to put an unknown certificate.
    """
    der = leaf(chain)
    certificate = x509.load_der_x509_certificate(der)
    name = f"server certificate {certificate.subject.rfc4514_string()!r}, thumbprint {thumbprint(der)}"
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise SourceMisconfigured(
            f"{name} is valid from {certificate.not_valid_before_utc} to {certificate.not_valid_after_utc} only"
        )
    for trusted in _store(store):
        if trusted.public_bytes(Encoding.DER) == der:
            return
        if _signed_by(certificate, trusted, now):
            if not _names_host(certificate, host):
                raise SourceMisconfigured(f"{name} is signed by a trusted authority but does not name the host {host}")
            return
    raise SourceMisconfigured(
        f"{name} is not trusted: check the thumbprint with the server's owner, then put the certificate into {store}"
    )


def _store(store: Path) -> list[x509.Certificate]:
    if not store.is_dir():
        raise SourceMisconfigured(f"trust store {store} is not a directory")
    trusted: list[x509.Certificate] = []
    for file in sorted(store.iterdir()):
        if file.suffix.lower() in _CERTIFICATE_FILES:
            try:
                trusted += certificates_in(file.read_bytes())
            except (OSError, ValueError) as error:
                raise SourceMisconfigured(f"{file} in the trust store cannot be read: {nameless(error)}") from error
    return trusted


def _signed_by(certificate: x509.Certificate, authority: x509.Certificate, now: datetime) -> bool:
    try:
        constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return False
    if not constraints.ca or not authority.not_valid_before_utc <= now <= authority.not_valid_after_utc:
        return False
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return x509.SubjectAlternativeName([])


def _names_host(certificate: x509.Certificate, host: str) -> bool:
    names = _names(certificate)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.lower() in {name.lower() for name in names.get_values_for_type(x509.DNSName)}
    return address in names.get_values_for_type(x509.IPAddress)
