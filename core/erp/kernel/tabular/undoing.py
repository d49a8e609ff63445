"""Undoing an import: its records are taken back, as long as nothing has been done with any of them."""

from sqlalchemy import select, update

from core.erp.kernel.errors import Conflict, Refused, absent
from core.erp.kernel.tables import table
from core.erp.kernel.tabular.importable import Importable
from core.erp.kernel.tabular.model import ImportLine, ImportRun
from core.erp.kernel.unit import Unit

NAMED = 20
"""So many records that stand against it are named; all are counted."""


def undo_import(u: Unit, importable: Importable, run_id: int, reason: str) -> None:
    """Takes back all records of the run. The caller has asked for the permit.

    Raises NotFound, Conflict (undone before), Refused (the entity takes nothing back; some have moved on, which are
    named).
    """
    run = u.get(ImportRun, run_id, lock=True)
    if run is None or run.entity != importable.entity:
        raise absent("import_run", run_id)
    if run.undone_at is not None:
        raise Conflict("tabular.undone_before", at=run.undone_at, by=run.undone_by or "")
    if importable.withdraw is None:
        raise Refused("tabular.never_undone")
    lines = table(ImportLine).c
    ids = list(u.conn.scalars(select(lines.record_id).where(lines.run_id == run_id).order_by(lines.line)))
    moved = importable.moved(u, ids, run.at)
    if moved:
        names = [moved[one] for one in sorted(moved)][:NAMED]
        raise Refused("tabular.moved_since", count=len(moved), names=names, extra={"ids": sorted(moved)})
    importable.withdraw(u, ids, reason)
    runs = table(ImportRun)
    undone = {"undone_at": u.now, "undone_by": u.actor.login, "undo_reason": reason}
    u.conn.execute(update(runs).where(runs.c.id == run_id).values(undone))
    u.audit("import.undo", "import_run", run_id, reason=reason, after={"undone": len(ids)})
