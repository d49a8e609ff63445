"""The channel exactly as configured, to a trusted server, or none. Fallbacks that are forbidden are listed by hand."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua
from asyncua.crypto.permission_rules import User, UserRole
from cryptography.hazmat.primitives.serialization import Encoding

from edge.collectors.opcua import OpcUaCollector
from edge.collectors.opcua_security import thumbprint
from edge.collectors.port import SourceMisconfigured
from tests.faults.opcua_certificates import Identity, issue
from tests.faults.opcua_peer import Machine, Memory, running, source, until
from tests.servers import free_port

POLICIES = ("Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss")
_OFFER = {
    "None/None": ua.SecurityPolicyType.NoSecurity,
    "Basic256Sha256/Sign": ua.SecurityPolicyType.Basic256Sha256_Sign,
    "Basic256Sha256/SignAndEncrypt": ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
    "Aes128Sha256RsaOaep/Sign": ua.SecurityPolicyType.Aes128Sha256RsaOaep_Sign,
    "Aes128Sha256RsaOaep/SignAndEncrypt": ua.SecurityPolicyType.Aes128Sha256RsaOaep_SignAndEncrypt,
    "Aes256Sha256RsaPss/Sign": ua.SecurityPolicyType.Aes256Sha256RsaPss_Sign,
    "Aes256Sha256RsaPss/SignAndEncrypt": ua.SecurityPolicyType.Aes256Sha256RsaPss_SignAndEncrypt,
}


class Passwords:
    """Lets in the one operator with the one password, and remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str | None, str | None]] = []

    def get_user(
        self, _server: Any, username: str | None = None, password: str | None = None, **_other: Any
    ) -> User | None:
        if username is None:
            return User(role=UserRole.User)
        self.told.append((username, password))
        return User(role=UserRole.User) if (username, password) == ("operator", "right") else None


@pytest.fixture(scope="module")
def ids(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Identity]:
    """Server, client, authority and strangers; keys take long to make, so once a module."""
    home = tmp_path_factory.mktemp("certificates")
    authority = issue(home, "authority", authority=True)
    return {
        "server": issue(home, "server"),
        "client": issue(home, "client"),
        "authority": authority,
        "stranger": issue(home, "stranger"),
        "signed": issue(home, "signed", issuer=authority),
        "elsewhere": issue(home, "elsewhere", issuer=authority, host="127.0.0.9"),
        "expired": issue(home, "expired", valid=(timedelta(days=-2), timedelta(days=-1))),
        "not-ca": issue(home, "by-stranger", issuer=issue(home, "leaf")),
    }


@contextlib.asynccontextmanager
async def secured(server: Identity, *offers: str, tokens: Any = None) -> AsyncIterator[tuple[Machine, Passwords]]:
    made = Machine(free_port())
    passwords = Passwords()
    made.server.iserver.user_manager = passwords
    made.server.set_security_policy([_OFFER[offer] for offer in offers])
    if tokens is not None:
        made.server.set_identity_tokens(tokens)
    await made.server.load_certificate(server.der.read_bytes(), "der")
    await made.server.load_private_key(server.pem.read_bytes(), format="pem")
    await made.start({"t": 4.0})
    try:
        yield made, passwords
    finally:
        await made.server.stop()


def channel(ids: dict[str, Identity], store: Path, policy: str, mode: str) -> dict[str, Any]:
    store.mkdir(exist_ok=True)
    return {
        "policy": policy,
        "mode": mode,
        "certificate": ids["client"].der,
        "key": ids["client"].pem,
        "trust": store,
    }


async def reads(peer: Machine, **changes: Any) -> None:
    keeper = Memory()
    async with running(OpcUaCollector(source(peer, "t", **changes)), keeper) as task:
        await until(lambda: keeper.of("t") or task.done())
        if task.done():
            await task
    assert keeper.values("t") == [4.0]


async def refused(peer: Machine, **changes: Any) -> str:
    """What the operator is told; nothing may have been kept."""
    keeper = Memory()
    with pytest.raises(SourceMisconfigured) as caught:
        await asyncio.wait_for(OpcUaCollector(source(peer, "t", **changes)).run(keeper), 15)
    assert keeper.readings == []
    return str(caught.value)


@pytest.mark.parametrize("mode", ["Sign", "SignAndEncrypt"])
@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_and_mode(ids: dict[str, Identity], tmp_path: Path, policy: str, mode: str) -> None:
    async def main() -> None:
        store = ids["server"].trusted_in(tmp_path / "trusted")
        async with secured(ids["server"], f"{policy}/{mode}") as (peer, _):
            await reads(peer, security=channel(ids, store, policy, mode))

    asyncio.run(main())


FORBIDDEN = [
    # configured, what the server offers
    ("Basic256Sha256/SignAndEncrypt", ["None/None"]),
    ("Basic256Sha256/SignAndEncrypt", ["Basic256Sha256/Sign"]),
    ("Basic256Sha256/SignAndEncrypt", ["None/None", "Basic256Sha256/Sign", "Aes256Sha256RsaPss/SignAndEncrypt"]),
    ("Basic256Sha256/Sign", ["None/None"]),
    ("Basic256Sha256/Sign", ["Basic256Sha256/SignAndEncrypt"]),
    ("Aes256Sha256RsaPss/SignAndEncrypt", ["Aes128Sha256RsaOaep/SignAndEncrypt", "None/None"]),
    ("Aes128Sha256RsaOaep/Sign", ["Aes128Sha256RsaOaep/SignAndEncrypt", "Basic256Sha256/Sign"]),
    ("None/None", ["Basic256Sha256/SignAndEncrypt"]),
]


@pytest.mark.parametrize(("wanted", "offers"), FORBIDDEN, ids=lambda value: value if isinstance(value, str) else None)
def test_no_other_channel_is_taken(ids: dict[str, Identity], tmp_path: Path, wanted: str, offers: list[str]) -> None:
    async def main() -> None:
        store = ids["server"].trusted_in(tmp_path / "trusted")
        policy, mode = wanted.split("/")
        security = {} if wanted == "None/None" else channel(ids, store, policy, mode)
        async with secured(ids["server"], *offers) as (peer, _):
            told = await refused(peer, security=security)
        assert f"does not offer {wanted}" in told
        for offer in offers:
            name = offer.replace("Aes128Sha256RsaOaep", "Aes128_Sha256_RsaOaep")
            assert name.replace("Aes256Sha256RsaPss", "Aes256_Sha256_RsaPss") in told

    asyncio.run(main())


UNTRUSTED = [
    # the server's certificate, what is in the trust store, what the operator is told
    ("server", [], "is not trusted"),
    ("server", ["stranger"], "is not trusted"),
    ("signed", ["stranger"], "is not trusted"),
    ("not-ca", ["stranger"], "is not trusted"),
    ("elsewhere", ["authority"], "does not name the host 127.0.0.1"),
    ("expired", ["expired"], "is valid from"),
]


@pytest.mark.parametrize(("server", "trusted", "told"), UNTRUSTED)
def test_no_untrusted_server_is_spoken_to(
    ids: dict[str, Identity], tmp_path: Path, server: str, trusted: list[str], told: str
) -> None:
    async def main() -> None:
        store = tmp_path / "trusted"
        for name in trusted:
            ids[name].trusted_in(store)
        async with secured(ids[server], "Basic256Sha256/SignAndEncrypt") as (peer, passwords):
            security = channel(ids, store, "Basic256Sha256", "SignAndEncrypt")
            message = await refused(peer, security=security, user="operator", password="right")
            assert passwords.told == []
        assert told in message
        assert thumbprint(ids[server].der.read_bytes()) in message
        if told == "is not trusted":
            assert str(store) in message

    asyncio.run(main())


def test_a_server_signed_by_a_trusted_authority(ids: dict[str, Identity], tmp_path: Path) -> None:
    async def main() -> None:
        store = ids["authority"].trusted_in(tmp_path / "trusted")
        async with secured(ids["signed"], "Basic256Sha256/SignAndEncrypt") as (peer, _):
            await reads(peer, security=channel(ids, store, "Basic256Sha256", "SignAndEncrypt"))

    asyncio.run(main())


def test_user_and_password_on_an_encrypted_channel(ids: dict[str, Identity], tmp_path: Path) -> None:
    async def main() -> None:
        store = ids["server"].trusted_in(tmp_path / "trusted")
        security = channel(ids, store, "Basic256Sha256", "SignAndEncrypt")
        async with secured(ids["server"], "Basic256Sha256/SignAndEncrypt") as (peer, passwords):
            await reads(peer, security=security, user="operator", password="right")
            assert passwords.told == [("operator", "right")]
            assert "check user and password" in await refused(
                peer, security=security, user="operator", password="wrong"
            )

    asyncio.run(main())


def test_a_password_is_never_sent_in_clear_unless_that_is_meant(ids: dict[str, Identity]) -> None:
    async def main() -> None:
        # Only an open endpoint: its token policy would send the password readable.
        async with secured(ids["server"], "None/None") as (peer, passwords):
            message = await refused(peer, user="operator", password="right")
            assert "would be sent readable" in message
            assert "right" not in message
            assert passwords.told == []
            await reads(peer, user="operator", password="right", allow_clear_password=True)
            assert passwords.told == [("operator", "right")]

    asyncio.run(main())


def test_a_password_is_not_encrypted_to_a_certificate_nobody_checked(ids: dict[str, Identity], tmp_path: Path) -> None:
    async def main() -> None:
        offers = ("None/None", "Basic256Sha256/SignAndEncrypt")
        async with secured(ids["server"], *offers) as (peer, passwords):
            message = await refused(peer, user="operator", password="right")
            assert "whose certificate is not checked" in message
            stranger = {"trust": ids["stranger"].trusted_in(tmp_path / "strangers")}
            assert "is not trusted" in await refused(peer, security=stranger, user="operator", password="right")
            assert passwords.told == []
            trusted = {"trust": ids["server"].trusted_in(tmp_path / "trusted")}
            await reads(peer, security=trusted, user="operator", password="right")
            assert passwords.told == [("operator", "right")]

    asyncio.run(main())


def test_a_signed_channel_hides_the_password_by_the_token(ids: dict[str, Identity], tmp_path: Path) -> None:
    async def main() -> None:
        store = ids["server"].trusted_in(tmp_path / "trusted")
        async with secured(ids["server"], "Basic256Sha256/Sign") as (peer, passwords):
            security = channel(ids, store, "Basic256Sha256", "Sign")
            await reads(peer, security=security, user="operator", password="right")
            assert passwords.told == [("operator", "right")]

    asyncio.run(main())


def test_a_server_that_wants_a_name_is_told_none(ids: dict[str, Identity]) -> None:
    async def main() -> None:
        async with secured(ids["server"], "None/None", tokens=[ua.UserNameIdentityToken]) as (peer, _):
            assert "BadIdentityToken" in await refused(peer)

    asyncio.run(main())


@pytest.mark.parametrize(("field", "content"), [("certificate", b"no certificate"), ("key", b"no key"), ("key", None)])
def test_a_broken_client_identity_is_the_operators(
    ids: dict[str, Identity], tmp_path: Path, field: str, content: bytes | None
) -> None:
    async def main() -> None:
        store = ids["server"].trusted_in(tmp_path / "trusted")
        broken = tmp_path / f"{field}.pem"
        if content is not None:
            broken.write_bytes(content)
        async with secured(ids["server"], "Basic256Sha256/Sign") as (peer, _):
            security = channel(ids, store, "Basic256Sha256", "Sign") | {field: broken}
            assert str(broken) in await refused(peer, security=security)

    asyncio.run(main())


def test_our_own_expired_certificate_is_said_to_be_it(ids: dict[str, Identity], tmp_path: Path) -> None:
    async def main() -> None:
        store = ids["server"].trusted_in(tmp_path / "trusted")
        async with secured(ids["server"], "Basic256Sha256/Sign") as (peer, _):
            own = {"certificate": ids["expired"].der, "key": ids["expired"].pem}
            message = await refused(peer, security=channel(ids, store, "Basic256Sha256", "Sign") | own)
            assert f"our certificate {ids['expired'].der} is valid from" in message

    asyncio.run(main())


def test_pem_files_whatever_they_are_called(ids: dict[str, Identity], tmp_path: Path) -> None:
    async def main() -> None:
        store = tmp_path / "trusted"
        store.mkdir()
        (store / "server.crt").write_bytes(ids["server"].certificate.public_bytes(Encoding.PEM))
        own, key = tmp_path / "own.crt", tmp_path / "own.key"
        own.write_bytes(ids["client"].certificate.public_bytes(Encoding.PEM))
        key.write_bytes(ids["client"].pem.read_bytes())
        async with secured(ids["server"], "Basic256Sha256/SignAndEncrypt") as (peer, _):
            security = channel(ids, store, "Basic256Sha256", "SignAndEncrypt") | {"certificate": own, "key": key}
            await reads(peer, security=security)
            foreign = security | {"key": ids["stranger"].pem}
            assert "is not that of certificate" in await refused(peer, security=foreign)

    asyncio.run(main())
