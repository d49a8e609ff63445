"""The audit trail's chain (design, rule 5): a sealer binds committed rows into seals, each hashed with the one before.

Rows carry their own HMAC, so a transaction waits for nobody. Seals take rows in the order they are found committed,
never by a cursor over ids: identity order is not commit order. `audit_verification` checks the chain.
"""

import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Row, insert, select, text

from core.erp.kernel.audit_journal import JOURNAL_FILE, Journal, entries
from core.erp.kernel.audit_keys import MESSAGE_SQL, AuditKeys, keys_of
from core.erp.kernel.model import AuditRow, AuditSeal, AuditSealed
from core.erp.kernel.restorations import record_restoration, signed_since
from core.erp.kernel.tables import table
from core.erp.kernel.witness import Head, Witness

log = logging.getLogger(__name__)

GENESIS = bytes(32)
MAX_ROWS_PER_SEAL = 5000
RECENT_WINDOW = timedelta(minutes=10)
"""How far back the quick pass looks; the first pass, and each after `scan_all_next()`, looks at all rows."""
CATCH_UP_BATCH = 20
"""Seals in memory at once when the witness is caught up: each may name thousands of rows."""

_SEALS = table(AuditSeal)


def seal_message(
    number: int, at: datetime, previous: bytes, witness_position: tuple[str, int], rows: Sequence[tuple[int, bytes]]
) -> bytes:
    """What a seal's HMAC is over: number, time, the seal before, the witness and how far it had come
    (`witness_position`), and each row's id and HMAC, in order.
    """
    head = (
        f"{number}:{at.astimezone(UTC).isoformat()}:{witness_position[0]}:{witness_position[1]}:{len(rows)}:".encode()
        + previous
    )
    return head + b"".join(row_id.to_bytes(8, "big", signed=True) + row_hash for row_id, row_hash in rows)


def message_of(seal: Row[Any], hashes: Sequence[bytes]) -> bytes:
    """`seal_message` of a seal's row and the HMACs of the rows it names."""
    rows = list(zip(seal.row_ids, hashes, strict=True))
    return seal_message(seal.number, seal.at, seal.previous, (seal.witness, seal.witnessed), rows)


class BehindWitness(RuntimeError):
    """The database has fewer seals than were witnessed: it was restored, or its trail cut. Nothing is sealed."""

    def __init__(self, database: int, witnessed: int) -> None:
        super().__init__(f"the database ends with seal {database}, and seal {witnessed} was witnessed")
        self.database, self.witnessed = database, witnessed


class Sealer:
    """Seals committed rows. One at a time works (a lock in the database); as many as like may run."""

    def __init__(self, engine: Engine, witness: Witness | None = None) -> None:
        """`witness` keeps each seal's number and hash outside the database, after its commit."""
        self._engine = engine
        self._witness = witness
        self._journal = Journal(witness.path.with_name(JOURNAL_FILE)) if witness is not None else None
        self._recent_only = False
        self._last_logged: str | None = None

    def scan_all_next(self) -> None:
        """Makes the next pass look at all rows."""
        self._recent_only = False

    def seal(self, now: datetime) -> int:
        """Seals what is committed and unsealed. Returns how many rows. Raises BehindWitness."""
        self.compare(now)
        total = 0
        while True:
            done, head = self._seal_batch(now)
            total += done
            if head is not None:
                self._catch_up_witness(head)
            if done < MAX_ROWS_PER_SEAL:
                self._recent_only = True
                return total

    def _seal_batch(self, now: datetime) -> tuple[int, Head | None]:
        rows, sealed = table(AuditRow), table(AuditSealed)
        with self._engine.begin() as conn:
            conn.execute(text("SELECT pg_advisory_xact_lock(hashtext('lotwise.sealer'))"))
            open_rows = (
                select(rows.c.id, rows.c.hash)
                .where(~select(sealed.c.audit_id).where(sealed.c.audit_id == rows.c.id).exists())
                .order_by(rows.c.id)
                .limit(MAX_ROWS_PER_SEAL)
            )
            if self._recent_only:
                open_rows = open_rows.where(rows.c.at > now - RECENT_WINDOW)
            found = conn.execute(open_rows).all()
            if not found:
                return 0, None
            last = newest_seal(conn)
            number, previous = last.number + 1, last.hash
            watched = self._witness_position()
            keys = keys_of(conn)
            head = keys.sign(seal_message(number, now, previous, watched, [(row.id, row.hash) for row in found]))
            conn.execute(
                insert(AuditSeal),
                {
                    "number": number,
                    "at": now,
                    "row_ids": [row.id for row in found],
                    "previous": previous,
                    "hash": head,
                    "key_id": keys.current,
                    "witness": watched[0],
                    "witnessed": watched[1],
                },
            )
            conn.execute(insert(AuditSealed), [{"audit_id": row.id, "seal": number} for row in found])
            return len(found), Head(number, head)

    def _witness_position(self) -> tuple[str, int]:
        w = self._witness
        return ("", 0) if w is None or w.name is None or w.last is None else (w.name, w.last.number)

    def compare(self, now: datetime) -> None:
        """Is the database at least where it was witnessed to be? Before anything is sealed, and at the core's start.

        One that is not is written down as a restoration, by which intentions are refused. Raises BehindWitness.
        """
        if self._witness is None:
            return
        with self._engine.connect() as conn:
            last = newest_seal(conn)
        if not self._witness.exists:
            if last.number:
                self._log_once(
                    f"no witness at {self._witness.path}: seals are kept in the database only until"
                    " `lotwise audit adopt` has begun a new one"
                )
                return
            self._witness.begin(now)
        self._witness.refresh()
        self._apply_signed_restorations()
        if self._witness.last is not None and self._witness.last.number > last.number:
            record_restoration(self._engine, last.number, self._witness.last.number, now)
            raise BehindWitness(last.number, self._witness.last.number)
        if self._witness.last is not None and self._witness.last.number < last.number:
            self._catch_up_witness(None)

    def _apply_signed_restorations(self) -> None:
        """Takes in what QA has signed: from those seals on the trail goes on, and what was witnessed beyond is gone."""
        w = self._witness
        if w is None or w.last is None:
            return
        with self._engine.connect() as conn:
            found = signed_since(conn, w.restored_at)
        for restoration, number, at in found:
            w.restored(number, restoration, at)
            if self._journal is not None:
                self._journal.restored(number)

    def _catch_up_witness(self, made: Head | None) -> None:
        """The witness takes in what it lacks: the seal just made, or those of others and of before a crash, checked."""
        w = self._witness
        if w is None or w.last is None:
            return
        w.refresh()
        if made is not None and made.number == w.last.number + 1:
            self._append_to_witness([made])
            return
        with self._engine.connect() as conn:
            for heads in _heads_after(conn, w.last):
                if heads is None:
                    self._log_once(
                        f"seals after {w.last.number} do not continue what was witnessed: `lotwise audit verify`"
                    )
                    return
                self._append_to_witness(heads)
        self._last_logged = None

    def _append_to_witness(self, heads: Sequence[Head]) -> None:
        assert self._witness is not None
        self._witness.append(heads)
        if self._journal is not None:
            with self._engine.connect() as conn:
                self._journal.append(entries(conn, heads[0].number, heads[-1].number))

    def _log_once(self, trouble: str) -> None:
        if trouble != self._last_logged:
            log.error("%s", trouble)
        self._last_logged = trouble


def newest_seal(conn: Connection) -> Head:
    """The last seal; number 0 and GENESIS before the first."""
    row = conn.execute(select(_SEALS.c.number, _SEALS.c.hash).order_by(_SEALS.c.number.desc()).limit(1)).first()
    return Head(row.number, row.hash) if row is not None else Head(0, GENESIS)


_ROWS = text(f"SELECT a.id, a.key_id, a.hash, {MESSAGE_SQL} AS message FROM audit a WHERE a.id = ANY(:ids)")  # noqa: S608 - our own columns


def _heads_after(conn: Connection, last: Head) -> Iterator[list[Head] | None]:
    """The heads of the seals after one, some at a time, each whole and in its place; None for what is not."""
    keys = keys_of(conn)
    number, previous = last.number, last.hash
    while True:
        query = select(_SEALS).where(_SEALS.c.number > number).order_by(_SEALS.c.number).limit(CATCH_UP_BATCH)
        seals = conn.execute(query).all()
        if not seals:
            return
        for seal in seals:
            if (
                seal.number != number + 1
                or (previous and seal.previous != previous)
                or not seal_intact(conn, keys, seal)
            ):
                yield None
                return
            number, previous = seal.number, seal.hash
        yield [Head(seal.number, seal.hash) for seal in seals]


def seal_intact(conn: Connection, keys: AuditKeys, seal: Row[Any]) -> bool:
    """Whether a seal and each row it names bear their HMACs."""
    rows = {row.id: row for row in conn.execute(_ROWS, {"ids": seal.row_ids})}
    if any(row_id not in rows for row_id in seal.row_ids):
        return False
    good = all(keys.verifies(row.key_id, row.message, row.hash) for row in rows.values())
    return good and keys.verifies(seal.key_id, message_of(seal, [rows[i].hash for i in seal.row_ids]), seal.hash)
