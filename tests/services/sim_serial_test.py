"""A simulated controller on a serial line, read by the gateway's serial RTU through a pseudo-terminal."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from core.telemetry.quality import Quality
from simulators.controller import ColdRoomController
from simulators.devices import SerialLine
from simulators.faults import Fault, FaultKind
from simulators.fleet import Fleet
from simulators.rooms import ColdRoom
from simulators.serialline import PtyLine
from tests.services.sim_support import OTHER, ROOM, Kept, collected, scenario, until


@pytest.fixture(autouse=True)
def test_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOTWISE_INSTANCE", "test")


def bus(pty: Path, **fields: Any) -> dict[str, Any]:
    return {
        "kind": "cold_room_controller",
        "name": "ctl",
        "serial": {"pty": str(pty), "baudrate": 19200},
        "units": {1: ROOM, 7: OTHER},
        "interval": "100ms",
    } | fields


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def quick(text: str) -> str:
    """The gateway gives up soon: on a pseudo-terminal an answer comes at once or never."""
    return text.replace("  protocol: modbus\n", "  protocol: modbus\n  timeout: 0.15\n  retries: 0\n")


def test_two_units_on_a_serial_line_are_read_and_a_silent_one_costs_the_other_nothing(tmp_path: Path) -> None:
    line = tmp_path / "tty-cold"
    kept = Kept()

    def controller(fleet: Fleet) -> ColdRoomController:
        device = fleet.devices["ctl"]
        assert isinstance(device, ColdRoomController)
        return device

    def reasons(point: str, since: int) -> set[str]:
        return {reading.reason for reading in kept.of(point)[since:] if reading.quality is Quality.BAD}

    async def main() -> None:
        async with collected(scenario([bus(line)]), tmp_path, kept, quick) as fleet:
            await kept.until(f"{OTHER}/ctl-7/mean", 2)
            here, there = f"{ROOM}/ctl-1/probe1", f"{OTHER}/ctl-7/probe1"

            controller(fleet).kill(7)
            dead, alive = len(kept.of(there)), len(kept.of(here))
            await until(lambda: reasons(there, dead), "the silent unit to be bad")
            await kept.until(here, alive + 5)
            assert not reasons(here, alive)
            controller(fleet).revive(7)
            await until(lambda: kept.of(there)[-1].quality is Quality.GOOD, "the unit to be back")

            await controller(fleet).fault(Fault(FaultKind.DISCONNECT))
            await until(lambda: kept.of(here)[-1].quality is Quality.BAD, "the pulled cable")
            await controller(fleet).clear(FaultKind.DISCONNECT)
            await until(lambda: kept.of(here)[-1].quality is Quality.GOOD, "the cable to be back")

    asyncio.run(main())
    probes = [r for n in range(1, 9) for r in kept.of(f"{ROOM}/ctl-1/probe{n}") if r.quality is Quality.GOOD]
    assert {r.point for r in probes} == {f"{ROOM}/ctl-1/probe{n}" for n in range(1, 9)}
    assert all(isinstance(r.value, float) and 4 < r.value < 6.5 for r in probes)
    assert {r.value for r in kept.of(f"{OTHER}/ctl-7/serial_number") if r.value} == {"LW-CTL-007"}
    assert not line.is_symlink()


def test_a_garbled_unit_is_told_from_a_silent_one(tmp_path: Path) -> None:
    kept = Kept()

    async def main() -> None:
        async with collected(scenario([bus(tmp_path / "tty-cold")]), tmp_path, kept, quick) as fleet:
            device = fleet.devices["ctl"]
            assert isinstance(device, ColdRoomController)
            await kept.until(f"{ROOM}/ctl-1/probe1", 1)
            await device.fault(Fault(FaultKind.GARBAGE))
            await until(lambda: kept.of(f"{ROOM}/ctl-1/probe1")[-1].quality is Quality.BAD)
            other = len(kept.of(f"{OTHER}/ctl-7/probe1"))
            await kept.until(f"{OTHER}/ctl-7/probe1", other + 1)

    asyncio.run(main())
    assert kept.of(f"{ROOM}/ctl-1/probe1")[-1].reason == "garbled_response"
    assert all(r.quality is Quality.GOOD for r in kept.of(f"{OTHER}/ctl-7/probe1"))


def test_a_line_leaves_nothing_behind_and_replaces_what_a_killed_one_left(tmp_path: Path) -> None:
    path = tmp_path / "tty"
    path.symlink_to("/dev/pts/nowhere")

    async def main() -> None:
        before = open_files()
        line = PtyLine(path)
        line.open()
        assert path.readlink().is_char_device()
        line.close()
        line.close()
        assert open_files() == before

    asyncio.run(main())
    assert not path.is_symlink()


def test_a_file_at_the_lines_path_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "tty"
    path.write_text("mine")
    device = ColdRoomController("ctl", ColdRoom(ROOM), serial=SerialLine(pty=path))

    async def main() -> None:
        with pytest.raises(FileExistsError):
            await device.start()
        await device.stop()

    asyncio.run(main())
    assert path.read_text() == "mine"


def test_a_serial_port_that_is_not_there_or_takes_no_parity_is_named() -> None:
    master, slave = os.openpty()

    async def refused(port: str) -> str:
        device = ColdRoomController("ctl", ColdRoom(ROOM), serial=SerialLine(port=port, parity="E"))
        with pytest.raises(OSError, match=f"ctl cannot serve on {port}: ") as why:
            await device.start()
        await device.stop()
        return str(why.value)

    try:
        assert "check address" in asyncio.run(refused("/dev/no-such-port"))
        assert "Invalid argument" in asyncio.run(refused(os.ttyname(slave)))
    finally:
        os.close(slave)
        os.close(master)
