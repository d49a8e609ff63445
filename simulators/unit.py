"""One cold-room controller as a Modbus unit: its register map, its probes, door, compressor, setpoint and alarms.

Addresses are 0-based, as on the wire.
"""

import struct
from dataclasses import dataclass, field
from typing import cast

from simulators.faults import Faults, Measured
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

    def temperatures(self) -> list[float | None]:
        """The eight probes now, as the faults leave them; None where one is broken."""
        truth = {f"{n}": Measured(probe(), "Cel") for n, probe in enumerate(self.probes)}
        values = [cast("float", measured.value) for measured in self.faults.distort(truth).values()]
        return [None if n in self.broken else value for n, value in enumerate(values)]

    def alarms(self, shown: list[float]) -> int:
        """The alarm bits for the temperatures shown."""
        room = self.room.state()
        low, high = self.limits
        facts = {
            _HIGH: any(value > high for value in shown),
            _LOW: any(value < low for value in shown),
            _PROBE: len(shown) < PROBES,
            _DOOR: room.door_seconds > DOOR_ALARM_S,
            _COMPRESSOR: room.failed,
            _POWER: not room.powered,
        }
        return sum(bit for bit, true in facts.items() if true)

    def inputs(self) -> dict[int, list[int]]:
        """Input registers by their first address."""
        values = self.temperatures()
        shown = [value for value in values if value is not None]
        mean = struct.pack(">f", sum(shown) / len(shown) if shown else float("nan"))
        run = struct.pack(">I", int(self.room.state().run_seconds) & 0xFFFFFFFF)
        return {
            0: [BROKEN & 0xFFFF if value is None else _word(value) for value in values],
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
