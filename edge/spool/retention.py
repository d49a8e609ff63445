"""What the spool forgets, and when: payloads after their replay window, headers into hourly folds, folds after a year.

A fold says of a run of batches within an hour: first and last number, how many batches and readings, their time
range, and the chained hash of their hashes (`core.telemetry.batch.chain`), so that delivery can still be proved. Where
a tombstone stands for readings that may have arrived all the same, nobody here knows under which hash the core has
that number: such a fold has no chained hash, and only its numbers can be compared.
"""

import itertools
import operator
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from core.telemetry.batch import CHAIN_START, chain
from edge.spool.records import micros
from edge.spool.store import Rows

HOUR = 3_600_000_000
AT_ONCE = 5_000
"""Rows a housekeeping transaction touches at most, so that keeping never waits long behind it."""


def prune(rows: Rows, now: datetime) -> bool:
    """One bounded round of forgetting. True if there is more to do."""
    before = micros(now - rows.options.keep_confirmed)
    rows.flush_kept()
    payloads = _drop_payloads(rows, before)
    headers = 0
    for epoch, partition in rows.db.execute("SELECT epoch, partition FROM counter").fetchall():
        headers += _fold_headers(rows, epoch, partition, before, AT_ONCE - headers)
        if headers >= AT_ONCE:
            break
    rows.db.execute("DELETE FROM fold WHERE hour < ?", (micros(now - rows.options.keep_headers),))
    return payloads == AT_ONCE or headers >= AT_ONCE


def _drop_payloads(rows: Rows, before: int) -> int:
    found = rows.db.execute(
        "SELECT b.id, b.size FROM batch b INDEXED BY batch_done CROSS JOIN payload p ON p.batch = b.id"
        " WHERE b.confirmed_at < ? LIMIT ?",
        (before, AT_ONCE),
    ).fetchall()
    rows.db.executemany("DELETE FROM payload WHERE batch = ?", [(row_id,) for row_id, _ in found])
    rows.kept_bytes -= sum(size for _, size in found)
    return len(found)


def _fold_headers(rows: Rows, epoch: int, partition: int, before: int, limit: int) -> int:
    """Folds a partition's oldest headers, in number order and only up to the first that must stay."""
    found = rows.db.execute(
        "SELECT b.id, b.number, iif(b.replaced IS NULL, b.sha256, NULL), b.count, b.first_at, b.last_at, b.cut_at,"
        " coalesce(b.confirmed_at < ?, 0) AND p.batch IS NULL FROM batch b LEFT JOIN payload p ON p.batch = b.id"
        " WHERE b.epoch = ? AND b.partition = ? ORDER BY b.number LIMIT ?",
        (before, epoch, partition, limit),
    )
    # not fetched whole: mostly the first must stay already
    done = list(itertools.takewhile(operator.itemgetter(7), found))
    found.close()
    for row in done:
        _fold(rows, epoch, partition, row[1:7])
    rows.db.executemany("DELETE FROM batch WHERE id = ?", [(row[0],) for row in done])
    return len(done)


def _fold(rows: Rows, epoch: int, partition: int, header: Sequence[Any]) -> None:
    number, sha256, count, first_at, last_at, cut_at = header
    hour = cut_at - cut_at % HOUR
    known = rows.db.execute(
        "SELECT first_number, batches, count, first_at, last_at, chain FROM fold"
        " WHERE epoch = ? AND partition = ? AND hour = ? AND last_number = ?",
        (epoch, partition, hour, number - 1),
    ).fetchone()
    first_number, batches, total, first, last, link = known or (number, 0, 0, None, None, CHAIN_START)
    rows.db.execute(
        "INSERT OR REPLACE INTO fold (epoch, partition, first_number, hour, last_number, batches, count, first_at,"
        " last_at, chain) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            epoch,
            partition,
            first_number,
            hour,
            number,
            batches + 1,
            total + count,
            min((t for t in (first, first_at) if t is not None), default=None),
            max((t for t in (last, last_at) if t is not None), default=None),
            chain(link, sha256) if link and sha256 else b"",
        ),
    )
