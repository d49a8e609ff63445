"""How batches move from sent to confirmed, back again where the core or the stream forgot, and out of the spool.

Functions over the spool's rows, each inside the writer's transaction.
"""

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from core.telemetry.batch import MISSING_MAX, Confirmed, ConfirmReply, decode_body, digest
from edge.spool.cutting import tombstone
from edge.spool.records import Outstanding, Settled, micros
from edge.spool.sending import replace_damaged, replace_with_tombstone
from edge.spool.store import Rows

log = logging.getLogger("lotwise.edge.spool")

DROPPED = "spool_full"
# headers are folded in order of number, so that what is left begins right after what is gone
_REPLAYABLE_SINCE = "(SELECT min(l.number) - 1 FROM batch l WHERE l.epoch = b.epoch AND l.partition = b.partition)"
_CONFIRMED = (
    "(SELECT min(o.number) - 1 FROM batch o INDEXED BY batch_open"
    " WHERE o.epoch = b.epoch AND o.partition = b.partition AND o.confirmed_at IS NULL)"
)
RESEND_AFTER_MAX = timedelta(minutes=5)


def outstanding(rows: Rows) -> list[Outstanding]:
    """For each (epoch, partition) with batches sent and not confirmed: how far to ask.

    At most MISSING_MAX beyond the lowest open one, so that no answer outgrows a message.
    """
    found = rows.db.execute(
        f"SELECT e.epoch, b.partition, min(b.number), max(b.number), {_REPLAYABLE_SINCE}, {_CONFIRMED}"  # noqa: S608 - constants
        " FROM batch b INDEXED BY batch_open CROSS JOIN epoch e ON e.id = b.epoch WHERE b.confirmed_at IS NULL"
        " AND b.sequence IS NOT NULL GROUP BY b.epoch, b.partition"
    )
    return [
        Outstanding(epoch, partition, min(high, low + MISSING_MAX - 1), since, confirmed)
        for epoch, partition, low, high, since, confirmed in found
    ]


def replayable(rows: Rows) -> list[Outstanding]:
    """For each (epoch, partition) whose payloads are still here: how far the core said that it has every one.

    Asked now and then, since a core restored from a backup answers less than it once did.
    """
    # by counters and indices: two days of batches are millions, and keeping waits while they are walked
    found = rows.db.execute(
        "WITH done AS MATERIALIZED (SELECT c.epoch, c.partition, coalesce((SELECT min(o.number) - 1"  # noqa: S608 - a constant
        " FROM batch o INDEXED BY batch_open WHERE o.epoch = c.epoch AND o.partition = c.partition"
        " AND o.confirmed_at IS NULL), c.last) AS upto FROM counter c)"
        f" SELECT e.epoch, b.partition, b.number, {_REPLAYABLE_SINCE}, b.number FROM done d CROSS JOIN batch b"
        " ON b.epoch = d.epoch AND b.partition = d.partition AND b.number = d.upto"
        " CROSS JOIN payload p ON p.batch = b.id CROSS JOIN epoch e ON e.id = b.epoch"
    )
    return [Outstanding(*row) for row in found]


def settle(
    rows: Rows, asked: Iterable[Outstanding], reply: ConfirmReply, floors: Mapping[int, int], now: datetime
) -> Settled:
    """Moves cursors by the core's answer. `floors` are those of the reply before this one, of the same stream.

    Confirmed batches are done. A batch once confirmed that the core now misses goes back and is sent again. Of those
    still open, what was published to the stream that the floors speak of, at or below its partition's floor, was
    passed over and is sent again under the next attempt; all else waits.
    """
    asks = {(ask.epoch, ask.partition): ask for ask in asked}
    total = Settled()
    for answer in reply.confirmed:
        ask = asks.get((answer.epoch, answer.partition))
        if ask is None:
            continue
        limit = ask.upto if answer.upto is None else min(ask.upto, answer.upto)
        epoch_id = _epoch_id(rows, answer.epoch)
        confirmed = _confirm(rows, epoch_id, answer, limit, now)
        back, beyond = _take_back(rows, epoch_id, answer, limit)
        beyond += max(0, ask.since - answer.through)
        floor = floors.get(answer.partition, 0)
        again = _passed_over(rows, (epoch_id, answer.partition, limit), (reply.stream, floor), now)
        total = Settled(
            total.confirmed + confirmed, total.taken_back + back, total.resend + again, total.beyond_replay + beyond
        )
    return total


def _epoch_id(rows: Rows, epoch: str) -> int:
    found: int = rows.db.execute("SELECT id FROM epoch WHERE epoch = ?", (epoch,)).fetchone()[0]
    return found


def _confirm(rows: Rows, epoch_id: int, answer: Confirmed, limit: int, now: datetime) -> int:
    missing = set(answer.missing)
    open_rows = rows.db.execute(
        "SELECT id, number, count, size FROM batch WHERE confirmed_at IS NULL AND epoch = ? AND partition = ?"
        " AND number <= ?",
        (epoch_id, answer.partition, limit),
    ).fetchall()
    done = [row for row in open_rows if row[1] <= answer.through or row[1] not in missing]
    rows.db.executemany(
        "UPDATE batch SET confirmed_at = ? WHERE id = ?", [(micros(now), row_id) for row_id, *_ in done]
    )
    rows.open_batches -= len(done)
    rows.open_readings -= sum(row[2] for row in done)
    rows.open_bytes -= sum(row[3] for row in done)
    return len(done)


def _take_back(rows: Rows, epoch_id: int, answer: Confirmed, limit: int) -> tuple[int, int]:
    """Batches that the core once confirmed and now misses: (sent again, no longer here to be sent)."""
    missing = [number for number in answer.missing if answer.through < number <= limit]
    if not missing:
        return 0, 0
    found = rows.db.execute(
        "SELECT b.id, b.number, b.count, b.size, p.batch IS NOT NULL FROM batch b LEFT JOIN payload p ON p.batch = b.id"
        " WHERE b.confirmed_at IS NOT NULL AND b.epoch = ? AND b.partition = ? AND b.number BETWEEN ? AND ?",
        (epoch_id, answer.partition, min(missing), max(missing)),
    ).fetchall()
    wanted = set(missing)
    # a header whose payload is gone and that is not yet folded
    beyond = sum(1 for row in found if row[1] in wanted and not row[4])
    back = [row for row in found if row[1] in wanted and row[4]]
    rows.db.executemany(
        "UPDATE batch SET confirmed_at = NULL, sequence = NULL, incarnation = NULL, attempt = attempt + 1 WHERE id = ?",
        [(row[0],) for row in back],
    )
    rows.open_batches += len(back)
    rows.open_readings += sum(row[2] for row in back)
    rows.open_bytes += sum(row[3] for row in back)
    return len(back), beyond


def _passed_over(rows: Rows, through: tuple[int, int, int], position: tuple[str, int], now: datetime) -> int:
    """Of the (epoch, partition) up to a number: those that a stream's incarnation carried at or below a floor."""
    stream, floor = position
    found = rows.db.execute(
        "SELECT id, attempt, sent_at FROM batch WHERE confirmed_at IS NULL AND epoch = ? AND partition = ?"
        " AND number <= ? AND sequence <= ? AND incarnation = ?",
        (*through, floor, stream),
    ).fetchall()
    # what was sent in the future was sent before the clock was set back, and is due
    present = micros(now)
    due = [row_id for row_id, attempt, sent_at in found if not present - _resend_after(attempt) < sent_at <= present]
    _send_again(rows, due)
    return len(due)


def _resend_after(attempt: int) -> int:
    """A batch that the core keeps passing over is offered ever more rarely: 0, 2, 4 … s, at most 5 min."""
    return 0 if attempt <= 1 else min(2 ** (attempt - 1), int(RESEND_AFTER_MAX.total_seconds())) * 1_000_000


def _send_again(rows: Rows, ids: Iterable[int]) -> None:
    rows.db.executemany(
        "UPDATE batch SET attempt = attempt + 1, sequence = NULL, incarnation = NULL WHERE id = ?",
        [(row_id,) for row_id in ids],
    )


def lost_with_stream(rows: Rows, incarnation: str, last_sequence: int, asked_at: datetime) -> int:
    """Sends again what the present stream cannot hold: published to another incarnation, or, before `asked_at`,
    at a sequence that the stream has since lost its end to. Returns how many batches.
    """
    found = rows.db.execute(
        "SELECT id FROM batch INDEXED BY batch_open WHERE confirmed_at IS NULL AND sequence IS NOT NULL"
        " AND (incarnation <> ? OR (sequence > ? AND sent_at < ?))",
        (incarnation, last_sequence, micros(asked_at)),
    ).fetchall()
    _send_again(rows, [row[0] for row in found])
    return len(found)


def drop_confirmed(rows: Rows, size: int) -> int:
    """Gives up confirmed payloads, oldest first, until `size` bytes are free. Returns the bytes freed."""
    freed = 0
    rows.flush_kept()
    while freed < size:
        found = rows.db.execute(
            "SELECT p.batch, b.size FROM payload p CROSS JOIN batch b ON b.id = p.batch"
            " WHERE b.confirmed_at IS NOT NULL ORDER BY p.batch LIMIT 200"
        ).fetchall()
        if not found:
            break
        for row_id, length in found:
            rows.db.execute("DELETE FROM payload WHERE batch = ?", (row_id,))
            freed += length
            rows.kept_bytes -= length
            if freed >= size:
                break
    return freed


def drop_oldest(rows: Rows, size: int, now: datetime) -> tuple[int, int]:
    """Puts tombstones in place of the oldest unconfirmed readings until `size` bytes are free.

    A tombstone keeps its batch's number, so numbers stay without holes. A batch that is in the stream already stays
    *sent*: if it arrives after all, its tombstone is never needed. Returns (bytes freed, readings dropped).
    """
    freed = dropped = 0
    rows.flush_kept()
    oldest, _ = rows.oldest_open()
    while freed < size and oldest is not None:
        found = rows.db.execute(
            "SELECT b.id, b.sha256, p.body FROM batch b CROSS JOIN payload p ON p.batch = b.id"
            " WHERE b.confirmed_at IS NULL AND b.count > 0 AND b.id >= ? ORDER BY b.id LIMIT 1",
            (oldest,),
        ).fetchone()
        if found is None:
            break
        row_id, sha256, payload = found
        if digest(payload) == sha256:
            size_freed, readings = replace_with_tombstone(rows, row_id, tombstone(decode_body(payload), DROPPED))
        else:
            size_freed, readings = replace_damaged(rows, row_id, now)
        freed, dropped, oldest = freed + size_freed, dropped + readings, row_id + 1
    return freed, dropped
