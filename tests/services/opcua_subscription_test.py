"""The OPC UA collector on a real server: every change, its quality, its time; acknowledged when it is on disk."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from asyncua import ua

from core.telemetry.quality import Quality, Reason
from core.telemetry.reading import Reading
from edge.collectors.opcua import OpcUaCollector
from edge.collectors.opcua_values import UNSUPPORTED
from edge.collectors.port import SourceLost, SourceMisconfigured, SpoolFull
from tests.faults.opcua_peer import NAMESPACE, ZONE, Memory, machine, running, source, until
from tests.servers import free_port


def test_changes_with_status_and_source_time() -> None:
    async def main() -> None:
        async with machine(free_port(), {"t": 4.0}) as peer:
            keeper, collector = Memory(), OpcUaCollector(source(peer, "t", simulated=True))
            async with running(collector, keeper):
                await until(lambda: len(keeper.of("t")) == 1)
                told = [(5.0, 0), (6.0, 0x40900000), (7.0, 0x808C0000), (float("nan"), 0), (8.0, 0)]
                stamps = []
                for value, status in told:
                    stamps.append(datetime.now(UTC))
                    await peer.write("t", value, stamps[-1], status)
                await until(lambda: len(keeper.of("t")) == 6)
                assert collector.connected
                assert collector.zones == {ZONE}
            got = [(reading.value, reading.quality, reading.reason) for reading in keeper.of("t")]
            assert got == [
                (4.0, Quality.GOOD, ""),
                (5.0, Quality.GOOD, ""),
                (6.0, Quality.UNCERTAIN, "UncertainLastUsableValue"),
                (None, Quality.BAD, "BadSensorFailure"),
                (None, Quality.BAD, Reason.NOT_A_NUMBER),
                (8.0, Quality.GOOD, ""),
            ]
            assert [reading.at for reading in keeper.of("t")[1:]] == stamps
            assert all(reading.source_at == reading.at and reading.simulated for reading in keeper.of("t"))
            assert not collector.connected

    asyncio.run(main())


def test_three_thousand_changes_come_without_a_hole() -> None:
    async def main() -> None:
        async with machine(free_port(), {"n": 0}) as peer:
            nodes = [{"node": f"nsu={NAMESPACE};s=n", "point": f"{ZONE}/machine/n", "sampling": 0, "queue": 5000}]
            keeper = Memory()
            async with running(OpcUaCollector(source(peer, nodes=nodes)), keeper):
                await until(lambda: keeper.of("n"))
                for value in range(1, 3001):
                    await peer.write("n", value)
                await until(lambda: keeper.values("n")[-1] == 3000)
            assert keeper.values("n") == list(range(3001))
            assert keeper.gaps == []

    asyncio.run(main())


def test_nothing_is_acknowledged_before_it_is_kept() -> None:
    async def main() -> None:
        gate = asyncio.Event()

        class Slow(Memory):
            async def keep(self, readings: Sequence[Reading]) -> None:
                if readings[0].value == 5.0 and not gate.is_set():
                    raise SpoolFull
                await super().keep(readings)

        def unacknowledged(peer: Any) -> set[int]:
            services = peer.server.iserver.subscription_service.subscriptions
            return {number for each in services.values() for number in each._not_acknowledged_results}

        async with machine(free_port(), {"t": 4.0}) as peer:
            keeper = Slow()
            collector = OpcUaCollector(source(peer, "t"))
            async with running(collector, keeper):
                await until(lambda: keeper.of("t") and collector.live_upto(datetime.now(UTC)))
                await peer.write("t", 5.0)
                await until(lambda: unacknowledged(peer))
                await asyncio.sleep(1.3)
                assert len(unacknowledged(peer)) == 1
                assert keeper.values("t") == [4.0]
                held = collector.live_upto(datetime.now(UTC))
                gate.set()
                await until(lambda: keeper.values("t") == [4.0, 5.0])
                await until(lambda: not unacknowledged(peer))
                await until(lambda: (collector.live_upto(datetime.now(UTC)) or held) != held)

    asyncio.run(main())


def test_a_stable_value_is_read_again_at_the_servers_time() -> None:
    async def main() -> None:
        async with machine(free_port(), {"t": 4.0}) as peer:
            keeper = Memory()
            async with running(OpcUaCollector(source(peer, "t", longest_silence=1.2)), keeper):
                await until(lambda: len(keeper.of("t")) >= 3)
            first, *again = keeper.of("t")
            assert {reading.value for reading in again} == {4.0}
            assert {reading.source_at for reading in again} == {first.source_at}
            times = [reading.at for reading in keeper.of("t")]
            assert times == sorted(set(times))
            steps = [later - earlier for earlier, later in pairwise(times)]
            assert all(timedelta(0) < step < timedelta(seconds=10) for step in steps)
            # asyncua's server moves its clock once a second, and later where the machine is busy.
            assert all(timedelta(0) <= reading.edge_at - reading.at < timedelta(seconds=5) for reading in again)

    asyncio.run(main())


def test_an_old_value_at_first_start_is_not_taken_for_a_new_one_nor_for_a_wrong_clock() -> None:
    async def main() -> None:
        async with machine(free_port(), {"t": 4.0}) as peer:
            yesterday = datetime.now(UTC) - timedelta(days=1)
            await peer.write("t", 3.0, yesterday)
            keeper = Memory()
            async with running(OpcUaCollector(source(peer, "t")), keeper):
                await until(lambda: keeper.of("t"))
            reading = keeper.of("t")[0]
            assert (reading.value, reading.quality, reading.source_at) == (3.0, Quality.GOOD, yesterday)
            assert datetime.now(UTC) - reading.at < timedelta(seconds=10)
            assert keeper.gaps == []

    asyncio.run(main())


def test_a_source_clock_that_is_wrong_is_uncertain() -> None:
    async def main() -> None:
        async with machine(free_port(), {"t": 4.0}) as peer:
            keeper = Memory()
            async with running(OpcUaCollector(source(peer, "t")), keeper):
                await until(lambda: keeper.of("t"))
                for year, value in ((1970, 5.0), (2099, 6.0)):
                    await peer.write("t", value, datetime(year, 1, 1, tzinfo=UTC))
                await until(lambda: len(keeper.of("t")) == 3)
            for reading, year in zip(keeper.of("t")[1:], (1970, 2099), strict=True):
                assert (reading.quality, reading.reason) == (Quality.UNCERTAIN, Reason.CLOCK)
                assert reading.at == reading.edge_at
                assert reading.source_at is not None
                assert reading.source_at.year == year

    asyncio.run(main())


def test_a_node_that_is_not_there_costs_the_others_nothing() -> None:
    async def main() -> None:
        async with machine(free_port(), {"t": 4.0}) as peer:
            keeper = Memory()
            nodes = [
                {"node": f"nsu={NAMESPACE};s=t", "point": f"{ZONE}/machine/t"},
                {"node": f"nsu={NAMESPACE};s=missing", "point": f"{ZONE}/machine/missing"},
                {"node": "nsu=urn:nobody;s=t", "point": f"{ZONE}/machine/nowhere"},
            ]
            collector = OpcUaCollector(source(peer, nodes=nodes))
            async with running(collector, keeper):
                await until(lambda: keeper.of("t") and keeper.of("missing") and keeper.of("nowhere"))
                await until(lambda: collector.live_upto(datetime.now(UTC)))
            for name in ("missing", "nowhere"):
                assert {(r.value, r.quality, r.reason) for r in keeper.of(name)} == {
                    (None, Quality.BAD, Reason.CONFIGURATION)
                }

    asyncio.run(main())


def test_if_every_node_is_refused_the_operator_is_told() -> None:
    async def main() -> None:
        async with machine(free_port(), {"t": 4.0}) as peer:
            with pytest.raises(SourceMisconfigured, match="BadNodeIdUnknown"):
                await asyncio.wait_for(OpcUaCollector(source(peer, "nothing")).run(Memory()), 10)

    asyncio.run(main())


def test_what_no_reading_can_carry_is_put_aside_and_bad() -> None:
    async def main() -> None:
        async with machine(free_port(), {"blob": b"\x01\x02", "probes": [1.0, 2.5]}) as peer:
            keeper = Memory()
            nodes = [
                {"node": f"nsu={NAMESPACE};s=blob", "point": f"{ZONE}/machine/blob"},
                {"node": f"nsu={NAMESPACE};s=probes", "point": f"{ZONE}/machine/probe2", "index": 1},
            ]
            async with running(OpcUaCollector(source(peer, nodes=nodes)), keeper):
                await until(lambda: keeper.of("blob") and keeper.of("probe2"))
            assert keeper.of("blob")[0].reason == UNSUPPORTED
            assert keeper.values("probe2") == [2.5]
            origin, payload, reason = keeper.set_aside[0]
            assert (origin, reason) == (f"nsu={NAMESPACE};s=blob", "type ByteString")
            assert b"01" in payload

    asyncio.run(main())


def test_a_deadband_is_asked_of_the_server() -> None:
    async def main() -> None:
        async with machine(free_port(), {"t": 4.0}) as peer:
            keeper = Memory()
            deadband = {"type": "absolute", "value": 0.5}
            nodes = [{"node": f"nsu={NAMESPACE};s=t", "point": f"{ZONE}/machine/t", "deadband": deadband}]
            async with running(OpcUaCollector(source(peer, nodes=nodes)), keeper):
                await until(lambda: keeper.of("t"))
                for value in (4.1, 6.0):
                    await peer.write("t", value)
                await until(lambda: 6.0 in keeper.values("t"))
            assert keeper.values("t") == [4.0, 6.0]

    asyncio.run(main())


def test_the_watermark_moves_on_keep_alives_and_stays_behind_the_tolerance() -> None:
    async def main() -> None:
        async with machine(free_port(), {"t": 4.0}) as peer:
            keeper = Memory()
            collector = OpcUaCollector(source(peer, "t", tolerance=30))
            assert collector.live_upto(datetime.now(UTC)) is None
            async with running(collector, keeper):
                await until(lambda: collector.live_upto(datetime.now(UTC)))
                first = collector.live_upto(datetime.now(UTC))
                assert first is not None
                assert timedelta(seconds=30) < datetime.now(UTC) - first < timedelta(seconds=33)
                await until(lambda: (collector.live_upto(datetime.now(UTC)) or first) > first + timedelta(seconds=1))
            assert collector.live_upto(datetime.now(UTC)) is None

    asyncio.run(main())


def test_no_server_is_a_lost_source() -> None:
    async def main() -> None:
        config = source(f"opc.tcp://127.0.0.1:{free_port()}", "t")
        with pytest.raises(SourceLost):
            await OpcUaCollector(config).run(Memory())

    asyncio.run(main())


def test_a_server_time_is_the_fallback_for_a_source_that_gives_none() -> None:
    async def main() -> None:
        async with machine(free_port(), {"t": 4.0}) as peer:
            keeper = Memory()
            async with running(OpcUaCollector(source(peer, "t")), keeper):
                await until(lambda: keeper.of("t"))
                stamp = datetime.now(UTC)
                peer.server.set_force_server_timestamp(False)
                await peer.nodes["t"].write_value(ua.DataValue(ua.Variant(5.0), ServerTimestamp=stamp))
                await until(lambda: len(keeper.of("t")) == 2)
            assert (keeper.of("t")[1].at, keeper.of("t")[1].source_at) == (stamp, stamp)

    asyncio.run(main())


def test_a_servers_limits_are_kept() -> None:
    async def main() -> None:
        names = [f"n{number}" for number in range(7)]
        async with machine(free_port(), dict.fromkeys(names, 1)) as peer:
            limits = ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall
            await peer.server.get_node(ua.NodeId(limits)).write_value(3, ua.VariantType.UInt32)
            service = peer.server.iserver.subscription_service
            create, sizes = service.create_monitored_items, []

            async def counted(params: Any, *others: Any) -> Any:
                sizes.append(len(params.ItemsToCreate))
                return await create(params, *others)

            service.create_monitored_items = counted
            keeper = Memory()
            async with running(OpcUaCollector(source(peer, *names)), keeper):
                await until(lambda: all(keeper.of(name) for name in names))
            assert sum(sizes) == 7
            assert max(sizes) <= 3

    asyncio.run(main())
