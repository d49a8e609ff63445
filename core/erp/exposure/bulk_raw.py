"""Raw readings of one zone over many ranges, as arrays."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
from sqlalchemy import Connection, text

from core.erp.exposure.places import Place, PointRef
from core.erp.exposure.raw import by_quantity, load_heard, need
from core.erp.exposure.rules.runs import Runs
from core.erp.exposure.rules.signal import BAD, GOOD, Trace
from core.erp.exposure.times import BUCKET, micros, moment
from core.telemetry.units import CANONICAL

EPOCH_2000 = micros(datetime(2000, 1, 1, tzinfo=UTC))
"""PostgreSQL counts from here."""
_ROW = np.dtype([("at", ">i8"), ("value", ">f8"), ("quality", ">i2")])
# the server's own binary forms, one string a point: a row a reading would cost more to fetch than all the rest
_PACKED = text(
    "SELECT s.address, bool_or(f.odd) AS odd, string_agg(f.packed, ''::bytea ORDER BY f.at) AS rows"
    " FROM unnest(CAST(:points AS text[]), CAST(:units AS text[])) p(address, unit)"
    " JOIN series_point s ON s.address = p.address"
    " CROSS JOIN unnest(CAST(:starts AS timestamptz[]), CAST(:stops AS timestamptz[]), CAST(:oldest AS timestamptz[]))"
    " w(start, stop, oldest) CROSS JOIN LATERAL ("
    "  SELECT x.at, x.kind IN (1, 2) AND x.unit IS DISTINCT FROM coalesce(p.unit, x.unit) AS odd,"
    "   timestamptz_send(x.at) || float8send(coalesce(x.num, x.whole, 'NaN'))"
    "   || int2send(CAST(CASE WHEN x.kind IN (1, 2) THEN x.quality ELSE 2 END AS int2)) AS packed FROM ("
    "    SELECT * FROM reading r WHERE r.point_id = s.id AND r.at >= w.start AND r.at < w.stop UNION ALL"
    "    (SELECT * FROM reading r WHERE r.point_id = s.id AND r.at < w.start AND r.at >= w.oldest"
    "     ORDER BY r.at DESC LIMIT 1)) x) f"
    " GROUP BY s.address"
)
_CONFLICT = text(
    "SELECT EXISTS (SELECT FROM reading_conflict c JOIN series_point s ON s.id = c.point_id"
    " WHERE s.address = ANY(:points) AND c.at >= :start AND c.at < :stop)"
)


def load_traces(conn: Connection, place: Place, ranges: Runs, carry: int) -> dict[str, Sequence[Trace]]:
    """By quantity: the points' readings in the ranges, with each point's last one before each, at most `carry` older.

    What lies between the ranges is not there, and nothing may be concluded about it. Raises NeedsOlder.
    """
    points = {point.address: point for point in place.points}
    start, stop = ranges[0][0], ranges[-1][1]
    for a, b in _near(ranges):
        need(conn, list(points), a, b, carry)
    bounds = {"points": list(points), "start": moment(start - carry), "stop": moment(stop)}
    doubled = conn.execute(_CONFLICT, bounds).scalar_one()
    found = conn.execute(
        _PACKED,
        {
            "points": list(points),
            "units": [CANONICAL.get(point.quantity) for point in place.points],
            "starts": [moment(a) for a, _ in ranges],
            "stops": [moment(b) for _, b in ranges],
            "oldest": [moment(a - carry) for a, _ in ranges],
        },
    ).all()
    bounded = any(point.bounds is not None for point in place.points)
    if doubled or bounded or place.stays is not None or any(row.odd for row in found):
        # second values, other units, implausible values and recorders: by the way that reads one by one
        return by_quantity(place, load_heard(conn, place, start, stop, carry))
    packed = {row.address: np.frombuffer(row.rows, _ROW) for row in found}
    out: dict[str, list[Trace]] = defaultdict(list)
    for point in place.points:
        out[point.quantity].append(_trace(point, packed.get(point.address, np.zeros(0, _ROW))))
    return dict(out)


def _near(ranges: Runs) -> Runs:
    """The ranges, with those less than a day apart as one: what is put back is put back by the day."""
    out: Runs = []
    for a, b in ranges:
        if out and a - out[-1][1] < 24 * BUCKET:
            out[-1] = (out[-1][0], b)
        else:
            out.append((a, b))
    return out


def _trace(point: PointRef, rows: "np.ndarray[tuple[int, ...], np.dtype[np.void]]") -> Trace:
    _, places = np.unique(rows["at"], return_index=True)  # one carried into a range may be in the range before
    rows = rows[places]
    at = rows["at"].astype(np.int64) + EPOCH_2000
    quality = rows["quality"].astype(np.int8)
    value = np.where(quality == BAD, np.nan, rows["value"].astype(np.float64))
    error = np.zeros(len(at))
    if point.trust:
        entry = np.searchsorted(np.array([each.start for each in point.trust], np.int64), at, side="right")
        trusted = np.array([GOOD, *(each.quality for each in point.trust)], np.int8)[entry]
        quality = np.where(quality == BAD, quality, np.maximum(quality, trusted)).astype(np.int8)
        error = np.array([0.0, *(each.error for each in point.trust)])[entry]
    return Trace(point.required, at, value - error, value + error, quality, point.since or 0)
