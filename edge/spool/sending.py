"""Batches on their way out: which are next, which the stream took, and what stands for one that can no longer be sent.

Functions over the spool's rows, each inside the writer's transaction.
"""

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from core.telemetry.address import partition_now, zone_of
from core.telemetry.batch import Body, Header, digest, encode_body
from edge.spool.cutting import lost_tombstone, partition_of_point
from edge.spool.records import SentMark, SpooledBatch, micros, moment, moment_or_none
from edge.spool.store import Rows

log = logging.getLogger("lotwise.edge.spool")

_HEADER = "e.epoch, e.site, b.partition, b.number, b.kind, b.sha256, b.count, b.first_at, b.last_at, b.cut_at"
DAMAGED, LOST = "damaged in the spool", "spool_damaged"
"""Why it is put aside, and the code of the gap that is left."""
"""Why a gap stands for a batch whose bytes are no longer those that were cut."""


def unsent(rows: Rows, limit: int, except_ids: frozenset[int], now: datetime) -> list[SpooledBatch]:
    """The oldest batches that the stream has not taken, leaving out the rows in `besides`.

    One whose bytes have changed on the disk could never be confirmed, and with it nothing after it: a tombstone takes
    its place, loudly, and what is left of it goes aside.
    """
    waiting = rows.db.execute(
        "SELECT id FROM batch INDEXED BY batch_unsent WHERE sequence IS NULL AND confirmed_at IS NULL"
        " ORDER BY id LIMIT ?",
        (limit + len(except_ids),),
    ).fetchall()
    free = [row_id for (row_id,) in waiting if row_id not in except_ids][:limit]
    return [_spooled(rows, row_id, now) for row_id in free]


def _spooled(rows: Rows, row_id: int, now: datetime) -> SpooledBatch:
    body, attempt, header = _read(rows, row_id)
    if digest(body) != header.sha256:
        replace_damaged(rows, row_id, now)
        body, attempt, header = _read(rows, row_id)
    return SpooledBatch(row_id, header, body, attempt)


def _read(rows: Rows, row_id: int) -> tuple[bytes, int, Header]:
    row = rows.db.execute(
        f"SELECT p.body, b.attempt, {_HEADER} FROM batch b"  # noqa: S608 - a constant
        " CROSS JOIN payload p ON p.batch = b.id CROSS JOIN epoch e ON e.id = b.epoch WHERE b.id = ?",
        (row_id,),
    ).fetchone()
    return row[0], row[1], _header(rows.gateway, row[2:])


def _header(gateway: str, row: Sequence[Any]) -> Header:
    epoch, site, partition, number, kind, sha256, count, first_at, last_at, cut_at = row
    first, last = moment_or_none(first_at), moment_or_none(last_at)
    return Header(gateway, site, epoch, partition, number, kind, sha256, count, first, last, moment(cut_at))


def mark_sent(rows: Rows, marks: Iterable[SentMark], now: datetime) -> None:
    """Moves the sent cursor of each batch; a mark of an earlier attempt than the present one is out of date."""
    rows.db.executemany(
        "UPDATE batch SET sequence = ?, incarnation = ?, sent_at = ? WHERE id = ? AND attempt = ?",
        [(m.sequence, m.incarnation, micros(now), m.row, m.attempt) for m in marks],
    )


def replace_with_tombstone(rows: Rows, row_id: int, body: Body) -> tuple[int, int]:
    """Puts a tombstone in a batch's place, under its number. Returns (bytes freed, readings dropped)."""
    count, size = rows.db.execute("SELECT count, size FROM batch WHERE id = ?", (row_id,)).fetchone()
    encoded = encode_body(body)
    rows.db.execute(
        "UPDATE batch SET kind = 'tombstone', replaced = coalesce(replaced, sha256), sha256 = ?,"
        " dropped = dropped + count, count = 0, first_at = NULL, last_at = NULL, size = ? WHERE id = ?",
        (digest(encoded), len(encoded), row_id),
    )
    rows.db.execute("UPDATE payload SET body = ? WHERE batch = ?", (encoded, row_id))
    freed = size - len(encoded)
    rows.open_readings -= count
    rows.open_bytes -= freed
    rows.kept_bytes -= freed
    return freed, count


def replace_damaged(rows: Rows, row_id: int, now: datetime) -> tuple[int, int]:
    """Puts a tombstone in place of a batch whose bytes cannot be trusted: a gap for each zone it may have spoken of."""
    raw, _, header = _read(rows, row_id)
    zones = {zone_of(point) for point in rows.last_kept if partition_of_point(point) == partition_now(header.partition)}
    body = lost_tombstone(header, zones, LOST)
    if header.number == 1:
        body = rows.opening(header.epoch, body)
    log.error("batch %s is damaged: its %d readings are lost, a gap stands for them", header.id, header.count)
    rows.aside(f"batch {header.id}", raw, DAMAGED, now)
    rows.damaged[DAMAGED] += 1
    return replace_with_tombstone(rows, row_id, body)
