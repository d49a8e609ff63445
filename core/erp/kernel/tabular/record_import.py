"""New records of an entity from the lines of a table: its form's fields are the columns, what they refer to is named.

A field that holds another record's id is filled with what people call that record; it is looked for among those that
the actor may know of, many lines at once.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from pydantic import ValidationError
from sqlalchemy import select, tuple_

from core.erp.kernel.masking import masked_error
from core.erp.kernel.misfits import misfit
from core.erp.kernel.records import verbs, write
from core.erp.kernel.records.declare import Entity
from core.erp.kernel.records.registry import entities
from core.erp.kernel.scope import scoped
from core.erp.kernel.shapes import id_in
from core.erp.kernel.tabular import record_columns
from core.erp.kernel.tabular.importable import Importable, Line, LineFault, audited_since
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message


@cache
def importable_of(entity: Entity) -> Importable | None:
    """How tables of the entity are imported; None where its form is no row of single values."""
    fields = record_columns.imported(entity)
    if fields is None or entity.create is None:
        return None
    names = {field.name for field in fields}
    links = {
        name: link
        for name, info in entity.create.body.model_fields.items()
        if name in names and (link := record_columns.link_of(entity, name, info)) is not None
    }
    return Importable(
        entity.name,
        fields,
        create=lambda u, line: write.create(u, entity, line.prepared[0]),
        create_many=_many(entity) if entity.create.at_once else None,
        key=_key(entity, names),
        prepare=lambda u, lines: _prepare(u, entity, links, lines),
        withdraw=_withdrawing(entity),
        moved=lambda u, ids, since: _moved(u, entity, ids, since),
    )


def _many(entity: Entity) -> Callable[[Unit, Sequence[Line]], Sequence[int]]:
    return lambda u, lines: write.create_many(u, entity, [line.prepared[0] for line in lines])


def _key(entity: Entity, names: set[str]) -> tuple[str, ...]:
    """The columns by which the database itself knows two records apart, where a file has all of them."""
    keys = [[column.name] for column in entity.rows.columns if column.unique] + write.uniques(entity)
    found = sorted(tuple(key) for key in keys if key and set(key) <= names)
    return found[0] if found else ()


def _prepare(u: Unit, entity: Entity, links: Mapping[str, str], lines: Sequence[Line]) -> list[LineFault]:
    """Fills in the ids of what the lines name, and each line's form. A field without a column is left to its rule."""
    assert entity.create is not None
    faults = _resolve(u, links, lines)
    bad = {fault.line for fault in faults}
    texts = {name for name, info in entity.create.body.model_fields.items() if info.default == ""}
    for line in lines:
        if line.number in bad:
            continue
        for name in texts & line.values.keys():  # an empty cell is an empty text where there may be one
            line.values[name] = line.values[name] or ""
        try:
            line.prepared.append(entity.create.body.model_validate(line.values))
        except ValidationError as error:
            faults += [LineFault(line.number, str(next(iter(one["loc"]), "")), misfit(one)) for one in error.errors()]
    if entity.create.at_once:
        faults += _taken(u, entity, [line for line in lines if line.prepared])
    return faults


def _taken(u: Unit, entity: Entity, lines: Sequence[Line]) -> list[LineFault]:
    """Of lines whose record is there already, why: found for all of them at once, before any is made."""
    faults = dict[int, LineFault]()
    for names in write.uniques(entity):
        columns_ = [entity.rows.c[name] for name in names]
        keys = {line.number: tuple(getattr(line.prepared[0], name, None) for name in names) for line in lines}
        wanted = {key for key in keys.values() if None not in key}
        there = {tuple(row) for row in u.conn.execute(select(*columns_).where(tuple_(*columns_).in_(wanted)))}
        for number, key in keys.items():
            if key in there:
                error = masked_error(u.conn, u.actor, write.is_there(entity, dict(zip(names, key, strict=True))))
                faults.setdefault(number, LineFault(number, "", error.message))
    return list(faults.values())


def _resolve(u: Unit, links: Mapping[str, str], lines: Sequence[Line]) -> list[LineFault]:
    """Writes the ids of what the lines name into their values; what nobody is called, or several are, is a fault."""
    faults = []
    for field, kind in links.items():
        called = {line.values[field] for line in lines if line.values.get(field) is not None}
        found = _ids(u, entities()[kind], called) if called else {}
        for line in lines:
            value = line.values.get(field)
            if value is None:
                continue
            ids = found.get(value, [])
            if len(ids) != 1:
                name = "tabular.several_called" if ids else "tabular.no_such_record"
                faults.append(
                    LineFault(line.number, field, Message(name, record=Message(f"record.{kind}"), value=value))
                )
                continue
            line.values[field] = ids[0]
    return faults


def _ids(u: Unit, entity: Entity, called: set[str]) -> dict[str, list[int]]:
    """The ids of the records that are called so, of those that the actor may know of."""
    label, found = entity.column(entity.label), dict[str, list[int]]()
    wanted = select(entity.rows.c.id, label.label("called"))
    if entity.label == "id":
        numbers = {number for one in called if (number := id_in(one)) is not None}
        wanted = wanted.where(label.in_(numbers))
    else:
        wanted = wanted.where(label.in_(called))
    for row in u.conn.execute(scoped(wanted, entity.scope, u.actor)):
        found.setdefault(str(row.called), []).append(row.id)
    return found


def _withdrawing(entity: Entity) -> Any:
    """Takes records back by the verb that the entity says, as whoever may do that; None where it says none."""
    undo = entity.create.undo if entity.create is not None else None
    verb = next((one for one in entity.verbs if one.name == undo), None)
    if verb is None:
        return None
    form = entity.form(verb)

    def withdraw(u: Unit, ids: Sequence[int], reason: str) -> None:
        u.need(*entity.permits(verb))
        if verb.act is None and entity.cycle is not None:  # a move and nothing more: all of them at once
            entity.cycle.apply_many(u, entity.table, ids, verb.name, reason=reason if form is not None else None)
            return
        for one in ids:
            verbs.do(u, entity, verb, one, form(reason=reason) if form is not None else None)

    return withdraw


def _moved(u: Unit, entity: Entity, ids: Sequence[int], since: datetime) -> dict[int, str]:
    """Records that something was done with since they were imported, as people call them."""
    moved = audited_since(u, entity.name, ids, since)
    if not moved or entity.label not in entity.rows.c:
        return moved
    c = entity.rows.c
    return {
        row.id: str(row.called)
        for row in u.conn.execute(select(c.id, c[entity.label].label("called")).where(c.id.in_(moved)))
    }
