"""What goes wrong with a device, and how that changes what it says. Pure: the device asks and acts.

Which fault makes sense on which protocol is a table, so that a scenario which asks for nonsense is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum


class FaultKind(StrEnum):
    """The faults by the names scenario files use."""

    DROP_OUT = "drop_out"
    """Readings are taken and lost on the way (their sequence numbers are missing)."""
    FREEZE = "freeze"
    """The value stands still, with fresh times."""
    SPIKE = "spike"
    """Every nth value is off by an amount."""
    DUPLICATE = "duplicate"
    """Every nth message is sent twice."""
    OUT_OF_ORDER = "out_of_order"
    """Neighbouring messages change places."""
    CLOCK_STEP = "clock_step"
    """The device's clock is off by an amount."""
    WRONG_UNIT = "wrong_unit"
    """Temperatures are told in °F; where the payload names a unit it says so, elsewhere it does not."""
    DISCONNECT = "disconnect"
    """The connection, server or unit is gone; what the protocol lets a device keep it tells afterwards."""
    GARBAGE = "garbage"
    """The payload is not what it should be: torn JSON, half a frame, NaN or a bad status in place of a value."""


APPLIES: dict[str, frozenset[FaultKind]] = {
    "mqtt": frozenset(FaultKind),
    "sparkplug": frozenset(FaultKind),
    "opcua": frozenset(FaultKind) - {FaultKind.DUPLICATE},
    "modbus": frozenset(FaultKind) - {FaultKind.DUPLICATE, FaultKind.OUT_OF_ORDER, FaultKind.CLOCK_STEP},
}
"""Faults a protocol can show. An OPC UA subscription tells changes only: nothing to double. Modbus has no device time
and is polled: nothing to double, reorder or mis-stamp.
"""


@dataclass(frozen=True)
class Measured:
    """One value as the device would tell it (None: it has none), with its UCUM unit ("" where that has none)."""

    value: float | int | bool | str | None
    unit: str = ""


@dataclass(frozen=True)
class Fault:
    """A fault and how strong: `amount` is a spike in the value's unit, `step` a clock's error, `every` a stride."""

    kind: FaultKind
    amount: float = 20.0
    step: timedelta = timedelta(hours=1)
    every: int = 1


def fahrenheit(measured: Measured) -> Measured:
    """A temperature in °C told in °F; anything else as it is."""
    if measured.unit != "Cel" or not isinstance(measured.value, int | float):
        return measured
    return Measured(round(measured.value * 9 / 5 + 32, 3), "[degF]")


@dataclass
class Faults:
    """The faults that act on one device now. Readings are counted so that strides are the same on every run."""

    active: dict[FaultKind, Fault] = field(default_factory=dict)
    _frozen: dict[str, Measured] = field(default_factory=dict)
    _count: int = 0

    def begin(self, fault: Fault) -> None:
        """The fault acts from now on, in place of one of its kind."""
        self.active[fault.kind] = fault
        if fault.kind is FaultKind.FREEZE:
            self._frozen = {}

    def end(self, kind: FaultKind) -> None:
        """The fault is over; nothing happens if it did not act."""
        self.active.pop(kind, None)

    def has(self, kind: FaultKind) -> bool:
        """Whether it acts now."""
        return kind in self.active

    def hits(self, kind: FaultKind) -> bool:
        """Whether it acts now and on the reading last distorted (every nth)."""
        fault = self.active.get(kind)
        return fault is not None and self._count % fault.every == 0

    def distort(self, values: Mapping[str, Measured]) -> dict[str, Measured]:
        """One reading's values as the faults leave them: frozen, spiked, in the wrong unit. Counts the reading."""
        self._count += 1
        distorted = dict(values)
        if self.has(FaultKind.FREEZE):
            self._frozen = self._frozen or dict(distorted)
            distorted = {name: self._frozen.get(name, measured) for name, measured in distorted.items()}
        if self.hits(FaultKind.SPIKE):
            amount = self.active[FaultKind.SPIKE].amount
            distorted = {name: _spiked(measured, amount) for name, measured in distorted.items()}
        if self.has(FaultKind.WRONG_UNIT):
            distorted = {name: fahrenheit(measured) for name, measured in distorted.items()}
        return distorted

    def stamp(self, at: datetime) -> datetime:
        """The time the device believes it is."""
        fault = self.active.get(FaultKind.CLOCK_STEP)
        return at if fault is None else at + fault.step


def _spiked(measured: Measured, amount: float) -> Measured:
    if isinstance(measured.value, float):
        return replace(measured, value=round(measured.value + amount, 6))
    return measured
