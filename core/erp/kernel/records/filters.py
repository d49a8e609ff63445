"""The parameters that a list of an entity may be asked by, made from its columns and filters."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from operator import eq, ge, lt
from typing import Any, Literal

from sqlalchemy import BigInteger, ColumnElement

from core.erp.kernel.annotations import without_none
from core.erp.kernel.records.declare import Column, Entity
from core.erp.kernel.records.search import begins
from core.erp.kernel.shapes import Moment
from core.erp.kernel.strict import Day
from core.erp.kernel.tables import value_type


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: its name, the type of its value (or of each of `many`), and the condition that a value makes.

    `an_id` says that it is a record's id. The condition takes a bound parameter; where it is not `bound`, the value
    itself: what is true or false makes two statements with different plans.
    """

    name: str
    kind: Any
    where: Callable[[Any], ColumnElement[bool]]
    many: bool = False
    an_id: bool = False
    bound: bool = True


@cache
def parameters(entity: Entity) -> dict[str, Parameter]:
    """All of an entity's, by name. Raises ValueError for two of one name."""
    made = [parameter for column in entity.columns for parameter in _of_column(entity, column)]
    made += [
        Parameter(one.name, one.kind, one.where, an_id=one.name.endswith("_id"), bound=one.kind is not bool)
        for one in entity.filters
    ]
    found = {parameter.name: parameter for parameter in made}
    if len(found) != len(made):
        raise ValueError(f"{entity.name}: two filters share a name")
    return found


def _of_column(entity: Entity, declared: Column) -> list[Parameter]:
    if declared.filter is None:
        return []
    column, kind = entity.column(declared.name), _kind(entity, declared)
    names = declared.asked or _NAMES.get(declared.filter, ("{}",))
    an_id = isinstance(column.type, BigInteger) and kind is int
    return [
        Parameter(
            name.format(declared.name),
            kind,
            _condition(make, column),
            many=declared.filter == "in",
            an_id=an_id,
            bound=declared.filter != "prefix",
        )
        for name, make in zip(names, _CONDITIONS[declared.filter], strict=True)
    ]


def _condition(
    make: Callable[[ColumnElement[Any], Any], ColumnElement[bool]], column: ColumnElement[Any]
) -> Callable[[Any], ColumnElement[bool]]:
    return lambda value: make(column, value)


def _kind(entity: Entity, declared: Column) -> Any:
    if declared.name == "state" and entity.cycle is not None:
        return Literal[entity.cycle.states]
    if declared.kind is not None:
        return declared.kind
    field = entity.shape.model_fields.get(declared.name)
    plain = value_type(entity.column(declared.name))
    if plain in _ASKED:
        return _ASKED[plain]
    return without_none(field.annotation) if field is not None else plain


_ASKED: dict[Any, Any] = {datetime: Moment, date: Day}
"""Times and days that can be meant."""
_NAMES = {"range": ("{}_from", "{}_before")}
_Make = Callable[[ColumnElement[Any], Any], ColumnElement[bool]]


_CONDITIONS: dict[str, tuple[_Make, ...]] = {
    "eq": (eq,),
    "in": (lambda column, value: column.in_(value),),
    "prefix": (begins,),
    "range": (ge, lt),
    "since": (ge,),
    "until": (lt,),
}
