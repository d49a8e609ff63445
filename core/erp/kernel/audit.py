"""The audit trail's chain (design, rule 5): a sealer binds committed rows into seals, each hashed with the one before.

Rows carry their own hash, so a transaction waits for nobody. Seals take rows in the order they are found committed,
never by a cursor over ids: identity order is not commit order. `verifying` checks the chain.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Engine, insert, select, text

from core.erp.kernel.model import AuditRow, AuditSeal, AuditSealed
from core.erp.kernel.tables import table

log = logging.getLogger(__name__)

GENESIS = bytes(32)
HEADS = "audit-heads.jsonl"
"""The file in the data folder, outside the database, that keeps each seal's head."""
SEAL_MOST = 5000
REACH = timedelta(minutes=10)
"""How far back the quick pass looks; the first pass, and each after `full()`, looks at all rows."""


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


def witness_line(number: int, head: bytes) -> str:
    """One line for a file of seal heads, kept outside the database."""
    return json.dumps({"seal": number, "hash": head.hex()})
