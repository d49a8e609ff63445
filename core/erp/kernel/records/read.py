"""Reading records: a page of a list (filters × sort × search × keyset, counted up to a limit), and one.

Each is one statement, under the actor's scope. A list that takes longer than LONGEST is refused in words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Executable, Row, Select, bindparam, func, select, tuple_
from sqlalchemy.exc import OperationalError

from core.erp.kernel.connections import bound_statements
from core.erp.kernel.errors import Invalid, absent
from core.erp.kernel.records import cursors
from core.erp.kernel.records.declare import Entity, as_permits
from core.erp.kernel.records.filters import parameters
from core.erp.kernel.records.history import VERSION, named
from core.erp.kernel.records.search import found
from core.erp.kernel.scope import scoped
from core.erp.kernel.unit import Actor, Unit

COUNTED_MOST = 10_000
"""Rows are counted up to here."""
COUNTED_OF_SITES = 1_000
"""The same for whoever belongs to some sites: where a row belongs is looked up for each, and took most of a page."""
LONGEST = timedelta(seconds=2)
"""How long the database may take for one page."""
_CANCELED = "57014"
Sort = tuple[str, bool]
"""A column's name, and whether the greatest comes first."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a list is asked for: values by the names of parameters, `sort` as `code` or `-code`, a cursor it gave."""

    filters: Mapping[str, Any] = field(default_factory=dict)
    sort: str | None = None
    search: str | None = None
    cursor: str | None = None
    limit: int = 100
    count: bool = False


@dataclass(frozen=True, slots=True)
class Listed:
    """Rows of one page, the cursor of the next, and, where asked for, how many there are: the most or `capped`."""

    rows: Sequence[Row[Any]]
    next: str | None
    total: int | None = None
    capped: bool = False


def sortable(entity: Entity) -> tuple[str, ...]:
    """The names of columns that its lists may be sorted by."""
    return ("id", *(column.name for column in entity.columns if column.sort and column.name != "id"))


def page(u: Unit, entity: Entity, asked: Asked) -> Listed:
    """One page. Raises Invalid (an unknown sort, a cursor of another order, too short a search, too slow a list)."""
    sort = _sort(entity, asked.sort or entity.order)
    bound, conditions = _conditions(entity, asked)
    seen = _Seen(u.actor.viewpoint, _hides(entity, asked))
    statement = _paged(entity, tuple(sorted(bound)), sort, seen, after=asked.cursor is not None)
    if conditions:
        statement = statement.where(*conditions)
    values = {**_bound(bound), "most": asked.limit + 1}
    if asked.cursor is not None:
        values["after"], values["after_id"] = cursors.decode(entity, sort, asked.cursor)
    rows = _read(u, statement, values)
    most = COUNTED_MOST if u.actor.sites is None else COUNTED_OF_SITES
    total = _total(u, entity, bound, conditions, seen, most) if asked.count else None
    following = cursors.encode(sort, rows[asked.limit - 1]) if len(rows) > asked.limit else None
    if total is None:
        return Listed(rows[: asked.limit], following)
    return Listed(rows[: asked.limit], following, min(total, most), total > most)


def all_rows(actor: Actor, entity: Entity, asked: Asked) -> tuple[Select[Any], dict[str, Any]]:
    """(statement, values of its parameters) of every row that a list would show page by page: for an export.

    Raises Invalid (an unknown sort, too short a search).
    """
    name, descending = _sort(entity, asked.sort or entity.order)
    bound, conditions = _conditions(entity, asked)
    seen = _Seen(actor.viewpoint, _hides(entity, asked))
    keys = (entity.rows.c.id,) if name == "id" else (entity.rows.c[name], entity.rows.c.id)
    order = [key.desc() if descending else key for key in keys]
    return _filtered(entity, tuple(sorted(bound)), seen).where(*conditions).order_by(*order), _bound(bound)


def row_of(u: Unit, entity: Entity, record_id: int, *, versioned: bool = False) -> Row[Any]:
    """The record as its statement reads it, for whoever may read such records: who does something with one may too.
    `versioned`: with its VERSION as the last column.

    Raises Forbidden, NotFound (the same for one outside the actor's scope).
    """
    u.actor.need(*as_permits(entity.read))
    asked = {"record": record_id, **(named(entity, record_id) if versioned else {})}
    row = u.conn.execute(_one(entity, u.actor.viewpoint, versioned=versioned), asked).one_or_none()
    if row is None:
        raise absent(entity.name, record_id)
    return row


def require_seen(u: Unit, entity: Entity, record_id: int) -> None:
    """As `row_of`, for whom the row itself is no use. Raises Forbidden, NotFound."""
    u.actor.need(*as_permits(entity.read))
    if u.conn.scalar(_id_of(entity, u.actor.viewpoint), {"record": record_id}) is None:
        raise absent(entity.name, record_id)


def _sort(entity: Entity, text: str) -> Sort:
    name = text.removeprefix("-")
    if name not in sortable(entity):
        raise Invalid("kernel.sorted_by", name=name, names=sortable(entity))
    return name, text.startswith("-")


@dataclass(frozen=True, slots=True)
class _Seen:
    """What of an entity's rows a list is of: those in somebody's scope, without what it does not show unasked."""

    viewpoint: Actor
    hides: bool


def _hides(entity: Entity, asked: Asked) -> bool:
    return entity.hidden is not None and entity.hidden.unless not in asked.filters


def _conditions(entity: Entity, asked: Asked) -> tuple[dict[str, Any], list[ColumnElement[bool]]]:
    """(values of the bound filters, conditions that are made anew: other filters, search)."""
    known = parameters(entity)
    bound = {name: value for name, value in asked.filters.items() if known[name].bound}
    conditions = [known[name].where(value) for name, value in asked.filters.items() if name not in bound]
    if asked.search is not None:
        conditions.append(entity.rows.c.id.in_(found(entity.rows, entity.searches, asked.search)))
    return bound, conditions


def _bound(values: Mapping[str, Any]) -> dict[str, Any]:
    """By the names that the parameters of statements have."""
    return {f"f_{name}": value for name, value in values.items()}


@lru_cache(maxsize=1024)
def _filtered(entity: Entity, names: tuple[str, ...], seen: _Seen) -> Select[Any]:
    known = parameters(entity)
    conditions = [known[name].where(bindparam(f"f_{name}", expanding=known[name].many)) for name in names]
    if seen.hides and entity.hidden is not None:
        conditions.append(entity.hidden.where)
    return scoped(entity.select.where(*conditions), entity.scope, seen.viewpoint)


@lru_cache(maxsize=1024)
def _paged(entity: Entity, names: tuple[str, ...], sort: Sort, seen: _Seen, *, after: bool) -> Select[Any]:
    """Built once: to build a statement anew costs as much as to run it."""
    column, record_id, statement = entity.rows.c[sort[0]], entity.rows.c.id, _filtered(entity, names, seen)
    keys = (record_id,) if sort[0] == "id" else (column, record_id)
    if after:
        last = tuple_(*(bindparam(name) for name in ("after", "after_id")[-len(keys) :]))
        here = tuple_(*keys)
        statement = statement.where(here < last if sort[1] else here > last)
    order = [key.desc() if sort[1] else key for key in keys]
    return statement.order_by(*order).limit(bindparam("most"))


@lru_cache(maxsize=1024)
def _one(entity: Entity, viewpoint: Actor, *, versioned: bool = False) -> Select[Any]:
    one = scoped(entity.select.where(entity.rows.c.id == bindparam("record")), entity.scope, viewpoint)
    return one.add_columns(VERSION) if versioned else one


@lru_cache(maxsize=1024)
def _id_of(entity: Entity, viewpoint: Actor) -> Select[Any]:
    return _one(entity, viewpoint).with_only_columns(entity.rows.c.id)


def _total(
    u: Unit,
    entity: Entity,
    bound: Mapping[str, Any],
    conditions: list[ColumnElement[bool]],
    seen: _Seen,
    most: int,
) -> int:
    rows = _filtered(entity, tuple(sorted(bound)), seen).where(*conditions).with_only_columns(entity.rows.c.id)
    counted = rows.limit(most + 1).subquery()
    return int(_read(u, select(func.count()).select_from(counted), _bound(bound))[0][0])


def _read(u: Unit, statement: Executable, values: Mapping[str, Any]) -> Sequence[Row[Any]]:
    bound_statements(u.conn, LONGEST)
    try:
        return u.conn.execute(statement, values).all()
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != _CANCELED:
            raise
        raise Invalid("kernel.list_too_slow", seconds=LONGEST.total_seconds()) from error
