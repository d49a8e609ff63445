"""Is the audit trail whole? Every row, every seal and every witnessed head, each read once and streamed: memory does
not grow with the trail.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Row, Select, select, text

from core.erp.kernel.audit import GENESIS, message_of
from core.erp.kernel.audit_keys import MESSAGE_SQL, AuditKeys, keys_of
from core.erp.kernel.model import AuditRow, AuditSeal
from core.erp.kernel.tables import table
from core.erp.kernel.witness import Head, Header, Restored, Unreadable, Witness
from core.series.landing import driver

MAX_UNSEALED_AGE = timedelta(seconds=10)
"""An unsealed row older than this is an alarm."""
BATCH = 5000
"""Rows fetched at once."""
SEALS_IN_MEMORY = 50
"""Seals in memory at once: each may name thousands of rows."""
MAX_FINDINGS = 1000
"""Findings told at most: a trail with so many wrong is wrong."""
MAX_IDS_NAMED = 20
"""Ids named in one finding."""

_SEALS = table(AuditSeal)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with the trail.

    kind: edited (a row is not as it was written, or was written without the key), copied, missing, reordered,
    broken_chain, unsealed, truncated, no_witness, broken_witness, shortened_witness, or restored (fewer seals than
    were witnessed: a backup was put back, or the newest were cut off).
    """

    kind: str
    detail: str


@dataclass(slots=True)
class VerificationProgress:
    """What was read by the way: `rows`, `seals`, and by how many whole seals the witness lags behind."""

    rows: int = 0
    seals: int = 0
    lag: int = 0


def verify(
    conn: Connection,
    now: datetime | None = None,
    witness: Witness | None = None,
    checked: VerificationProgress | None = None,
) -> list[Finding]:
    """What is wrong with the trail, MAX_FINDINGS findings at most; an empty list means it is whole.

    `now` also finds rows that should have been sealed; `witness`, what a history written anew, or cut, hides from the
    chain alone. `checked` is filled with how much was read. Raises NoAuditKey.
    """
    return list(islice(_Trail(conn, now, witness, checked or VerificationProgress()).findings(), MAX_FINDINGS))


@dataclass(slots=True)
class _Trail:
    conn: Connection
    now: datetime | None
    witness: Witness | None
    checked: VerificationProgress
    keys: AuditKeys = field(init=False)
    unknown: dict[str, int] = field(default_factory=dict)
    """Rows by a key that nobody here has."""
    pending: dict[int, tuple[bytes, int]] = field(default_factory=dict)
    """Rows read whose seals are not: their HMACs, and the seals they are noted for."""

    def findings(self) -> Iterator[Finding]:
        self.keys = keys_of(self.conn)
        # before the seals: what is witnessed by then is among the seals that are read after it
        heads = _Heads(self.witness)
        yield from self._chain(heads)
        yield from self._orphaned_notes()
        yield from self._copies()
        yield from self._truncated()
        yield from heads.ended(self.conn, self.checked)

    def _chain(self, heads: "_Heads") -> Iterator[Finding]:
        """Each seal after the one before, over its rows as they are now; then the rows in no seal."""
        rows = _Rows(self)
        number, previous = 0, GENESIS
        for seal in _streamed(self.conn, select(_SEALS).order_by(_SEALS.c.number), SEALS_IN_MEMORY):
            self.checked.seals += 1
            if seal.number != number + 1:
                yield Finding("truncated", f"seals {number + 1} to {seal.number - 1} are missing")
            elif seal.previous != previous:
                yield Finding("broken_chain", f"seal {seal.number} does not follow seal {number}")
            yield from rows.up_to(max(seal.row_ids, default=0))
            yield from self._seal(seal)
            yield from heads.compare(seal)
            number, previous = seal.number, seal.hash
        yield from rows.up_to(None)
        yield from rows.late()
        for key, count in self.unknown.items():
            yield Finding("edited", f"{count} audit rows name the key {key}, which nobody here has")
        for row_id, (_, noted) in islice(self.pending.items(), MAX_FINDINGS):
            yield Finding("reordered", f"audit row {row_id} is noted for seal {noted}, which does not name it")

    def _seal(self, seal: Row[Any]) -> Iterator[Finding]:
        hashes: list[bytes] = []
        strayed = [row_id for row_id in seal.row_ids if row_id not in self.pending]
        again = self._fetch_rows(strayed) if strayed else {}
        gone: list[int] = []
        for row_id in seal.row_ids:
            found = self.pending.pop(row_id, None) or again.get(row_id)
            if found is None:
                gone.append(row_id)
                continue
            if found[1] != seal.number:
                yield Finding("reordered", f"audit row {row_id} is in seal {seal.number}, noted for {found[1] or None}")
            hashes.append(found[0])
        if gone:
            yield Finding(
                "missing", f"audit rows {gone[:MAX_IDS_NAMED]} of seal {seal.number} are gone ({len(gone)} in all)"
            )
        elif not self.keys.verifies(seal.key_id, message_of(seal, hashes), seal.hash):
            yield Finding("broken_chain", f"seal {seal.number} does not match its rows in their order")

    def _fetch_rows(self, ids: list[int]) -> dict[int, tuple[bytes, int]]:
        """Rows that came after the cursor was opened, or are in no seal by their note."""
        found = self.conn.execute(_LOOK_UP, {"ids": ids})
        return {row.id: (row.hash, row.seal) for row in found}

    def _orphaned_notes(self) -> Iterator[Finding]:
        """Notes of rows that are no longer there."""
        gone = list(self.conn.execute(_NOTED_GONE, {"most": MAX_IDS_NAMED}).scalars())
        if gone:
            yield Finding("missing", f"audit rows {gone} are noted as sealed and are gone")

    def _copies(self) -> Iterator[Finding]:
        for row in self.conn.execute(_COPIES, {"most": MAX_FINDINGS}):
            yield Finding(
                "copied", f"audit rows {row.ids[:MAX_IDS_NAMED]} are one and the same: all but the first were copied"
            )

    def _truncated(self) -> Iterator[Finding]:
        """An emptied trail is told by the counter of ids that were given, which a TRUNCATE leaves as it is."""
        left = self.conn.execute(select(table(AuditRow).c.id).limit(1)).first() is not None
        if not left and (self.checked.seals or self.conn.scalar(_GIVEN)):
            yield Finding("truncated", "audit rows were written and none is left")


_LOOK_UP = text(
    "SELECT a.id, a.hash, coalesce(n.seal, 0) AS seal FROM audit a LEFT JOIN audit_sealed n ON n.audit_id = a.id"
    " WHERE a.id = ANY(:ids)"
)
_NOTED_GONE = text(
    "SELECT n.audit_id FROM audit_sealed n WHERE NOT EXISTS (SELECT FROM audit a WHERE a.id = n.audit_id)"
    " ORDER BY 1 LIMIT :most"
)
_COPIES = text("SELECT array_agg(id ORDER BY id) AS ids FROM audit GROUP BY hash HAVING count(*) > 1 LIMIT :most")
_GIVEN = text("""
    SELECT last_value IS NOT NULL FROM pg_sequences
    WHERE schemaname = current_schema() AND sequencename = 'audit_id_seq'
""")
_ROWS = (
    f"SELECT a.id, a.key_id, a.hash, coalesce(n.seal, 0), {MESSAGE_SQL}, (extract(epoch FROM a.at))::bigint"  # noqa: S608 - our own columns
    " FROM audit a LEFT JOIN audit_sealed n ON n.audit_id = a.id ORDER BY a.id"
)


def _streamed(conn: Connection, query: Select[Any], at_once: int) -> Iterator[Row[Any]]:
    """The rows one after another, so many in memory, from a cursor that is closed whatever happens."""
    with conn.execute(query, execution_options={"stream_results": True, "max_row_buffer": at_once}) as found:
        yield from found


class _Rows:
    """All audit rows by id, from the driver's own binary cursor: a row costs the HMAC and little more."""

    def __init__(self, trail: _Trail) -> None:
        self._trail = trail
        self._raw = driver(trail.conn)
        self._stream = self._read()
        self._ahead: tuple[Any, ...] | None = next(self._stream, None)
        self._late: list[int] = []
        self._late_count = 0

    def _read(self) -> Iterator[tuple[Any, ...]]:
        with self._raw.cursor(name="lotwise_audit_rows", binary=True) as cursor:
            cursor.itersize = BATCH
            cursor.execute(_ROWS)
            yield from cursor

    def up_to(self, last: int | None) -> Iterator[Finding]:
        """Reads rows until the id is passed (None: all), checks each and keeps the sealed for their seals."""
        trail, row = self._trail, self._ahead
        before = None if trail.now is None else (trail.now - MAX_UNSEALED_AGE).timestamp()
        verifies, known, pending, unknown = trail.keys.verifies, trail.keys.by_id, trail.pending, trail.unknown
        while row is not None and (last is None or row[0] <= last):
            row_id, key, mac, seal, message, at = row
            trail.checked.rows += 1
            if key not in known:
                unknown[key] = unknown.get(key, 0) + 1
            elif not verifies(key, message, mac):
                yield Finding("edited", f"audit row {row_id} does not bear its key's HMAC: edited, or forged")
            if seal:
                pending[row_id] = mac, seal
            elif before is not None and at < before:
                self._late_count += 1
                if len(self._late) < MAX_IDS_NAMED:
                    self._late.append(row_id)
            row = next(self._stream, None)
        self._ahead = row

    def late(self) -> Iterator[Finding]:
        """Rows that should be in a seal by now."""
        if self._late_count:
            yield Finding(
                "unsealed",
                f"audit rows {self._late} are older than {MAX_UNSEALED_AGE.seconds} s and unsealed"
                f" ({self._late_count} in all)",
            )


class _Heads:
    """The witness's heads, compared with the seals as these pass by in order of their numbers."""

    def __init__(self, witness: Witness | None) -> None:
        self._witness = witness
        self._exists = witness is not None and witness.exists
        self._name: str | None = None
        self._unreadable = 0
        self._restoration: int | None = None
        self._heads = self._valid_heads() if witness is not None and self._exists else iter(())
        self._next = next(self._heads, None)
        self._last = 0
        self._passed = 0

    def _valid_heads(self) -> Iterator[Head]:
        """The heads that count: none that a signed restore has left behind."""
        assert self._witness is not None
        lines = 0
        cuts: list[tuple[int, int]] = []
        for line in self._witness.lines():
            lines += 1
            if isinstance(line, Restored):
                cuts.append((lines, line.number))
                self._restoration = line.restoration
        for place, line in enumerate(islice(self._witness.lines(), lines), 1):
            match line:
                case Header(name):
                    self._name = name
                case Unreadable():
                    self._unreadable += 1
                case Head(number, _) if not any(cut > place and number > kept for cut, kept in cuts):
                    yield line

    def compare(self, seal: Row[Any]) -> Iterator[Finding]:
        """The next seal, against what was witnessed of it."""
        while self._next is not None and self._next.number < seal.number:
            yield Finding("truncated", f"seal {self._next.number} was witnessed and is missing")
            self._advance()
        if self._next is not None and self._next.number == seal.number:
            if self._next.hash != seal.hash:
                yield Finding("broken_chain", f"seal {seal.number} is not the one that was witnessed")
            self._advance()
        elif self._next is not None:
            yield Finding("shortened_witness", f"seal {seal.number} is not in the witness, and later ones are")
        else:
            self._passed += 1

    def _advance(self) -> None:
        assert self._next is not None
        self._last = self._next.number
        self._next = next(self._heads, None)

    def ended(self, conn: Connection, checked: VerificationProgress) -> Iterator[Finding]:
        """What is left of the witness beyond the last seal, and of the seals beyond the witness."""
        if self._witness is None:
            return
        if not self._exists:
            if checked.seals:
                yield Finding("no_witness", f"no witness at {self._witness.path}, and {checked.seals} seals")
            return
        if self._next is not None:
            first = self._next.number
            last = max((head.number for head in self._heads), default=first)
            yield Finding("restored", f"seals {first} to {last} were witnessed and are not in the database")
        if self._name is None and checked.seals:
            yield Finding("broken_witness", f"{self._witness.path} does not begin with its name: cut at its beginning")
        if self._restoration is not None and conn.scalar(_SIGNED, {"id": str(self._restoration)}) is None:
            yield Finding("broken_witness", f"it says restoration {self._restoration} was signed; the trail does not")
        if self._unreadable:
            yield Finding("broken_witness", f"{self._unreadable} lines of {self._witness.path} cannot be read")
        need = conn.scalar(_NEED, {"name": self._name}) or 0
        if need > self._last:
            yield Finding("shortened_witness", f"the witness had seal {need} and now ends with {self._last}")
        checked.lag = self._passed


_SIGNED = text("SELECT 1 FROM audit WHERE action = 'restoration.sign' AND entity_id = :id LIMIT 1")
_NEED = text("SELECT max(witnessed) FROM audit_seal WHERE witness = :name")
