"""Which zone judges goods that stand in another: the innermost monitored one around each place (design §1)."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, text

from core.erp.custody.rules import Interval
from core.erp.exposure.history.lineage import Path
from core.erp.exposure.judge.zone_fold import ZoneFold
from core.erp.exposure.readings.zone_setup import ZoneSetup, load_setups
from core.erp.exposure.times import micros

ZoneInterval = tuple[int, int, int | None]
"""(zone, from, to or None), microseconds, half-open."""
JudgedPath = tuple[ZoneInterval, ...]
"""Which zones judge the goods over time, in order."""

# a zone that was ever around one of these may judge what stands in it
_ENCLOSING = text("""
    WITH RECURSIVE around(id) AS (
        SELECT z FROM unnest(CAST(:zones AS bigint[])) z
        UNION SELECT n.parent_id FROM zone_nesting n JOIN around a ON n.zone_id = a.id
    )
    SELECT a.id, n.parent_id, n.from_at, n.to_at FROM around a LEFT JOIN zone_nesting n ON n.zone_id = a.id
    ORDER BY a.id, n.from_at
""")


@dataclass(slots=True)
class MonitoringZones:
    """Zones as judged and what stood in what, read once; zones that are being folded live as they are in memory."""

    conn: Connection
    live: Mapping[int, ZoneFold] = field(default_factory=dict)
    setups: dict[int, ZoneSetup] = field(default_factory=dict)
    """Those read so far."""
    _nestings: dict[int, list[ZoneInterval]] = field(default_factory=dict)
    """By zone: its stays in others, in order of time."""
    _judged: dict[Interval, JudgedPath] = field(default_factory=dict)
    """By stretch of custody: how it is judged. Goods that came together share theirs."""

    def setup(self, zone_id: int) -> ZoneSetup:
        """The zone as judged."""
        if zone_id not in self.setups:
            self._load_setups([zone_id])
        return self.setups[zone_id]

    def judged_paths(self, paths: Mapping[int, Collection[Path]]) -> dict[int, tuple[JudgedPath, ...]]:
        """Each path as it is judged, and of those that are judged alike one."""
        self._load_nestings(
            {zone for some in paths.values() for path in some for zone, _, _ in path if zone is not None}
        )
        return {key: tuple(dict.fromkeys(self.judged_path(path) for path in some)) for key, some in paths.items()}

    def judged_path(self, path: Sequence[Interval]) -> JudgedPath:
        """The path as it is judged; stretches away from us are left out."""
        self._load_nestings({zone for zone, _, _ in path if zone is not None})
        return tuple(stay for interval in path for stay in self._judged_interval(interval))

    def _judged_interval(self, interval: Interval) -> JudgedPath:
        zone, start, stop = interval
        if zone is None:
            return ()
        if interval not in self._judged:
            self._judged[interval] = tuple(
                self._judging_zones(zone, micros(start), None if stop is None else micros(stop))
            )
        return self._judged[interval]

    def _load_nestings(self, zone_ids: Iterable[int]) -> None:
        """Reads what was ever around these zones, all at once."""
        new = set(zone_ids) - self._nestings.keys()
        if not new:
            return
        found: dict[int, list[ZoneInterval]] = defaultdict(list)
        for row in self.conn.execute(_ENCLOSING, {"zones": sorted(new)}):
            nestings = found[row.id]
            if row.parent_id is not None:
                nestings.append((row.parent_id, micros(row.from_at), None if row.to_at is None else micros(row.to_at)))
        self._nestings |= found
        self._load_setups(found.keys() - self.setups.keys())

    def _load_setups(self, zone_ids: Iterable[int]) -> None:
        ids = set(zone_ids)
        self.setups.update({zone: self.live[zone].tail.setup for zone in ids & self.live.keys()})
        self.setups.update(load_setups(self.conn, ids - self.live.keys()))

    def _judging_zones(self, zone: int, start: int, stop: int | None) -> Iterator[ZoneInterval]:
        """The zones around it that judge over [start, stop): where none is monitored, the innermost that declares its
        worst temperature, else the zone itself.
        """
        if self.setup(zone).monitored:
            yield zone, start, stop
            return
        at = start
        for parent, since, until in self._nestings[zone]:
            a, b = max(since, at), _least(until, stop)
            if b is not None and b <= a:
                continue
            if a > at:
                yield zone, at, a
            for judging, c, d in self._judging_zones(parent, a, b):
                yield self._more_informative(zone, judging), c, d
            if b is None:
                return
            at = b
        if stop is None or at < stop:
            yield zone, at, stop

    def _more_informative(self, inner: int, outer: int) -> int:
        """Which of an unmonitored zone and the one that judges around it says more of what is inside."""
        judging = self.setup(outer)
        if judging.monitored or (self.setup(inner).worst_temperature is None and judging.worst_temperature is not None):
            return outer
        return inner


def _least(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else min(a, b)
