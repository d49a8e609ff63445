"""What is looked at of a sensor: its readings of the last day, and what is kept of the hours before."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from sqlalchemy import Connection, Engine, delete, select, text
from sqlalchemy.dialects.postgresql import insert as upsert

from core.erp.exposure.model import PointHour
from core.erp.exposure.rules.sensor import DAY, HOUR, Hour, Samples, digest
from core.erp.exposure.rules.signal import BAD
from core.erp.exposure.times import EPOCH
from core.erp.kernel.tables import table
from core.telemetry.units import CANONICAL, NotConvertible, convert

KEPT = timedelta(days=400)
"""How long the digests of hours are kept: charts over months are drawn from them, and a year beside the one before."""
LOOK_BACK = timedelta(days=8)
LATE = timedelta(hours=2)
"""A day is read with so much before it: its first hours' rises are seen whole."""

_hour = table(PointHour)
_READINGS = text("""
    SELECT p.id, (extract(epoch FROM r.at) * 1000)::bigint AS ms, coalesce(r.num, r.whole) AS value, r.unit
    FROM point p JOIN series_point s ON s.address = p.address
    CROSS JOIN LATERAL (
        SELECT x.at, x.num, x.whole, x.unit FROM reading x
        WHERE x.point_id = s.id AND x.at >= :start AND x.at < :stop AND x.kind IN (1, 2) AND x.quality <> :bad
    ) r
    WHERE p.id = ANY(:points) ORDER BY r.at
""")


@dataclass(frozen=True, slots=True)
class Watched:
    """A point in use that measures a zone's climate."""

    id: int
    zone_id: int
    address: str
    quantity: str


def watched(conn: Connection) -> dict[int, list[Watched]]:
    """By zone in use: its points in use that measure its climate."""
    rows = conn.execute(
        text(
            "SELECT p.id, p.zone_id, p.address, p.quantity FROM point p JOIN zone z ON z.id = p.zone_id"
            " WHERE p.state = 'active' AND z.state = 'active' AND p.role IN ('required', 'spare')"
            " AND p.quantity = ANY(:quantities) ORDER BY p.zone_id, p.id"
        ),
        {"quantities": sorted(CANONICAL)},
    )
    found: dict[int, list[Watched]] = defaultdict(list)
    for row in rows:
        found[row.zone_id].append(Watched(row.id, row.zone_id, row.address, row.quantity))
    return found


def readings(conn: Connection, points: Collection[Watched], now: datetime) -> dict[int, Samples]:
    """By point: its readings that are not bad, of the last day and a little before, in the canonical unit."""
    at: dict[int, list[int]] = {point.id: [] for point in points}
    value: dict[int, list[float]] = {point.id: [] for point in points}
    quantity = {point.id: point.quantity for point in points}
    span = {"start": now - timedelta(days=1) - LATE, "stop": now, "bad": BAD, "points": sorted(at)}
    for row in conn.execute(_READINGS, span):
        try:
            number = convert(float(row.value), row.unit, CANONICAL[quantity[row.id]])
        except NotConvertible:
            continue  # the judge says it is bad
        at[row.id].append(row.ms)
        value[row.id].append(number)
    return {one: Samples(np.array(at[one], np.int64), np.array(value[one], np.float64)) for one in at}


def keep_hours(engine: Engine, found: Mapping[int, Samples], now: datetime) -> None:
    """Keeps a digest of each hour of the last day that is over, again where late readings have come since."""
    last = milliseconds(now) // HOUR * HOUR
    rows = [
        {"point_id": point, "hour_at": moment(hour.start), "low": hour.low, "high": hour.high}
        | {"median": hour.median, "readings": hour.count, "rises": hour.rises}
        for point, samples in found.items()
        for start in range(last - DAY, last, HOUR)
        if (hour := digest(samples, start)) is not None
    ]
    if not rows:
        return
    statement = upsert(_hour)
    changed = {name: statement.excluded[name] for name in ("low", "high", "median", "readings", "rises")}
    different = _hour.c.readings != statement.excluded.readings
    with engine.begin() as conn:
        conn.execute(
            statement.on_conflict_do_update(index_elements=["point_id", "hour_at"], set_=changed, where=different), rows
        )


def forget_old(engine: Engine, now: datetime) -> None:
    """Removes digests that are older than KEPT."""
    with engine.begin() as conn:
        conn.execute(delete(_hour).where(_hour.c.hour_at < now - KEPT))


def kept_hours(conn: Connection, points: Sequence[int], now: datetime) -> dict[int, list[Hour]]:
    """By point: what is kept of the hours of the last days, oldest first."""
    c = _hour.c
    query = select(_hour).where(c.point_id.in_(points), c.hour_at >= now - LOOK_BACK).order_by(c.point_id, c.hour_at)
    found: dict[int, list[Hour]] = {point: [] for point in points}
    for row in conn.execute(query):
        hour = Hour(milliseconds(row.hour_at), row.low, row.high, row.median, row.readings, row.rises)
        found[row.point_id].append(hour)
    return found


def milliseconds(at: datetime) -> int:
    """Milliseconds since 1970."""
    return (at - EPOCH) // timedelta(milliseconds=1)


def moment(ms: int) -> datetime:
    """The instant, UTC."""
    return EPOCH + timedelta(milliseconds=ms)
