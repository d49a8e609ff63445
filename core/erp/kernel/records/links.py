"""Ids in bodies that name other records: each is looked for under the actor's scope before anything is done."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import BaseModel

from core.erp.kernel.errors import absent
from core.erp.kernel.records.declare import Entity
from core.erp.kernel.records.registry import entities
from core.erp.kernel.scope import scoped, visible
from core.erp.kernel.unit import Unit


@dataclass(frozen=True, slots=True)
class Link:
    """Says of a field that it holds ids of an entity: `partner_id: Annotated[Ref, Link("partner")]`.

    A field called as a column that has a link needs none.
    """

    entity: str


def require_linked(u: Unit, entity: Entity, *bodies: BaseModel) -> None:
    """Raises NotFound for the first id in the bodies that names nothing, or nothing that the actor may know of."""
    columns = tuple((column.name, column.link) for column in entity.columns if column.link is not None)
    wanted: dict[str, set[int]] = {}
    for body in bodies:
        for name, record_id in _named(body, columns):
            wanted.setdefault(name, set()).add(record_id)
    for name, ids in wanted.items():
        require(u, name, ids)


def require(u: Unit, name: str, ids: set[int]) -> None:
    """Raises NotFound for the least of the ids that names no record of that kind, or none the actor may know of.

    A kind that is no entity is one that a module says a scope of. Raises ValueError for any other.
    """
    entity = entities().get(name)
    if entity is not None:
        wanted = entity.select.with_only_columns(entity.rows.c.id).where(entity.rows.c.id.in_(ids))
        known = scoped(wanted, entity.scope, u.actor)
    elif name in visible():
        other = visible()[name]
        known = other.keys(u.actor).where(other.key.in_(ids))
    else:
        raise ValueError(f"no kind of record is called {name}")
    missing = ids - set(u.conn.scalars(known))
    if missing:
        raise absent(name, min(missing))


def _named(body: BaseModel, columns: tuple[tuple[str, str], ...]) -> Iterator[tuple[str, int]]:
    """(entity, id) of each id given."""
    links = _links(type(body), columns)
    for field in body.model_fields_set | set(links):
        value = getattr(body, field)
        for part in value if isinstance(value, list | tuple) else (value,):
            if isinstance(part, BaseModel):
                yield from _named(part, columns)
            elif field in links and part is not None:
                yield links[field], part


@cache
def _links(model: type[BaseModel], columns: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """Which entity a field's ids name."""
    found = dict(columns)
    links: dict[str, str] = {}
    for name, field in model.model_fields.items():
        declared: list[Any] = [part for part in field.metadata if isinstance(part, Link)]
        if declared or name in found:
            links[name] = declared[0].entity if declared else found[name]
    return links
