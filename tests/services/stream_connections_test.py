"""Connections to the stream's server: none is left open when those who made it end, at whatever point the server hangs
up or falls silent; and what a server says against a client ends it for no longer than it is so.
"""

import asyncio
import contextlib
from asyncio.streams import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from nats.aio.client import Client

from core.ingest.stream import NatsSettings, StreamUnavailable, connect
from core.telemetry.connection import disconnect_within
from edge.carrier import NatsCarrier
from edge.config import StreamConfig
from edge.tasks import end

INFO = b'INFO {"server_id":"x","version":"2.10.0","proto":1,"headers":true,"max_payload":1048576}\r\n'
PONG = b"PONG\r\n"


@dataclass(frozen=True)
class Stage:
    """How far a server goes: its INFO, its answer to the first PING, a last word; then it hangs up, or stays."""

    info: bool = True
    answer: bytes | None = None
    last: bytes | None = None
    stays: bool = False


STAGES = {
    "hangs up": Stage(info=False),
    "says nothing": Stage(info=False, stays=True),
    "hangs up after INFO": Stage(),
    "says INFO and no more": Stage(stays=True),
    "hangs up after PING": Stage(answer=b""),
    "refuses": Stage(answer=b"-ERR 'Authorization Violation'\r\n"),
    "hangs up after PONG": Stage(answer=PONG),
    "hangs up soon": Stage(answer=PONG, last=b""),
    "throws out": Stage(answer=PONG, last=b"-ERR 'User Authentication Expired'\r\n"),
    "stays": Stage(answer=PONG, stays=True),
}


class Server:
    """Speaks as a NATS server up to a stage: the first connection to the first, the next to the next, then the last."""

    def __init__(self, *stages: str) -> None:
        self.stages = list(stages)
        self.made = 0
        self.url = ""
        self.ends: set[StreamWriter] = set()

    async def serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        stage = self.stages[min(self.made, len(self.stages) - 1)]
        self.made += 1
        self.ends.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await self._speak(STAGES[stage], reader, writer)
        writer.close()

    async def _speak(self, stage: Stage, reader: StreamReader, writer: StreamWriter) -> None:
        if stage.info:
            writer.write(INFO)
        if stage.answer is not None:
            await reader.readuntil(b"PING")
            writer.write(stage.answer)
        if stage.last is not None:
            await asyncio.sleep(0.003)
            writer.write(stage.last)
        while stage.stays and (said := await reader.read(4096)):
            if stage.answer:
                writer.write(PONG * said.count(b"PING"))


@asynccontextmanager
async def listening(*stages: str) -> AsyncIterator[Server]:
    made = Server(*stages)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()


@pytest.fixture
def writers(monkeypatch: pytest.MonkeyPatch) -> list[StreamWriter]:
    """Every connection's end that is made."""
    made: list[StreamWriter] = []
    before = StreamWriter.__init__

    def init(self: StreamWriter, *args: Any, **options: Any) -> None:
        before(self, *args, **options)
        made.append(self)

    monkeypatch.setattr(StreamWriter, "__init__", init)
    return made


async def as_core(url: str) -> None:
    client = await connect(NatsSettings(urls=(url,)), "core")
    try:
        await asyncio.sleep(60)
    finally:
        await disconnect_within(client)


async def as_gateway(url: str) -> None:
    await NatsCarrier(StreamConfig(urls=(url,)), "gw").run()


@pytest.mark.parametrize("user", [as_core, as_gateway])
@pytest.mark.parametrize("stage", STAGES)
def test_who_is_cancelled_leaves_no_connection_behind(
    user: Callable[[str], Coroutine[Any, Any, None]], stage: str, writers: list[StreamWriter]
) -> None:
    async def main(stages: tuple[str, ...], after: float) -> set[StreamWriter]:
        async with listening(*stages) as server:
            task = asyncio.create_task(user(server.url))
            await asyncio.wait([task], timeout=after)
            async with asyncio.timeout(10):
                await end([task])
        return server.ends

    for stages, after in (((stage, "stays"), 0.002), (("hangs up soon", stage), 0.01)):
        theirs = asyncio.run(main(stages, after))
        left = [each for each in writers if each not in theirs and not each.transport.is_closing()]
        assert not left, (stages, after)


@pytest.mark.parametrize("stage", ["says nothing", "says INFO and no more", "hangs up after INFO", "refuses"])
def test_who_gives_up_connecting_leaves_no_connection_behind(stage: str, writers: list[StreamWriter]) -> None:
    async def main() -> set[StreamWriter]:
        async with listening(stage) as server:
            with pytest.raises(StreamUnavailable, match=server.url):
                await connect(NatsSettings(urls=(server.url,)), "core", within=0.05)
        return server.ends

    theirs = asyncio.run(main())
    assert writers
    assert not [each for each in writers if each not in theirs and not each.transport.is_closing()]


def test_a_client_thrown_out_is_back_as_soon_as_it_may() -> None:
    async def main() -> None:
        async with listening("throws out", "refuses", "stays") as server:
            client = await connect(NatsSettings(urls=(server.url,)), "core")
            async with asyncio.timeout(10):
                while not (server.made == 3 and client.is_connected):  # noqa: ASYNC110 - of a state of the library's
                    await asyncio.sleep(0.01)
                await client.flush()
            await disconnect_within(client)
            assert client.is_closed

    asyncio.run(main())


def test_hanging_up_on_a_server_that_has_stopped_reading_takes_no_longer_than_it_may() -> None:
    async def main() -> None:
        released = asyncio.Event()

        async def serve(reader: StreamReader, writer: StreamWriter) -> None:
            writer.write(INFO)
            await reader.readuntil(b"PING")
            writer.write(PONG)
            await released.wait()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        client = Client()
        await client.connect(f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}", pending_size=64 * 2**20)
        for _ in range(20):
            await client.publish("x", bytes(2**20))
        assert client._transport is not None
        async with asyncio.timeout(5):
            await disconnect_within(client, 0.1)
        assert client._transport._io_writer.transport.is_closing()
        released.set()
        server.close()

    asyncio.run(main())
