"""Raw readings of zones as traces, from the landing table."""

# ruff: noqa: S608 - the texts are put together of constants; values are parameters

from array import array
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
from sqlalchemy import Connection, text

from core.erp.exposure.readings.zone_setup import JudgedPoint, ZoneSetup
from core.erp.exposure.rules.signal import BAD, GOOD, UNCERTAIN, Trace
from core.erp.exposure.times import moment
from core.series.dropped_ranges import require_each_present, require_present
from core.telemetry.units import CANONICAL, NotConvertible, convert


@dataclass(slots=True)
class PointTrace:
    """One point's readings in order of time, as arrays that grow. Each has one entry a reading."""

    at: "array[int]" = field(default_factory=lambda: array("q"))
    low: "array[float]" = field(default_factory=lambda: array("d"))
    high: "array[float]" = field(default_factory=lambda: array("d"))
    quality: "array[int]" = field(default_factory=lambda: array("b"))

    def insert(self, at: int, value: float, quality: int, error: float) -> None:
        """Adds a reading in its place; at a time already there the worse of the two is kept (conflict)."""
        index = len(self.at) if not self.at or self.at[-1] < at else bisect_left(self.at, at)
        if index < len(self.at) and self.at[index] == at:
            self._merge_conflict(index, value - error, value + error, quality)
            return
        self.at.insert(index, at)
        self.low.insert(index, value - error)
        self.high.insert(index, value + error)
        self.quality.insert(index, quality)

    def has(self, at: int) -> bool:
        """Whether there is a reading of that instant."""
        index = bisect_left(self.at, at)
        return index < len(self.at) and self.at[index] == at

    def _merge_conflict(self, index: int, low: float, high: float, quality: int) -> None:
        """Two values at one time: the span of both. A value beside none is uncertain: it covers nothing."""
        mine = self.quality[index]
        if BAD in (mine, quality) and mine != quality:
            if mine == BAD:
                self.low[index], self.high[index] = low, high
            self.quality[index] = UNCERTAIN
            return
        self.low[index], self.high[index] = min(self.low[index], low), max(self.high[index], high)
        self.quality[index] = max(mine, quality)

    def drop_before(self, at: int) -> None:
        """Drops what cannot speak at or after `at`: all before the last reading at or before it."""
        keep = max(bisect_right(self.at, at) - 1, 0)
        for column in (self.at, self.low, self.high, self.quality):
            del column[:keep]

    def since(self, at: int) -> "PointTrace":
        """What can speak at or after `at`: the last reading at or before it, and all that follow."""
        keep = max(bisect_right(self.at, at) - 1, 0)
        return PointTrace(self.at[keep:], self.low[keep:], self.high[keep:], self.quality[keep:])

    def between(self, start: int, stop: int) -> "PointTrace":
        """What can speak in [start, stop), and no more of it: what lies outside costs nothing, however much it is."""
        keep, end = max(bisect_right(self.at, start) - 1, 0), bisect_left(self.at, stop)
        return PointTrace(self.at[keep:end], self.low[keep:end], self.high[keep:end], self.quality[keep:end])

    def trace(self, *, required: bool, since: int = 0) -> Trace:
        """As the rules take it; `since` is from when on it is required."""
        return Trace(
            required,
            np.array(self.at, np.int64),
            np.array(self.low, np.float64),
            np.array(self.high, np.float64),
            np.array(self.quality, np.int8),
            since,
        )


def judged_value(point: JudgedPoint, at: int, value: object, unit: str, quality: int) -> tuple[float, int, float]:
    """(value in the canonical unit or NaN, quality judged by, error) of one reading."""
    if quality == BAD or isinstance(value, bool | str) or value is None:
        return float("nan"), BAD, 0.0
    number = float(value)  # type: ignore[arg-type]  # what is neither missing, bool nor text is a number
    canonical = CANONICAL.get(point.quantity)
    try:
        if not point.plausible(number, unit):
            return float("nan"), BAD, 0.0
        if canonical is not None and unit != canonical:
            number = convert(number, unit, canonical)
    except NotConvertible:
        return float("nan"), BAD, 0.0
    trusted, error = point.trusted_at(at) if point.trust else (GOOD, 0.0)
    return number, max(quality, trusted), error


_OF_POINTS = (
    "SELECT s.address, (extract(epoch FROM r.at) * 1000000)::bigint AS us, r.kind, r.num, r.whole, r.unit, r.quality"
    " FROM unnest(CAST(:points AS text[]), CAST(:oldests AS timestamptz[]), CAST(:starts AS timestamptz[]),"
    " CAST(:stops AS timestamptz[])) w(address, oldest, start, stop) JOIN series_point s ON s.address = w.address"
    " CROSS JOIN LATERAL "
)
_RAW = text(
    _OF_POINTS
    + "(SELECT * FROM reading x WHERE x.point_id = s.id AND x.at >= w.start AND x.at < w.stop) r ORDER BY r.at"
)
_ROWS = 2000
"""Rows that are objects at once."""
_CONFLICTS = text(
    _OF_POINTS + "(SELECT * FROM reading_conflict x WHERE x.point_id = s.id AND x.at >= w.oldest AND x.at < w.stop) r"
    " ORDER BY r.id"
)
_BEFORE = text(
    _OF_POINTS + "(SELECT * FROM reading x WHERE x.point_id = s.id AND x.at < w.start AND x.at >= w.oldest"
    " ORDER BY x.at DESC LIMIT 1) r"
)


@dataclass(frozen=True, slots=True)
class ReadingRange:
    """Readings of a zone's points in [start, stop), with each point's last one before, at most `carry` older."""

    setup: ZoneSetup
    start: int
    stop: int
    carry: int


def load_readings(conn: Connection, setup: ZoneSetup, start: int, stop: int, carry: int) -> dict[str, PointTrace]:
    """Readings of the zone's points in [start, stop), with each point's last one before, at most `carry` older.

    In a logger's zone each stay of goods begins with what was read first. Raises DroppedRangeNeeded where PostgreSQL no
    longer has all of them.
    """
    return load_readings_by_zone(conn, [ReadingRange(setup, start, stop, carry)])[setup.zone_id]


def load_readings_by_zone(conn: Connection, parts: Sequence[ReadingRange]) -> dict[int, dict[str, PointTrace]]:
    """As `load_readings`, of several zones in as many statements as of one; by zone."""
    out = _read(conn, parts)
    for part in parts:
        setup = part.setup
        for entry, leaves in setup.goods_present or ():
            if part.start - part.carry <= entry < part.stop:
                opening = ReadingRange(setup, entry, min(entry + setup.allowed_gap, leaves), 0)
                for address, trace in _read(conn, [opening])[setup.zone_id].items():
                    if trace.at and trace.at[0] > entry:
                        middle, error = (trace.low[0] + trace.high[0]) / 2, (trace.high[0] - trace.low[0]) / 2
                        out[setup.zone_id][address].insert(entry, middle, trace.quality[0], error)
    return out


def _read(conn: Connection, parts: Sequence[ReadingRange]) -> dict[int, dict[str, PointTrace]]:
    points = {point.address: (point, part) for part in parts for point in part.setup.points}
    found = {address: PointTrace() for address in points}
    if points:
        spans: Mapping[str, Sequence[object]] = {
            "points": list(points),
            "oldests": [moment(part.start - part.carry) for _, part in points.values()],
            "starts": [moment(part.start) for _, part in points.values()],
            "stops": [moment(part.stop) for _, part in points.values()],
        }
        before = conn.execute(_BEFORE, spans).all()
        for row in chain(before, conn.execute(_RAW, spans).yield_per(_ROWS)):
            _insert_row(found[row.address], points[row.address][0], row)
        for row in conn.execute(_CONFLICTS, spans):
            if found[row.address].has(row.us):
                _insert_row(found[row.address], points[row.address][0], row)
        require_each_present(
            conn,
            [(address, moment(part.start - part.carry), moment(part.stop)) for address, (_, part) in points.items()],
        )
    return {part.setup.zone_id: {p.address: found[p.address] for p in part.setup.points} for part in parts}


def require_readings(conn: Connection, points: Collection[str], start: int, stop: int, carry: int) -> None:
    """Raises DroppedRangeNeeded unless PostgreSQL has the points' readings of [start - carry, stop): what
    `load_readings` reads.

    A long reading says so for all of it before it begins, and is not told day by day.
    """
    require_present(conn, points, moment(start - carry), moment(stop))


def _insert_row(trace: PointTrace, point: JudgedPoint, row: object) -> None:
    us, kind, num, whole, unit, quality = row.us, row.kind, row.num, row.whole, row.unit, row.quality  # type: ignore[attr-defined]  # a row of _OF_POINTS, whose columns these are
    value = num if kind == 1 else whole if kind == 2 else None  # noqa: PLR2004 - the landing table's kinds
    trace.insert(us, *judged_value(point, us, value, unit, quality))


def by_quantity(setup: ZoneSetup, readings: Mapping[str, PointTrace]) -> dict[str, Sequence[Trace]]:
    """Traces of the zone's points, by quantity, as summary.ZoneView takes them."""
    out: dict[str, list[Trace]] = defaultdict(list)
    for point in setup.points:
        out[point.quantity].append(
            readings[point.address].trace(required=point.required, since=point.installed_at or 0)
        )
    return dict(out)


_LAST_GOOD = text(
    "SELECT w.address, max((extract(epoch FROM r.at) * 1000000)::bigint) AS us"
    " FROM unnest(CAST(:points AS text[]), CAST(:sinces AS timestamptz[]), CAST(:befores AS timestamptz[]),"
    " CAST(:units AS text[]), CAST(:lows AS float8[]), CAST(:highs AS float8[]))"
    " AS w(address, since, before, unit, low, high)"
    " JOIN series_point s ON s.address = w.address CROSS JOIN LATERAL ("
    "  SELECT x.at FROM reading x WHERE x.point_id = s.id AND x.at < w.before AND x.at >= w.since AND x.quality = 0"
    "  AND x.kind IN (1, 2) AND x.unit = coalesce(w.unit, x.unit)"
    "  AND coalesce(x.num, x.whole) BETWEEN w.low AND w.high"
    "  AND NOT EXISTS (SELECT FROM reading_conflict c WHERE c.point_id = s.id AND c.at = x.at AND c.quality <> 0)"
    "  ORDER BY x.at DESC LIMIT 1) r GROUP BY w.address"
)
_DROPPED = text(
    "SELECT zone_id, (extract(epoch FROM last_good_at) * 1000000)::bigint AS us FROM zone_judged"
    " WHERE zone_id = ANY(:zones) AND last_good_at IS NOT NULL AND EXISTS (SELECT FROM series_dropped)"
)


def last_good(conn: Connection, before: Mapping[JudgedPoint, int]) -> dict[str, int]:
    """Each point's last good reading before its instant, by address; points that never had one are left out.

    Where weeks have been dropped, a point without one since is as its zone was last left: that is the oldest of its
    points', and never later than this one's.
    """
    spans = [
        (point, span, unit, bounds)
        for point, at in before.items()
        for span in point.good_before(at)
        for unit, bounds in point.bounds_in().items()
    ]
    rows = conn.execute(
        _LAST_GOOD,
        {
            "points": [point.address for point, _, _, _ in spans],
            "sinces": [moment(start) for _, (start, _), _, _ in spans],
            "befores": [moment(stop) for _, (_, stop), _, _ in spans],
            "units": [unit for _, _, unit, _ in spans],
            "lows": [low for _, _, _, (low, _) in spans],
            "highs": [high for _, _, _, (_, high) in spans],
        },
    )
    found: dict[str, int] = {row.address: row.us for row in rows}
    missing = [point for point in before if point.address not in found]
    if missing:
        zones = {"zones": sorted({point.zone_id for point in missing})}
        kept = {row.zone_id: row.us for row in conn.execute(_DROPPED, zones)}
        found.update({point.address: kept[point.zone_id] for point in missing if point.zone_id in kept})
    return found


_FIRST_KNOWN = text(
    "SELECT z, (extract(epoch FROM least("
    " (SELECT min(r.at) FROM unnest(CAST(:zones AS bigint[]), CAST(:points AS text[])) p(zone, address)"
    "   JOIN series_point s ON s.address = p.address CROSS JOIN LATERAL ("
    "   SELECT x.at FROM reading x WHERE x.point_id = s.id ORDER BY x.at LIMIT 1) r WHERE p.zone = z),"
    " (SELECT min(f.at) FROM custody_fact f WHERE f.zone_id = z))) * 1000000)::bigint AS us"
    " FROM unnest(CAST(:all AS bigint[])) z"
)


def first_known(conn: Connection, setups: Sequence[ZoneSetup]) -> dict[int, int | None]:
    """By zone: when any of its points first said something that is still here, or goods first stood in it; None if
    neither ever was.
    """
    if not setups:
        return {}
    pairs = [(setup.zone_id, point.address) for setup in setups for point in setup.points]
    rows = conn.execute(
        _FIRST_KNOWN,
        {
            "all": [setup.zone_id for setup in setups],
            "zones": [zone for zone, _ in pairs],
            "points": [address for _, address in pairs],
        },
    )
    return {row.z: row.us for row in rows}
