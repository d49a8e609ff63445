"""The page of one record: its facts, its life cycle, what may be done with it, what hangs on it, its history."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any

from fastapi import APIRouter, Response
from pydantic import AwareDatetime

from core.erp.kernel.annotations import leaf_of
from core.erp.kernel.door import needs
from core.erp.kernel.http import Id
from core.erp.kernel.records.declare import Entity, Verb, as_permits
from core.erp.kernel.records.history import Entry, history
from core.erp.kernel.records.registry import entities
from core.erp.kernel.records.shown import shown
from core.erp.kernel.unit import Unit
from core.web.frame.visit import Visit, Visiting
from core.web.records.acts import act_said, names_of
from core.web.records.attached import files_of
from core.web.records.life import forward, path_of
from core.web.records.sections import section_tables
from core.web.records.shown import Cells, Shown, columns, labels, part_name, plain, title

ENTRIES = 50
"""Newest entries of the history on the page; the rest is behind a link."""


@dataclass(frozen=True, slots=True)
class Related:
    """A list of other records that name this one."""

    entity: Entity
    column: str


def add(made: APIRouter, entity: Entity) -> None:
    """The record's page."""

    @needs(*as_permits(entity.read))
    def one(visit: Visiting, record_id: Id) -> Response:
        return visit.read(lambda u: record_page(u, entity, visit, record_id))

    made.add_api_route(f"/{entity.path}/{{record_id}}", one, methods=["GET"], name=f"one_{entity.name}")
    # where a desk has taken the address of its own
    made.add_api_route(f"/{entity.path}/{{record_id}}/record", one, methods=["GET"], name=f"record_{entity.name}")


def record_page(
    u: Unit,
    entity: Entity,
    visit: Visit,
    record_id: int,
    *,
    template: str = "records/record.html",
    shows: tuple[str, ...] = (),
    elsewhere: Collection[str] = (),
    **more: Any,
) -> Response:
    """The page. Raises NotFound, the same for a record outside the reader's scope.

    `shows`: the sections that a template of its own shows in its own way; `elsewhere`: the verbs that it offers there.
    """
    record = shown(u, entity, record_id)
    row = {name: getattr(record, name) for name in type(record).model_fields}
    cells = Cells(entity, visit.words, labels(u, entity, [row]))
    entries, further = history(u, entity, record_id, visit.request.query_params.get("history"), ENTRIES)
    sections = [
        table
        for section in entity.sections
        if section.name not in shows
        for table in section_tables(entity, section.name, row[section.name], visit, row)
    ]
    return visit.page(
        template,
        entity=entity,
        row=row,
        title=title(entity, row, visit.words),
        facts=[(column, cells.cell(column, row)) for column in columns(entity) if column.name != "state"],
        current=row.get("state") if entity.cycle is not None else None,
        path=path_of(entity, row.get("state"), entries) if "history" not in visit.request.query_params else [],
        verb_name=lambda verb: verb_name(entity, verb, visit),
        verbs=[verb for verb in offered(entity, row["moves"]) if verb.name not in elsewhere],
        forward=forward(entity, row),
        may_change=may_change(entity, row, visit),
        sections=sections,
        related=[one for one in related(entity) if visit.may(*as_permits(one.entity.read))],
        entries=said_entries(u, entity, entries, visit),
        further=further,
        files=files_of(u, entity, visit, row),
        **more,
    )


def offered(entity: Entity, moves: Sequence[str]) -> list[Verb]:
    """The verbs that are buttons now."""
    return [verb for verb in entity.verbs if verb.name in moves]


def may_change(entity: Entity, row: Mapping[str, Any], visit: Visit) -> bool:
    """Whether the record is open to changes, to this reader, in its state."""
    change = entity.change
    if change is None or not visit.may(*as_permits(change.permit)):
        return False
    return change.states is None or row.get("state") in change.states


def verb_name(entity: Entity, verb: Verb, visit: Visit) -> str:
    """What a verb's button says: in its own words, where those of a refusal ("cannot add a line to the shipment") are
    none for a button.
    """
    own = f"button.{entity.name}.{verb.name}"
    return visit.words.label(own if visit.words.has(own) else f"move.{entity.name}.{verb.name}")


@cache
def related(entity: Entity) -> tuple[Related, ...]:
    """Lists of others that may be filtered by this record."""
    return tuple(
        Related(other, column.name)
        for other in entities().values()
        for column in other.columns
        if column.link == entity.name and column.filter == "eq"
    )


def said_entries(
    u: Unit, entity: Entity, entries: Sequence[Entry], visit: Visit
) -> list[tuple[Entry, str, str, list[tuple[str, Any, Any]]]]:
    """(entry, who did it, what was done, (field, before, after) of each change), as their reader reads them."""
    names = names_of(u, {entry.actor for entry in entries})
    return [
        (
            entry,
            names.get(entry.actor, entry.actor),
            act_said(entry.action, visit.words),
            changes_of(entity, entry, visit),
        )
        for entry in entries
    ]


def changes_of(entity: Entity, entry: Entry, visit: Visit) -> list[tuple[str, Any, Any]]:
    """(field, before, after) of one entry, as its reader reads them."""
    names = {column.name: column for column in columns(entity)}
    return [
        (
            visit.words.say(names[change.field].label)
            if change.field in names
            else part_name(change.field, visit.words, entity.name),
            _then(entity, names.get(change.field), _as_typed(entity, change.field, change.before), visit),
            _then(entity, names.get(change.field), _as_typed(entity, change.field, change.after), visit),
        )
        for change in entry.changes
        if not change.field.endswith(("_message", "_hash")) and change.field != "id"
    ]


def _as_typed(entity: Entity, name: str, value: Any) -> Any:
    """A value of the trail, which is JSON, as its field has it: times and days are times and days again."""
    info = entity.shape.model_fields.get(name)
    if info is None or not isinstance(value, str):
        return value
    kind = leaf_of(info.annotation)
    try:
        if kind in (datetime, AwareDatetime):
            return datetime.fromisoformat(value)
        return date.fromisoformat(value) if kind is date else Decimal(value) if kind is Decimal else value
    except (ValueError, InvalidOperation):
        return value


def _then(entity: Entity, column: Shown | None, value: Any, visit: Visit) -> Any:
    if value is None or value == "":
        return "–"
    if column is not None and column.name == "state" and entity.cycle is not None:
        return visit.words.state(entity.cycle.noun, str(value), bare=True)
    return plain(column.name if column is not None else "", value, visit.words)
