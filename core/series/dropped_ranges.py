"""Ranges that PostgreSQL has no more: shipped weeks are dropped after the hot window and live on in the store behind.

Whoever reads such a range inside a transaction is told with `DroppedRangeNeeded`. The door of the transaction (kernel's
`transact`) lets it go, puts the range back without any lock held, day by day and point by point, and tries again:
so the landing table stays the one place that is judged from.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, text

DAY = timedelta(days=1)
WEEK = timedelta(days=7)

_KEEP = text("LOCK TABLE ONLY reading IN ACCESS SHARE MODE")
_WEEKS = text("SELECT week FROM series_dropped WHERE week < :stop AND week > :first ORDER BY week")
_RESTORED = text(
    "SELECT s.address, r.day FROM series_point s LEFT JOIN reading_restored r ON r.point_id = s.id"
    " AND r.day >= :first AND r.day < :stop WHERE s.address = ANY(:points)"
)


class DroppedRangeNeeded(Exception):
    """Readings of these points in [start, stop) are not all in PostgreSQL; `restore_range` gets them."""

    def __init__(self, points: Collection[str], start: datetime, stop: datetime) -> None:
        super().__init__(f"readings of {len(points)} points from {start.isoformat()} to {stop.isoformat()} are put by")
        self.points = tuple(sorted(points))
        self.start = start
        self.stop = stop


def dropped_spans(conn: Connection, start: datetime, stop: datetime) -> list[tuple[datetime, datetime]]:
    """The parts of [start, stop) that lie in dropped weeks, in order, neighbours joined."""
    out: list[tuple[datetime, datetime]] = []
    for week in conn.execute(_WEEKS, {"stop": stop, "first": start - WEEK}).scalars():
        a, b = max(week, start), min(week + WEEK, stop)
        if out and out[-1][1] == a:
            out[-1] = (out[-1][0], b)
        else:
            out.append((a, b))
    return out


def missing(conn: Connection, points: Collection[str], start: datetime, stop: datetime) -> list[tuple[str, datetime]]:
    """(point, day) of [start, stop) that lie in dropped weeks and have not been put back, in order."""
    spans = dropped_spans(conn, start, stop)
    if not spans or not points:
        return []
    days = [day for a, b in spans for day in _days(a, b)]
    there: dict[str, set[datetime]] = {}
    bounds = {"points": sorted(points), "first": days[0], "stop": days[-1] + DAY}
    for row in conn.execute(_RESTORED, bounds):  # a point that never landed is not there, and has nothing to put back
        there.setdefault(row.address, set()).add(row.day)
    return [(point, day) for point in sorted(there) for day in days if day not in there[point]]


def require_present(conn: Connection, points: Collection[str], start: datetime, stop: datetime) -> None:
    """Raises DroppedRangeNeeded where readings of the points in [start, stop) are not all in PostgreSQL.

    Locks the table against dropping: what is there by this look stays until the transaction ends. On a connection
    without one (AUTOCOMMIT) it begins one, and whoever opened the connection ends it.
    """
    require_each_present(conn, [(point, start, stop) for point in points])


def require_each_present(conn: Connection, spans: Sequence[tuple[str, datetime, datetime]]) -> None:
    """As `require_present`, of (point, start, stop) each; where nothing was dropped for as little as one."""
    _keep(conn)
    if not spans or not dropped_spans(conn, min(start for _, start, _ in spans), max(stop for _, _, stop in spans)):
        return
    alike: dict[tuple[datetime, datetime], list[str]] = {}
    for point, start, stop in spans:
        alike.setdefault((start, stop), []).append(point)
    lacking = [each for (start, stop), points in alike.items() for each in missing(conn, points, start, stop)]
    if lacking:
        days = [day for _, day in lacking]
        raise DroppedRangeNeeded({point for point, _ in lacking}, min(days), max(days) + DAY)


def _keep(conn: Connection) -> None:
    raw: Any = conn.connection.dbapi_connection
    if raw.autocommit and raw.info.transaction_status is TransactionStatus.IDLE:
        conn.exec_driver_sql("BEGIN")
    conn.execute(_KEEP)


def require_keys_present(conn: Connection, keys: Iterable[tuple[str, datetime]], now: datetime) -> None:
    """Raises DroppedRangeNeeded where something may have stood at one of the (point, time) keys and was dropped.

    Only weeks that ended before `now` are looked at: others are never dropped. To be called after the landing.
    """
    recent = now - DAY
    old = [(point, at) for point, at in keys if at < recent]
    if not old:
        return
    times = [at for _, at in old]
    if not dropped_spans(conn, min(times), max(times) + DAY):
        return
    lacking = set(missing(conn, {point for point, _ in old}, day_of(min(times)), max(times) + DAY))
    wanted = {(point, day_of(at)) for point, at in old} & lacking
    if wanted:
        days: Sequence[datetime] = [day for _, day in wanted]
        raise DroppedRangeNeeded({point for point, _ in wanted}, min(days), max(days) + DAY)


def day_of(at: datetime) -> datetime:
    """The midnight, UTC, whose day the instant is in."""
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _days(start: datetime, stop: datetime) -> list[datetime]:
    out = [day_of(start)]
    while out[-1] + DAY < stop:
        out.append(out[-1] + DAY)
    return out
