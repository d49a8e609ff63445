"""A simulated Sparkplug B edge node, read by the gateway's collector through a real broker."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from core.telemetry.quality import Quality, Reason
from edge.collectors.decoders.sparkplug_b import SEQUENCE_GAP
from lotwise.embedded.nats import EmbeddedNats
from simulators.faults import Fault, FaultKind
from simulators.fleet import Fleet
from simulators.sparkplug import SparkplugNode
from tests.services.sim_support import OTHER, ROOM, Kept, collected, scenario, until

A, B = f"{ROOM}/probe-a", f"{OTHER}/probe-b"


@pytest.fixture(autouse=True)
def test_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOTWISE_INSTANCE", "test")


def node_device(**fields: Any) -> dict[str, Any]:
    return {
        "kind": "sparkplug_node",
        "name": "edge-1",
        "zone": ROOM,
        "devices": {"probe-a": ROOM, "probe-b": OTHER},
        "interval": "50ms",
        "quantities": ["temperature", "humidity"],
    } | fields


def node_of(fleet: Fleet) -> SparkplugNode:
    node = fleet.devices["edge-1"]
    assert isinstance(node, SparkplugNode)
    return node


def test_a_node_is_read_through_births_a_lost_connection_a_dead_device_and_its_end(
    mqtt_broker: EmbeddedNats, tmp_path: Path
) -> None:
    trial = scenario([node_device()], broker={"port": mqtt_broker.mqtt_port})
    kept = Kept()

    def bad(point: str) -> int:
        return sum(reading.quality is Quality.BAD for reading in kept.of(point))

    async def main() -> SparkplugNode:
        async with collected(trial, tmp_path, kept) as fleet:
            node = node_of(fleet)
            await kept.until(f"{A}/sequence", 3)
            await kept.until(f"{ROOM}/edge-1/uptime", 3)

            await node.fault(Fault(FaultKind.DISCONNECT))
            missed = node.report.readings
            await until(lambda: bad(f"{A}/temperature") == bad(f"{B}/temperature") == 1, "the will")
            await until(lambda: node.report.readings > missed + 5)
            await node.clear(FaultKind.DISCONNECT)
            back = node.report.readings
            await until(lambda: back in kept.numbers(f"{A}/sequence"), "the reading after the break")

            node.silence("probe-b")
            await until(lambda: bad(f"{B}/temperature") == 2, "the device's death")
            quiet = len(kept.of(f"{B}/sequence"))
            alone = node.report.readings
            await until(lambda: alone + 3 in kept.numbers(f"{A}/sequence"))
            assert len(kept.of(f"{B}/sequence")) == quiet
            node.resume("probe-b")
            await kept.until(f"{B}/sequence", quiet + 3)
            before = bad(f"{A}/temperature")
            await node.stop()
            await until(lambda: bad(f"{A}/temperature") == before + 1, "the node's death")
            return node

    node = asyncio.run(main())
    numbers = sorted(kept.numbers(f"{A}/sequence"))
    assert numbers == list(range(numbers[0], node.report.readings + 1))
    assert sorted(set(node.report.sequences)) == list(range(1, node.report.readings + 1))
    good = [reading for reading in kept.of(f"{A}/temperature") if reading.quality is Quality.GOOD]
    assert all(isinstance(r.value, float) and 4 < r.value < 6.5 and r.unit == "Cel" for r in good)
    assert len({reading.at for reading in good}) == len(good)
    assert {r.reason for r in kept.of(f"{A}/temperature") if r.quality is Quality.BAD} == {Reason.DISCONNECTED}
    assert all(reading.simulated for reading in kept.readings)
    # the gateway may have come between two messages and asked for a birth; nothing else is put aside
    assert all("without a birth" in reason for _, _, reason in kept.asides)


@pytest.mark.parametrize("kind", [FaultKind.DROP_OUT, FaultKind.OUT_OF_ORDER, FaultKind.DUPLICATE, FaultKind.GARBAGE])
def test_what_breaks_the_order_makes_the_gateway_doubt_until_the_node_is_born_again(
    kind: FaultKind, mqtt_broker: EmbeddedNats, tmp_path: Path
) -> None:
    trial = scenario([node_device()], broker={"port": mqtt_broker.mqtt_port})
    kept = Kept()

    def impatient(text: str) -> str:
        return text.replace("decoder: sparkplug_b", "decoder: {name: sparkplug_b, rebirth_interval: 300 ms}")

    def good_after(number: int) -> bool:
        return any(r.quality is Quality.GOOD and int(r.value or 0) > number for r in kept.of(f"{A}/sequence"))

    async def main() -> SparkplugNode:
        async with collected(trial, tmp_path, kept, impatient) as fleet:
            node = node_of(fleet)
            await until(lambda: good_after(3))
            await node.fault(Fault(kind))
            begun = node.report.readings
            await until(lambda: node.report.readings >= begun + 4)
            await node.clear(kind)
            ended = node.report.readings
            await until(lambda: good_after(ended + 1), "a birth and a good reading")
            return node

    node = asyncio.run(main())
    numbers = set(kept.numbers(f"{A}/sequence"))
    assert numbers == set(range(min(numbers), max(numbers) + 1)) - set(node.report.lost)
    assert bool(node.report.lost) is (kind in {FaultKind.DROP_OUT, FaultKind.GARBAGE})
    doubted = [r.reason for r in kept.of(f"{A}/temperature") if r.quality is Quality.UNCERTAIN]
    assert set(doubted) == {SEQUENCE_GAP}
    assert node.encoder.bd_seq == 0


def test_the_faults_of_a_value_reach_the_gateway(mqtt_broker: EmbeddedNats, tmp_path: Path) -> None:
    trial = scenario([node_device(interval="60s")], broker={"port": mqtt_broker.mqtt_port})
    kept = Kept()

    async def main() -> None:
        async with collected(trial, tmp_path, kept) as fleet:
            node = node_of(fleet)
            while not kept.of(f"{A}/temperature"):  # the gateway may have come after the birth, and ask for another
                node.measure()
                await asyncio.sleep(0.1)
            for kind in (FaultKind.SPIKE, FaultKind.WRONG_UNIT, FaultKind.CLOCK_STEP, FaultKind.FREEZE):
                await node.fault(Fault(kind, amount=40.0))
                node.measure()
                node.measure()
                await node.clear(kind)
            await until(lambda: node.report.readings in kept.numbers(f"{A}/sequence"))

    asyncio.run(main())
    found = kept.of(f"{A}/temperature")[-8:]
    spiked, fahrenheit, stepped, frozen = (found[n : n + 2] for n in range(0, 8, 2))
    assert all(isinstance(r.value, float) and r.value > 40 and r.unit == "Cel" for r in spiked)
    assert all(isinstance(r.value, float) and 39 < r.value < 44 and r.unit == "[degF]" for r in fahrenheit)
    assert [(r.quality, r.reason) for r in stepped] == [(Quality.UNCERTAIN, Reason.CLOCK)] * 2
    assert frozen[0].value == frozen[1].value
