"""A logger's report as values: what it was told, what it measured, and what it says of itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from core.telemetry.quality import Quality, Reason
from core.telemetry.readers.signature import Authenticity
from core.telemetry.readers.text import Doubt
from core.telemetry.reading import Reading

CELSIUS, FAHRENHEIT = "Cel", "[degF]"


class Side(StrEnum):
    """Which side of its threshold a limit forbids."""

    LOW = "low"
    HIGH = "high"


class AlarmKind(StrEnum):
    """How time out of a limit adds up to an alarm."""

    INSTANT = "instant"
    CONSECUTIVE = "consecutive"
    CUMULATIVE = "cumulative"


@dataclass(frozen=True, slots=True)
class Limit:
    """One alarm limit as the device has it: out is strictly beyond `threshold`, in the report's unit."""

    key: str
    side: Side
    kind: AlarmKind
    threshold: float
    delay: timedelta
    unit: str
    assumed: str = ""
    """What of it the file does not say and how it was taken; empty when the file says all."""

    def out(self, value: float) -> bool:
        """Whether the value is beyond the threshold; the threshold itself is not."""
        return value < self.threshold if self.side is Side.LOW else value > self.threshold

    def __str__(self) -> str:
        sign = "<" if self.side is Side.LOW else ">"
        unit = "°F" if self.unit == FAHRENHEIT else "°C"
        minutes = f"{self.delay.total_seconds() / 60:g} min"
        how = {"instant": "at once", "consecutive": f"for {minutes}", "cumulative": f"for {minutes} in all"}[self.kind]
        return f"{self.key}: {sign} {self.threshold:g} {unit} {how}"


@dataclass(frozen=True, slots=True)
class DayAlarm:
    """A day's record of one limit: minutes out, when its alarm went on (None: it did not), ambient temperature.

    An alarm at 00:00 ran on from the day before. `c_a` is the device's own "C A", kept as it is.
    """

    limit: str
    minutes: int | None
    at: datetime | None = None
    c_a: int | None = None
    ambient: float | None = None
    line: int = 0


@dataclass(frozen=True, slots=True)
class DeviceDay:
    """What the device noted of one day of its clock. `checked` are the times somebody looked at it."""

    day: date
    lowest: float | None
    highest: float | None
    average: float | None
    lowest_at: datetime | None
    highest_at: datetime | None
    alarms: tuple[DayAlarm, ...]
    timeouts: Mapping[str, int]
    """Minutes without an answer, by sensor."""
    events: int | None
    checked: tuple[str, ...]
    line: int


@dataclass(frozen=True, slots=True)
class DeviceEvent:
    """One alarm of a device that records them singly (Q-tag): start, trigger, end, minutes, extreme value."""

    limit: str
    at: datetime | None
    start: datetime | None
    stop: datetime | None
    minutes: int | None
    extreme: float | None
    line: int


@dataclass(frozen=True, slots=True)
class Totals:
    """What the device says of its whole run."""

    lowest: float | None = None
    highest: float | None = None
    average: float | None = None
    mkt: float | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of the log: a value for each column (None: the device had none), and the device's own mark."""

    line: int
    at: datetime
    values: tuple[float | None, ...]
    flagged: bool


@dataclass(frozen=True, slots=True)
class Report:
    """All that a Fridge-tag or Q-tag report says. Times carry the zone that was given for the device's clock."""

    device: str
    serial: str
    firmware: str
    format_version: str
    unit: str
    configuration: Mapping[str, object]
    """The whole configuration, verbatim."""
    interval: timedelta | None
    measurement_delay: timedelta
    activation_energy: float | None
    limits: tuple[Limit, ...]
    activated: datetime | None
    created: datetime | None
    days: tuple[DeviceDay, ...]
    events: tuple[DeviceEvent, ...]
    totals: Totals | None
    columns: tuple[str, ...]
    judged_column: int
    samples: tuple[Sample, ...]
    """In the file's order, nothing left out."""
    markers: tuple[str, ...]
    certificate: str
    signature: str
    authenticity: Authenticity
    """Whether it is as the device wrote it."""
    clock: str
    doubts: tuple[Doubt, ...]
    lines: int
    simulated: bool = False

    @property
    def damaged(self) -> bool:
        """Whether something is missing or unreadable; what could be read is here all the same."""
        return any(doubt.damage for doubt in self.doubts)

    def readings(self, points: Mapping[str, str], edge_at: datetime) -> list[Reading]:
        """The log as readings, by column name → point address; `edge_at` is when the file was read out.

        A line without a value gives a bad reading (no_value), never an old value. Raises KeyError for a column that
        the report does not have, BadReading or BadAddress when the parts make no reading.
        """
        chosen = [(self.columns.index(name), point) for name, point in points.items() if name in self.columns]
        if len(chosen) != len(points):
            raise KeyError(f"{sorted(set(points) - set(self.columns))} not among the columns {list(self.columns)}")
        out: list[Reading] = []
        for sample in self.samples:
            for index, point in chosen:
                value = sample.values[index]
                gone = value is None
                out.append(
                    Reading(
                        point=point,
                        at=sample.at,
                        value=value,
                        unit="%" if self.columns[index].lower().startswith("rh") else self.unit,
                        edge_at=edge_at,
                        source_at=sample.at,
                        quality=Quality.BAD if gone else Quality.GOOD,
                        reason=Reason.NO_VALUE if gone else Reason.NONE,
                        simulated=self.simulated,
                    )
                )
        return out
