"""Simulated cold-room controllers against a pymodbus client."""

import struct
from typing import Self

import pytest
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException, ModbusIOException
from pymodbus.framer import FramerType

from simulators.controller import ColdRoomController
from simulators.faults import Fault, FaultKind
from simulators.physics import SensorSpec
from simulators.rooms import ColdRoom
from tests.contracts.sim_peers import ZONE, story, until
from tests.servers import accepts, free_port

pytestmark = pytest.mark.usefixtures("test_instance")


def celsius(word: int) -> float:
    return (word - 65536 if word > 32767 else word) / 10


class Bus:
    """A pymodbus client to a controller of two rooms."""

    def __init__(self, *, rtu_over_tcp: bool = False, speed_up: float = 1.0) -> None:
        self.rooms = {1: ColdRoom(ZONE, speed_up=speed_up), 2: ColdRoom("plant/cold/room-2", "freezer")}
        self.port = free_port()
        exact = SensorSpec(noise=0.0, lag=0.0, resolution=0.1)
        self.controller = ColdRoomController("ctl", self.rooms, port=self.port, rtu_over_tcp=rtu_over_tcp, sensor=exact)
        framer = FramerType.RTU if rtu_over_tcp else FramerType.SOCKET
        self.client = AsyncModbusTcpClient("127.0.0.1", port=self.port, framer=framer, timeout=0.3, retries=0)

    async def __aenter__(self) -> Self:
        for room in self.rooms.values():
            await room.start()
        await self.controller.start()
        assert await self.client.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.client.close()
        await self.controller.stop()

    async def inputs(self, address: int, count: int, unit: int = 1) -> list[int]:
        answer = await self.client.read_input_registers(address, count=count, device_id=unit)
        assert not answer.isError(), answer
        return list(answer.registers)


@pytest.mark.parametrize("rtu", [False, True], ids=["tcp", "rtu over tcp"])
def test_a_controller_shows_its_map_to_a_client(rtu: bool) -> None:
    async def act() -> None:
        async with Bus(rtu_over_tcp=rtu) as bus:
            assert all(abs(celsius(word) - 5.0) < 0.3 for word in await bus.inputs(0, 8))
            assert all(abs(celsius(word) + 20.0) < 0.3 for word in await bus.inputs(0, 8, unit=2))
            high, low = await bus.inputs(10, 2)
            raw = struct.pack(">HH", high, low)
            assert struct.unpack(">f", bytes((raw[1], raw[0], raw[3], raw[2])))[0] == pytest.approx(5.0, abs=0.3)
            text = b"".join(word.to_bytes(2, "big") for word in await bus.inputs(20, 8)).rstrip(b"\0")
            assert text == b"LW-CTL-001"
            assert (await bus.inputs(14, 1)) == [0]
            bus.rooms[1].open_door()
            bits = (await bus.client.read_discrete_inputs(0, count=2, device_id=1)).bits
            assert bits[:2] == [True, True]
            for address, count in ((8, 1), (6, 4), (100, 2)):
                answer = await bus.client.read_input_registers(address, count=count, device_id=1)
                assert answer.isError()
                assert answer.exception_code == 2

    story(act)


def test_writing_the_setpoint_changes_the_physics() -> None:
    async def act() -> None:
        async with Bus(speed_up=3600) as bus:
            assert (await bus.client.read_holding_registers(0, count=2, device_id=1)).registers == [50, 15]
            await bus.client.write_register(0, 20, device_id=1)
            assert bus.rooms[1].state().setpoint == 2.0
            await until(lambda: bus.rooms[1].temperature < 3.0)
            await bus.client.write_coil(0, False, device_id=1)
            await until(lambda: bus.rooms[1].temperature > 6.0)
            assert not (await bus.client.read_coils(0, count=1, device_id=1)).bits[0]
            await bus.client.write_coil(0, True, device_id=1)
            await until(lambda: bus.rooms[1].temperature < 3.0)
            for word in (3000, 0x8000):
                answer = await bus.client.write_register(0, word, device_id=1)
                assert answer.exception_code == 3
            assert bus.rooms[1].state().setpoint == 2.0
            negative = await bus.client.write_register(0, 65536 - 55, device_id=1)
            assert not negative.isError()
            assert bus.rooms[1].state().setpoint == -5.5

    story(act)


def test_a_broken_probe_shows_the_sentinel_and_raises_its_alarm() -> None:
    async def act() -> None:
        async with Bus() as bus:
            bus.controller.break_probe(2)
            words = await bus.inputs(0, 8)
            assert words[2] == 0x8000
            assert all(abs(celsius(word) - 5.0) < 0.3 for n, word in enumerate(words) if n != 2)
            assert await bus.inputs(14, 1) == [4]
            bus.controller.repair_probe(2)
            bus.rooms[1].force_temperature(12.0)
            bus.rooms[1].fail_compressor()
            bus.rooms[1].power_off()
            assert await bus.inputs(14, 1) == [1 | 16 | 32]

    story(act)


def test_a_dead_unit_is_silent_and_costs_the_other_nothing() -> None:
    async def act() -> None:
        async with Bus() as bus:
            for silent in (2, 9):
                bus.controller.kill(2)
                with pytest.raises(ModbusIOException):
                    await bus.inputs(0, 8, unit=silent)
                assert len(await bus.inputs(0, 8, unit=1)) == 8
            bus.controller.revive(2)
            assert len(await bus.inputs(0, 8, unit=2)) == 8

    story(act)


def test_faults_of_a_controller_reach_the_client() -> None:
    async def act() -> None:
        async with Bus() as bus:
            control = bus.controller
            await control.fault(Fault(FaultKind.SPIKE, amount=30.0))
            assert all(celsius(word) > 34 for word in await bus.inputs(0, 8))
            await control.clear(FaultKind.SPIKE)
            await control.fault(Fault(FaultKind.WRONG_UNIT))
            assert all(40 < celsius(word) < 42 for word in await bus.inputs(0, 8))
            await control.clear(FaultKind.WRONG_UNIT)
            await control.fault(Fault(FaultKind.FREEZE))
            before = await bus.inputs(0, 8)
            bus.rooms[1].force_temperature(15.0)
            assert await bus.inputs(0, 8) == before
            await control.clear(FaultKind.FREEZE)
            assert await bus.inputs(0, 8) == [150] * 8
            await control.fault(Fault(FaultKind.DROP_OUT))
            with pytest.raises(ModbusIOException):
                await bus.inputs(0, 8)
            await control.clear(FaultKind.DROP_OUT)
            await control.fault(Fault(FaultKind.DISCONNECT))
            assert not accepts(bus.port)
            await control.clear(FaultKind.DISCONNECT)
            bus.client.close()
            assert await bus.client.connect()
            assert await bus.inputs(0, 8) == [150] * 8

    story(act)


@pytest.mark.parametrize("rtu", [False, True], ids=["tcp", "rtu over tcp"])
def test_garbage_is_no_answer_and_comes_from_one_unit_only(rtu: bool) -> None:
    async def act() -> None:
        async with Bus(rtu_over_tcp=rtu) as bus:
            await bus.controller.fault(Fault(FaultKind.GARBAGE))
            for _ in range(3):
                with pytest.raises(ModbusException):
                    await bus.inputs(0, 8)
                bus.client.close()
                assert await bus.client.connect()
                assert abs(celsius((await bus.inputs(0, 8, unit=2))[0]) + 20) < 0.3
            await bus.controller.clear(FaultKind.GARBAGE)
            assert abs(celsius((await bus.inputs(0, 8))[0]) - 5) < 0.3

    story(act)
