"""A cold-room controller that speaks Modbus TCP (or RTU frames over TCP): probes, door, compressor, setpoint, alarms.

One server may answer for several units, as a gateway to a serial bus does; each unit controls its own room.
Addresses are 0-based, as on the wire.
"""

import os
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

from pymodbus import FramerType
from pymodbus.constants import ExcCodes
from pymodbus.pdu import ModbusPDU
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from simulators.faults import Fault, FaultKind, Faults, Measured
from simulators.guard import refuse_unmarked
from simulators.physics import SensorSpec
from simulators.rooms import ColdRoom
from simulators.sensors import Probe, Report

PROBES = 8
BROKEN = -32768
"""What the controller shows for a probe that is broken (int16)."""
DOOR_ALARM_S = 60.0
"""Simulated seconds the door may be open before its alarm bit is set."""
SETPOINT_RANGE = (-40.0, 30.0)


@dataclass(frozen=True)
class Register:
    """One value in a unit's map; `order` is the byte and word order (A the most significant byte)."""

    name: str
    table: str
    address: int
    kind: str
    unit: str = ""
    scale: str = "1"
    order: str = "ABCD"
    length: int | None = None
    bit: int | None = None
    sentinels: tuple[int, ...] = ()


REGISTERS: tuple[Register, ...] = (
    *(Register(f"probe{n + 1}", "input", n, "int16", "Cel", "0.1", sentinels=(BROKEN,)) for n in range(PROBES)),
    Register("mean", "input", 10, "float32", "Cel", order="BADC"),
    Register("run_seconds", "input", 12, "uint32", "s", order="CDAB"),
    Register("alarm_high", "input", 14, "bit", bit=0),
    Register("alarm_low", "input", 14, "bit", bit=1),
    Register("alarm_probe", "input", 14, "bit", bit=2),
    Register("alarm_door", "input", 14, "bit", bit=3),
    Register("alarm_compressor", "input", 14, "bit", bit=4),
    Register("alarm_power", "input", 14, "bit", bit=5),
    Register("serial_number", "input", 20, "string", length=8),
    Register("setpoint", "holding", 0, "int16", "Cel", "0.1"),
    Register("hysteresis", "holding", 1, "int16", "K", "0.1"),
    Register("high_limit", "holding", 2, "int16", "Cel", "0.1"),
    Register("low_limit", "holding", 3, "int16", "Cel", "0.1"),
    Register("door", "discrete", 0, "bool"),
    Register("power", "discrete", 1, "bool"),
    Register("compressor", "coil", 0, "bool"),
    Register("light", "coil", 1, "bool"),
)
"""The map of every unit. Input registers 8–9, 15–19 and all from 28 on do not exist: asking for them is illegal.

Coil 0 reads whether the compressor runs; writing 0 forbids it, 1 lets it follow the thermostat again."""
_HIGH, _LOW, _PROBE, _DOOR, _COMPRESSOR, _POWER = (1 << bit for bit in range(6))


def _word(value: float) -> int:
    """A temperature as int16 × 0.1, two's complement, kept within what int16 can say."""
    return max(-32767, min(32767, round(value * 10))) & 0xFFFF


def _signed(word: int) -> int:
    return word - 0x10000 if word & 0x8000 else word


def _words(data: bytes) -> list[int]:
    return [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]


@dataclass
class Unit:
    """One controller: its room, its eight probes and what is wrong with it."""

    number: int
    room: ColdRoom
    probes: list[Probe]
    serial: str
    dead: bool = False
    broken: set[int] = field(default_factory=set)
    light: bool = False
    limits: tuple[float, float] = (2.0, 8.0)
    faults: Faults = field(default_factory=Faults)
    report: Report = field(default_factory=lambda: Report("", "modbus"))
    door_since: float | None = None

    def temperatures(self) -> list[float | None]:
        """The eight probes now, as the faults leave them; None where one is broken."""
        truth = {f"{n}": Measured(probe(), "Cel") for n, probe in enumerate(self.probes)}
        told = [cast("float", measured.value) for measured in self.faults.distort(truth).values()]
        everything = self.faults.has(FaultKind.GARBAGE)
        return [None if everything or n in self.broken else value for n, value in enumerate(told)]

    def alarms(self, shown: list[float]) -> int:
        """The alarm bits for the temperatures shown."""
        room = self.room.state()
        self.door_since = None if not room.door_open else self.door_since or room.elapsed
        low, high = self.limits
        facts = {
            _HIGH: any(value > high for value in shown),
            _LOW: any(value < low for value in shown),
            _PROBE: len(shown) < PROBES,
            _DOOR: self.door_since is not None and room.elapsed - self.door_since > DOOR_ALARM_S,
            _COMPRESSOR: room.failed,
            _POWER: not room.powered,
        }
        return sum(bit for bit, true in facts.items() if true)

    def inputs(self) -> dict[int, list[int]]:
        """Input registers by their first address."""
        told = self.temperatures()
        shown = [value for value in told if value is not None]
        mean = struct.pack(">f", sum(shown) / len(shown) if shown else float("nan"))
        run = struct.pack(">I", int(self.room.state().run_seconds) & 0xFFFFFFFF)
        return {
            0: [BROKEN & 0xFFFF if value is None else _word(value) for value in told],
            10: _words(bytes((mean[1], mean[0], mean[3], mean[2]))),
            12: _words(run[2:] + run[:2]),
            14: [self.alarms(shown)],
            20: _words(self.serial.encode("ascii")[:16].ljust(16, b"\0")),
        }

    def holding(self) -> dict[int, list[int]]:
        """Holding registers by their first address."""
        room = self.room.state()
        low, high = self.limits
        return {0: [_word(room.setpoint), _word(room.hysteresis), _word(high), _word(low)]}

    def bits(self, *, coils: bool) -> dict[int, list[int]]:
        """Coils or discrete inputs, packed, bit 0 first."""
        room = self.room.state()
        pair = (room.running, self.light) if coils else (room.door_open, room.powered)
        return {0: [pair[0] | pair[1] << 1]}

    def write_register(self, address: int, word: int) -> bool:
        """Takes a written holding register; False if the value is not allowed."""
        value = _signed(word) / 10
        if address == 0:
            if not SETPOINT_RANGE[0] <= value <= SETPOINT_RANGE[1]:
                return False
            self.room.set_setpoint(value)
        elif address == 1:
            if value <= 0:
                return False
            self.room.set_hysteresis(value)
        else:
            self.limits = (self.limits[0], value) if address == 2 else (value, self.limits[1])  # noqa: PLR2004 - the map
        return True

    def write_coil(self, address: int, *, on: bool) -> None:
        """Takes a written coil."""
        if address == 0:
            self.room.enable_compressor(enabled=on)
        else:
            self.light = on


_FUNCTION_TABLES = {1: "coil", 5: "coil", 15: "coil", 2: "discrete", 4: "input"}


class ColdRoomController:
    """A Modbus server for one room (unit 1) or several (by unit number). Needs LOTWISE_INSTANCE=test to start."""

    def __init__(
        self,
        name: str,
        rooms: ColdRoom | Mapping[int, ColdRoom],
        *,
        port: int,
        host: str = "127.0.0.1",
        rtu_over_tcp: bool = False,
        sensor: SensorSpec | None = None,
    ) -> None:
        self.name = name
        self.host = host
        self.port = port
        self._framer = FramerType.RTU if rtu_over_tcp else FramerType.SOCKET
        spec = sensor or SensorSpec(noise=0.05, resolution=0.1)
        self.units = {
            number: Unit(
                number,
                room,
                [room.probe(f"{name}.{number}.{n}", spec) for n in range(PROBES)],
                f"LW-{name[:8].upper()}-{number:03d}",
                report=Report(f"{name}.{number}", "modbus"),
            )
            for number, room in (rooms if isinstance(rooms, Mapping) else {1: rooms}).items()
        }
        self._server: ModbusTcpServer | None = None

    async def start(self) -> None:
        """Starts to answer. Raises LiveInstance; RuntimeError if the port is taken."""
        refuse_unmarked(os.environ.get("LOTWISE_INSTANCE"))
        await self.connect()

    async def stop(self) -> None:
        """Stops answering and closes every connection."""
        await self.disconnect()

    async def connect(self) -> None:
        """Brings the server up; nothing happens if it is."""
        if self._server is None:
            server = ModbusTcpServer(
                [self._device(unit) for unit in self.units.values()],
                framer=self._framer,
                address=(self.host, self.port),
                trace_pdu=self._hear,
            )
            await server.serve_forever(background=True)
            self._server = server

    async def disconnect(self) -> None:
        """Takes the server down, for all its units."""
        if self._server is not None:
            server, self._server = self._server, None
            await server.shutdown()  # type: ignore[no-untyped-call] # pymodbus leaves it untyped

    def kill(self, unit: int = 1) -> None:
        """The unit does not answer any more; the others do."""
        self.units[unit].dead = True

    def revive(self, unit: int = 1) -> None:
        """The unit answers again."""
        self.units[unit].dead = False

    silence = kill
    resume = revive

    def break_probe(self, probe: int, unit: int = 1) -> None:
        """The probe (0 to 7) shows the error code."""
        self.units[unit].broken.add(probe)

    def mend_probe(self, probe: int, unit: int = 1) -> None:
        """The probe measures again."""
        self.units[unit].broken.discard(probe)

    async def fault(self, fault: Fault, unit: int = 1) -> None:
        """The fault acts on a unit from now on; a disconnect on the whole server."""
        self.units[unit].faults.begin(fault)
        if fault.kind is FaultKind.DISCONNECT:
            await self.disconnect()

    async def clear(self, kind: FaultKind, unit: int = 1) -> None:
        """The fault is over."""
        self.units[unit].faults.end(kind)
        if kind is FaultKind.DISCONNECT:
            await self.connect()

    def _hear(self, sending: bool, pdu: ModbusPDU) -> ModbusPDU:
        """Lets a request pass only if somebody is there to answer it: a dead unit is silent, and so is none."""
        unit = self.units.get(pdu.dev_id)
        if sending or (unit is not None and not unit.dead and not unit.faults.has(FaultKind.DROP_OUT)):
            return pdu
        # the server takes "no request" for an answer, though its signature does not say so
        return cast("ModbusPDU", None)

    def _device(self, unit: Unit) -> SimDevice:
        """The unit's map as pymodbus wants it; values are filled in at each request."""

        async def act(
            function: int,
            start: int,
            address: int,
            _count: int,
            registers: list[int],
            written: list[int] | list[bool] | None,
        ) -> ExcCodes | None:
            table = _FUNCTION_TABLES.get(function, "holding")
            if written is not None:
                return _write(unit, table, address, written)
            unit.report.messages += 1
            unit.report.readings += 1
            images: dict[str, Callable[[], dict[int, list[int]]]] = {
                "input": unit.inputs,
                "holding": unit.holding,
                "coil": lambda: unit.bits(coils=True),
                "discrete": lambda: unit.bits(coils=False),
            }
            for first, words in images[table]().items():
                registers[first - start : first - start + len(words)] = words
            return None

        bits = [SimData(0, values=[False] * 16, datatype=DataType.BITS)]
        inputs = [
            SimData(at, values=[0] * count, datatype=DataType.REGISTERS)
            for at, count in ((0, PROBES), (10, 5), (20, 8))
        ]
        holding = [SimData(0, values=[0] * 4, datatype=DataType.REGISTERS)]
        return SimDevice(unit.number, (list(bits), list(bits), holding, inputs), action=act)


def _write(unit: Unit, table: str, address: int, written: list[int] | list[bool]) -> ExcCodes | None:
    for offset, value in enumerate(written):
        if table == "coil":
            unit.write_coil(address + offset, on=bool(value))
        elif not unit.write_register(address + offset, int(value)):
            return ExcCodes.ILLEGAL_VALUE
    return None
