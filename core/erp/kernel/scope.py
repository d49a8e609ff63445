"""Scopes: which records of an entity somebody may see at all, as a condition on the entity's one statement.

A scope is asked at the door only: lists, one record, pickers, exports, search, live regions. The door resolves ids in
paths, queries and bodies through the scoped statement (what lies outside is the same 404 as what is not there) and then
calls services, which read everything. The system has no scope.

Every scope made here shows outside people nothing, but for `own_partner`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, Exists, Select, and_, false, literal_column, or_, select, true

from core.erp.kernel import modules
from core.erp.kernel.unit import Actor

Scope = Callable[[Actor], ColumnElement[bool] | None]
"""The condition on rows for this actor; None: every row."""


def everything(actor: Actor) -> ColumnElement[bool] | None:
    """Every record, for inside people; for outside people none."""
    return false() if actor.outside and not actor.system else None


def inside(scope: Scope) -> Scope:
    """As the scope says, for inside people; for outside people none."""

    def rows(actor: Actor) -> ColumnElement[bool] | None:
        hidden = everything(actor)
        return scope(actor) if hidden is None else hidden

    return rows


def sites(column: ColumnElement[Any]) -> Scope:
    """Records of the actor's own sites, by the column that names a record's site; rows without a site are everybody's.

    For inside people.
    """

    def rows(actor: Actor) -> ColumnElement[bool] | None:
        if actor.system or actor.sites is None:
            return None
        own = sorted(actor.sites)  # of a list, each statement's text is made anew
        return or_(column == own[0] if len(own) == 1 else column.in_(own), column.is_(None))

    return inside(rows)


def own_partner(column: ColumnElement[Any]) -> Scope:
    """Every record for inside people; for outside people those of their own partner, by the column that names it."""

    def rows(actor: Actor) -> ColumnElement[bool] | None:
        if actor.system or not actor.outside:
            return None
        return column == actor.partner_id if actor.partner_id is not None else false()

    return rows


def looked_up(ours: ColumnElement[Any], theirs: ColumnElement[Any], *conditions: ColumnElement[bool]) -> Exists:
    """Whether there is another record whose column equals ours: by its index, when a row of ours is looked at.

    Left to itself PostgreSQL reads all others first wherever it takes the list for a long one, and it takes every list
    that ends after a page for one. Behind an OFFSET it does not.
    """
    others = select(theirs).where(theirs == ours, *conditions).correlate(ours.table)
    return others.offset(literal_column("0")).exists()


def through(column: ColumnElement[Any], key: ColumnElement[Any], scope: Scope, *, empty: bool = True) -> Scope:
    """Records whose column names, by its key, a record that another entity's scope shows: `through(hold.c.sublot_id,
    sublot.c.id, SUBLOTS)`. With `empty`, inside people are shown rows whose column is empty.
    """

    def rows(actor: Actor) -> ColumnElement[bool] | None:
        condition = scope(actor)
        if condition is None:
            return None
        named = looked_up(column, key, condition)
        return or_(named, column.is_(None)) if empty and not actor.outside else named

    return rows


@dataclass(frozen=True, slots=True, eq=False)
class Visible:
    """Records of one kind, as others name them: by `key`, and only those that the scope shows.

    A parameter or field `NAME_id`, `NAME_ids` or `something_NAME_id` holds keys, and so with `alias`; a text called so
    holds a `label`, the column that people know one by (a zone's address).
    """

    name: str
    """As audit rows and message ids call one."""
    key: ColumnElement[Any]
    scope: Scope
    alias: str = ""
    label: ColumnElement[Any] | None = None

    def keys(self, actor: Actor) -> Select[Any]:
        """The keys of those that the actor sees."""
        return scoped(select(self.key), self.scope, actor)


@cache
def visible() -> Mapping[str, Visible]:
    """Every kind of record that modules say a scope of (`scopes.py`: VISIBLE), by its name.

    Raises ValueError where two modules say one of the same kind.
    """
    found: dict[str, Visible] = {}
    for module in modules.found("scopes"):
        for one in module.VISIBLE:
            if one.name in found:
                raise ValueError(f"two scopes of {one.name}, the second in {module.__name__}")
            found[one.name] = one
    return MappingProxyType(found)


def linked(column: ColumnElement[Any], name: str, *, empty: bool = True) -> Scope:
    """Records whose column names a record of that kind which the actor sees; with `empty`, inside people see those
    without one too.

    The kind may be of a module further up: it is looked for when it is asked.
    """

    def rows(actor: Actor) -> ColumnElement[bool] | None:
        other = visible()[name]
        return through(column, other.key, other.scope, empty=empty)(actor)

    return rows


def all_of(*scopes: Scope) -> Scope:
    """Records that every one of the scopes shows."""

    def rows(actor: Actor) -> ColumnElement[bool] | None:
        found = [condition for scope in scopes if (condition := scope(actor)) is not None]
        return and_(*found) if found else None

    return rows


def any_of(*scopes: Scope) -> Scope:
    """Records that at least one of the scopes shows."""

    def rows(actor: Actor) -> ColumnElement[bool] | None:
        found = [condition for scope in scopes if (condition := scope(actor)) is not None]
        return or_(false(), *found) if len(found) == len(scopes) else None

    return rows


def scoped(statement: Select[Any], scope: Scope, actor: Actor) -> Select[Any]:
    """The statement, for the rows that the scope shows to this actor."""
    condition = scope(actor)
    return statement if condition is None else statement.where(condition)


def sees(scope: Scope, actor: Actor) -> ColumnElement[bool]:
    """The scope as a condition that can be written anywhere: true where every row is shown."""
    condition = scope(actor)
    return true() if condition is None else condition
