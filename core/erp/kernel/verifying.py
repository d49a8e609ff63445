"""Is the audit trail whole? Every row and every seal, read in batches: memory does not grow with the trail."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, Select, select, text

from core.erp.kernel.audit import GENESIS, seal_hash
from core.erp.kernel.model import AuditRow, AuditSeal, AuditSealed
from core.erp.kernel.tables import table
from core.erp.kernel.unit import record_hash

LATE = timedelta(seconds=10)
"""An unsealed row older than this is an alarm."""
BATCH = 1000
SEALS = 5
"""Seals in memory at once: each names up to thousands of rows."""
UNREADABLE = 0
"""The number of no seal: a witness that cannot be read."""
MOST = 1000
"""Findings told at most: a trail with so many wrong is wrong."""

_ROWS, _SEALS, _SEALED = table(AuditRow), table(AuditSeal), table(AuditSealed)
_COLUMNS = ("at", "actor", "action", "entity", "entity_id", "before", "after", "reason")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with the trail: kind is edited, missing, reordered, broken_chain, unsealed, truncated."""

    kind: str
    detail: str


def verify(conn: Connection, now: datetime | None = None, witnessed: Iterable[tuple[int, bytes]] = ()) -> list[Finding]:
    """What is wrong with the trail, MOST at most; an empty list means it is whole.

    `now` also finds rows that should have been sealed; `witnessed` (seal number and hash, kept outside the database)
    also finds a history written anew with correct hashes.
    """
    return list(islice(_findings(conn, now, witnessed), MOST))


def _findings(conn: Connection, now: datetime | None, witnessed: Iterable[tuple[int, bytes]]) -> Iterator[Finding]:
    yield from _chain(conn)
    yield from _misplaced(conn)
    yield from _unsealed(conn, now)
    yield from _truncated(conn)
    yield from _unlike(conn, witnessed)


def _streamed(conn: Connection, query: Select[Any], at_once: int) -> Iterator[Row[Any]]:
    """The rows one after another, so many in memory, from a cursor that is closed whatever happens."""
    with conn.execute(query, execution_options={"stream_results": True, "max_row_buffer": at_once}) as found:
        yield from found


def _row_hash(row: Row[Any]) -> bytes:
    return record_hash({name: getattr(row, name) for name in _COLUMNS})


def _edited(row: Row[Any]) -> Iterator[Finding]:
    if _row_hash(row) != row.hash:
        yield Finding("edited", f"audit row {row.id} no longer matches its hash")


def _chain(conn: Connection) -> Iterator[Finding]:
    """Each seal after the one before, over its rows as they are now."""
    number, previous = 0, GENESIS
    for seal in _streamed(conn, select(_SEALS).order_by(_SEALS.c.number), SEALS):
        if seal.number != number + 1:
            yield Finding("truncated", f"seals {number + 1} to {seal.number - 1} are missing")
        elif seal.previous != previous:
            yield Finding("broken_chain", f"seal {seal.number} does not follow seal {number}")
        rows = {row.id: row for row in conn.execute(select(_ROWS).where(_ROWS.c.id.in_(seal.row_ids)))}
        for row in rows.values():
            yield from _edited(row)
        gone = [row_id for row_id in seal.row_ids if row_id not in rows]
        if gone:
            yield Finding("missing", f"audit rows {gone[:20]} of seal {seal.number} are gone ({len(gone)} in all)")
        elif _head(seal, rows) != seal.hash:
            yield Finding("broken_chain", f"seal {seal.number} does not match its rows in their order")
        number, previous = seal.number, seal.hash


def _head(seal: Row[Any], rows: Mapping[int, Row[Any]]) -> bytes:
    content = [(row_id, _row_hash(rows[row_id])) for row_id in seal.row_ids]
    return seal_hash(seal.number, seal.previous, content)


_MISPLACED = text("""
    SELECT COALESCE(n.audit_id, s.id) AS id, s.number, n.seal
    FROM audit_sealed n FULL JOIN (SELECT number, unnest(row_ids) AS id FROM audit_seal) s ON s.id = n.audit_id
    WHERE s.number IS DISTINCT FROM n.seal ORDER BY 1 LIMIT :most
""")


def _misplaced(conn: Connection) -> Iterator[Finding]:
    for row in conn.execute(_MISPLACED, {"most": MOST}):
        yield Finding("reordered", f"audit row {row.id} is in seal {row.number}, noted for {row.seal}")


def _unsealed(conn: Connection, now: datetime | None) -> Iterator[Finding]:
    """Rows in no seal: each must fit its hash, and wait for its seal only a moment."""
    sealed = select(_SEALED.c.audit_id).where(_SEALED.c.audit_id == _ROWS.c.id).exists()
    late: list[int] = []
    count = 0
    for row in _streamed(conn, select(_ROWS).where(~sealed).order_by(_ROWS.c.id), BATCH):
        yield from _edited(row)
        if now is not None and row.at < now - LATE:
            count += 1
            late = [*late, row.id][:20]
    if count:
        yield Finding("unsealed", f"audit rows {late} are older than {LATE.seconds} s and unsealed ({count} in all)")


_GIVEN = text("""
    SELECT last_value IS NOT NULL FROM pg_sequences
    WHERE schemaname = current_schema() AND sequencename = 'audit_id_seq'
""")


def _truncated(conn: Connection) -> Iterator[Finding]:
    """An emptied trail is told by the counter of ids that were given, which a TRUNCATE leaves as it is."""
    left = conn.execute(select(_ROWS.c.id).limit(1)).first() is not None
    sealed = conn.execute(select(_SEALS.c.number).limit(1)).first() is not None
    if not left and (sealed or conn.scalar(_GIVEN)):
        yield Finding("truncated", "audit rows were written and none is left")


def _unlike(conn: Connection, witnessed: Iterable[tuple[int, bytes]]) -> Iterator[Finding]:
    """Seals that are not, or no longer, the ones that were witnessed."""
    remaining = iter(witnessed)
    while some := list(islice(remaining, BATCH)):
        query = select(_SEALS.c.number, _SEALS.c.hash).where(_SEALS.c.number.in_({number for number, _ in some}))
        heads: dict[int, bytes] = {row.number: row.hash for row in conn.execute(query)}
        for number, head in some:
            if number == UNREADABLE:
                yield Finding("broken_chain", f"no witness: {head.decode(errors='replace')[:200]!r}")
            elif heads.get(number) != head:
                yield Finding("broken_chain", f"seal {number} is not the one that was witnessed")


def heads_of(path: Path) -> Iterator[tuple[int, bytes]]:
    """The seals' heads kept in a file of `witness_line`s, one after another; none without the file.

    A line that is none (torn by a crash, or edited) comes as UNREADABLE with its bytes.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            try:
                said = json.loads(line)
                head = int(said["seal"]), bytes.fromhex(said["hash"])
            except (ValueError, KeyError, TypeError):
                head = UNREADABLE, line
            yield head
