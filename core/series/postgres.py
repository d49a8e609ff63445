"""The series port on the landing table of PostgreSQL, partitioned by week."""

# ruff: noqa: S608 - what is put into the texts are lists of our own column names; values are parameters

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DataError, OperationalError

from core.series.dropped_ranges import require_present
from core.series.landing import write_rows
from core.series.port import Bucket, RefusedReading, StoreRefused, StoreUnavailable, width
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
_DOWNSAMPLE = text(
    "SELECT div((extract(epoch FROM r.at - :start) * 1000000)::numeric, :step) AS column, "
    "min(n), max(n), avg(n), count(n) "
    "FROM (SELECT r.at, coalesce(r.num, r.whole::float8) AS n FROM reading r "
    "      WHERE r.point_id = (SELECT id FROM series_point WHERE address = :point) "
    "      AND r.at >= :start AND r.at < :stop AND r.kind IN (1, 2) AND r.quality < :bad) r "
    "GROUP BY 1 ORDER BY 1"
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
        step = width(start, stop, pixels)
        with self._open() as conn:
            rows = conn.execute(
                _DOWNSAMPLE,
                {
                    "point": point,
                    "start": start,
                    "stop": stop,
                    "step": step // timedelta(microseconds=1),
                    "bad": int(Quality.BAD),
                },
            ).all()
            self._check(conn, point, start, stop)
            zero = start.astimezone(UTC)
            return [Bucket(zero + int(index) * step, low, high, mean, count) for index, low, high, mean, count in rows]


def _unstorable(reading: Reading) -> bool:
    return "\0" in reading.unit or "\0" in reading.reason or (isinstance(reading.value, str) and "\0" in reading.value)
