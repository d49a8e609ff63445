"""The shipper: what has landed goes to the series store behind, batch by batch, and is marked when it is there.

It works apart from the ingest: a store that is down for an hour delays nothing but itself.
"""

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, Engine, insert, text
from sqlalchemy.exc import OperationalError

from core.erp.kernel.events import Events
from core.erp.kernel.unit import Unit, system, transact
from core.erp.kernel.words import Message
from core.ingest.alarms import clear_unshipped, raise_unshipped
from core.ingest.model import DeadLetter
from core.ingest.transaction import dead_reading_letter
from core.ingest.validation import Refusal
from core.series.landing import WEEK, partition_name
from core.series.port import SeriesStore, StoreRefused, StoreUnavailable
from core.series.rows import VALUE_COLUMNS, from_row
from core.series.shipped import add_shipped
from core.telemetry.reading import Reading

log = logging.getLogger("lotwise.ingest.shipper")

_UNSHIPPED = text(
    "SELECT id, gateway, first_at, last_at, landed_count FROM batch WHERE status = 'landed' AND landed_count > 0 "
    "ORDER BY id LIMIT :n"
)
_READINGS = text(
    f"SELECT r.batch_id, p.address, {', '.join('r.' + name for name in VALUE_COLUMNS.split(', '))} FROM reading r "  # noqa: S608 - our own column names
    "JOIN series_point p ON p.id = r.point_id WHERE r.batch_id = ANY(:ids) AND r.batch_id BETWEEN :low AND :high "
    "AND r.at >= :start AND r.at <= :stop"
)


_FIRST_TIME = text(
    "SELECT id FROM batch WHERE id = ANY(:ids) AND status = 'landed' AND shipped_at IS NULL ORDER BY id FOR UPDATE"
)
_SHIPPED = text(
    "UPDATE batch SET status = 'shipped', shipped_at = coalesce(shipped_at, :now) WHERE id = ANY(:ids)"
    " AND status = 'landed'"
)


class _Row(NamedTuple):
    """A batch to ship."""

    id: int
    gateway: str
    first_at: datetime
    last_at: datetime
    landed_count: int


@dataclass(frozen=True, slots=True)
class ShipOptions:
    """Bounds and paces: readings a write, pause when there is nothing, back-off while the store is away, and after how
    long of that somebody is called.
    """

    readings: int = 20_000
    batches: int = 2_000
    idle: timedelta = timedelta(seconds=1)
    backoff_first: timedelta = timedelta(seconds=1)
    backoff_most: timedelta = timedelta(seconds=30)
    alarm_after: timedelta = timedelta(minutes=1)


def ship(engine: Engine, store: SeriesStore, now: datetime, options: ShipOptions | None = None) -> int:
    """Ships one load of the oldest landed batches; gives how many batches it marked.

    No transaction is open while the store is written: two shippers would write the same twice, which is once. What
    was shipped is added up as it is marked, once (core.series.shipped). A reading that the store will never take
    becomes a dead letter; it stays in PostgreSQL. Raises StoreUnavailable.
    """
    options = options or ShipOptions()
    with engine.connect() as conn:
        batches = _load(conn, options)
        if not batches:
            return 0
        readings = _readings(conn, batches)
    refused: Sequence[tuple[Reading, Refusal]] = ()
    try:
        store.write([reading for some in readings.values() for reading in some])
    except StoreRefused as error:
        refused = [
            (one.reading, Refusal("series_store", Message("ingest.series_store_refused", why=one.reason)))
            for one in error.refused
        ]
        log.warning("the series store refused %d readings: %s", len(refused), error.refused[0].reason)
    gateways = {row.id: row.gateway for row in batches}
    with engine.begin() as conn:
        if refused:
            _write_dead_letters(conn, refused, readings, gateways, now)
        by_gateway: defaultdict[str, list[Reading]] = defaultdict(list)
        for batch_id in conn.execute(_FIRST_TIME, {"ids": list(gateways)}).scalars():
            by_gateway[gateways[batch_id]] += readings.get(batch_id, ())
        add_shipped(conn, by_gateway)
        conn.execute(_SHIPPED, {"now": now, "ids": list(gateways)})
    return len(batches)


def _load(conn: Connection, options: ShipOptions) -> list[_Row]:
    found: list[_Row] = []
    total = 0
    for row in conn.execute(_UNSHIPPED, {"n": options.batches}):
        found.append(_Row(*row))
        total += row.landed_count
        if total >= options.readings:
            break
    return found


def _readings(conn: Connection, batches: Sequence[_Row]) -> dict[int, list[Reading]]:
    found: defaultdict[int, list[Reading]] = defaultdict(list)
    rows = conn.execute(
        _READINGS,
        {
            "ids": [row.id for row in batches],
            "low": min(row.id for row in batches),
            "high": max(row.id for row in batches),
            "start": min(row.first_at for row in batches),
            "stop": max(row.last_at for row in batches),
        },
    )
    for batch_id, address, *values in rows:
        found[batch_id].append(from_row(address, values))
    return found


def _write_dead_letters(
    conn: Connection,
    refused: Sequence[tuple[Reading, Refusal]],
    readings: dict[int, list[Reading]],
    gateways: dict[int, str],
    now: datetime,
) -> None:
    owner = {(r.point, r.at): batch_id for batch_id, some in readings.items() for r in some}
    for reading, refusal in refused:
        batch_id = owner[reading.point, reading.at]
        known = conn.execute(
            text(
                "SELECT 1 FROM dead_letter WHERE kind = 'unstored' AND batch_id = :b AND point = :p "
                "AND reading_at = :at AND replayed_at IS NULL"
            ),
            {"b": batch_id, "p": reading.point, "at": reading.at},
        ).first()
        if known is None:
            conn.execute(
                insert(DeadLetter),
                [dead_reading_letter(now, gateways[batch_id], batch_id, reading, refusal, kind="unstored")],
            )


RESTORED_FOR = timedelta(hours=24)
"""How long what was put back stays: whoever needed it once soon needs it again."""
_LOCK_WAIT = "2s"


def prune(engine: Engine, now: datetime, hot_window: timedelta = timedelta(hours=24)) -> list[str]:
    """Drops weekly partitions that ended before the hot window and whose batches are all shipped; gives their names.

    To be called only where a series store behind is configured: without one the partitions are the series. A week
    that is in use just then is left for the next time.
    """
    with engine.connect() as conn:
        names = conn.execute(
            text(
                "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
                "WHERE i.inhparent = 'reading'::regclass ORDER BY 1"
            )
        ).scalars()
        weeks = {name: _week(name) for name in names.all()}
        due = {
            name: week
            for name, week in weeks.items()
            if week + WEEK <= now - hot_window and partition_name(week) == name and _all_shipped(conn, name, week, now)
        }
    return [name for name, week in due.items() if _drop(engine, name, week, now, hot_window)]


def _week(name: str) -> datetime:
    return datetime.strptime(name.removeprefix("reading_"), "%Y%m%d").replace(tzinfo=UTC)


_DROP = text("SELECT series_drop_week(:name, :hot)")
"""Looks again, behind a lock, whether all of it is shipped and cold, and drops it: the owner's function."""


def _drop(engine: Engine, name: str, week: datetime, now: datetime, hot: timedelta) -> bool:
    """Drops one week and writes down that it is gone; False where others are reading or writing just now."""
    try:
        with engine.begin() as conn:
            conn.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_WAIT}'"))
            if not conn.scalar(_DROP, {"name": name, "hot": hot}):
                return False
            conn.execute(
                text(
                    "INSERT INTO series_dropped (week, dropped_at) VALUES (:week, :now) "
                    "ON CONFLICT (week) DO UPDATE SET dropped_at = excluded.dropped_at"
                ),
                {"week": week, "now": now},
            )
            conn.execute(
                text("DELETE FROM reading_restored WHERE day >= :week AND day < :stop"),
                {"week": week, "stop": week + WEEK},
            )
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) not in _BUSY:
            raise
        log.info("partition %s is in use: dropped another time", name)
        return False
    log.warning("partition %s is shipped and past the hot window: dropped", name)
    return True


_BUSY = frozenset({"55P03", "40P01"})
_KEPT_WEEK = (
    "SELECT 1 FROM batch WHERE status = 'landed' AND landed_count > 0 AND first_at < :stop AND last_at >= :week",
    "SELECT 1 FROM reading_restored WHERE day >= :week AND day < :stop AND restored_at > :recent",
    # what the store will not take stands nowhere else
    "SELECT 1 FROM dead_letter WHERE kind = 'unstored' AND reading_at BETWEEN :week AND :stop AND replayed_at IS NULL",
)


def _all_shipped(conn: Connection, name: str, week: datetime, now: datetime) -> bool:
    values = {"week": week, "stop": week + WEEK, "recent": now - RESTORED_FOR}
    queries = (*_KEPT_WEEK, f'SELECT 1 FROM "{name}" WHERE batch_id IS NULL')  # noqa: S608 - a name from the catalog
    return all(conn.execute(text(query + " LIMIT 1"), values).first() is None for query in queries)


async def run_shipper(
    engine: Engine, store: SeriesStore, stop: asyncio.Event, options: ShipOptions | None = None
) -> None:
    """Ships until `stop` is set. A store or database that is away is waited for, told of once, and raises an alarm that
    stands until readings are taken again.
    """
    options = options or ShipOptions()
    wait = options.backoff_first.total_seconds()
    since: datetime | None = None
    alarmed, standing = False, True  # an alarm of an earlier life may stand: the first success clears it
    while not stop.is_set():
        now = datetime.now(UTC)
        try:
            shipped = await asyncio.to_thread(ship, engine, store, now, options)
            if alarmed or standing:
                await asyncio.to_thread(_set_alarm, engine, clear_unshipped)
            if since is not None:
                log.warning("the series store takes readings again")
            wait, since, alarmed, standing = options.backoff_first.total_seconds(), None, False, False
            pause = 0.0 if shipped else options.idle.total_seconds()
        except (StoreUnavailable, OperationalError) as problem:
            if since is None:
                log.warning("nothing can be shipped: %s", problem)
            since = since or now
            if not alarmed and now - since >= options.alarm_after:
                alarmed = await asyncio.to_thread(_alarm, engine, f"since {since.isoformat()}: {problem}")
            pause = wait
            wait = min(wait * 2, options.backoff_most.total_seconds())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause or 0.001)


def _alarm(engine: Engine, detail: str) -> bool:
    """Whether the alarm could be put down."""
    try:
        _set_alarm(engine, lambda u: raise_unshipped(u, Message("ingest.store_takes_nothing", why=detail)))
    except OperationalError as away:
        log.warning("alarm of the shipper not recorded yet: %s", away)
        return False
    return True


def _set_alarm(engine: Engine, what: Callable[[Unit], None]) -> None:
    transact(engine, system("shipper"), Events(), what)
