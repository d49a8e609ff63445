"""Records that a request names: whatever in its path, query and body is an id (or a label) of a kind that has a scope.

The door looks for them under the actor's scope before the route's work is done, so that one outside is answered as one
that is not there. Which kind a value names, its name says (`sublot_id`, `hold_ids`, `receiving_zone_id`; `point` for
its address), or `Link`. Whoever sees everything is asked nothing here.
"""

import inspect
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, wraps
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel
from sqlalchemy import BigInteger, ColumnElement, Connection, case, cast, false, select

from core.erp.kernel.errors import absent
from core.erp.kernel.records.links import Link
from core.erp.kernel.records.registry import entities
from core.erp.kernel.scope import Scope, Visible, scoped, visible
from core.erp.kernel.shapes import names_person
from core.erp.kernel.unit import Actor, Unit

_ID = re.compile(r"(.+)_ids?")
_REFERENCE = re.compile(r"([a-z_]+):(\d{1,18})")


@dataclass(frozen=True, slots=True)
class Named:
    """One record that a request names, by its key (an int) or its label (a text)."""

    kind: str
    value: int | str


@cache
def kinds() -> Mapping[str, Visible]:
    """Every kind of record that has a scope: those that modules say one of, and all other entities."""
    found = dict(visible())
    for entity in entities().values():
        if entity.name not in found:
            label = entity.rows.c.get(entity.label) if entity.label != "id" else None
            found[entity.name] = Visible(entity.name, entity.rows.c.id, entity.scope, label=label)
    return found


@cache
def _called() -> Mapping[str, str]:
    """Kinds by how parameters call them: by name, and by alias."""
    found = {name: name for name in kinds()}
    for one in kinds().values():
        if one.alias:
            found.setdefault(one.alias, one.name)
    return found


@cache
def _columns() -> Mapping[str, str]:
    """Kinds by the columns of entities that say a link, where all that have such a column agree."""
    found: dict[str, set[str]] = defaultdict(set)
    for entity in entities().values():
        for column in entity.columns:
            if column.link is not None:
                found[column.name].add(column.link)
    return {name: one for name, links in found.items() for one in links if len(links) == 1}


@cache
def kind_named(name: str) -> str | None:
    """What kind the ids of a parameter or field name; None for one that names nothing with a scope."""
    if name in _columns():
        return _columns()[name]
    matched = _ID.fullmatch(name)
    if matched is None:
        return None
    parts = matched[1].split("_")
    called = ("_".join(parts[start:]) for start in range(len(parts)))
    return next((_called()[one] for one in called if one in _called()), None)


def named_in(name: str, metadata: tuple[Any, ...], value: Any) -> Iterator[Named]:
    """Every record that the value of a parameter or field names, those in shapes within too."""
    if isinstance(value, BaseModel):
        for field, about in type(value).model_fields.items():
            inner = getattr(value, field)
            if isinstance(inner, str) and names_person(about):
                yield Named("user", inner)
            else:
                yield from named_in(field, tuple(about.metadata), inner)
    elif isinstance(value, list | tuple | set | frozenset):
        for one in value:
            yield from named_in(name, metadata, one)
    elif isinstance(value, str):
        yield from _by_text(name, metadata, value)
    elif isinstance(value, int) and not isinstance(value, bool):
        kind = linked_to(metadata) or kind_named(name)
        if kind is not None:
            yield Named(kind, value)


def linked_to(metadata: tuple[Any, ...]) -> str | None:
    """What kind a `Link` says; None without one."""
    return next((one.entity for one in metadata if isinstance(one, Link)), None)


def _by_text(name: str, metadata: tuple[Any, ...], value: str) -> Iterator[Named]:
    """A label, or a reference as stock has them (`shipment:7`)."""
    kind = linked_to(metadata) or _called().get(name)
    if kind is not None and kinds()[kind].label is not None:
        yield Named(kind, value)
    referred = referred_to(value) if name == "reference" else None
    if referred is not None:
        yield Named(*referred)


def referred_to(reference: str) -> tuple[str, int] | None:
    """Which record a reference names as stock has them (`shipment:7`); None for one that names none of ours."""
    found = _REFERENCE.fullmatch(reference)
    return (found[1], int(found[2])) if found is not None and found[1] in kinds() else None


def naming(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """The endpoint, whose `door` is told what the request names, where that is asked under a scope."""
    parameters = {
        name: _metadata(parameter.annotation) for name, parameter in inspect.signature(endpoint).parameters.items()
    }
    if "door" not in parameters:
        return endpoint

    def told(given: dict[str, Any]) -> dict[str, Any]:
        if not given["door"].actor.scoped:
            return given
        named = tuple(one for name, about in parameters.items() for one in named_in(name, about, given.get(name)))
        return given | {"door": replace(given["door"], named=named)}

    if inspect.iscoroutinefunction(endpoint):

        @wraps(endpoint)
        async def later(**given: Any) -> Any:
            return await endpoint(**told(given))

        return later

    @wraps(endpoint)
    def now(**given: Any) -> Any:
        return endpoint(**told(given))

    return now


def _metadata(annotation: Any) -> tuple[Any, ...]:
    return tuple(get_args(annotation)[1:]) if get_origin(annotation) is Annotated else ()


def require_visible(u: Unit, named: tuple[Named, ...]) -> None:
    """Raises NotFound for one that the actor does not see, the same as for one that is not there."""
    for kind, values in _by_kind(named).items():
        missing = hidden(u.conn, u.actor, kind, values)
        if missing:
            raise absent(kind, min(missing, key=str))


def of_record(kind: ColumnElement[Any], key: ColumnElement[Any]) -> Scope:
    """Rows that name a record which the actor sees, by its kind and its key as text: audit rows, signatures.

    Of what has no scope (a session that has ended, a backup), and of one another, whoever does not see everything sees
    none.
    """

    def rows(actor: Actor) -> ColumnElement[bool] | None:
        if not actor.scoped:
            return None
        number = case((key.regexp_match("^[0-9]{1,18}$"), cast(key, BigInteger)))
        asked = [one for one in kinds().values() if one.name not in _TRAIL]
        named = {one.name: one.keys(actor).where(one.key == number).exists() for one in asked}
        return case(named, value=kind, else_=false())  # of each row only the kind that it names is asked

    return rows


_TRAIL = frozenset({"audit_row", "signature"})
"""Kinds whose rows are seen by what they name."""


def hidden(conn: Connection, actor: Actor, kind: str, values: set[int | str]) -> set[int | str]:
    """Those of the keys or labels that name nothing the actor sees."""
    one = kinds().get(kind)
    if one is None or one.scope(actor) is None:
        return set()
    missing: set[int | str] = set()
    for column, wanted in (
        (one.key, {value for value in values if isinstance(value, int)}),
        (one.label, {value for value in values if isinstance(value, str)}),
    ):
        if wanted and column is not None:
            missing |= wanted - set(conn.scalars(scoped(select(column).where(column.in_(wanted)), one.scope, actor)))
    return missing


def _by_kind(named: tuple[Named, ...]) -> dict[str, set[int | str]]:
    found: dict[str, set[int | str]] = defaultdict(set)
    for one in named:
        found[one.kind].add(one.value)
    return found
