"""Which zone judges goods that stand in another: the innermost monitored one around each place (design §1)."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, text

from core.erp.custody.rules import Interval
from core.erp.exposure.history.lineage import Path
from core.erp.exposure.judge.zone_fold import ZoneFold
from core.erp.exposure.readings.zone_setup import Place, load_places
from core.erp.exposure.times import micros

Stay = tuple[int, int, int | None]
"""(zone, from, to or None), microseconds, half-open."""
Way = tuple[Stay, ...]
"""By judging zone, in order: how goods came, as they are judged."""

# a zone that was ever around one of these may judge what stands in it
_AROUND = text("""
    WITH RECURSIVE around(id) AS (
        SELECT z FROM unnest(CAST(:zones AS bigint[])) z
        UNION SELECT n.parent_id FROM zone_nesting n JOIN around a ON n.zone_id = a.id
    )
    SELECT a.id, n.parent_id, n.from_at, n.to_at FROM around a LEFT JOIN zone_nesting n ON n.zone_id = a.id
    ORDER BY a.id, n.from_at
""")


@dataclass(slots=True)
class Surroundings:
    """Zones as judged and what stood in what, read once; zones that are being folded live as they are in memory."""

    conn: Connection
    live: Mapping[int, ZoneFold] = field(default_factory=dict)
    places: dict[int, Place] = field(default_factory=dict)
    """Those read so far."""
    _stood_in: dict[int, list[Stay]] = field(default_factory=dict)
    """By zone: its stays in others, in order of time."""
    _ways: dict[Interval, Way] = field(default_factory=dict)
    """By stretch of custody: how it is judged. Goods that came together share theirs."""

    def place(self, zone_id: int) -> Place:
        """The zone as judged."""
        if zone_id not in self.places:
            self._load([zone_id])
        return self.places[zone_id]

    def ways(self, paths: Mapping[int, Collection[Path]]) -> dict[int, tuple[Way, ...]]:
        """Each path as it is judged, and of those that are judged alike one."""
        self._know({zone for some in paths.values() for path in some for zone, _, _ in path if zone is not None})
        return {key: tuple(dict.fromkeys(self.way(path) for path in some)) for key, some in paths.items()}

    def way(self, path: Sequence[Interval]) -> Way:
        """The path as it is judged; stretches away from us are left out."""
        self._know({zone for zone, _, _ in path if zone is not None})
        return tuple(stay for interval in path for stay in self._stretch(interval))

    def _stretch(self, interval: Interval) -> Way:
        zone, start, stop = interval
        if zone is None:
            return ()
        if interval not in self._ways:
            self._ways[interval] = tuple(self._judging(zone, micros(start), None if stop is None else micros(stop)))
        return self._ways[interval]

    def _know(self, zone_ids: Iterable[int]) -> None:
        """Reads what was ever around these zones, all at once."""
        new = set(zone_ids) - self._stood_in.keys()
        if not new:
            return
        found: dict[int, list[Stay]] = defaultdict(list)
        for row in self.conn.execute(_AROUND, {"zones": sorted(new)}):
            stays = found[row.id]
            if row.parent_id is not None:
                stays.append((row.parent_id, micros(row.from_at), None if row.to_at is None else micros(row.to_at)))
        self._stood_in |= found
        self._load(found.keys() - self.places.keys())

    def _load(self, zone_ids: Iterable[int]) -> None:
        ids = set(zone_ids)
        self.places.update({zone: self.live[zone].place for zone in ids & self.live.keys()})
        self.places.update(load_places(self.conn, ids - self.live.keys()))

    def _judging(self, zone: int, start: int, stop: int | None) -> Iterator[Stay]:
        """The zones around it that judge over [start, stop): where none is monitored, the innermost that declares its
        worst temperature, else the zone itself.
        """
        if self.place(zone).monitored:
            yield zone, start, stop
            return
        at = start
        for parent, since, until in self._stood_in[zone]:
            a, b = max(since, at), _least(until, stop)
            if b is not None and b <= a:
                continue
            if a > at:
                yield zone, at, a
            for around, c, d in self._judging(parent, a, b):
                yield self._better(zone, around), c, d
            if b is None:
                return
            at = b
        if stop is None or at < stop:
            yield zone, at, stop

    def _better(self, inner: int, outer: int) -> int:
        """Which of an unmonitored zone and the one that judges around it says more of what is inside."""
        around = self.place(outer)
        if around.monitored or (self.place(inner).worst_temperature is None and around.worst_temperature is not None):
            return outer
        return inner


def _least(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else min(a, b)
