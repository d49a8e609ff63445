"""The last hours of many zones as small pictures: SVG from the server, readable without script."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock

from markupsafe import Markup
from sqlalchemy import Connection, text

from core.telemetry.units import CANONICAL, convert

LENGTH = timedelta(hours=24)
COLUMNS = 72
KEPT = 20.0
"""Seconds: a column is twenty minutes wide, so that a picture is never visibly old."""
WIDE, HIGH, EDGE = 1000, 100, 6

Column = tuple[int, float, float]
"""(its number, least value, greatest value)."""

# required points only, each column of each zone once; what is read is in the key of the readings
_RECENT = text("""
    SELECT p.zone_id, c.i, p.unit, min(x.low) AS low, max(x.high) AS high
    FROM point p JOIN series_point s ON s.address = p.address
    CROSS JOIN generate_series(0, :columns - 1) c(i)
    CROSS JOIN LATERAL (
        SELECT min(coalesce(r.num, r.whole)) AS low, max(coalesce(r.num, r.whole)) AS high FROM reading r
        WHERE r.point_id = s.id AND r.at >= :start + c.i * :step AND r.at < :start + (c.i + 1) * :step
            AND r.kind IN (1, 2) AND r.quality < 2) x
    WHERE p.zone_id = ANY(:zones) AND p.quantity = 'temperature' AND p.role = 'required' AND x.low IS NOT NULL
    GROUP BY p.zone_id, c.i, p.unit ORDER BY p.zone_id, c.i
""")


@dataclass(frozen=True, slots=True)
class Band:
    """A zone's own band, degrees Celsius; an end that is empty is open."""

    low: float | None
    high: float | None


def sparkline(columns: Sequence[Column], band: Band, *, out: bool = False) -> Markup:
    """The picture: the curve between its least and greatest values, the band dotted. `out`: it is out of its band now.

    Empty where nothing was read: what to write instead is the page's.
    """
    if not columns:
        return Markup("")
    edges = [edge for edge in (band.low, band.high) if edge is not None]
    values = [value for _, low, high in columns for value in (low, high)]
    low, high = min([*values, *edges]), max([*values, *edges])
    room = (high - low) or 1.0

    def y(value: float) -> int:
        return round(HIGH - EDGE - (value - low) / room * (HIGH - 2 * EDGE))

    lines = "".join(f'<line class="lim-2" x1="0" x2="{WIDE}" y1="{y(edge)}" y2="{y(edge)}"/>' for edge in edges)
    look = "ln ln-harm" if out else "ln"
    # numbers only: nothing of what people write gets in here
    return Markup(  # noqa: S704 - as the line above says
        f'<svg class="spark" viewBox="0 0 {WIDE} {HIGH}" preserveAspectRatio="none" aria-hidden="true">'
        f'{lines}<path class="{look}" d="{_path(columns, y)}"/></svg>'
    )


def _path(columns: Sequence[Column], y: Callable[[float], int]) -> str:
    """Down and up through each column, broken where one is missing."""
    parts, before = [], None
    for number, low, high in columns:
        x = round((number + 0.5) * WIDE / COLUMNS)
        move = "L" if before == number - 1 else "M"
        parts.append(f"{move}{x} {y(low)}" if y(low) == y(high) else f"{move}{x} {y(low)}V{y(high)}")
        before = number
    return "".join(parts)


class Sparklines:
    """The last hours of zones, read again when they are old. One for all visitors: who may see which zone is asked
    before.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, Lock()
        self._kept: dict[int, tuple[float, list[Column]]] = {}

    def of(self, conn: Connection, zone_ids: Iterable[int], now: datetime) -> Mapping[int, list[Column]]:
        """The columns of each zone over the 24 hours before now."""
        wanted, at = sorted(set(zone_ids)), self._clock()
        with self._lock:
            old = [zone for zone in wanted if zone not in self._kept or at - self._kept[zone][0] > KEPT]
        if old:
            found = recent(conn, old, now)
            with self._lock:
                self._kept.update({zone: (at, found[zone]) for zone in old})
        with self._lock:
            return {zone: self._kept[zone][1] for zone in wanted}


def recent(conn: Connection, zone_ids: Sequence[int], now: datetime) -> dict[int, list[Column]]:
    """The columns of each zone over the 24 hours before now, in one statement; none for a zone without readings."""
    found: dict[int, dict[int, Column]] = {zone: {} for zone in zone_ids}
    asked = {"zones": list(zone_ids), "columns": COLUMNS, "start": now - LENGTH, "step": LENGTH / COLUMNS}
    for row in conn.execute(_RECENT, asked):
        low, high = (convert(value, row.unit, CANONICAL["temperature"]) for value in (row.low, row.high))
        _, least, greatest = found[row.zone_id].get(row.i, (row.i, low, high))
        found[row.zone_id][row.i] = (row.i, min(low, least), max(high, greatest))
    return {zone: list(columns.values()) for zone, columns in found.items()}
