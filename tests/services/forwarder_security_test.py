"""The gateway signs in to a stream that others keep: password, token, credentials file, TLS; or says why it may not."""

import asyncio
import time
from pathlib import Path

import pytest
from pydantic import SecretStr

from edge.carrier import CarrierDown, NatsCarrier, StreamFacts
from edge.config import StreamConfig, TlsConfig
from edge.tasks import end
from tests.servers import free_port
from tests.services.forwarder_servers import operator_settings, server, tls_settings


async def reach(config: StreamConfig, seconds: float = 8.0) -> StreamFacts:
    """The stream's facts, made and written to once. Raises CarrierDown if that does not succeed in time."""
    carrier = NatsCarrier(config, "test")
    task = asyncio.create_task(carrier.run())
    last = CarrierDown("never tried")
    try:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                facts = await carrier.stream()
                assert await carrier.publish("readings.1.plant", "a:1", b"x") > facts.last_sequence
            except CarrierDown as error:
                last = error
            else:
                return facts
            await asyncio.sleep(0.1)
        raise last
    finally:
        await end([task])


def refused(config: StreamConfig) -> str:
    with pytest.raises(CarrierDown) as caught:
        asyncio.run(reach(config, 1.5))
    return str(caught.value).lower()


def test_user_and_password(tmp_path: Path) -> None:
    with server(tmp_path, 'authorization { user: "gw", password: "right" }') as port:
        url = (f"nats://127.0.0.1:{port}",)
        facts = asyncio.run(reach(StreamConfig(urls=url, user="gw", password=SecretStr("right"))))
        assert abs(facts.offset or 99.0) < 2
        assert "authorization" in refused(StreamConfig(urls=url, user="gw", password=SecretStr("wrong")))


def test_token(tmp_path: Path) -> None:
    with server(tmp_path, 'authorization { token: "right" }') as port:
        url = (f"nats://127.0.0.1:{port}",)
        asyncio.run(reach(StreamConfig(urls=url, token=SecretStr("right"))))
        assert "authorization" in refused(StreamConfig(urls=url, token=SecretStr("wrong")))


def test_what_the_gateway_is_not_permitted_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.carrier.TIMEOUT", 0.5)
    users = '{user: "gw", password: "p", permissions: {publish: ["readings.>"], subscribe: ["_INBOX.>"]}}'
    with server(tmp_path, f"authorization {{ users: [{users}] }}") as port:
        config = StreamConfig(urls=(f"nats://127.0.0.1:{port}",), user="gw", password=SecretStr("p"))
        assert "permissions violation" in refused(config)


def test_tls_both_ways(tmp_path: Path) -> None:
    with server(tmp_path, tls_settings(tmp_path)) as port:
        url = (f"tls://127.0.0.1:{port}",)
        ours = {"cert": tmp_path / "client.pem", "key": tmp_path / "client.key"}
        asyncio.run(reach(StreamConfig(urls=url, tls=TlsConfig(ca=tmp_path / "ca.pem", **ours))))
        refused(StreamConfig(urls=url, tls=TlsConfig(ca=tmp_path / "other.pem", **ours)))
        refused(StreamConfig(urls=url, tls=TlsConfig(ca=tmp_path / "ca.pem")))


def test_a_credentials_file(tmp_path: Path) -> None:
    settings, creds = operator_settings(tmp_path)
    with server(tmp_path, settings) as port:
        url = (f"nats://127.0.0.1:{port}",)
        asyncio.run(reach(StreamConfig(urls=url, credentials=creds)))
        assert "authorization" in refused(StreamConfig(urls=url))


def test_a_gateway_that_was_refused_comes_back_once_it_may(tmp_path: Path) -> None:
    """It has no certificate of its own, and the server wants one; later it does not."""
    strict = tls_settings(tmp_path)
    port = free_port()
    config = StreamConfig(urls=(f"tls://127.0.0.1:{port}",), tls=TlsConfig(ca=tmp_path / "ca.pem"))

    async def main() -> None:
        carrier = NatsCarrier(config, "test")
        task = asyncio.create_task(carrier.run())
        try:
            with server(tmp_path, strict, port):
                await asyncio.sleep(1.2)  # some tries
                with pytest.raises(CarrierDown):
                    await carrier.stream()
            with server(tmp_path, strict.replace(", verify: true", ""), port):
                async with asyncio.timeout(20):
                    while not carrier.connected:  # noqa: ASYNC110 - it sets no event
                        await asyncio.sleep(0.05)
                    assert (await carrier.stream()).incarnation
        finally:
            await end([task])

    asyncio.run(main())
