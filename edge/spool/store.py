"""The spool's rows: keeping, cutting, and the cursors of batches. Every method runs inside the writer's transaction.

Memory is only a copy of the file: after a rollback `load` reads it again, so the two never part.
"""

import contextlib
import logging
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from core.telemetry.batch import (
    UNDECODABLE,
    Announced,
    BadBatch,
    Body,
    Gap,
    PreviousEpoch,
    Watermark,
    decode_body,
    digest,
    encode_body,
)
from core.telemetry.reading import Reading
from edge.spool.cutting import partition_of_point, pieces
from edge.spool.records import (
    Depth,
    Piece,
    RawRow,
    SpoolOptions,
    micros,
    moment,
    moment_or_none,
)

log = logging.getLogger("lotwise.edge.spool")

_decode_raw = msgspec.msgpack.Decoder(RawRow).decode
_decode_previous = msgspec.msgpack.Decoder(PreviousEpoch).decode
_decode_announced = msgspec.json.Decoder(Announced).decode

ASIDE_ROWS = 10_000
ASIDE_BYTES = 64 * 1024
KEPT_FLUSH = 5_000_000
"""Microseconds between writings of each point's last kept time; what lies after is read back from the batches."""


class Rows:
    """A gateway's spool file and what is remembered of it: the epoch, its numbers, the readings not yet cut."""

    def __init__(self, connection: sqlite3.Connection, gateway: str, site: str, options: SpoolOptions) -> None:
        self.db = connection
        self.gateway = gateway
        self.site = site
        self.options = options
        self.epoch = ""
        self.epoch_id = 0
        self.announced: Announced | None = None
        self.numbers: dict[int, int] = {}
        self.pending: list[Reading] = []
        self.pending_gaps: list[tuple[int, Gap]] = []
        self.raw_bytes = 0
        self.kept_bytes = 0
        self.open_batches = 0
        self.open_readings = 0
        self.open_bytes = 0
        self.last_kept: dict[str, datetime] = {}
        self._kept_dirty: set[str] = set()
        self._kept_flushed = 0
        self.damaged: Counter[str] = Counter()
        """What could no longer be read since start, by kind."""

    # -- start -------------------------------------------------------------------------------------------------

    def load(self, epoch_id: int, now: datetime) -> None:
        """Reads everything remembered back from the file. Also after a rollback."""
        row = self.db.execute("SELECT epoch FROM epoch WHERE id = ?", (epoch_id,)).fetchone()
        self.epoch_id, self.epoch = epoch_id, row[0]
        announced_row = self.db.execute("SELECT value FROM meta WHERE key = 'announced'").fetchone()
        self.announced = None if announced_row is None else _decode_announced(announced_row[0])
        self.numbers = dict(
            self.db.execute("SELECT partition, last FROM counter WHERE epoch = ?", (epoch_id,)).fetchall()
        )
        self.pending, self.pending_gaps, self.raw_bytes = [], [], 0
        for row_id, body in self.db.execute("SELECT id, body FROM raw ORDER BY id").fetchall():
            try:
                raw = _decode_raw(body)
            except UNDECODABLE as error:
                self._raw_is_damaged(row_id, body, str(error), now)
                continue
            self.pending.extend(raw.readings)
            self.pending_gaps.extend(raw.gaps)
            self.raw_bytes += len(body)
        self.kept_bytes = self.db.execute(
            "SELECT coalesce(sum(size), 0) FROM batch WHERE id IN (SELECT batch FROM payload)"
        ).fetchone()[0]
        self.open_batches, self.open_readings, self.open_bytes = self.db.execute(
            "SELECT count(*), coalesce(sum(count), 0), coalesce(sum(size), 0) FROM batch WHERE confirmed_at IS NULL"
        ).fetchone()
        self._load_last_kept()

    def _raw_is_damaged(self, row_id: int, body: bytes, why: str, now: datetime) -> None:
        """What a commit kept and the disk gives back changed goes aside, loudly: nothing says any more of which points
        it spoke.
        """
        log.error("a commit kept in the spool is damaged (%s): its readings are lost and were put aside", why)
        self.aside("spool", body, f"damaged commit: {why}", now)
        self.db.execute("DELETE FROM raw WHERE id = ?", (row_id,))
        self.damaged["damaged commit"] += 1

    def _load_last_kept(self) -> None:
        rows = self.db.execute("SELECT point, last_at FROM point")
        self.last_kept = {point: moment(at) for point, at in rows}
        self._kept_dirty = set()
        flushed = self.db.execute("SELECT value FROM meta WHERE key = 'kept_through'").fetchone()
        after = 0 if flushed is None else int(flushed[0])
        for (body,) in self.db.execute("SELECT body FROM payload WHERE batch > ?", (after,)):
            with contextlib.suppress(BadBatch):  # damaged: told, and dealt with, when it is to be sent
                self.note_kept(decode_body(body).readings)
        self.note_kept(self.pending)

    # -- keeping -----------------------------------------------------------------------------------------------

    def keep_raw(self, body: bytes) -> None:
        """Writes what a group commit keeps; `remember` it once the commit has returned."""
        self.db.execute("INSERT INTO raw (body) VALUES (?)", (body,))

    def add_raw(self, raw: RawRow, size: int) -> None:
        """After the commit: the rows wait in memory to be cut."""
        self.pending.extend(raw.readings)
        self.pending_gaps.extend(raw.gaps)
        self.raw_bytes += size
        self.note_kept(raw.readings)

    def note_kept(self, readings: Iterable[Reading]) -> None:
        """Moves each point's last kept time on."""
        known = self.last_kept
        for reading in readings:
            last = known.get(reading.point)
            if last is None or reading.at > last:
                known[reading.point] = reading.at
                self._kept_dirty.add(reading.point)

    # -- cutting -----------------------------------------------------------------------------------------------

    def cut(self, watermarks: Mapping[int, Sequence[Watermark]], now: datetime, extra: RawRow | None = None) -> int:
        """Fixes everything kept so far, and `extra` which then needs no raw row, into numbered batches.

        Returns how many. Memory moves on at once; a rollback loads it again.
        """
        readings = [*self.pending, *extra.readings] if extra else self.pending
        gaps = [*self.pending_gaps, *extra.gaps] if extra else self.pending_gaps
        if extra:
            self.note_kept(extra.readings)
        cut = pieces(readings, gaps, watermarks, self.options)
        for piece in cut:
            self._insert(piece, now)
        if self.raw_bytes:
            self.db.execute("DELETE FROM raw")
        self.pending, self.pending_gaps, self.raw_bytes = [], [], 0
        if micros(now) - self._kept_flushed > KEPT_FLUSH:
            self.flush_kept()
            self._kept_flushed = micros(now)
        return len(cut)

    def moved_watermarks(self, marks: Mapping[int, Sequence[Watermark]]) -> dict[int, Sequence[Watermark]]:
        """The marks without those that would only queue up: an empty batch behind one that the stream has not taken.

        Else a gateway cut off for a day would have tens of thousands of empty batches to send before it is heard.
        """
        busy = {partition_of_point(reading.point) for reading in self.pending}
        waiting = {
            partition
            for partition in marks.keys() - busy
            if self.db.execute(
                "SELECT 1 FROM batch WHERE epoch = ? AND partition = ? AND number = ?"
                " AND sequence IS NULL AND confirmed_at IS NULL",
                (self.epoch_id, partition, self.numbers.get(partition, 0)),
            ).fetchone()
        }
        return {partition: mark for partition, mark in marks.items() if partition not in waiting}

    def _insert(self, piece: Piece, now: datetime) -> None:
        number = self.numbers.get(piece.partition, 0) + 1
        body = piece.body if number > 1 else self.opening(self.epoch, piece.body)
        encoded = encode_body(body)
        times = [reading.at for reading in body.readings]
        row = self.db.execute(
            "INSERT INTO batch (epoch, partition, number, kind, sha256, count, first_at, last_at, cut_at, size)"
            " VALUES (?, ?, ?, 'readings', ?, ?, ?, ?, ?, ?)",
            (
                self.epoch_id,
                piece.partition,
                number,
                digest(encoded),
                len(times),
                micros(min(times)) if times else None,
                micros(max(times)) if times else None,
                micros(now),
                len(encoded),
            ),
        )
        self.db.execute("INSERT INTO payload VALUES (?, ?)", (row.lastrowid, encoded))
        self.db.execute(
            "INSERT INTO counter VALUES (?, ?, ?) ON CONFLICT (epoch, partition) DO UPDATE SET last = excluded.last",
            (self.epoch_id, piece.partition, number),
        )
        self.numbers[piece.partition] = number
        self.open_batches += 1
        self.open_readings += len(times)
        self.open_bytes += len(encoded)
        self.kept_bytes += len(encoded)

    def opening(self, epoch: str, body: Body) -> Body:
        """The body as that of an epoch's first batch: with the epoch before, and the sources as far as is known."""
        row = self.db.execute("SELECT previous FROM epoch WHERE epoch = ?", (epoch,)).fetchone()
        previous = None if row[0] is None else _decode_previous(row[0])
        announced = self.announced if epoch == self.epoch else None
        return msgspec.structs.replace(body, previous=previous, announced=announced)

    def flush_kept(self) -> None:
        """Writes each point's last kept time; needed before payloads go, which else could tell it."""
        self.db.executemany(
            "INSERT INTO point VALUES (?, ?) ON CONFLICT (point) DO UPDATE SET last_at = excluded.last_at",
            [(point, micros(self.last_kept[point])) for point in self._kept_dirty],
        )
        self.db.execute(
            "INSERT OR REPLACE INTO meta SELECT 'kept_through', coalesce(max(id), 0) FROM batch",
        )
        self._kept_dirty.clear()

    # -- figures -----------------------------------------------------------------------------------------------

    def depth(self) -> Depth:
        """How much is not yet confirmed, and since when."""
        _, oldest = self.oldest_open()
        return Depth(
            self.open_batches,
            self.open_readings + len(self.pending),
            self.open_bytes + self.raw_bytes,
            moment_or_none(oldest),
            self.kept_bytes + self.raw_bytes,
            len(self.pending),
        )

    def oldest_open(self) -> tuple[int | None, int | None]:
        """Of the batches not confirmed: the lowest row, and when the oldest was cut. By counters and an index: there
        may be millions of confirmed ones.
        """
        found: tuple[int | None, int | None] = self.db.execute(
            "SELECT min(b.id), min(b.cut_at) FROM counter c CROSS JOIN batch b ON b.id ="
            " (SELECT o.id FROM batch o INDEXED BY batch_open WHERE o.epoch = c.epoch AND o.partition = c.partition"
            " AND o.confirmed_at IS NULL ORDER BY o.number LIMIT 1)"
        ).fetchone()
        return found

    def save_state(self, key: str, value: str) -> None:
        """Writes down a word of the gateway's own, in place of what stood under the key."""
        self.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (f"note:{key}", value))

    def load_state(self, key: str) -> str | None:
        """What stands under the key."""
        row = self.db.execute("SELECT value FROM meta WHERE key = ?", (f"note:{key}",)).fetchone()
        return None if row is None else str(row[0])

    def last_number(self, partition: int) -> int:
        """The last number cut in a partition in this epoch; 0 before the first."""
        return self.numbers.get(partition, 0)

    def aside(self, origin: str, payload: bytes, reason: str, now: datetime) -> None:
        """Keeps a payload that could not be decoded, its first 64 KiB, among the last 10 000."""
        row = self.db.execute(
            "INSERT INTO aside (at, origin, reason, size, payload) VALUES (?, ?, ?, ?, ?)",
            (micros(now), _text(origin), _text(reason), len(payload), payload[:ASIDE_BYTES]),
        )
        assert row.lastrowid is not None
        self.db.execute("DELETE FROM aside WHERE id <= ?", (row.lastrowid - ASIDE_ROWS,))


def _text(text: str) -> str:
    """At most 1 024 characters that SQLite takes, whatever a hostile payload put into a topic or an error."""
    return text[:1024].encode("utf-8", "replace").decode("utf-8")
