"""Two stores as one: the hot one in PostgreSQL and the one behind, which holds what is shipped and no longer hot."""

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta

from core.series.memory import MemoryStore
from core.series.port import Bucket, SeriesStore, Silence, width
from core.telemetry.reading import Reading

END = datetime(9999, 1, 1, tzinfo=UTC)
DroppedSpans = Callable[[datetime, datetime], Sequence[tuple[datetime, datetime]]]
"""The parts of [start, stop) that the hot store has dropped, in order: only for them the store behind is asked."""


def _everything(start: datetime, stop: datetime) -> Sequence[tuple[datetime, datetime]]:
    return ((start, stop),) if start < stop else ()


class TieredStore:
    """Reads both and lets the hot one have the last word; writes to the hot one (the shipper fills the other).

    What is hot can be read while the store behind is away. Without `dropped` both are asked for everything.
    """

    def __init__(self, hot: SeriesStore, cold: SeriesStore, dropped: DroppedSpans = _everything) -> None:
        self._hot = hot
        self._cold = cold
        self._dropped = dropped

    def write(self, readings: Sequence[Reading]) -> None:
        """Stores them in the hot store."""
        self._hot.write(readings)

    def read(self, point: str, start: datetime, stop: datetime) -> list[Reading]:
        """Readings with start <= at < stop, of either."""
        # the hot one last: what is dropped between the two looks was not there to be missed
        merged = {r.at: r for a, b in self._dropped(start, stop) for r in self._cold.read(point, a, b)}
        found = self._hot.read(point, start, stop)
        if not merged:
            return found
        merged |= {reading.at: reading for reading in found}
        return [merged[at] for at in sorted(merged)]

    def last(self, points: Collection[str]) -> dict[str, Reading]:
        """The latest reading of each. The store behind is asked only for points that are not hot, or of which something
        later may be dropped: what was put back, or came late, is not the latest.
        """
        hot = self._hot.last(points)
        first = min((reading.at for reading in hot.values()), default=END)
        gone = max((stop for _, stop in self._dropped(first, END)), default=first)
        asked = [point for point in points if point not in hot or hot[point].at < gone]
        found = self._cold.last(asked) if asked else {}
        return found | {point: each for point, each in hot.items() if point not in found or found[point].at <= each.at}

    def before(self, point: str, at: datetime) -> Reading | None:
        """The latest before `at`, of either."""
        hot = self._hot.before(point, at)
        if hot is not None and not self._dropped(hot.at, at):
            return hot
        found = [each for each in (self._cold.before(point, at), hot) if each is not None]
        return max(found, key=lambda reading: reading.at, default=None)

    def downsample(self, point: str, start: datetime, stop: datetime, pixels: int) -> list[Bucket]:
        """Columns of a chart: each from the store that has all of it, from both where it lies half in the one and half
        in the other.
        """
        dropped = self._dropped(start, stop)
        step = width(start, stop, pixels)
        if self._dropped is _everything:
            return self._whole(point, start, stop, pixels)
        hot = self._hot.downsample(point, start, stop, pixels)
        if not dropped:
            return hot
        columns = {column.start: column for column in hot}
        cold = {column.start: column for column in self._cold.downsample(point, start, stop, pixels)}
        out = []
        for index in range(pixels):
            a = start + index * step
            b = min(a + step, stop)
            inside = [span for span in dropped if span[0] < b and a < span[1]]
            if not inside:
                found = columns.get(a)
            elif len(inside) == 1 and inside[0][0] <= a and b <= inside[0][1]:
                found = cold.get(a)
            else:
                found = next(iter(self._whole(point, a, b, 1)), None)
            if found is not None:
                out.append(found)
        return out

    def silences(self, point: str, start: datetime, stop: datetime, longest: timedelta) -> list[Silence]:
        """Stretches longer than `longest` in which neither has a usable number."""
        hot = self._hot.silences(point, start, stop, longest)
        if not hot or not self._dropped(start, stop):
            return hot
        cold = self._cold.silences(point, start, stop, longest)
        both = [(max(a, c), min(b, d)) for a, b in hot for c, d in cold if a < d and c < b]
        return [(a, b) for a, b in both if b - a > longest]

    def _whole(self, point: str, start: datetime, stop: datetime, pixels: int) -> list[Bucket]:
        """Columns from the readings of both."""
        whole = MemoryStore()
        whole.write(self.read(point, start, stop))
        return whole.downsample(point, start, stop, pixels)
