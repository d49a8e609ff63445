"""Runs of imports as they are kept: each file once, with what it made; and mappings that are remembered."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import insert, select, text
from sqlalchemy.dialects.postgresql import insert as upsert

from core.erp.kernel.errors import Conflict
from core.erp.kernel.tables import table
from core.erp.kernel.tabular.faults import Fault
from core.erp.kernel.tabular.mapping import Mapping, headings_digest
from core.erp.kernel.tabular.model import ImportMapping, ImportRun
from core.erp.kernel.tabular.report import Remembered, Report
from core.erp.kernel.unit import Unit

_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))")
_LINES = text("""
    INSERT INTO import_line (run_id, entity, line, record_id)
    SELECT :run_id, :entity, made.line, made.id
    FROM unnest(CAST(:lines AS bigint[]), CAST(:ids AS bigint[])) AS made (line, id)
""")


def once(u: Unit, entity: str, sha256: str, mapping: Mapping) -> None:
    """Raises Conflict where the file was imported with this mapping and stands; two at once go one after another."""
    digest = mapping.digest()
    u.lock(_LOCK, {"key": f"import:{entity}:{sha256}:{digest.hex()}"})
    c = table(ImportRun).c
    where = (c.entity == entity, c.sha256 == bytes.fromhex(sha256), c.digest == digest, c.undone_at.is_(None))
    found = u.conn.execute(select(c.id, c.at, c.by, c.file, c.made).where(*where)).first()
    if found is not None:
        run = {"at": found.at, "by": found.by, "file": found.file, "count": found.made}
        raise Conflict("tabular.already_imported", **run, extra={"run_id": found.id})


def remembered(u: Unit, entity: str, headings: Sequence[str]) -> Remembered | None:
    """What was said last of a file of this entity with these headings."""
    c = table(ImportMapping).c
    where = (c.entity == entity, c.headings == headings_digest(headings))
    row = u.conn.execute(select(c.mapping, c.by).where(*where)).first()
    return None if row is None else Remembered(msgspec.convert(row.mapping, Mapping), row.by)


def remember(u: Unit, entity: str, headings: Sequence[str], mapping: Mapping) -> None:
    """Keeps what was said, for the next file with these headings."""
    row = {"mapping": msgspec.to_builtins(mapping), "at": u.now, "by": u.actor.login}
    key = {"entity": entity, "headings": headings_digest(headings)}
    statement = upsert(ImportMapping).values(**key, **row)
    u.conn.execute(statement.on_conflict_do_update(index_elements=list(key), set_=row))


def record(u: Unit, entity: str, report: Report) -> int:
    """Keeps the run, with the record that each line made; gives its id."""
    found = report.table.found
    counts = {"lines": report.lines, "made": len(report.made), "bad": report.bad, "mode": report.mode.value}
    values = {
        "entity": entity,
        "at": u.now,
        "by": u.actor.login,
        "file": report.table.name,
        "sha256": bytes.fromhex(found.sha256),
        "mapping": msgspec.to_builtins(report.mapping),
        "digest": report.mapping.digest(),
        "faults": [as_json(fault) for fault in report.faults.listed()],
        **counts,
    }
    run_id: int = u.conn.execute(insert(ImportRun).values(values).returning(table(ImportRun).c.id)).scalar_one()
    lines = {"lines": [made.line for made in report.made], "ids": [made.id for made in report.made]}
    u.conn.execute(_LINES, {"run_id": run_id, "entity": entity, **lines})
    after = {"entity": entity, "file": report.table.name, "sha256": found.sha256, **counts}
    u.audit("import.run", "import_run", run_id, after=after)
    return run_id


def as_json(fault: Fault) -> dict[str, object]:
    """A fault as a table keeps it, and as the wire carries it in English."""
    place = {"line": fault.line, "column": fault.column, "value": fault.value}
    return {**place, **fault.message.as_json(), "choices": list(fault.choices)}
