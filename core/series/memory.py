"""The series port in memory: for tests, and for a judge run over readings that nobody stores."""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from operator import attrgetter

from core.series.port import Bucket, is_plottable, width
from core.telemetry.reading import Reading

_at = attrgetter("at")


class MemoryStore:
    """A dictionary of points to readings in order of time. Passes the same contract as the others."""

    def __init__(self) -> None:
        self._points: defaultdict[str, list[Reading]] = defaultdict(list)

    def write(self, readings: Sequence[Reading]) -> None:
        """Stores them; the first at a key stays."""
        for reading in readings:
            kept = self._points[reading.point]
            place = bisect_left(kept, reading.at, key=_at)
            if place == len(kept) or kept[place].at != reading.at:
                insort(kept, reading, key=_at)

    def read(self, point: str, start: datetime, stop: datetime) -> list[Reading]:
        """Readings with start <= at < stop."""
        kept = self._points.get(point, [])
        return kept[bisect_left(kept, start, key=_at) : bisect_left(kept, stop, key=_at)]

    def last(self, points: Collection[str]) -> dict[str, Reading]:
        """The latest reading of each."""
        return {point: kept[-1] for point in points if (kept := self._points.get(point))}

    def before(self, point: str, at: datetime) -> Reading | None:
        """The latest before `at`."""
        kept = self._points.get(point, [])
        place = bisect_left(kept, at, key=_at)
        return kept[place - 1] if place else None

    def downsample(self, point: str, start: datetime, stop: datetime, pixels: int) -> list[Bucket]:
        """Columns of a chart."""
        step = width(start, stop, pixels)
        columns: defaultdict[int, list[float]] = defaultdict(list)
        for reading in self.read(point, start, stop):
            number = is_plottable(reading)
            if number is not None:
                columns[(reading.at - start) // step].append(number)
        return [
            Bucket(start + index * step, min(values), max(values), sum(values) / len(values), len(values))
            for index, values in sorted(columns.items())
        ]
