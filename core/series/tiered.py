"""Two stores as one: the hot one in PostgreSQL and the one behind, which holds what is shipped and no longer hot."""

from collections.abc import Collection, Sequence
from datetime import datetime

from core.series.memory import MemoryStore
from core.series.port import Bucket, SeriesStore
from core.telemetry.reading import Reading


class TieredStore:
    """Reads both and lets the hot one have the last word; writes to the hot one (the shipper fills the other)."""

    def __init__(self, hot: SeriesStore, cold: SeriesStore) -> None:
        self._hot = hot
        self._cold = cold

    def write(self, readings: Sequence[Reading]) -> None:
        """Stores them in the hot store."""
        self._hot.write(readings)

    def read(self, point: str, start: datetime, stop: datetime) -> list[Reading]:
        """Readings with start <= at < stop, of either."""
        merged = {reading.at: reading for reading in self._cold.read(point, start, stop)}
        merged |= {reading.at: reading for reading in self._hot.read(point, start, stop)}
        return [merged[at] for at in sorted(merged)]

    def last(self, points: Collection[str]) -> dict[str, Reading]:
        """The latest reading of each; the store behind is asked only for points that are not hot."""
        found = self._hot.last(points)
        missing = [point for point in points if point not in found]
        return (self._cold.last(missing) | found) if missing else found

    def before(self, point: str, at: datetime) -> Reading | None:
        """The latest before `at`, of either."""
        candidates = [found for store in (self._cold, self._hot) if (found := store.before(point, at)) is not None]
        return max(candidates, key=lambda reading: reading.at, default=None)

    def downsample(self, point: str, start: datetime, stop: datetime, pixels: int) -> list[Bucket]:
        """Columns of a chart, from the readings of both: a column may lie half in the one and half in the other."""
        whole = MemoryStore()
        whole.write(self.read(point, start, stop))
        return whole.downsample(point, start, stop, pixels)
