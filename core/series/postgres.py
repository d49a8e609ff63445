"""The series port on the landing table of PostgreSQL, partitioned by week."""

# ruff: noqa: S608 - what is put into the texts are lists of our own column names; values are parameters

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, TextClause, text
from sqlalchemy.exc import DataError, OperationalError

from core.series.dropped_ranges import require_present
from core.series.landing import write_rows
from core.series.port import Bucket, RefusedReading, Silence, StoreRefused, StoreUnavailable, width
from core.series.rows import VALUE_COLUMNS, from_row
from core.telemetry.quality import Quality
from core.telemetry.reading import Reading

_VALUES = ", ".join("r." + name for name in VALUE_COLUMNS.split(", "))
_READ = text(
    f"SELECT {_VALUES} FROM reading r WHERE r.point_id = (SELECT id FROM series_point WHERE address = :point) "
    "AND r.at >= :start AND r.at < :stop ORDER BY r.at"
)
_BEFORE = text(
    f"SELECT {_VALUES} FROM reading r WHERE r.point_id = (SELECT id FROM series_point WHERE address = :point) "
    "AND r.at < :at ORDER BY r.at DESC LIMIT 1"
)
_LAST = text(
    f"SELECT p.address, {_VALUES} FROM series_point p "
    "CROSS JOIN LATERAL (SELECT * FROM reading r WHERE r.point_id = p.id ORDER BY r.at DESC LIMIT 1) r "
    "WHERE p.address = ANY(:points)"
)
_USABLE = "r.kind IN (1, 2) AND r.quality < :bad"
# a column at a time, so that nothing is sorted: the index has the readings in order
_DOWNSAMPLE = text(
    "SELECT c.start, x.* FROM (SELECT id FROM series_point WHERE address = :point) p CROSS JOIN LATERAL ("
    " SELECT i, :start + i * step AS start, step FROM ("
    " SELECT cast(:step AS bigint) * interval '1 microsecond' AS step) s, generate_series(0, :pixels - 1) i) c"
    " CROSS JOIN LATERAL (SELECT min(n), max(n), avg(n), count(n) AS some, count(n) FILTER (WHERE quality = :uncertain)"
    " FROM (SELECT coalesce(r.num, r.whole::float8) AS n, r.quality FROM reading r WHERE r.point_id = p.id"
    " AND r.at >= c.start AND r.at < c.start + c.step AND r.at < :stop"
    f" AND {_USABLE}) r) x WHERE x.some > 0 ORDER BY c.i"
)
_SILENCES = text(
    "WITH usable AS NOT MATERIALIZED (SELECT r.at FROM reading r"
    f" WHERE r.point_id = (SELECT id FROM series_point WHERE address = :point) AND r.at >= :start AND r.at < :stop"
    f" AND {_USABLE})"
    # nothing longer than `longest` goes unseen between bins of half as much
    " SELECT last, next FROM (SELECT last, lead(first, 1, :stop) OVER (ORDER BY first) AS next FROM ("
    " SELECT min(at) AS first, max(at) AS last FROM usable GROUP BY date_bin(:bin, at, :start)) bins) spans"
    " WHERE next - last > :longest"
    " UNION ALL SELECT :start, first FROM ("
    " SELECT coalesce((SELECT at FROM usable ORDER BY at LIMIT 1), :stop) AS first) beginning"
    " WHERE first - :start > :longest ORDER BY 1"
)


class PostgresStore:
    """Readings in PostgreSQL. Works through an Engine, or inside a transaction through its Connection.

    Inside a transaction a range that was dropped raises DroppedRangeNeeded, which the transaction's door answers by
    putting it back. Through an Engine only what is there is read: see `restoring.series_of`.
    """

    def __init__(self, bind: Engine | Connection) -> None:
        self._bind = bind

    @contextmanager
    def _open(self) -> Iterator[Connection]:
        try:
            if isinstance(self._bind, Engine):
                with self._bind.begin() as conn:
                    yield conn
            else:
                yield self._bind
        except OperationalError as error:
            raise StoreUnavailable(f"PostgreSQL: {error.orig}") from error

    def _check(self, conn: Connection, point: str, start: datetime, stop: datetime) -> None:
        if self._bind is conn:
            require_present(conn, [point], start, stop)

    def write(self, readings: Sequence[Reading]) -> None:
        """Stores them; the first value at a key stays. Text that PostgreSQL cannot hold (NUL) is refused by itself."""
        refused = [RefusedReading(r, "text with a NUL") for r in readings if _unstorable(r)]
        good = [r for r in readings if not _unstorable(r)] if refused else readings
        try:
            with self._open() as conn:
                write_rows(conn, good)
        except DataError as error:
            raise StoreUnavailable(f"PostgreSQL: {error.orig}") from error
        if refused:
            raise StoreRefused(refused)

    def read(self, point: str, start: datetime, stop: datetime) -> list[Reading]:
        """Readings with start <= at < stop."""
        with self._open() as conn:
            rows = conn.execute(_READ, {"point": point, "start": start, "stop": stop}).all()
            self._check(conn, point, start, stop)
            return [from_row(point, row) for row in rows]

    def last(self, points: Collection[str]) -> dict[str, Reading]:
        """The latest reading of each."""
        with self._open() as conn:
            rows = conn.execute(_LAST, {"points": list(points)})
            return {row[0]: from_row(row[0], row[1:]) for row in rows}

    def before(self, point: str, at: datetime) -> Reading | None:
        """The latest before `at`."""
        with self._open() as conn:
            row: Any = conn.execute(_BEFORE, {"point": point, "at": at}).first()
            return from_row(point, row) if row is not None else None

    def downsample(self, point: str, start: datetime, stop: datetime, pixels: int) -> list[Bucket]:
        """Columns of a chart."""
        asked = {
            "step": width(start, stop, pixels) // timedelta(microseconds=1),
            "pixels": pixels,
            "uncertain": int(Quality.UNCERTAIN),
        }
        rows = self._rows(_DOWNSAMPLE, point, start, stop, asked)
        return [
            Bucket(begins.astimezone(UTC), low, high, mean, count, unsure)
            for begins, low, high, mean, count, unsure in rows
        ]

    def silences(self, point: str, start: datetime, stop: datetime, longest: timedelta) -> list[Silence]:
        """Stretches longer than `longest` without a usable number."""
        if stop <= start:
            return []
        asked = {"longest": longest, "bin": max(longest / 2, timedelta(microseconds=1))}
        rows = self._rows(_SILENCES, point, start, stop, asked)
        return [(last.astimezone(UTC), following.astimezone(UTC)) for last, following in rows]

    def _rows(
        self, query: TextClause, point: str, start: datetime, stop: datetime, asked: Mapping[str, object]
    ) -> Sequence[Any]:
        bounds = {"point": point, "start": start, "stop": stop, "bad": int(Quality.BAD)}
        with self._open() as conn:
            rows = conn.execute(query, {**bounds, **asked}).all()
            self._check(conn, point, start, stop)
            return rows


def _unstorable(reading: Reading) -> bool:
    return "\0" in reading.unit or "\0" in reading.reason or (isinstance(reading.value, str) and "\0" in reading.value)
