"""The time-series port: where readings are kept and read back by point and time.

Adapters: PostgreSQL (also the landing table), InfluxDB, memory; one contract test class holds them to this page.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Protocol

from core.telemetry.quality import Quality
from core.telemetry.reading import Reading


class StoreUnavailable(Exception):
    """The store cannot answer now, for whatever reason that is not the data (down, 401, 404, 429, 5xx): try again."""


@dataclass(frozen=True, slots=True)
class RefusedReading:
    """A reading the store will never take, and what it said."""

    reading: Reading
    reason: str


class StoreRefused(Exception):
    """The store took all but these readings; trying them again is of no use."""

    def __init__(self, refused: Sequence[RefusedReading]) -> None:
        super().__init__(f"{len(refused)} readings refused, the first: {refused[0].reason}")
        self.refused = tuple(refused)


@dataclass(frozen=True, slots=True)
class Bucket:
    """One column of a chart: what the numbers in [start, start + width) were, and how many of them are uncertain. Empty
    columns are left out.
    """

    start: datetime
    min: float
    max: float
    mean: float
    count: int
    uncertain: int


Silence = tuple[datetime, datetime]
"""(from, to): after the reading at the one nothing usable came before the other."""


class SeriesStore(Protocol):
    """Readings by point and time. Writing the same reading twice is writing it once.

    The key is (point, at). A second *different* value at one key never gets here: the landing table keeps it apart.
    """

    def write(self, readings: Sequence[Reading]) -> None:
        """Stores them all, or raises: StoreUnavailable (any part may be stored; write again), StoreRefused."""

    def read(self, point: str, start: datetime, stop: datetime) -> list[Reading]:
        """The point's readings with start <= at < stop, in order of `at`. Raises StoreUnavailable."""

    def last(self, points: Collection[str]) -> dict[str, Reading]:
        """The latest reading of each point that has one. Raises StoreUnavailable."""

    def before(self, point: str, at: datetime) -> Reading | None:
        """The point's latest reading before `at`. Raises StoreUnavailable."""

    def downsample(self, point: str, start: datetime, stop: datetime, pixels: int) -> list[Bucket]:
        """Minimum, maximum, mean and count of the numbers in each of `pixels` equal columns of [start, stop).

        Bad readings, text and booleans are left out. Raises StoreUnavailable.
        """

    def silences(self, point: str, start: datetime, stop: datetime, longest: timedelta) -> list[Silence]:
        """The stretches of [start, stop) longer than `longest` in which no number was read that is not bad, in order.

        Each lies between two readings, or a reading and an end of the span. Raises StoreUnavailable.
        """


def width(start: datetime, stop: datetime, pixels: int) -> timedelta:
    """The width of a chart's columns: whole microseconds, rounded up. Raises ValueError for an empty chart."""
    if pixels < 1 or stop <= start:
        raise ValueError(f"a chart of {pixels} pixels over [{start}, {stop}) shows nothing")
    microseconds = (stop - start) // timedelta(microseconds=1)
    return timedelta(microseconds=-(-microseconds // pixels))


def silences_between(times: Sequence[datetime], start: datetime, stop: datetime, longest: timedelta) -> list[Silence]:
    """The stretches of [start, stop) longer than `longest` that hold none of the times, which are sorted and in it."""
    if stop <= start:
        return []
    return [(a, b) for a, b in pairwise((start, *times, stop)) if b - a > longest]


def is_plottable(reading: Reading) -> float | None:
    """The reading's number, if it has one that is not bad."""
    value = reading.value
    if isinstance(value, bool) or not isinstance(value, int | float) or reading.quality is Quality.BAD:
        return None
    return float(value)
