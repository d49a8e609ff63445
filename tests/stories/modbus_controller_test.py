"""The simulated cold-room controller and the Modbus collector: all it measures, a broken probe, a dead unit."""

import asyncio
from typing import Any

import pytest

from core.telemetry.quality import Quality, Reason
from edge.collectors.modbus import ModbusCollector
from simulators.controller import ColdRoomController
from simulators.rooms import ColdRoom
from simulators.unit import REGISTERS
from tests.faults.modbus_peer import PREFIX, Memory, bus, running, until
from tests.servers import free_port


def points(unit: int) -> list[dict[str, Any]]:
    made = []
    for register in REGISTERS:
        point: dict[str, Any] = {
            "point": f"{PREFIX}/unit-{unit}/{register.name}",
            "table": register.table,
            "address": register.address,
            "type": register.kind,
            "unit": register.unit,
            "order": register.order,
        }
        if register.kind not in {"bool", "bit", "string"}:
            point |= {"scale": register.scale, "sentinels": register.sentinels}
        point |= {key: getattr(register, key) for key in ("length", "bit") if getattr(register, key) is not None}
        made.append(point)
    return made


def test_a_room_with_a_broken_probe_beside_a_dead_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOTWISE_INSTANCE", "test")

    async def main() -> None:
        rooms = {1: ColdRoom(PREFIX), 2: ColdRoom(PREFIX)}
        controller = ColdRoomController("room", rooms, port=free_port())
        await controller.start()
        try:
            units = [{"id": number, "every": 0.2, "points": points(number)} for number in rooms]
            keeper = Memory()
            async with running(ModbusCollector(bus(controller.port, *units, simulated=True)), keeper):
                await until(lambda: len(keeper.of("unit-2/light")) >= 2)
                # The map has holes that may not be read; they cost no point its value.
                assert {reading.reason for reading in keeper.readings} == {""}
                controller.break_probe(3, unit=1)
                controller.kill(2)
                await until(lambda: Reason.COMMUNICATION in keeper.reasons("unit-2/probe1"))
                await until(lambda: Reason.SENTINEL in keeper.reasons("unit-1/probe4"))
                dead_since = len(keeper.of("unit-2/probe1"))
                await until(lambda: len(keeper.of("unit-2/probe1")) >= dead_since + 3)
        finally:
            await controller.stop()
        probe = keeper.of("unit-1/probe1")
        assert {reading.quality for reading in probe} == {Quality.GOOD}
        assert all(isinstance(reading.value, float) and -40 < reading.value < 40 for reading in probe)
        assert str(keeper.values("unit-1/serial_number")[0]).startswith("LW-ROOM")
        assert keeper.values("unit-2/probe1")[-1] is None

    asyncio.run(main())
