"""Raw readings of zones over many ranges, as arrays."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from core.erp.exposure.readings.trace import by_quantity, load_readings
from core.erp.exposure.readings.zone_setup import JudgedPoint, ZoneSetup
from core.erp.exposure.rules.runs import Runs
from core.erp.exposure.rules.signal import BAD, GOOD, Trace
from core.erp.exposure.times import BUCKET, micros, moment
from core.series.dropped_ranges import require_each_present
from core.telemetry.units import CANONICAL

EPOCH_2000 = micros(datetime(2000, 1, 1, tzinfo=UTC))
"""PostgreSQL counts from here."""
_ROW = np.dtype([("at", ">i8"), ("value", ">f8"), ("quality", ">i2")])
Rows = NDArray[np.void]
# the server's own binary forms, one string a point: a row a reading would cost more to fetch than all the rest. Ranges
# come as text: arrays of thousands of numbers cost the driver ten times as much
_PACKED = text(
    "SELECT p.address, f.odd, f.rows FROM unnest(CAST(:points AS text[]), CAST(:units AS text[]),"
    " CAST(:starts AS text[]), CAST(:stops AS text[]), CAST(:carries AS bigint[]))"
    " p(address, unit, starts, stops, carry) JOIN series_point s ON s.address = p.address"
    " CROSS JOIN LATERAL (SELECT bool_or(x.kind IN (1, 2) AND x.unit IS DISTINCT FROM coalesce(p.unit, x.unit)) AS odd,"
    "  string_agg(timestamptz_send(x.at) || float8send(coalesce(x.num, x.whole, 'NaN'))"
    "   || int2send(CAST(CASE WHEN x.kind IN (1, 2) THEN x.quality ELSE 2 END AS int2)), ''::bytea ORDER BY x.at)"
    "  AS rows"
    "  FROM (SELECT timestamptz 'epoch' + r.start * interval '1 microsecond' AS start,"
    "   timestamptz 'epoch' + r.stop * interval '1 microsecond' AS stop,"
    "   timestamptz 'epoch' + (r.start - p.carry) * interval '1 microsecond' AS oldest"
    "   FROM unnest(CAST(p.starts AS bigint[]), CAST(p.stops AS bigint[])) r(start, stop)) w CROSS JOIN LATERAL ("
    "    SELECT * FROM reading r WHERE r.point_id = s.id AND r.at >= w.start AND r.at < w.stop UNION ALL"
    "    (SELECT * FROM reading r WHERE r.point_id = s.id AND r.at < w.start AND r.at >= w.oldest"
    "     ORDER BY r.at DESC LIMIT 1)) x) f WHERE f.rows IS NOT NULL"
)
_CONFLICTS = text(
    "SELECT p.address FROM"
    " unnest(CAST(:points AS text[]), CAST(:starts AS timestamptz[]), CAST(:stops AS timestamptz[]))"
    " p(address, start, stop) JOIN series_point s ON s.address = p.address WHERE EXISTS (SELECT FROM reading_conflict c"
    " WHERE c.point_id = s.id AND c.at >= p.start AND c.at < p.stop)"
)


@dataclass(frozen=True, slots=True)
class WantedReadings:
    """Readings of a zone's points in the ranges, of which there are some, with each point's last one before each, at
    most `carry` older.
    """

    setup: ZoneSetup
    ranges: Runs
    carry: int


def load_traces(conn: Connection, wanted: Sequence[WantedReadings]) -> dict[int, Mapping[str, Sequence[Trace]]]:
    """By zone and quantity: the points' readings that are wanted.

    What lies between the ranges is not there, and nothing may be concluded about it. Raises DroppedRangeNeeded.
    """
    pairs = [(point, each) for each in wanted for point in each.setup.points]
    if not pairs:
        return {}
    require_each_present(
        conn,
        [
            (point.address, moment(start - each.carry), moment(stop))
            for point, each in pairs
            for start, stop in _near(each.ranges)
        ],
    )
    points = [point.address for point, _ in pairs]
    doubled = set(
        conn.execute(
            _CONFLICTS,
            {
                "points": points,
                "starts": [moment(each.ranges[0][0] - each.carry) for _, each in pairs],
                "stops": [moment(each.ranges[-1][1]) for _, each in pairs],
            },
        ).scalars()
    )
    starts = {each.setup.zone_id: _array(start for start, _ in each.ranges) for each in wanted}
    stops = {each.setup.zone_id: _array(stop for _, stop in each.ranges) for each in wanted}
    rows = conn.execute(
        _PACKED,
        {
            "points": points,
            "units": [CANONICAL.get(point.quantity) for point, _ in pairs],
            "starts": [starts[each.setup.zone_id] for _, each in pairs],
            "stops": [stops[each.setup.zone_id] for _, each in pairs],
            "carries": [each.carry for _, each in pairs],
        },
    ).all()
    packed = {address: np.frombuffer(data, _ROW) for address, _, data in rows}
    odd = doubled | {address for address, strange, _ in rows if strange}
    return {each.setup.zone_id: _traces(conn, each, packed, odd) for each in wanted}


def _traces(
    conn: Connection, each: WantedReadings, packed: Mapping[str, Rows], odd: Collection[str]
) -> Mapping[str, Sequence[Trace]]:
    setup = each.setup
    if setup.goods_present is not None or any(
        point.bounds is not None or point.address in odd for point in setup.points
    ):
        # second values, other units, implausible values and loggers: by the way that reads one by one
        return by_quantity(setup, load_readings(conn, setup, each.ranges[0][0], each.ranges[-1][1], each.carry))
    out: dict[str, list[Trace]] = defaultdict(list)
    for point in setup.points:
        out[point.quantity].append(_trace(point, packed.get(point.address, np.zeros(0, _ROW))))
    return out


def _array(numbers: Iterable[int]) -> str:
    return f"{{{','.join(map(str, numbers))}}}"


def _near(ranges: Runs) -> Runs:
    """The ranges, with those less than a day apart as one: what is put back is put back by the day."""
    out: Runs = []
    for a, b in ranges:
        if out and a - out[-1][1] < 24 * BUCKET:
            out[-1] = (out[-1][0], b)
        else:
            out.append((a, b))
    return out


def _trace(point: JudgedPoint, rows: Rows) -> Trace:
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
    return Trace(point.required, at, value - error, value + error, quality, point.installed_at or 0)
