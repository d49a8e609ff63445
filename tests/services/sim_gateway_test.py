"""The gateway's collectors, configured by the text a scenario gives, read the scenario's devices."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from core.telemetry.quality import Quality, Reason
from lotwise.embedded.nats import EmbeddedNats
from simulators.controller import ColdRoomController
from simulators.fleet import Fleet
from simulators.machine import FillingMachine
from simulators.packml import State
from tests.servers import free_port
from tests.services.sim_support import LINE, ROOM, Kept, collected, scenario, until


@pytest.fixture(autouse=True)
def test_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOTWISE_INSTANCE", "test")


def machine_of(fleet: Fleet) -> FillingMachine:
    machine = fleet.devices["filler-1"]
    assert isinstance(machine, FillingMachine)
    return machine


def filler(interval: str) -> dict[str, Any]:
    return {"kind": "filling_machine", "name": "filler-1", "zone": LINE, "port": free_port(), "interval": interval}


def test_the_collectors_read_all_devices_of_a_scenario(mqtt_broker: EmbeddedNats, tmp_path: Path) -> None:
    probe = {"kind": "mqtt_sensor", "zone": ROOM, "interval": "100ms"}
    units = {1: ROOM, 2: ROOM}
    trial = scenario(
        [
            probe | {"name": "probe-1"},
            probe | {"name": "probe-2", "dialect": "tasmota"},
            filler("100ms"),
            {"kind": "cold_room_controller", "name": "ctl", "port": free_port(), "units": units, "interval": "100ms"},
        ],
        broker={"port": mqtt_broker.mqtt_port},
    )
    kept = Kept()

    async def main() -> None:
        async with collected(trial, tmp_path, kept) as fleet:
            machine = machine_of(fleet)
            machine.bring_to(State.EXECUTE)
            for point in (f"{ROOM}/probe-1/sequence", f"{ROOM}/probe-2/sequence", f"{LINE}/filler-1/sequence"):
                await kept.until(point, 10)
            await kept.until(f"{ROOM}/ctl-1/probe1", 5)
            machine.set_status("ChamberTemperature", "BadSensorFailure")
            controller = fleet.devices["ctl"]
            assert isinstance(controller, ColdRoomController)
            controller.break_probe(2, 2)
            broken, chamber = kept.of(f"{ROOM}/ctl-2/probe3"), kept.of(f"{LINE}/filler-1/chamber_temperature")
            await kept.until(f"{ROOM}/ctl-2/probe3", len(broken) + 3)
            await kept.until(f"{LINE}/filler-1/chamber_temperature", len(chamber) + 3)

    asyncio.run(main())
    assert kept.asides == []
    for point in (f"{ROOM}/probe-1/sequence", f"{ROOM}/probe-2/sequence", f"{LINE}/filler-1/sequence"):
        numbers = kept.numbers(point)
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
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
    kept = Kept()
    point = f"{LINE}/filler-1/sequence"

    async def main() -> int:
        async with collected(scenario([filler("50ms")]), tmp_path, kept) as fleet:
            machine = machine_of(fleet)
            await kept.until(point, 5)
            await machine.disconnect()
            missed = machine.report.sequences[-1]
            await until(lambda: machine.report.sequences[-1] > missed + 10)
            back = machine.report.sequences[-1]
            await machine.connect()
            await until(lambda: max(kept.numbers(point)) > back + 2, "what came after the break")
            await until(lambda: set(range(missed, back)) <= set(kept.numbers(point)), "what was missed")
            return back

    back = asyncio.run(main())
    numbers = set(kept.numbers(point))
    assert set(range(min(numbers), back + 1)) <= numbers
