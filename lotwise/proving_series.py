"""The series side of a proof: what landed is in PostgreSQL under its batch, and what is shipped is in the store behind.

Readings that are in both are compared one by one. Weeks that PostgreSQL has dropped are read from the store behind and
compared, point by point and day by day, with the count and the fingerprint that were put down as they were shipped.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, text

from core.series.dropped_ranges import DAY, day_of, dropped_spans
from core.series.port import SeriesStore
from core.series.rows import VALUE_COLUMNS, from_row
from core.series.shipped import shipped, totals_of
from core.telemetry.batch import encode
from core.telemetry.reading import Reading
from lotwise.proof import Report
from lotwise.proving_headers import Confirmed

Span = tuple[datetime, datetime]
_US = timedelta(microseconds=1)
_CHUNK = 500
_LANDED = text(
    f"SELECT r.batch_id, p.address, {', '.join('r.' + name for name in VALUE_COLUMNS.split(', '))} FROM reading r "  # noqa: S608 - our own column names
    "JOIN series_point p ON p.id = r.point_id WHERE r.batch_id = ANY(:ids) AND r.batch_id BETWEEN :low AND :high "
    "AND r.at BETWEEN :start AND :stop ORDER BY p.address, r.at"
)
_WAITING = text(
    "SELECT p.address, r.at FROM batch b JOIN reading r ON r.batch_id = b.id AND r.at BETWEEN b.first_at AND b.last_at"
    " JOIN series_point p ON p.id = r.point_id WHERE b.status = 'landed' AND b.landed_count > 0"
    " AND b.first_at < :stop AND b.last_at >= :start"
)


def compare_series(report: Report, conn: Connection, confirmed: Confirmed, series: SeriesStore | None) -> None:
    """Counts what landed under each batch and compares what is shipped with the store behind, None without one.

    Raises StoreUnavailable.
    """
    rows = sorted((row for row in confirmed.rows if row.landed_count), key=attrgetter("id"))
    folds = [fold for fold in confirmed.folds if fold.landed_count]
    away = _dropped(conn, [*rows, *folds])
    ours: defaultdict[str, list[Reading]] = defaultdict(list)
    gone: list[Any] = list(folds)
    hashed = hashlib.sha256()
    count = sum(fold.landed_count for fold in folds)
    waiting = 0
    for row, readings in _landed(conn, rows):
        report.series.batches += 1
        report.series.readings += len(readings)
        for reading in readings:
            hashed.update(encode(reading))
        lacking = row.landed_count - len(readings)
        if lacking > 0 and row.status == "shipped" and any(_overlap(row, span) for span in away):
            gone.append(row)
            count += lacking
        elif lacking:
            detail = f"{row.landed_count} landed, {len(readings)} are in PostgreSQL"
            report.differ("count", detail, row.epoch, row.partition, row.number)
        if row.status != "shipped":
            waiting += row.landed_count
            continue
        for reading in readings:
            ours[reading.point].append(reading)
    report.series.more["sha256"] = hashed.hexdigest()
    if series is None:
        if count:
            report.differ(
                "count",
                f"{count} readings were shipped and dropped from PostgreSQL, and no series store is "
                "configured to compare with (LOTWISE_INFLUX_URL)",
            )
        return
    report.series.more["waiting to be shipped"] = waiting
    _compare(report, conn, ours, series)
    if gone:
        report.series.batches += sum(getattr(each, "gone", 0) for each in gone)
        report.series.readings += count
        report.series.more["shipped and dropped from PostgreSQL"] = count
        _compare_days(report, conn, gone, away, series)


def _dropped(conn: Connection, headers: Sequence[Any]) -> list[Span]:
    if not headers:
        return []
    return dropped_spans(conn, min(each.first_at for each in headers), max(each.last_at for each in headers) + _US)


def _overlap(header: Any, span: Span) -> bool:
    return bool(header.first_at < span[1] and header.last_at >= span[0])


def _landed(conn: Connection, rows: Sequence[Any]) -> Iterator[tuple[Any, list[Reading]]]:
    """Each batch with what PostgreSQL holds under it, by point and time."""
    for first in range(0, len(rows), _CHUNK):
        some = rows[first : first + _CHUNK]
        found: defaultdict[int, list[Reading]] = defaultdict(list)
        values = conn.execute(
            _LANDED,
            {
                "ids": [row.id for row in some],
                "low": some[0].id,
                "high": some[-1].id,
                "start": min(row.first_at for row in some),
                "stop": max(row.last_at for row in some),
            },
        )
        for batch_id, address, *columns in values:
            found[batch_id].append(from_row(address, columns))
        for row in some:
            yield row, found[row.id]


def _compare(report: Report, conn: Connection, ours: dict[str, list[Reading]], series: SeriesStore) -> None:
    """Readings that are here, one by one."""
    refused = _refused(conn)
    equal = 0
    for point, readings in sorted(ours.items()):
        start, stop = min(r.at for r in readings), max(r.at for r in readings) + _US
        theirs = {reading.at: reading for reading in series.read(point, start, stop)}
        for reading in readings:
            if theirs.get(reading.at) == reading:
                equal += 1
            elif (point, reading.at) not in refused:
                kind = "unlike" if reading.at in theirs else "absent"
                report.differ(kind, f"{point} at {reading.at.isoformat()} is {kind} in the series store")
    report.series.more["equal in the series store"] = equal


def _refused(conn: Connection) -> set[tuple[str, datetime]]:
    rows = conn.execute(text("SELECT point, reading_at FROM dead_letter WHERE kind = 'unstored'"))
    return {(point, at) for point, at in rows}


def _compare_days(
    report: Report, conn: Connection, gone: Iterable[Any], away: Sequence[Span], series: SeriesStore
) -> None:
    """Days that are no longer here, by count and fingerprint."""
    days = sorted({day for totals in gone for span in away if _overlap(totals, span) for day in _days(totals, span)})
    if not days:
        report.differ("count", "readings of folded batches are neither in PostgreSQL nor in a week that was dropped")
        return
    expected = shipped(conn, report.gateway, days[0], days[-1] + DAY)
    waiting = {(row.address, row.at) for row in conn.execute(_WAITING, {"start": days[0], "stop": days[-1] + DAY})}
    for day in set(days) - {day for _, day in expected}:
        report.differ("absent", f"{day:%Y-%m-%d}: nothing is on record of what was shipped and dropped")
    compared = equal = 0
    for (point, day), totals in expected.items():
        if day not in days:
            continue
        found = totals_of(r for r in series.read(point, day, day + DAY) if (point, r.at) not in waiting)
        compared += 1
        if found == totals:
            equal += totals.count
            continue
        kind = "absent" if found.count < totals.count else "unlike" if found.count == totals.count else "foreign"
        has = "other values" if kind == "unlike" else f"{found.count}"
        report.differ(
            kind, f"{point} on {day:%Y-%m-%d}: {totals.count} readings were shipped, the series store has {has}"
        )
    report.series.more |= {
        "point days compared by fingerprint": compared,
        "equal by fingerprint in the series store": equal,
    }


def _days(header: Any, span: Span) -> list[datetime]:
    day, last = day_of(max(header.first_at, span[0])), min(header.last_at, span[1] - _US)
    out = []
    while day <= last:
        out.append(day)
        day += DAY
    return out
