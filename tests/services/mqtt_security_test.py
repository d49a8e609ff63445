"""Who may connect: TLS against a certificate authority of the test's own, passwords, refused subscriptions."""

import asyncio
import base64
import datetime as dt
import hashlib
import ipaddress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edge.collectors.mqtt import MqttCollector
from edge.collectors.port import SourceLost, SourceMisconfigured
from tests.servers import free_port
from tests.services.mqtt_support import MemoryKeeper, mosquitto, peer, publish, running, source, until


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _write(folder: Path, name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def make_authority(folder: Path, host: str) -> Path:
    """A CA, a server certificate for `host` and a client certificate, as PEM files. Returns the folder."""
    now = dt.datetime.now(dt.UTC)

    def sign(
        subject: str, issuer: str, key: ec.EllipticCurvePrivateKey, by: ec.EllipticCurvePrivateKey, *, ca: bool
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(subject))
            .issuer_name(_name(issuer))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if not ca:
            names: list[x509.GeneralName] = (
                [x509.IPAddress(ipaddress.ip_address(host))] if host[0].isdigit() else [x509.DNSName(host)]
            )
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(by, hashes.SHA256())

    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("ca", "server", "client")}
    _write(folder, "ca", keys["ca"], sign("test ca", "test ca", keys["ca"], keys["ca"], ca=True))
    for name in ("server", "client"):
        _write(folder, name, keys[name], sign(name, "test ca", keys[name], keys["ca"], ca=False))
    return folder


def _tls_listener(pki: Path, *, client: bool = False) -> list[str]:
    lines = [f"cafile {pki}/ca.crt", f"certfile {pki}/server.crt", f"keyfile {pki}/server.key"]
    return [*lines, "require_certificate true"] if client else lines


async def _refused(collector: MqttCollector) -> str:
    with pytest.raises(SourceMisconfigured) as caught:
        await asyncio.wait_for(collector.run(MemoryKeeper()), 10)
    assert not collector.connected
    return str(caught.value)


def test_tls_with_client_certificate(tmp_path: Path) -> None:
    pki = make_authority(tmp_path / "pki", "127.0.0.1")
    tls = {"ca": str(pki / "ca.crt"), "cert": str(pki / "client.crt"), "key": str(pki / "client.key")}

    async def main(port: int) -> None:
        keeper, collector = MemoryKeeper(), MqttCollector(source(port, tls=tls))
        async with running(collector, keeper):
            messages = [("plant/room/probe/temperature", index) for index in range(300)]
            await asyncio.to_thread(publish, port, messages, tls=tls)
            await until(lambda: len(keeper.readings) == 300)

    with mosquitto(tmp_path / "broker", listener=_tls_listener(pki, client=True)) as broker:
        asyncio.run(main(broker.port))


@pytest.mark.parametrize(("host", "trusted"), [("elsewhere.example", True), ("127.0.0.1", False)])
def test_a_certificate_of_another_host_or_unknown_authority_is_refused(
    tmp_path: Path, host: str, *, trusted: bool
) -> None:
    pki = make_authority(tmp_path / "pki", host)
    ca = pki if trusted else make_authority(tmp_path / "other", host)
    with mosquitto(tmp_path / "broker", listener=_tls_listener(pki)) as broker:
        told = asyncio.run(_refused(MqttCollector(source(broker.port, tls={"ca": str(ca / "ca.crt")}))))
    assert "CERTIFICATE_VERIFY_FAILED" in told


def test_tls_towards_a_plain_listener_is_the_operators_to_mend(tmp_path: Path) -> None:
    with mosquitto(tmp_path / "broker") as broker, pytest.raises((SourceMisconfigured, SourceLost)):
        asyncio.run(MqttCollector(source(broker.port, tls={})).run(MemoryKeeper()))


def _hashed(password: str) -> str:
    """As mosquitto_passwd writes it: PBKDF2 with SHA-512."""
    salt = b"0123456789ab"
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, 101)
    return f"$7$101${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


@pytest.mark.parametrize("mqtt", ["5", "3.1.1"])
def test_a_wrong_password_is_the_operators_to_mend(tmp_path: Path, mqtt: str) -> None:
    folder = tmp_path / "broker"
    folder.mkdir()
    passwords = folder / "passwords"
    passwords.write_text(f"gateway:{_hashed('right')}\n")
    passwords.chmod(0o700)
    with mosquitto(folder, [f"password_file {passwords}"]) as broker:
        wrong = source(broker.port, version=mqtt, username="gateway", password="wrong")
        assert "refuses the connection" in asyncio.run(_refused(MqttCollector(wrong)))
        nobody = source(broker.port, version=mqtt)
        assert "refuses the connection" in asyncio.run(_refused(MqttCollector(nobody)))

        async def main() -> None:
            right = source(broker.port, version=mqtt, username="gateway", password="right")
            collector = MqttCollector(right)
            async with running(collector, MemoryKeeper()):
                assert collector.connected

        asyncio.run(main())


def test_nobody_listening_is_a_loss() -> None:
    async def main() -> None:
        with pytest.raises(SourceLost):
            await MqttCollector(source(free_port())).run(MemoryKeeper())

    asyncio.run(main())


async def _told_by(answers: dict[int, bytes], error: type[Exception], version: str = "3.1.1") -> str:
    """Runs the collector against a peer that gives these answers, by packet type; returns its complaint."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.read(2):
            body = await reader.readexactly(head[1])
            answer = answers.get(head[0] >> 4, b"")
            writer.write(answer.replace(b"MI", body[:2]))
            await writer.drain()

    async with peer(serve) as port:
        collector = MqttCollector(source(port, version=version, connect_timeout=1))
        with pytest.raises(error) as caught:
            await asyncio.wait_for(collector.run(MemoryKeeper()), 10)
    return str(caught.value)


CONNECT, SUBSCRIBE = 1, 8
ACCEPTED = bytes([0x20, 2, 0, 0])


def test_a_refused_subscription_is_the_operators_to_mend() -> None:
    refused = {CONNECT: ACCEPTED, SUBSCRIBE: b"\x90\x03MI\x80"}
    assert "plant/+/+/temperature" in asyncio.run(_told_by(refused, SourceMisconfigured))


def test_a_broker_that_keeps_the_session_shorter_is_told_of_and_its_reasons_are_passed_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    accepted = b"\x20\x08\x00\x00\x05\x11\x00\x00\x00\x78"  # session expiry 120 s
    refused = {CONNECT: accepted, SUBSCRIBE: b"\x90\x04MI\x00\x9e"}
    message = asyncio.run(_told_by(refused, SourceMisconfigured, version="5"))
    assert "(Shared subscription not supported)" in message
    granted = {CONNECT: accepted, SUBSCRIBE: b"\x90\x04MI\x00\x01\xe0\x02\x8b\x00"}  # and shuts down
    assert "Server shutting down" in asyncio.run(_told_by(granted, SourceLost, version="5"))
    told = [record.message for record in caplog.records if "keeps messages for 120 s only" in record.message]
    assert len(told) == 1


@pytest.mark.parametrize(
    "answers", [{}, {CONNECT: ACCEPTED}, {CONNECT: b"\xf0\x00"}, {CONNECT: b"HTTP/1.1 400\r\n\r\n"}]
)
def test_a_peer_that_does_not_speak_mqtt_is_a_loss(answers: dict[int, bytes]) -> None:
    asyncio.run(_told_by(answers, SourceLost))


def test_a_busy_broker_is_a_loss_and_a_banned_identifier_is_not() -> None:
    assert "refuses" in asyncio.run(_told_by({CONNECT: bytes([0x20, 2, 0, 3])}, SourceLost))
    assert "refuses" in asyncio.run(_told_by({CONNECT: bytes([0x20, 2, 0, 2])}, SourceMisconfigured))
