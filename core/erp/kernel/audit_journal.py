"""What the newest audit rows were about, in a file beside the witness: after a restore it tells what is missing.

Who, what and which record, no values. It proves nothing, the witness does; it is bounded, and so goes back some weeks
only.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

JOURNAL_FILE = "audit-journal.jsonl"
MOST_BYTES = 32 * 2**20
"""At which size the file is set aside as `.1`, whose place it takes."""

_ROWS = text("""
    SELECT s.number AS seal, a.id AS row, a.at, a.actor, a.action, a.entity, a.entity_id, a.reason
    FROM audit_seal s, unnest(s.row_ids) WITH ORDINALITY i(id, place) JOIN audit a ON a.id = i.id
    WHERE s.number BETWEEN :first AND :last ORDER BY s.number, i.place
""")


@dataclass(frozen=True, slots=True)
class Entry:
    """One audit row: its seal, id and time (ISO 8601), and who did what to which record."""

    seal: int
    row: int
    at: str
    actor: str
    action: str
    entity: str
    entity_id: str
    reason: str | None


def entries(conn: Connection, first: int, last: int) -> list[Entry]:
    """The rows of these seals."""
    rows = conn.execute(_ROWS, {"first": first, "last": last})
    return [Entry(r.seal, r.row, r.at.isoformat(), r.actor, r.action, r.entity, r.entity_id, r.reason) for r in rows]


class Journal:
    """The file, and the one before it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._before = path.with_name(path.name + ".1")

    def append(self, found: Sequence[Entry]) -> None:
        """Adds rows at the end."""
        self._write([asdict(entry) for entry in found])

    def restored(self, number: int) -> None:
        """QA signed that seals beyond this one are gone: what was said of them counts no more."""
        self._write([{"restored": number}])

    def _write(self, lines: Sequence[dict[str, Any]]) -> None:
        if self.path.exists() and self.path.stat().st_size > MOST_BYTES:
            self.path.replace(self._before)
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)

    def after(self, number: int) -> list[Entry]:
        """What it tells of seals beyond this one, in order; torn lines are left out, it is no proof."""
        found: list[Entry] = []
        for line in self._lines():
            if "restored" in line:
                found = [entry for entry in found if entry.seal <= line["restored"]]
            elif line["seal"] > number:
                found.append(Entry(**line))
        return found

    def _lines(self) -> Iterator[dict[str, Any]]:
        for path in (self._before, self.path):
            if path.exists():
                with path.open(encoding="utf-8", errors="replace") as file:
                    for line in file:
                        try:
                            yield json.loads(line)
                        except ValueError:
                            continue
