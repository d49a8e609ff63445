"""The series port in memory: for tests, and for a judge run over readings that nobody stores."""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from operator import attrgetter

from core.series.port import Bucket, Silence, is_plottable, silences_between, width
from core.telemetry.quality import Quality
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
        columns: defaultdict[int, list[tuple[float, bool]]] = defaultdict(list)
        for reading in self.read(point, start, stop):
            number = is_plottable(reading)
            if number is not None:
                columns[(reading.at - start) // step].append((number, reading.quality is Quality.UNCERTAIN))
        return [_bucket(start + index * step, found) for index, found in sorted(columns.items())]

    def silences(self, point: str, start: datetime, stop: datetime, longest: timedelta) -> list[Silence]:
        """Stretches longer than `longest` without a usable number."""
        times = [reading.at for reading in self.read(point, start, stop) if is_plottable(reading) is not None]
        return silences_between(times, start, stop, longest)


def _bucket(start: datetime, found: Sequence[tuple[float, bool]]) -> Bucket:
    values = [number for number, _ in found]
    uncertain = sum(unsure for _, unsure in found)
    return Bucket(start, min(values), max(values), sum(values) / len(values), len(values), uncertain)
