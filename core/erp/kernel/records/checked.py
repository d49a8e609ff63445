"""Whether a declaration can be: every name it has is there, and what it promises can be kept."""

from collections.abc import Callable, Collection
from inspect import signature
from typing import Any

from pydantic import BaseModel

from core.erp.kernel.permits import check as check_permits
from core.erp.kernel.records.declare import Column, Entity, as_permits
from core.erp.kernel.records.filters import parameters
from core.erp.kernel.scope import visible
from core.erp.kernel.search_indexes import index_name
from core.erp.kernel.shapes import ReasonIn, SignIn


def check(entity: Entity) -> None:
    """Raises ValueError, naming the entity and what is wrong."""
    if entity.cycle is not None and entity.cycle.noun != entity.name:
        raise _wrong(entity, f"its life cycle writes audit rows of {entity.cycle.noun}: its history would be empty")
    for column in entity.columns:
        entity.column(column.name)
        if column.sort:
            _check_sort(entity, column)
        if column.search and column.name not in entity.rows.c:
            raise _wrong(entity, f"{column.name} is no column of its own: search it by a Search")
    _check_searches(entity)
    if entity.label != "id":
        entity.column(entity.label)
    sort = entity.order.removeprefix("-")
    if sort != "id" and not any(column.sort and column.name == sort for column in entity.columns):
        raise _wrong(entity, f"its order {entity.order} is no column that sorts")
    if entity.hidden is not None and entity.hidden.unless not in parameters(entity):
        raise _wrong(entity, f"{entity.hidden.unless} is none of its filters")
    _check_verbs(entity)
    _check_undo(entity)


def _check_searches(entity: Entity) -> None:
    """What is searched has its index: `beginnings` or `bigrams` in its table's `__table_args__`."""
    for search in entity.searches:
        searched: Any = search.column.table
        name = index_name(searched.name, search.column.name, within=search.within)
        if name not in {index.name for index in searched.indexes}:
            raise _wrong(entity, f"{search.column} is searched without an index: {name}")


def _check_sort(entity: Entity, column: Column) -> None:
    """Lists go on behind a row by an index: over a computed or empty value, or without one, they would not."""
    found = entity.rows.c.get(column.name)
    if found is None or found.nullable:
        raise _wrong(entity, f"{column.name} cannot sort: not a column of its own that is never empty")
    indexed = any(found.name in [part.name for part in index.columns] for index in entity.rows.indexes)
    if not (found.unique or found.primary_key or indexed):
        raise _wrong(entity, f"{column.name} cannot sort: no index has it")
    if column.name not in entity.select.selected_columns:
        raise _wrong(entity, f"{column.name} cannot sort: its statement does not read it")


def _check_verbs(entity: Entity) -> None:
    moves = entity.cycle.moves if entity.cycle is not None else {}
    for verb in entity.verbs:
        if verb.act is None and verb.signing is None and verb.name not in moves:
            raise _wrong(entity, f"{verb.name} is no move of its life cycle, and no act is given")
        if verb.act is not None and verb.signing is not None:
            raise _wrong(entity, f"{verb.name} is either signed or not")
        if verb.permit is None and verb.name not in moves:
            raise _wrong(entity, f"{verb.name} names no permit")
        if not entity.permits(verb):
            raise _wrong(entity, f"{verb.name} is the system's own move")
        form = entity.form(verb)
        if verb.act is not None:
            _check_act(entity, verb.name, verb.act, form, 2)
        elif verb.signing is not None:
            _check_act(entity, verb.name, verb.signing, form, 1, without=frozenset(SignIn.model_fields))
    check_permits(asked(entity))
    _check_scope(entity)


def _check_undo(entity: Entity) -> None:
    undo = entity.create.undo if entity.create is not None else None
    if undo is None:
        return
    verb = next((one for one in entity.verbs if one.name == undo and one.signing is None), None)
    if verb is None or entity.form(verb) not in {None, ReasonIn}:
        raise _wrong(entity, f"an import is undone by {undo}, which is no verb that asks for a reason at most")


def check_links(entity: Entity, entities: Collection[str]) -> None:
    """Raises ValueError for a column that links to what is neither an entity nor visible to anybody (`scopes.py`)."""
    for column in entity.columns:
        if column.link is not None and column.link not in entities and column.link not in visible():
            raise _wrong(entity, f"{column.name} links to {column.link}, which nobody declares")


def _check_scope(entity: Entity) -> None:
    known = visible().get(entity.name)
    if known is not None and known.scope is not entity.scope:
        raise _wrong(entity, "its scope is another than the one in scopes.py")


def _check_act(
    entity: Entity,
    name: str,
    act: Callable[..., Any],
    form: type[BaseModel] | None,
    before: int,
    without: frozenset[str] = frozenset(),
) -> None:
    """The act is called with so many values and then with the form's fields by name: it must take them."""
    fields = [field for field in (form.model_fields if form is not None else {}) if field not in without]
    try:
        signature(act).bind(*(None,) * before, **dict.fromkeys(fields))
    except TypeError as error:
        raise _wrong(entity, f"what does {name} does not take its fields: {error}") from error


def asked(entity: Entity) -> set[str]:
    """Every permit that its routes ask for."""
    found = set(as_permits(entity.read)).union(*(entity.permits(verb) for verb in entity.verbs))
    for written in (entity.create, entity.change, entity.files):
        if written is not None:
            found |= set(as_permits(written.permit))
    return found


def _wrong(entity: Entity, what: str) -> ValueError:
    return ValueError(f"{entity.name}: {what}")
