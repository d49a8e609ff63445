"""What is ended has ended: whoever is cancelled while ending others waits for them; no connection waits for ever."""

import asyncio
from importlib import import_module
from urllib.parse import urlparse

import nats.aio.client
import pytest
from nats.aio.transport import TcpTransport

from core.telemetry.connection import closing_within
from edge.carrier import CarrierDown, NatsCarrier
from edge.config import StreamConfig
from edge.tasks import end, surely


async def stubborn(ended: list[str], name: str) -> None:
    """Swallows two cancellations, as some libraries do."""
    for _ in range(2):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            continue
    try:
        await asyncio.sleep(60)
    finally:
        ended.append(name)


def test_an_end_within_an_end_leaves_nobody_behind() -> None:
    ended: list[str] = []

    async def outer() -> None:
        inner = asyncio.create_task(stubborn(ended, "inner"))
        try:
            await asyncio.wait([inner])
        finally:
            try:
                await end([inner])
            finally:
                ended.append("outer")

    async def main() -> None:
        task = asyncio.create_task(outer())
        await asyncio.sleep(0)
        await end([task])
        assert task.cancelled()
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())
    assert ended == ["inner", "outer"]


def test_a_cleanup_is_done_however_often_it_is_cancelled() -> None:
    done: list[int] = []

    async def cleanup() -> None:
        await asyncio.sleep(0.05)
        done.append(1)

    async def broken() -> None:
        await asyncio.sleep(0)
        raise OSError("it is gone already")

    async def main() -> None:
        task = asyncio.create_task(surely(cleanup()))
        for _ in range(3):
            await asyncio.sleep(0.01)
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(OSError, match="gone already"):
            await surely(broken())

    asyncio.run(main())
    assert done == [1]


class Writer:
    """The end of a connection whose other end never says goodbye."""

    def __init__(self) -> None:
        self.transport = self
        self.aborted = False

    async def wait_closed(self) -> None:
        await asyncio.Event().wait()

    def abort(self) -> None:
        self.aborted = True


def test_a_connection_whose_other_end_never_says_goodbye_is_cut() -> None:
    async def main() -> None:
        transport = closing_within(TcpTransport, 0.05)()
        transport._io_writer = writer = Writer()
        await asyncio.wait_for(transport.wait_closed(), 5)
        assert writer.aborted

    asyncio.run(main())


def test_a_connection_that_broke_off_while_it_was_made_is_cut_by_the_next() -> None:
    async def main() -> None:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        uri = urlparse(f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        transport = closing_within(TcpTransport)()
        transport._io_writer = writer = Writer()
        await transport.connect(uri, 1024, 5)
        assert writer.aborted
        transport.close()
        await transport.wait_closed()
        server.close()

    asyncio.run(main())


@pytest.mark.parametrize("answer", [b"", b"OK", b"[]", b"\xff", b'{"seq": "1"}'])
def test_an_answer_that_is_no_streams_is_tried_again_and_fails_nobody(
    answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Raised as anything else it would end the gateway, or keep a place in the window for ever."""

    async def answered(*_asked: object) -> bytes:
        return answer

    async def main() -> None:
        carrier = NatsCarrier(StreamConfig(urls=("nats://127.0.0.1:1",)), "test")
        monkeypatch.setattr(carrier, "_request", answered)
        with pytest.raises(CarrierDown):
            await carrier.publish("readings.1.plant", "id", b"")
        with pytest.raises(CarrierDown):
            await carrier.stream()

    asyncio.run(main())


@pytest.mark.parametrize("room", ["edge.carrier", "core.ingest.stream"])
def test_the_clients_of_both_ends_close_so(room: str) -> None:
    import_module(room)
    assert nats.aio.client.TcpTransport.__name__ == "Closing"  # what the library makes its connections of
    assert issubclass(nats.aio.client.TcpTransport, TcpTransport)
