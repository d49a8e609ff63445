"""The audit trail's chain (design, rule 5): a sealer binds committed rows into seals, each hashed with the one before.

Rows carry their own hash, so a transaction waits for nobody. Seals take rows in the order they are found committed,
never by a cursor over ids: identity order is not commit order.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Row, insert, select, text

from core.erp.kernel.model import AuditRow, AuditSeal, AuditSealed
from core.erp.kernel.tables import table
from core.erp.kernel.unit import record_hash

log = logging.getLogger(__name__)

GENESIS = bytes(32)
SEAL_MOST = 5000
LATE = timedelta(seconds=10)
"""An unsealed row older than this is an alarm."""
REACH = timedelta(minutes=10)
"""How far back the quick pass looks; the first pass, and each after `full()`, looks at all rows."""

_COLUMNS = ("at", "actor", "action", "entity", "entity_id", "before", "after", "reason")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with the trail: kind is edited, missing, reordered, broken_chain, unsealed, truncated."""

    kind: str
    detail: str


def _row_hash(row: Row[Any]) -> bytes:
    return record_hash({name: getattr(row, name) for name in _COLUMNS})


def seal_hash(number: int, previous: bytes, rows: Sequence[tuple[int, bytes]]) -> bytes:
    """SHA-256 over the seal's number, the seal before and each row's id and hash, in order."""
    digest = hashlib.sha256(f"{number}:".encode() + previous)
    for row_id, row_hash in rows:
        digest.update(f"{row_id}:".encode() + row_hash)
    return digest.digest()


class Sealer:
    """Seals committed rows. One at a time works (a lock in the database); as many as like may run."""

    def __init__(self, engine: Engine, witness: Callable[[int, bytes], None] | None = None) -> None:
        """`witness` is told each seal's number and hash after its commit, to keep them outside the database."""
        self._engine = engine
        self._witness = witness
        self._quick = False

    def full(self) -> None:
        """Makes the next pass look at all rows."""
        self._quick = False

    def seal(self, now: datetime) -> int:
        """Seals what is committed and unsealed. Returns how many rows."""
        total = 0
        while True:
            done, number, head = self._one(now)
            total += done
            if done and self._witness is not None:
                self._witness(number, head)
            if done < SEAL_MOST:
                self._quick = True
                return total

    def _one(self, now: datetime) -> tuple[int, int, bytes]:
        rows, sealed, seals = table(AuditRow), table(AuditSealed), table(AuditSeal)
        with self._engine.begin() as conn:
            conn.execute(text("SELECT pg_advisory_xact_lock(hashtext('lotwise.sealer'))"))
            open_rows = (
                select(rows.c.id, rows.c.hash)
                .where(~select(sealed.c.audit_id).where(sealed.c.audit_id == rows.c.id).exists())
                .order_by(rows.c.id)
                .limit(SEAL_MOST)
            )
            if self._quick:
                open_rows = open_rows.where(rows.c.at > now - REACH)
            found = conn.execute(open_rows).all()
            if not found:
                return 0, 0, GENESIS
            last = conn.execute(select(seals.c.number, seals.c.hash).order_by(seals.c.number.desc()).limit(1)).first()
            number, previous = (last.number + 1, last.hash) if last is not None else (1, GENESIS)
            head = seal_hash(number, previous, [(row.id, row.hash) for row in found])
            conn.execute(insert(AuditSeal), {
                "number": number, "at": now, "row_ids": [row.id for row in found], "previous": previous, "hash": head,
            })  # fmt: skip
            conn.execute(insert(AuditSealed), [{"audit_id": row.id, "seal": number} for row in found])
            return len(found), number, head


def verify(
    conn: Connection, now: datetime | None = None, witnessed: Mapping[int, bytes] | None = None
) -> list[Finding]:
    """Everything wrong with the trail; an empty list means it is whole.

    `now` also finds rows that should have been sealed; `witnessed` (number → hash, kept outside the database) also
    finds a history written anew with correct hashes.
    """
    rows = {row.id: row for row in conn.execute(select(table(AuditRow)).order_by(table(AuditRow).c.id))}
    seals = conn.execute(select(table(AuditSeal)).order_by(table(AuditSeal).c.number)).all()
    sealed = {row.audit_id: row.seal for row in conn.execute(select(table(AuditSealed)))}
    findings = [
        Finding("edited", f"audit row {row.id} no longer matches its hash")
        for row in rows.values()
        if _row_hash(row) != row.hash
    ]
    findings += _chain(seals, rows)
    in_seals = {row_id: seal.number for seal in seals for row_id in seal.row_ids}
    findings += [
        Finding("reordered", f"audit row {row_id} is in seal {in_seals.get(row_id)}, noted for {sealed.get(row_id)}")
        for row_id in sorted(in_seals.keys() | sealed.keys())
        if in_seals.get(row_id) != sealed.get(row_id)
    ]
    findings += _unsealed(rows, in_seals, now)
    findings += _truncated(conn, rows, seals)
    by_number = {seal.number: seal.hash for seal in seals}
    for number, head in (witnessed or {}).items():
        if by_number.get(number) != head:
            findings.append(Finding("broken_chain", f"seal {number} is not the one that was witnessed"))
    return findings


def _chain(seals: Sequence[Row[Any]], rows: Mapping[int, Row[Any]]) -> list[Finding]:
    findings: list[Finding] = []
    number, previous = 0, GENESIS
    for seal in seals:
        if seal.number != number + 1:
            findings.append(Finding("truncated", f"seals {number + 1} to {seal.number - 1} are missing"))
        elif seal.previous != previous:
            findings.append(Finding("broken_chain", f"seal {seal.number} does not follow seal {number}"))
        gone = [row_id for row_id in seal.row_ids if row_id not in rows]
        if gone:
            findings.append(Finding("missing", f"audit rows {gone} of seal {seal.number} are gone"))
        else:
            content = [(row_id, _row_hash(rows[row_id])) for row_id in seal.row_ids]
            if seal_hash(seal.number, seal.previous, content) != seal.hash:
                findings.append(Finding("broken_chain", f"seal {seal.number} does not match its rows in their order"))
        number, previous = seal.number, seal.hash
    return findings


def _unsealed(rows: Mapping[int, Row[Any]], in_seals: Mapping[int, int], now: datetime | None) -> list[Finding]:
    if now is None:
        return []
    late = [row.id for row in rows.values() if row.id not in in_seals and row.at < now - LATE]
    return [Finding("unsealed", f"audit rows {late[:20]} are older than {LATE.seconds} s and unsealed")] if late else []


def _truncated(conn: Connection, rows: Mapping[int, Row[Any]], seals: Sequence[Row[Any]]) -> list[Finding]:
    """An emptied trail is told by the counter of ids that were given, which a TRUNCATE leaves as it is."""
    given = conn.execute(
        text("SELECT last_value, is_called FROM pg_sequences s, LATERAL (SELECT last_value IS NOT NULL AS is_called) c "
             "WHERE s.schemaname = current_schema() AND s.sequencename = 'audit_id_seq'")
    ).first()  # fmt: skip
    if not rows and (seals or (given is not None and given.is_called)):
        return [Finding("truncated", "audit rows were written and none is left")]
    return []


def witness_line(number: int, head: bytes) -> str:
    """One line for a file of seal heads, kept outside the database."""
    return json.dumps({"seal": number, "hash": head.hex()})
