"""The records of imports: each run, and undoing it."""

from typing import Any

from core.erp.kernel.errors import Refused
from core.erp.kernel.masking import masked
from core.erp.kernel.records import Column, Entity, Section, Verb
from core.erp.kernel.records.declare import as_permits
from core.erp.kernel.records.registry import entities
from core.erp.kernel.shapes import ReasonIn
from core.erp.kernel.tabular.faults import Fault
from core.erp.kernel.tabular.model import ImportRun
from core.erp.kernel.tabular.record_import import importable_of
from core.erp.kernel.tabular.scopes import RUN, RUNS
from core.erp.kernel.tabular.shapes import FaultOut, RunOut, fault_out
from core.erp.kernel.tabular.undoing import undo_import
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import from_json


def undo(u: Unit, run_id: int, reason: str) -> None:
    """Undoes the run, by who may make such records. Raises Forbidden, and what `undo_import` raises."""
    run = u.get_one(ImportRun, run_id)
    entity = entities().get(run.entity)
    importable = importable_of(entity) if entity is not None else None
    if entity is None or importable is None or entity.create is None:
        raise Refused("tabular.never_undone")
    u.actor.need(*as_permits(entity.create.permit))
    undo_import(u, importable, run_id, reason)


def faults_of(u: Unit, row: Any) -> list[FaultOut]:
    """What was wrong with the lines that were left out; what stands elsewhere is told to who wrote it only."""
    run = u.get_one(ImportRun, row.id)
    kept = run.faults if run.by == u.actor.login else masked(u.conn, u.actor, run.faults)
    return [
        fault_out(Fault(one["line"], one["column"], one["value"], from_json(one), tuple(one["choices"])), u.language)
        for one in kept
    ]


IMPORT_RUNS = Entity(
    name=RUN,
    path="import-runs",
    table=ImportRun,
    read="import.read",
    scope=RUNS,
    answer=RunOut,
    label="file",
    columns=(Column("entity", filter="eq"), Column("by", filter="eq"), Column("at", filter="range")),
    verbs=(Verb("undo", ReasonIn, undo, permit="import.undo"),),
    sections=(Section("faults", faults_of, list[FaultOut]),),
)

ENTITIES = (IMPORT_RUNS,)
