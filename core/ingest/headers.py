"""Headers of confirmed batches fold by the hour: a gateway cuts some 43 000 a day and partition, most of them empty.

A fold keeps how many there were, when, what became of their readings, and the chained hash of their hashes
(`core.telemetry.batch.chain`), so that delivery can still be proved; it is kept for a year. Only numbers that progress
has passed are folded: whatever is asked of them, they are confirmed.

Of an empty batch nothing but its header is here, so its row goes with the fold. One with readings keeps its row while
they are here; a tombstone, and one with dead readings, for good.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Engine, text

from core.ingest.chain import Key
from core.telemetry.batch import CHAIN_START, chain

FOLD_AFTER = timedelta(hours=2)
"""How long every header stays as it is, for whoever looks at what just came."""
REPLAYABLE = timedelta(hours=48)
"""How long a gateway may send a batch again: so long a number that comes with other content is found by its hash."""
FOLDS_KEPT = timedelta(days=366)
BATCH_SIZE = 5_000
"""Headers that one transaction folds at most."""

_LOCK = text("SELECT pg_try_advisory_xact_lock(1281852235)")
_RUNS = text(
    "SELECT p.gateway, p.epoch, p.partition FROM batch_progress p WHERE p.through > coalesce("
    " (SELECT f.last_number FROM batch_fold f WHERE f.gateway = p.gateway AND f.epoch = p.epoch"
    "  AND f.partition = p.partition ORDER BY f.first_number DESC LIMIT 1), 0)"
    " ORDER BY p.gateway, p.epoch, p.partition"
)
_KEY = "gateway = :g AND epoch = :e AND partition = :p"
_LAST = text(f"SELECT * FROM batch_fold WHERE {_KEY} ORDER BY first_number DESC LIMIT 1")  # noqa: S608 - a constant
_NEXT = text(
    f"SELECT number, site, sha256, cut_at, received_at FROM batch WHERE {_KEY} AND number > :folded"  # noqa: S608 - a constant
    f" AND number <= (SELECT through FROM batch_progress WHERE {_KEY}) ORDER BY number LIMIT :limit"
)
_KEEP = text(
    "INSERT INTO batch_fold (gateway, epoch, partition, first_number, last_number, site, hour, chain, gone, count,"
    " landed_count, duplicate_count, conflict_count, first_cut_at, last_cut_at, last_received_at, slowest)"
    " VALUES (:g, :e, :p, :first, :last, :site, :hour, :chain, 0, 0, 0, 0, 0, :cut, :cut_last, :received, 0)"
    " ON CONFLICT (gateway, epoch, partition, first_number) DO UPDATE SET last_number = excluded.last_number,"
    " chain = excluded.chain, last_cut_at = greatest(batch_fold.last_cut_at, excluded.last_cut_at),"
    " last_received_at = greatest(batch_fold.last_received_at, excluded.last_received_at)"
)
_EMPTY = "b.count = 0 AND b.landed_count + b.duplicate_count + b.conflict_count = 0"
# its readings were in weeks that were dropped after it was shipped, or it never had any of its own
_ELSEWHERE = """
    b.received_at < :before AND (b.landed_count = 0 OR b.status = 'shipped' AND (
        SELECT count(*) FROM series_dropped d WHERE d.dropped_at > b.shipped_at
        AND d.week > b.first_at - interval '7 days' AND d.week <= b.last_at
    ) = extract(epoch FROM date_trunc('week', b.last_at, 'UTC') - date_trunc('week', b.first_at, 'UTC')) / 604800 + 1)
"""
_REMOVE = """
WITH gone AS (
    DELETE FROM batch b USING batch_fold f WHERE b.gateway = :g AND b.epoch = :e AND b.partition = :p
    AND f.gateway = :g AND f.epoch = :e AND f.partition = :p AND b.number BETWEEN f.first_number AND f.last_number
    AND b.number > :after AND b.kind = 'readings' AND b.dead_count = 0 AND {which}
    RETURNING f.first_number AS fold, b.*
), sums AS (
    SELECT fold, count(*) AS gone, sum(count) AS count, sum(landed_count) AS landed, sum(duplicate_count) AS duplicate,
        sum(conflict_count) AS conflict, min(first_at) AS first_at, max(last_at) AS last_at,
        max(extract(epoch FROM received_at - cut_at)) AS slowest
    FROM gone GROUP BY fold
), told AS (
    UPDATE batch_fold f SET gone = f.gone + s.gone, count = f.count + s.count,
        landed_count = f.landed_count + s.landed, duplicate_count = f.duplicate_count + s.duplicate,
        conflict_count = f.conflict_count + s.conflict, first_at = least(f.first_at, s.first_at),
        last_at = greatest(f.last_at, s.last_at), slowest = greatest(f.slowest, s.slowest)
    FROM sums s WHERE f.gateway = :g AND f.epoch = :e AND f.partition = :p AND f.first_number = s.fold
)
SELECT count(*) FROM gone
"""
_REMOVE_EMPTY = text(_REMOVE.format(which=_EMPTY))
_REMOVE_ELSEWHERE = text(
    _REMOVE.format(
        which=f"{_ELSEWHERE} AND NOT EXISTS (SELECT FROM dead_letter d WHERE d.batch_id = b.id"
        " AND d.kind = 'unstored' AND d.replayed_at IS NULL)"
    )
)
# the last fold of a run says how far it is folded
_DELETE_OLD = text(
    "DELETE FROM batch_fold f WHERE f.last_received_at < :before AND EXISTS (SELECT FROM batch_fold l WHERE"
    " l.gateway = f.gateway AND l.epoch = f.epoch AND l.partition = f.partition AND l.first_number > f.first_number)"
)


@dataclass(slots=True)
class _Fold:
    """A run of numbers of one hour, as it grows."""

    first: int
    site: str
    hour: datetime
    cut: datetime
    cut_last: datetime
    received: datetime
    last: int = 0
    chain: bytes = CHAIN_START


def fold_headers(engine: Engine, now: datetime) -> int:
    """Folds what has been here for FOLD_AFTER, removes the rows of what was empty, and deletes folds past FOLDS_KEPT.

    Many short transactions; does nothing while another worker is at it. Gives how many rows were removed.
    """
    with engine.connect() as conn:
        runs = [Key(*row) for row in conn.execute(_RUNS)]
    removed = 0
    for key in runs:
        more = True
        while more:
            with engine.begin() as conn:
                if not conn.execute(_LOCK).scalar_one():
                    return removed
                more, gone = _fold_run(conn, key, now - FOLD_AFTER)
                removed += gone
    with engine.begin() as conn:
        conn.execute(_DELETE_OLD, {"before": now - FOLDS_KEPT})
    return removed


def delete_old_headers(engine: Engine, now: datetime) -> int:
    """Removes the rows of folded batches whose readings are no longer here: shipped, and their weeks dropped.

    To be called after weeks were dropped. Gives how many rows were removed.
    """
    with engine.connect() as conn:
        runs = [Key(*row) for row in conn.execute(text("SELECT DISTINCT gateway, epoch, partition FROM batch_fold"))]
    removed = 0
    for key in sorted(runs):
        with engine.begin() as conn:
            if not conn.execute(_LOCK).scalar_one():
                return removed
            values = {**_named(key), "after": 0, "before": now - REPLAYABLE}
            removed += conn.execute(_REMOVE_ELSEWHERE, values).scalar_one()
    return removed


def _named(key: Key) -> dict[str, Any]:
    return {"g": key.gateway, "e": key.epoch, "p": key.partition}


def _fold_run(conn: Connection, key: Key, before: datetime) -> tuple[bool, int]:
    """Folds a run's next headers: whether there may be more, and how many rows went."""
    last = conn.execute(_LAST, _named(key)).first()
    folded = last.last_number if last is not None else 0
    rows = conn.execute(_NEXT, {**_named(key), "folded": folded, "limit": BATCH_SIZE}).all()
    due = list(_due(rows, folded, before))
    open_fold = None
    if last is not None:
        open_fold = _Fold(
            last.first_number,
            last.site,
            last.hour,
            last.first_cut_at,
            last.last_cut_at,
            last.last_received_at,
            last.last_number,
            bytes(last.chain),
        )
    for fold in _folds(due, open_fold):
        conn.execute(
            _KEEP,
            {
                **_named(key),
                "first": fold.first,
                "last": fold.last,
                "site": fold.site,
                "hour": fold.hour,
                "chain": fold.chain,
                "cut": fold.cut,
                "cut_last": fold.cut_last,
                "received": fold.received,
            },
        )
    gone: int = conn.execute(_REMOVE_EMPTY, {**_named(key), "after": folded}).scalar_one() if due else 0
    return len(due) == BATCH_SIZE, gone


def _due(rows: Sequence[Any], folded: int, before: datetime) -> Iterator[Any]:
    """Those that follow each other without a hole and have been here long enough."""
    for expected, row in enumerate(rows, start=folded + 1):
        if row.number != expected or row.received_at >= before:
            return
        yield row


def _hour(row: Any) -> datetime:
    at: datetime = row.cut_at
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _folds(rows: Sequence[Any], fold: _Fold | None) -> Iterator[_Fold]:
    """The folds that the rows make, the first of them perhaps going on where the last one ended."""
    for hour, run in groupby(rows, key=_hour):
        for row in run:
            if fold is None or fold.hour != hour:
                fold = _Fold(row.number, row.site, hour, row.cut_at, row.cut_at, row.received_at)
            fold.last, fold.chain = row.number, chain(fold.chain, bytes(row.sha256))
            fold.cut_last = max(fold.cut_last, row.cut_at)
            fold.received = max(fold.received, row.received_at)
        assert fold is not None
        yield fold
