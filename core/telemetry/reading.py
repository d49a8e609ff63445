"""One value of one point at one time: immutable, checked at birth."""

import math
from datetime import UTC, datetime

import msgspec

from core.telemetry.address import check_point
from core.telemetry.quality import Quality, Reason

Value = float | int | bool | str | None

INT_MAX = 2**63 - 1
INT_MIN = -(2**63)
TEXT_MAX = 4096


class BadReading(ValueError):
    """The parts do not make a reading; the text says which and why."""


class Reading(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a point said. Its key is (point, at).

    `at` is the time it is judged by, `source_at` the device's own stamp if it gave one, `edge_at` when
    the gateway received it; all with a time zone, kept as UTC to the microsecond. `unit` is UCUM, ""
    where the value has none (states, counters, text). A missing value is never good. `simulated` is
    indelible: a live instance never judges such a reading. Raises BadReading.
    """

    point: str
    at: datetime
    value: bool | int | float | str | None
    unit: str
    edge_at: datetime
    source_at: datetime | None = None
    quality: Quality = Quality.GOOD
    reason: str = Reason.NONE
    simulated: bool = False

    def __post_init__(self) -> None:
        check_point(self.point)
        if self.at.tzinfo is None or self.edge_at.tzinfo is None:
            raise BadReading(f"{self.point}: naive timestamp")
        if self.source_at is not None and self.source_at.tzinfo is None:
            raise BadReading(f"{self.point}: naive source timestamp")
        value = self.value
        if value is None:
            if self.quality is Quality.GOOD:
                raise BadReading(f"{self.point}: a missing value cannot be good")
        elif isinstance(value, float):
            if not math.isfinite(value):
                raise BadReading(f"{self.point}: {value} is not a number; say so with quality bad and no value")
        elif isinstance(value, str):
            if len(value) > TEXT_MAX:
                raise BadReading(f"{self.point}: text of {len(value)} characters, at most {TEXT_MAX}")
        elif not INT_MIN <= value <= INT_MAX:
            raise BadReading(f"{self.point}: integer outside 64 bits")
        if self.quality is not Quality.GOOD and not self.reason:
            raise BadReading(f"{self.point}: quality {self.quality.name.lower()} without a reason")


def utc(moment: datetime) -> datetime:
    """The same instant in UTC. Raises ValueError for a naive time."""
    if moment.tzinfo is None:
        raise ValueError(f"naive timestamp {moment.isoformat()}")
    return moment.astimezone(UTC)
