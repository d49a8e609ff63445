"""The gateway's collectors, configured by the text a scenario gives, read the scenario's devices."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from core.telemetry.batch import Gap
from core.telemetry.quality import Quality, Reason
from core.telemetry.reading import Reading
from edge.collectors.port import SourceLost
from edge.config import load
from edge.sources import PROTOCOLS
from lotwise.embedded.nats import EmbeddedNats
from simulators.describe import gateway_yaml
from simulators.fleet import Fleet
from simulators.machine import FillingMachine
from simulators.packml import State
from simulators.scenario import Scenario
from tests.servers import free_port

ROOM, LINE = "plant/cold/room-1", "plant/fill/line-1"


class Kept:
    """A keeper in memory."""

    def __init__(self) -> None:
        self.readings: list[Reading] = []
        self.gaps: list[Gap] = []
        self.asides: list[tuple[str, bytes, str]] = []

    async def keep(self, readings: Sequence[Reading]) -> None:
        self.readings.extend(readings)

    async def gap(self, gap: Gap) -> None:
        self.gaps.append(gap)

    async def aside(self, origin: str, payload: bytes, reason: str) -> None:
        self.asides.append((origin, payload, reason))

    def of(self, point: str) -> list[Reading]:
        return [reading for reading in self.readings if reading.point == point]

    async def until(self, point: str, count: int) -> None:
        end = time.monotonic() + 20
        while len(self.of(point)) < count:
            assert time.monotonic() < end, f"{point}: {len(self.of(point))} readings"
            await asyncio.sleep(0.05)


def everything(mqtt_port: int) -> Scenario:
    devices: list[dict[str, Any]] = [
        {"kind": "mqtt_sensor", "name": "probe-1", "zone": ROOM, "interval": "100ms"},
        {"kind": "mqtt_sensor", "name": "probe-2", "zone": ROOM, "interval": "100ms", "dialect": "tasmota"},
        {"kind": "filling_machine", "name": "filler-1", "zone": LINE, "port": free_port(), "interval": "200ms"},
        {
            "kind": "cold_room_controller",
            "name": "ctl",
            "port": free_port(),
            "units": {1: ROOM, 2: ROOM},
            "interval": "200ms",
        },
    ]
    return Scenario.model_validate(
        {
            "name": "everything",
            "duration": 60,
            "broker": {"port": mqtt_port},
            "zones": {ROOM: {}, LINE: {"kind": "warehouse"}},
            "devices": devices,
        }
    )


@pytest.fixture(autouse=True)
def test_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOTWISE_INSTANCE", "test")


def test_the_collectors_read_all_devices_of_a_scenario(mqtt_broker: EmbeddedNats, tmp_path: Path) -> None:
    assert mqtt_broker.mqtt_port is not None
    scenario = everything(mqtt_broker.mqtt_port)
    file = tmp_path / "gateway.yaml"
    file.write_text(gateway_yaml(scenario, data_dir=str(tmp_path)))
    config = load(file)
    kept = Kept()

    async def main() -> None:
        async with Fleet(scenario) as fleet:
            collectors = [PROTOCOLS[str(source.protocol)].make(source, dict) for source in config.sources]  # type: ignore[attr-defined]
            tasks = [asyncio.create_task(collector.run(kept)) for collector in collectors]
            machine = fleet.devices["filler-1"]
            assert isinstance(machine, FillingMachine)
            machine.bring_to(State.EXECUTE)
            for point in (f"{ROOM}/probe-1/sequence", f"{ROOM}/probe-2/sequence", f"{LINE}/filler-1/sequence"):
                await kept.until(point, 10)
            await kept.until(f"{ROOM}/ctl-1/probe1", 5)
            machine.set_status("ChamberTemperature", "BadSensorFailure")
            controller = fleet.devices["ctl"]
            controller.break_probe(2, 2)  # type: ignore[union-attr]
            await kept.until(f"{ROOM}/ctl-2/probe3", len(kept.of(f"{ROOM}/ctl-2/probe3")) + 3)
            for task in tasks:
                task.cancel()
            for task in tasks:
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    asyncio.run(main())
    assert kept.asides == []
    for point in (f"{ROOM}/probe-1/sequence", f"{ROOM}/probe-2/sequence", f"{LINE}/filler-1/sequence"):
        numbers = [reading.value for reading in kept.of(point)]
        first = numbers[0]
        assert isinstance(first, int)
        assert numbers == list(range(first, first + len(numbers)))
    good = [r.value for r in kept.of(f"{ROOM}/ctl-1/probe1") if r.quality is Quality.GOOD]
    assert good
    assert all(isinstance(value, float) and 4 < value < 6.5 for value in good)
    assert kept.of(f"{ROOM}/ctl-1/serial_number")[0].value == "LW-CTL-001"
    mean = kept.of(f"{ROOM}/ctl-1/mean")[0].value
    assert isinstance(mean, float)
    assert mean == pytest.approx(5.0, abs=1.0)
    assert kept.of(f"{ROOM}/ctl-2/probe3")[-1].reason == Reason.SENTINEL
    assert kept.of(f"{LINE}/filler-1/chamber_temperature")[-1].quality is Quality.BAD
    assert {r.value for r in kept.of(f"{LINE}/filler-1/state_text")} >= {"running"}
    assert all(reading.simulated for reading in kept.readings)


def test_the_collector_backfills_what_the_machine_remembered_while_its_server_was_down(tmp_path: Path) -> None:
    scenario = Scenario.model_validate(
        {
            "name": "machine alone",
            "duration": 60,
            "zones": {LINE: {"kind": "warehouse"}},
            "devices": [
                {"kind": "filling_machine", "name": "filler-1", "zone": LINE, "port": free_port(), "interval": "100ms"}
            ],
        }
    )
    file = tmp_path / "gateway.yaml"
    file.write_text(gateway_yaml(scenario, data_dir=str(tmp_path)))
    [source] = load(file).sources
    kept = Kept()
    point = f"{LINE}/filler-1/sequence"

    async def collect() -> None:
        """Restarts the collector as the gateway's supervisor does."""
        while True:
            last = {found.point: found.at for found in sorted(kept.readings, key=lambda reading: reading.at)}
            with contextlib.suppress(SourceLost):
                await PROTOCOLS["opcua"].make(source, partial(dict, last)).run(kept)
            await asyncio.sleep(0.2)

    async def main() -> int:
        async with Fleet(scenario) as fleet:
            machine = fleet.devices["filler-1"]
            assert isinstance(machine, FillingMachine)
            collecting = asyncio.create_task(collect())
            await kept.until(point, 5)
            await machine.disconnect()
            missed = machine.report.sequences[-1]
            await asyncio.sleep(1.5)
            back = machine.report.sequences[-1]
            assert back > missed + 5
            await machine.connect()
            await kept.until(point, back + 5 - first(kept.of(point)))
            collecting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await collecting
            return back

    back = asyncio.run(main())
    numbers = {reading.value for reading in kept.of(point)}
    assert set(range(first(kept.of(point)), back + 1)) <= numbers


def first(readings: list[Reading]) -> int:
    """The lowest sequence number among readings."""
    return min(reading.value for reading in readings if isinstance(reading.value, int))
