"""A record as it is answered: its row, what may be done with it, its version and its sections; and other shapes."""

from functools import cache
from typing import Any, Generic, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, create_model

from core.erp.kernel.records.answers import row_answer
from core.erp.kernel.records.declare import Entity
from core.erp.kernel.records.history import VERSION
from core.erp.kernel.records.read import row_of
from core.erp.kernel.shapes import BIGGEST_ID, Answer, Page
from core.erp.kernel.tables import values_of
from core.erp.kernel.unit import Unit

T = TypeVar("T")


class Listed(Page[T], Generic[T]):
    """One page of a list. The total is there if it was asked for."""

    total: int | None = Field(None, description="how many there are, where that was asked for")
    total_capped: bool = Field(False, description="there are more than `total`")


class FieldChangeOut(Answer):
    """One field before and after."""

    field: str
    before: Any
    after: Any


class EntryOut(Answer):
    """Somebody did something to a record."""

    id: int
    at: AwareDatetime
    actor: str
    action: str
    reason: str | None
    changes: list[FieldChangeOut]


@cache
def detail(entity: Entity) -> type[BaseModel]:
    """The shape of one record."""
    fields: dict[str, Any] = {
        "moves": (list[str], Field(description="what this user may do with it, by permit and state")),
        "version": (int, Field(description="to be given back when it is changed")),
    }
    fields |= {section.name: (section.shape, ...) for section in entity.sections}
    name = entity.shape.__name__.removesuffix("Out") + "Record"
    return create_model(name, __base__=entity.shape, __doc__=entity.shape.__doc__, **fields)


@cache
def change_form(entity: Entity) -> type[BaseModel]:
    """The body of a change: its fields, and the version that was seen."""
    assert entity.change is not None
    version = Field(ge=0, le=BIGGEST_ID, description="of the record that was seen", examples=[1042])
    body = entity.change.body
    said: Any = body.model_config.get("json_schema_extra") or {}
    shown = {**said, "examples": [{**one, "version": 1042} for one in said["examples"]]} if "examples" in said else said
    made: dict[str, Any] = {"__annotations__": {"version": int}, "version": version, "__doc__": body.__doc__}
    made |= {"__module__": body.__module__, "model_config": ConfigDict(json_schema_extra=shown)}
    return type(f"{body.__name__}Seen", (body,), made)


def shown(u: Unit, entity: Entity, record_id: int) -> BaseModel:
    """The record as this actor sees it, with what this transaction has written. Raises NotFound."""
    u.flush()
    row = row_of(u, entity, record_id, versioned=True)
    fields: dict[str, Any] = values_of(row)
    fields["moves"] = entity.moves(u.actor, fields.get("state"))
    fields["version"] = fields.pop(VERSION.name)
    fields |= {section.name: section.read(u, row) for section in entity.sections}
    return row_answer(detail(entity), fields, u.language)
