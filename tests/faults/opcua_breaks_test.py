"""Breaks between an OPC UA server and the gateway: what was missed comes from history, or is a gap. Never silence."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from asyncua.server.history_sql import HistorySQLite

from edge import supervisor
from edge.collectors.opcua import OpcUaCollector
from edge.collectors.port import SourceLost
from edge.spool import Spool
from edge.supervisor import Supervisor
from edge.tasks import end
from tests.faults.opcua_peer import NAMESPACE, ZONE, Memory, machine, running, source, until
from tests.servers import free_port


class Cable:
    """A TCP relay that can be cut and mended, so that the server lives through the break."""

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._writers: list[asyncio.StreamWriter] = []
        self._pipes: set[asyncio.Task[None]] = set()
        self.whole = True
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.whole:
            writer.close()
            return
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._upstream)
        self._writers += [writer, up_writer]
        for source_, sink in ((reader, up_writer), (up_reader, writer)):
            task = asyncio.create_task(self._pipe(source_, sink))
            self._pipes.add(task)
            task.add_done_callback(self._pipes.discard)

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    def cut(self) -> None:
        self.whole = False
        for writer in self._writers:
            writer.close()
        self._writers.clear()

    def mend(self) -> None:
        self.whole = True


@contextlib.asynccontextmanager
async def cable(upstream: int) -> AsyncIterator[Cable]:
    made = Cable(upstream)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        made.cut()
        server.close()
        await server.wait_closed()
        await asyncio.gather(*made._pipes, return_exceptions=True)


async def lost(task: asyncio.Task[None]) -> None:
    with pytest.raises(SourceLost):
        await asyncio.wait_for(asyncio.shield(task), 10)


def test_what_happened_during_a_break_comes_from_history() -> None:
    async def main() -> None:
        async with machine(free_port(), {"t": 4.0}) as peer, cable(peer.port) as wire:
            await peer.historize("t")
            keeper = Memory()
            collector = OpcUaCollector(source(f"opc.tcp://127.0.0.1:{wire.port}", "t"))
            async with running(collector, keeper) as first:
                await until(lambda: keeper.of("t"))
                wire.cut()
                await lost(first)
            assert collector.live_upto(datetime.now(UTC)) is None
            for value in range(5, 25):
                await peer.write("t", float(value))
                await asyncio.sleep(0.01)
            wire.mend()
            async with running(collector, keeper):
                await until(lambda: len(keeper.of("t")) >= 21)
                await until(lambda: collector.live_upto(datetime.now(UTC)))
                await peer.write("t", 99.0)
                await until(lambda: 99.0 in keeper.values("t"))
            by_time = sorted({(reading.at, reading.value) for reading in keeper.of("t")})
            assert [value for _, value in by_time] == [4.0, *map(float, range(5, 25)), 99.0]
            assert all(reading.at == reading.source_at for reading in keeper.of("t"))
            assert keeper.gaps == []

    asyncio.run(main())


def test_without_history_a_break_is_a_gap_from_the_last_kept_to_the_first_live() -> None:
    async def main() -> None:
        async with machine(free_port(), {"t": 4.0, "still": 1.0}) as peer, cable(peer.port) as wire:
            keeper = Memory()
            collector = OpcUaCollector(source(f"opc.tcp://127.0.0.1:{wire.port}", "t", "still"))
            async with running(collector, keeper) as first:
                await until(lambda: keeper.of("t") and keeper.of("still"))
                wire.cut()
                await lost(first)
            last = keeper.of("t")[-1].at
            before = datetime.now(UTC)
            for value in (5.0, 6.0):
                await peer.write("t", value)
            wire.mend()
            async with running(collector, keeper):
                await until(lambda: keeper.gaps and len(keeper.of("still")) == 2)
                await until(lambda: collector.live_upto(datetime.now(UTC)))
            live = keeper.of("t")[-1]
            assert live.value == 6.0
            gap = keeper.gaps[0]
            assert (gap.scope, gap.start, gap.stop) == (f"{ZONE}/machine/t", last, live.at)
            # The value that did not change is not sent again as if it were new: it was read, at the server's time.
            assert len(keeper.gaps) == 1
            old, again = keeper.of("still")
            assert again.at > old.at
            assert again.at >= before - timedelta(seconds=1.5)
            assert again.source_at == old.source_at

    asyncio.run(main())


def test_a_break_after_a_value_that_was_old_at_first_start_is_seen() -> None:
    async def main() -> None:
        async with machine(free_port(), {"t": 4.0}) as peer, cable(peer.port) as wire:
            await peer.write("t", 3.0, datetime.now(UTC) - timedelta(days=1))
            keeper = Memory()
            collector = OpcUaCollector(source(f"opc.tcp://127.0.0.1:{wire.port}", "t"))
            async with running(collector, keeper) as first:
                await until(lambda: keeper.of("t"))
                wire.cut()
                await lost(first)
            await peer.write("t", 9.0)
            wire.mend()
            async with running(collector, keeper):
                await until(lambda: keeper.gaps)
            old, new = keeper.of("t")[:2]
            assert (old.value, new.value) == (3.0, 9.0)
            assert (keeper.gaps[0].start, keeper.gaps[0].stop) == (old.at, new.at)

    asyncio.run(main())


def test_history_switched_off_is_a_gap() -> None:
    async def main() -> None:
        async with machine(free_port(), {"t": 4.0}) as peer, cable(peer.port) as wire:
            await peer.historize("t")
            keeper = Memory()
            collector = OpcUaCollector(source(f"opc.tcp://127.0.0.1:{wire.port}", "t", history=False))
            async with running(collector, keeper) as first:
                await until(lambda: keeper.of("t"))
                wire.cut()
                await lost(first)
            for value in (5.0, 6.0):
                await peer.write("t", value)
            wire.mend()
            async with running(collector, keeper):
                await until(lambda: keeper.gaps)
            assert keeper.values("t") == [4.0, 6.0]

    asyncio.run(main())


def test_a_server_that_restarts_gives_what_its_database_has(tmp_path: Path) -> None:
    async def main() -> None:
        port, keeper = free_port(), Memory()
        nodes = [{"node": f"nsu={NAMESPACE};i=1000", "point": f"{ZONE}/machine/t", "sampling": 0.05}]
        collector = OpcUaCollector(source(f"opc.tcp://127.0.0.1:{port}", nodes=nodes))
        database = tmp_path / "history.db"
        async with machine(port, {"t": 4.0}, history=HistorySQLite(database), numbered=True) as peer:
            await peer.historize("t")
            task = asyncio.create_task(collector.run(keeper))
            await until(lambda: keeper.of("t"))
            await peer.write("t", 5.0)
            await until(lambda: 5.0 in keeper.values("t"))
        await lost(task)
        async with machine(port, {"t": 6.0}, history=HistorySQLite(database), numbered=True) as peer:
            await peer.historize("t")
            await peer.write("t", 7.0)
            async with running(collector, keeper):
                await until(lambda: {6.0, 7.0} <= set(keeper.values("t")))
                await until(lambda: collector.live_upto(datetime.now(UTC)))
        assert keeper.gaps == []

    asyncio.run(main())


def test_a_new_process_that_is_told_what_was_kept_fills_in_the_rest() -> None:
    async def main() -> None:
        async with machine(free_port(), {"t": 4.0, "u": 1.0}) as peer:
            await peer.historize("t")
            kept = datetime.now(UTC)
            stamps = []
            for value in (5.0, 6.0, 7.0):
                stamps.append(datetime.now(UTC))
                await peer.write("t", value, stamps[-1])
            await peer.write("u", 2.0)
            await asyncio.sleep(0.1)
            keeper = Memory()
            last = {f"{ZONE}/machine/t": kept, f"{ZONE}/machine/u": kept}
            async with running(OpcUaCollector(source(peer, "t", "u"), last_kept=last), keeper):
                await until(lambda: len({reading.at for reading in keeper.of("t")}) >= 3 and keeper.gaps)
            assert sorted({(r.at, r.value) for r in keeper.of("t")}) == list(zip(stamps, (5.0, 6.0, 7.0), strict=True))
            assert [(gap.scope, gap.start) for gap in keeper.gaps] == [(f"{ZONE}/machine/u", kept)]

    asyncio.run(main())


@pytest.mark.parametrize("new_process", [False, True])
def test_what_a_break_left_open_is_filled_after_the_next_one(new_process: bool) -> None:
    async def main() -> None:
        async with machine(free_port(), {"t": 4.0}) as peer, cable(peer.port) as wire:
            await peer.historize("t")
            keeper = Memory()
            config = source(f"opc.tcp://127.0.0.1:{wire.port}", "t")
            collector = OpcUaCollector(config)
            manager = peer.server.iserver.history_manager
            read, broken = manager.read_history, True

            async def cut_off(params: Any) -> Any:
                if broken:
                    wire.cut()
                return await read(params)

            manager.read_history = cut_off
            async with running(collector, keeper) as first:
                await until(lambda: keeper.of("t"))
                wire.cut()
                await lost(first)
            for value in (5.0, 6.0):
                await peer.write("t", value)
            wire.mend()
            async with running(collector, keeper) as second:
                await lost(second)
            # Nothing later than the hole is kept before the hole is filled, or a new process would not know of it.
            assert keeper.values("t") == [4.0]
            broken = False
            wire.mend()
            if new_process:
                kept = {f"{ZONE}/machine/t": max(reading.at for reading in keeper.readings)}
                collector = OpcUaCollector(config, last_kept=kept)
            async with running(collector, keeper):
                await until(lambda: 6.0 in keeper.values("t"))
                await until(lambda: collector.live_upto(datetime.now(UTC)))
            values = [value for _, value in sorted({(r.at, r.value) for r in keeper.of("t")})]
            assert values == [4.0, 5.0, 6.0]
            assert keeper.gaps == []

    asyncio.run(main())


def subscription(peer: Any) -> Any:
    return next(
        each
        for each in peer.server.iserver.subscription_service.subscriptions.values()
        if each.pub_request_callback is not None
    )


def test_a_lost_message_is_asked_for_again() -> None:
    async def main() -> None:
        async with machine(free_port(), {"n": 0}) as peer:
            keeper = Memory()
            async with running(OpcUaCollector(source(peer, "n")), keeper):
                await until(lambda: keeper.of("n"))
                served = subscription(peer)
                send = served.pub_result_callback
                swallowed: list[Any] = []

                async def lose_one(result: Any, request: Any) -> None:
                    if result.NotificationMessage.NotificationData and not swallowed:
                        swallowed.append(result)
                        # The request is kept for the next message, as if the answer had never been sent.
                        peer.server.bserver.clients[0].processor._publish_requests.appendleft(request)
                        return
                    await send(result, request)

                served.pub_result_callback = lose_one
                await peer.write("n", 1)
                await until(lambda: swallowed)
                await peer.write("n", 2)
                await until(lambda: 2 in keeper.values("n"))
            assert keeper.values("n") == [0, 1, 2]
            assert keeper.gaps == []

    asyncio.run(main())


@pytest.mark.parametrize("history", [False, True])
def test_a_message_that_is_gone_for_good_is_a_gap_for_every_point_unless_history_knows(history: bool) -> None:
    async def main() -> None:
        async with machine(free_port(), {"n": 0, "t": 4.0}) as peer:
            if history:
                await peer.historize("n", "t")
            keeper = Memory()
            collector = OpcUaCollector(source(peer, "n", "t"))
            async with running(collector, keeper):
                await until(lambda: keeper.of("n") and keeper.of("t"))
                served = subscription(peer)
                await peer.write("n", 1)
                # The server forgets what it had to say, but not that it had something to say.
                served._triggered_datachanges.clear()
                served._notification_seq += 1
                await peer.write("n", 2)
                await until(lambda: 2 in keeper.values("n"))
                await until(lambda: 1 in keeper.values("n") if history else len(keeper.gaps) == 2)
                await until(lambda: collector.live_upto(datetime.now(UTC)))
            assert {gap.scope for gap in keeper.gaps} == (
                set() if history else {f"{ZONE}/machine/n", f"{ZONE}/machine/t"}
            )

    asyncio.run(main())


def test_a_server_without_the_history_it_promises_leaves_a_gap() -> None:
    async def main() -> None:
        async with machine(free_port(), {"t": 4.0}) as peer, cable(peer.port) as wire:
            await peer.historize("t")
            keeper = Memory()
            collector = OpcUaCollector(source(f"opc.tcp://127.0.0.1:{wire.port}", "t"))
            async with running(collector, keeper) as first:
                await until(lambda: keeper.of("t"))
                wire.cut()
                await lost(first)
            last = keeper.of("t")[-1].at
            await peer.write("t", 5.0)
            await asyncio.sleep(0.1)
            peer.server.iserver.history_manager.storage._datachanges[peer.nodes["t"].nodeid].clear()
            wire.mend()
            async with running(collector, keeper):
                await until(lambda: keeper.gaps)
            assert (keeper.gaps[0].start, keeper.gaps[0].stop) == (last, keeper.of("t")[-1].at)

    asyncio.run(main())


def test_what_is_older_than_the_history_limit_is_a_gap() -> None:
    async def main() -> None:
        async with machine(free_port(), {"t": 4.0}) as peer:
            await peer.historize("t")
            now = datetime.now(UTC)
            for age, value in ((120, 5.0), (50, 6.0), (20, 7.0)):
                await peer.write("t", value, now - timedelta(seconds=age))
            await asyncio.sleep(0.1)
            keeper = Memory()
            kept = now - timedelta(seconds=200)
            config = source(peer, "t", history_limit=60)
            async with running(OpcUaCollector(config, last_kept={f"{ZONE}/machine/t": kept}), keeper):
                await until(lambda: {6.0, 7.0} <= set(keeper.values("t")))
            assert 5.0 not in keeper.values("t")
            gap = keeper.gaps[0]
            assert (gap.start, gap.stop) == (kept, now - timedelta(seconds=20) - timedelta(seconds=60))

    asyncio.run(main())


def test_history_comes_in_as_many_pages_as_the_server_likes() -> None:
    async def main() -> None:
        async with machine(free_port(), {"n": 0}) as peer:
            await peer.historize("n")
            kept = datetime.now(UTC)
            peer.server.iserver.history_manager.storage.max_history_data_response_size = 3
            for value in range(1, 11):
                await peer.write("n", value)
                await asyncio.sleep(0.005)
            await asyncio.sleep(0.1)
            keeper = Memory()
            async with running(OpcUaCollector(source(peer, "n"), last_kept={f"{ZONE}/machine/n": kept}), keeper):
                await until(lambda: 10 in keeper.values("n"))
            assert sorted({reading.value for reading in keeper.of("n")}, key=str) == sorted(range(1, 11), key=str)
            assert keeper.gaps == []

    asyncio.run(main())


def test_a_subscription_that_the_server_dropped_is_noticed() -> None:
    async def main() -> None:
        async with machine(free_port(), {"t": 4.0}) as peer:
            keeper = Memory()
            async with running(OpcUaCollector(source(peer, "t", timeout=0.5)), keeper) as task:
                await until(lambda: keeper.of("t"))
                await peer.server.iserver.subscription_service.delete_subscriptions(
                    [subscription(peer).data.SubscriptionId]
                )
                await lost(task)

    asyncio.run(main())


def test_an_overflowed_queue_is_a_gap() -> None:
    async def main() -> None:
        async with machine(free_port(), {"t": 4.0}) as peer:
            keeper = Memory()
            async with running(OpcUaCollector(source(peer, "t")), keeper):
                await until(lambda: keeper.of("t"))
                await peer.write("t", 5.0, status=0x480)
                await until(lambda: keeper.gaps)
            before, after = keeper.of("t")
            assert (after.value, after.quality.name, after.reason) == (5.0, "GOOD", "")
            gap = keeper.gaps[0]
            assert (gap.start, gap.stop, gap.reason) == (before.at, after.at, "queue_overflow")

    asyncio.run(main())


def test_it_says_once_that_it_is_lost_and_once_that_it_is_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the gateway runs it: with a collector made anew for every attempt."""
    monkeypatch.setattr(supervisor, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(supervisor, "LONGEST_PAUSE", 0.05)

    async def main() -> None:
        async with (
            machine(free_port(), {"t": 4.0}) as peer,
            cable(peer.port) as wire,
            await Spool.open(tmp_path, "gateway-1", "plant") as spool,
        ):
            config = source(f"opc.tcp://127.0.0.1:{wire.port}", "t")
            boss = Supervisor([lambda: OpcUaCollector(config)], spool)
            (ours,) = boss.sources
            task = asyncio.create_task(boss.run())
            try:
                await until(lambda: ours.readings)
                await boss.mark()
                wire.cut()
                await until(lambda: ours.restarts >= 4)
                await boss.mark()
                before = ours.readings
                wire.mend()
                await until(lambda: ours.readings > before)
                await boss.mark()
            finally:
                await end([task])

    with caplog.at_level("INFO"):
        asyncio.run(main())
    told = [record.getMessage() for record in caplog.records if record.name.startswith(("edge.", "lotwise.edge"))]
    assert [message.split(":")[0] for message in told if "machine" in message] == [
        "machine",  # that it is connected, the first time
        "source machine lost",
        "source machine is back",
    ]


def test_a_server_that_hangs_is_noticed() -> None:
    async def main() -> None:
        async with machine(free_port(), {"t": 4.0}) as peer, cable(peer.port) as wire:
            keeper = Memory()
            collector = OpcUaCollector(source(f"opc.tcp://127.0.0.1:{wire.port}", "t", timeout=0.5))
            async with running(collector, keeper) as task:
                await until(lambda: keeper.of("t"))
                for pipe in wire._pipes:
                    pipe.cancel()
                await lost(task)

    asyncio.run(main())


def test_a_server_that_accepts_and_says_nothing_is_lost_and_can_be_given_up_half_way() -> None:
    async def main() -> None:
        writers: list[asyncio.StreamWriter] = []

        async def mute(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writers.append(writer)

        server = await asyncio.start_server(mute, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        url = f"opc.tcp://127.0.0.1:{port}"
        try:
            with pytest.raises(SourceLost):
                await OpcUaCollector(source(url, "t", timeout=0.3)).run(Memory())
            patient = asyncio.create_task(OpcUaCollector(source(url, "t", timeout=60)).run(Memory()))
            await until(lambda: len(writers) == 2)
            patient.cancel()
            with pytest.raises(asyncio.CancelledError):
                await patient
        finally:
            server.close()
            for writer in writers:
                writer.close()
            await server.wait_closed()
            await asyncio.sleep(0.05)

    asyncio.run(main())
