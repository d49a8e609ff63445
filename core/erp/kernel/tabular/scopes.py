"""Which imports somebody sees: those of whose records they see every one, for who undoes an import undoes all of it."""

from sqlalchemy import ColumnElement, case, select

from core.erp.kernel.named import kinds
from core.erp.kernel.records.registry import entities
from core.erp.kernel.scope import Visible, inside
from core.erp.kernel.tables import table
from core.erp.kernel.tabular.model import ImportLine, ImportRun
from core.erp.kernel.unit import Actor

_run, _line = table(ImportRun).c, table(ImportLine).c


def _all_records_seen(actor: Actor) -> ColumnElement[bool] | None:
    if not actor.scoped:
        return None
    asked = [kinds()[entity.name] for entity in entities().values() if entity.create is not None]
    open_to_all = [one.name for one in asked if one.scope(actor) is None]
    beyond = {
        one.name: select(_line.record_id)
        .where(_line.run_id == _run.id, ~one.keys(actor).where(one.key == _line.record_id).exists())
        .exists()
        for one in asked
        if one.name not in open_to_all
    }
    return case({name: ~some for name, some in beyond.items()}, value=_run.entity, else_=_run.entity.in_(open_to_all))


RUN = "import_run"
RUNS = inside(_all_records_seen)

VISIBLE = (Visible(RUN, _run.id, RUNS, alias="run", label=_run.file),)
