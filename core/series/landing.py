"""Landing readings in PostgreSQL: binary COPY, and a key (point, at) that decides new, duplicate or conflict."""

# ruff: noqa: S608 - what is put into the texts are lists of our own column names; values are parameters

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import psycopg
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from core.series.dropped_ranges import require_keys_present
from core.series.rows import COLUMNS, TYPES, VALUE_COLUMNS, from_row, to_row
from core.telemetry.reading import Reading

P = ParamSpec("P")
T = TypeVar("T")

WEEK = timedelta(days=7)
_MONDAY = datetime(1999, 12, 27, tzinfo=UTC)
_NAMES = ", ".join(COLUMNS)
_COPY = f"COPY landing (seq, {_NAMES}) FROM STDIN (FORMAT BINARY)"


@dataclass(frozen=True, slots=True)
class Landed:
    """What came of readings handed to `land`; indices are their places in the call.

    `conflicts` are (first, second): the first is in the series, the second in `reading_conflict`.
    """

    new: tuple[int, ...] = ()
    duplicates: tuple[int, ...] = ()
    conflicts: tuple[tuple[int, Reading, Reading], ...] = ()


def same_value(first: Reading, second: Reading) -> bool:
    """Whether two readings at one key say the same: value, unit and quality.

    The gateway's receipt may differ: a history read after a break tells a value again that was heard live.
    """
    return (
        first.value == second.value
        and isinstance(first.value, bool) == isinstance(second.value, bool)
        and first.unit == second.unit
        and first.quality is second.quality
    )


def driver(conn: Connection) -> psycopg.Connection[Any]:
    """The driver's own connection under a SQLAlchemy one, in the same transaction."""
    raw = conn.connection.driver_connection
    if not isinstance(raw, psycopg.Connection):
        raise TypeError(f"readings land through psycopg, not {type(raw).__name__}")
    return raw


def _rows_written(work: Callable[Concatenate[Connection, P], T]) -> Callable[Concatenate[Connection, P], T]:
    """What the driver says of its connection or of a deadlock is told as of any other statement: OperationalError."""

    @wraps(work)
    def inner(conn: Connection, /, *args: P.args, **named: P.kwargs) -> T:
        raw = driver(conn)
        try:
            return work(conn, *args, **named)
        except psycopg.OperationalError as error:
            if raw.closed:
                conn.invalidate(error)
            raise OperationalError("landing", None, error, connection_invalidated=raw.closed) from error

    return inner


@_rows_written
def land(
    conn: Connection,
    readings: Sequence[Reading],
    batch_ids: Sequence[int | None],
    now: datetime,
) -> Landed:
    """Lands readings[i] under batch_ids[i] in the caller's transaction and says what was new.

    The first value at a key stays; an equal one is a duplicate; a different one goes to `reading_conflict`. Nothing may
    have landed under these batches before: by that new and standing are told apart. Raises DroppedRangeNeeded where
    what stood at a key is no longer here to compare with.
    """
    if len(readings) != len(batch_ids):
        raise ValueError(f"{len(readings)} readings under {len(batch_ids)} batches")
    if not readings:
        return Landed()
    raw = driver(conn)
    firsts, repeats = _by_key(readings)
    ids = point_ids(raw, {point for point, _ in firsts})
    standing = dict(_copy(raw, readings, batch_ids, firsts.values(), ids))
    require_keys_present(conn, firsts, now)
    duplicates: list[int] = []
    conflicts: list[tuple[int, Reading, Reading]] = []
    for seq in [*standing, *repeats]:
        second = readings[seq]
        place = firsts[second.point, second.at]
        first = standing.get(place, readings[place])
        if same_value(first, second):
            duplicates.append(seq)
        else:
            conflicts.append((seq, first, second))
    if conflicts:
        _keep_conflicts(raw, [(ids[two.point], two, batch_ids[seq]) for seq, _, two in conflicts], now)
    new = tuple(seq for seq in firsts.values() if seq not in standing)
    return Landed(new, tuple(duplicates), tuple(conflicts))


def _by_key(readings: Sequence[Reading]) -> tuple[dict[tuple[str, datetime], int], list[int]]:
    """The place of the first reading of each key, and the places of those that repeat a key."""
    firsts: dict[tuple[str, datetime], int] = {}
    repeats = [seq for seq, each in enumerate(readings) if firsts.setdefault((each.point, each.at), seq) != seq]
    return firsts, repeats


def point_ids(raw: psycopg.Connection[Any], points: Iterable[str]) -> dict[str, int]:
    """The number of each point, given to it if it has none. Sorted, so that two writers meet in one order."""
    wanted = sorted(points)
    query = "SELECT address, id FROM series_point WHERE address = ANY(%s)"
    ids: dict[str, int] = dict(raw.execute(query, [wanted]).fetchall())
    missing = [point for point in wanted if point not in ids]
    if missing:
        raw.execute(
            "INSERT INTO series_point (address) SELECT unnest(%s::text[]) ON CONFLICT (address) DO NOTHING", [missing]
        )
        ids.update(raw.execute(query, [missing]).fetchall())
    return ids


def _copy(
    raw: psycopg.Connection[Any],
    readings: Sequence[Reading],
    batch_ids: Sequence[int | None],
    seqs: Iterable[int],
    ids: dict[str, int],
) -> list[tuple[int, Reading]]:
    """Copies and inserts; gives the place and the standing reading of every row whose key was taken."""
    order = list(seqs)
    ensure_weeks(raw, {week_of(readings[seq].at) for seq in order})
    columns = ", ".join(f"{name} {kind}" for name, kind in zip(COLUMNS, TYPES, strict=True))
    raw.execute(f"CREATE TEMPORARY TABLE IF NOT EXISTS landing (seq int4, {columns}) ON COMMIT DELETE ROWS")
    raw.execute("DELETE FROM landing")
    with raw.cursor() as cursor:
        with cursor.copy(_COPY) as copy:
            copy.set_types(["int4", *TYPES])
            for seq in order:
                reading = readings[seq]
                copy.write_row((seq, *to_row(reading, ids[reading.point], batch_ids[seq])))
        cursor.execute(
            f"INSERT INTO reading ({_NAMES}) SELECT {_NAMES} FROM landing ON CONFLICT (point_id, at) DO NOTHING"
        )
        if cursor.rowcount == len(order):
            return []
        # probed one by one: without statistics on the temporary table the planner would scan all readings
        cursor.execute(
            f"SELECT l.seq, {', '.join('r.' + name for name in VALUE_COLUMNS.split(', '))} FROM landing l, "
            "LATERAL (SELECT * FROM reading r WHERE r.point_id = l.point_id AND r.at = l.at LIMIT 1) r "
            "WHERE r.batch_id IS DISTINCT FROM l.batch_id"
        )
        return [(row[0], from_row(readings[row[0]].point, row[1:])) for row in cursor.fetchall()]


@_rows_written
def write_rows(conn: Connection, readings: Sequence[Reading]) -> None:
    """Stores readings that came in no batch; the first value at a key stays."""
    if readings:
        raw = driver(conn)
        firsts, _ = _by_key(readings)
        ids = point_ids(raw, {point for point, _ in firsts})
        _copy(raw, readings, [None] * len(readings), firsts.values(), ids)


RESTORED = 0
"""The batch of readings that came back from the store behind; their own batch is confirmed and shipped."""


@_rows_written
def restore_readings(conn: Connection, readings: Sequence[Reading]) -> None:
    """Readings from the store behind take their places again; what stands at a key stays."""
    if readings:
        raw = driver(conn)
        firsts, _ = _by_key(readings)
        ids = point_ids(raw, {point for point, _ in firsts})
        _copy(raw, readings, [RESTORED] * len(readings), firsts.values(), ids)


def _keep_conflicts(raw: psycopg.Connection[Any], rows: list[tuple[int, Reading, int | None]], now: datetime) -> None:
    marks = ", ".join(["%s"] * (len(COLUMNS) + 1))
    with raw.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO reading_conflict ({_NAMES}, known_at) VALUES ({marks})",
            [(*to_row(reading, point_id, batch_id), now) for point_id, reading, batch_id in rows],
        )


def week_of(at: datetime) -> datetime:
    """The Monday, 00:00 UTC, whose week the instant is in."""
    return _MONDAY + (at - _MONDAY) // WEEK * WEEK


def partition_name(week: datetime) -> str:
    """The name of a week's partition."""
    return f"reading_{week:%Y%m%d}"


def ensure_weeks(raw: psycopg.Connection[Any], weeks: Iterable[datetime]) -> None:
    """Makes the partitions that are missing.

    Made apart and attached: that locks only other makers out, where CREATE … PARTITION OF would wait for, and stop,
    every reader and writer of readings.
    """
    names = {partition_name(week): week for week in weeks}
    if not _missing(raw, names):
        return
    raw.execute("SELECT pg_advisory_xact_lock(hashtext('reading partitions'))")
    for name in _missing(raw, names):
        start = names[name]
        raw.execute("SELECT series_make_week(%s, %s, %s)", [name, start, start + WEEK])


def _missing(raw: psycopg.Connection[Any], names: Iterable[str]) -> list[str]:
    # asked of the catalog itself: to_regclass may answer from a cache that has not heard of what was just committed
    rows = raw.execute(
        "SELECT n FROM unnest(%s::text[]) n WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.relname = n "
        "AND c.relnamespace = current_schema()::regnamespace) ORDER BY n",
        [sorted(names)],
    )
    return [name for (name,) in rows]
