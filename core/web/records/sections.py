"""The parts of a record that are lists of like things, as tables of its page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, get_args

from markupsafe import Markup
from pydantic import BaseModel

from core.erp.kernel.records.declare import Entity, as_permits
from core.erp.kernel.records.registry import entities
from core.erp.kernel.workflow import Workflow
from core.web.frame.visit import Visit
from core.web.records.inputs import UNSEEN
from core.web.records.shown import plain

HALF = 5
"""Columns that half a page has room for."""


@dataclass(frozen=True, slots=True)
class SectionTable:
    """A part of the answer that is a list of like things, or one thing."""

    called: str
    headings: list[str]
    rows: list[list[Any]]

    @property
    def wide(self) -> bool:
        """Whether it has more columns than half a page has room for."""
        return len(self.headings) > HALF


def section_tables(entity: Entity, name: str, value: Any, visit: Visit, row: Mapping[str, Any]) -> list[SectionTable]:
    """A section's value as tables: what is a list within one of its lines (a version's limits) is one of its own."""
    made = section_table(entity, name, value, visit, row)
    lines = value if isinstance(value, (list, tuple)) else ()
    within = [
        replace(table, called=visit.words.t("web.part_of", part=table.called, whole=f"{made.called} {number}"))
        for number, line in enumerate(lines, 1)
        if made is not None and isinstance(line, BaseModel)
        for field in _lists_of(type(line))
        if (table := section_table(entity, field, getattr(line, field), visit, row)) is not None
    ]
    return [one for one in (made, *within) if one is not None and one.rows]


@cache
def _lists_of(shape: type[BaseModel]) -> tuple[str, ...]:
    """The fields of a line that are lists of lines themselves."""
    kinds = {name: next(iter(get_args(info.annotation)), None) for name, info in shape.model_fields.items()}
    return tuple(name for name, kind in kinds.items() if isinstance(kind, type) and issubclass(kind, BaseModel))


def section_table(
    entity: Entity, name: str, value: Any, visit: Visit, row: Mapping[str, Any] | None = None
) -> SectionTable | None:
    """A section's value as a table, without what only repeats the record (`row`); None where no table shows it."""
    lines = value if isinstance(value, (list, tuple)) else [value] if isinstance(value, BaseModel) else None
    called = visit.words.label(entity.field(name))
    if lines is None:
        if value is None or value == "":
            return None
        return SectionTable(called, [], [[plain(name, value, visit.words)]])
    if not lines:
        return SectionTable(called, [], [])
    if not isinstance(lines[0], BaseModel):
        return SectionTable(called, [], [[plain(name, one, visit.words)] for one in lines])
    names = type(lines[0]).model_fields
    unseen = {*UNSEEN, "password", *_lists_of(type(lines[0]))}
    fields = [one for one in names if one not in unseen and not one.endswith("_message") and not _repeated(one, names)]
    fields = [one for one in fields if not _of_itself(entity, row or {}, one, lines)]
    headings = [visit.words.label(entity.field(one)) for one in fields]
    return SectionTable(called, headings, [[_part(field, line, visit) for field in fields] for line in lines])


def _repeated(name: str, names: Mapping[str, Any]) -> bool:
    """An id beside what its record is called."""
    base = name.removesuffix("_id")
    return base != name and any(one in names for one in (base, f"{base}_code", f"{base}_number"))


def _of_itself(entity: Entity, row: Mapping[str, Any], name: str, lines: Sequence[Any]) -> bool:
    """Whether a column says of every line only which record it is of."""
    values = {getattr(line, name) for line in lines if not isinstance(getattr(line, name), (list, dict))}
    if values == {row.get("id")}:
        return name.endswith("_id") and entity.name.endswith(name.removesuffix("_id"))
    return entity.label != "id" and values == {row.get(entity.label)}


def _part(field: str, line: BaseModel, visit: Visit) -> Any:
    value = getattr(line, field)
    if value is None:
        return "–"
    cycle = _cycle_of(type(line)) if field == "state" else None
    if cycle is not None:
        return visit.words.state(cycle.noun, str(value), bare=True)
    base = field.removesuffix("_id").removesuffix("_code").removesuffix("_number")
    linked, number = entities().get(base), getattr(line, f"{base}_id", None)
    if linked is not None and isinstance(number, int) and visit.may(*as_permits(linked.read)):
        return Markup('<a href="/{}/{}">{}</a>').format(linked.path, number, value)
    return plain(field, value, visit.words)


@cache
def _cycle_of(shape: type[BaseModel]) -> Workflow | None:
    """The life cycle that a line's state is of: that of the records which are answered as it is."""
    return next((one.cycle for one in entities().values() if one.shape is shape), None)
