"""Writing records: made, and changed by whoever has seen what they are. With audit rows, in the caller's transaction.

What a body names by id is looked for under the actor's scope first: a foreign id is answered as one that is not there.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from sqlalchemy import UniqueConstraint, select

from core.erp.kernel.errors import Conflict, IllegalMove, Invalid
from core.erp.kernel.records.declare import Entity
from core.erp.kernel.records.history import history, version_of
from core.erp.kernel.records.links import require_linked
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message

_SHOWN = 3
"""How many of the changes in between a stale edit is told of."""


def fields_of(body: BaseModel, *, given_only: bool = False) -> dict[str, Any]:
    """A body's fields by name, shapes within as they are; `given_only` leaves out what was not in the request."""
    names = body.model_fields_set if given_only else type(body).model_fields
    return {name: getattr(body, name) for name in names}


def _stored(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields as a row holds them: shapes within as JSON."""
    return {name: _plain(value) for name, value in fields.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return [_plain(one) for one in value] if isinstance(value, list) else value


def create(u: Unit, entity: Entity, body: BaseModel) -> int:
    """Makes a record; its id. Raises Conflict (one like it is there), NotFound (a link), what guard or act raise."""
    declared = entity.create
    assert declared is not None
    require_linked(u, entity, body)
    made = declared.act(u, **fields_of(body)) if declared.act is not None else _insert(u, entity, body)
    return int(made if isinstance(made, int) else made.id)


def create_many(u: Unit, entity: Entity, bodies: Sequence[BaseModel]) -> list[int]:
    """Makes a record of each in a few statements (`at_once`); their ids, in order.

    Raises what `create` raises, of any of them; one that is there already the database finds.
    """
    declared = entity.create
    assert declared is not None
    assert declared.at_once
    require_linked(u, entity, *bodies)
    if declared.many is not None:
        return list(declared.many(u, [fields_of(body) for body in bodies]))
    rows = [_fit(u, entity, _stored(fields_of(body))) for body in bodies]
    return [made.id for made in _stored_rows(u, entity, rows)]


def _insert(u: Unit, entity: Entity, body: BaseModel) -> Any:
    values = _stored(fields_of(body))
    row = _fit(u, entity, values)
    _require_unique(u, entity, values)
    return _stored_rows(u, entity, [row])[0]


def _fit(u: Unit, entity: Entity, values: Mapping[str, Any]) -> Any:
    """The row, if its guard lets it be."""
    if entity.guard is not None:
        entity.guard(u, values)
    return entity.table(**values)


def _stored_rows(u: Unit, entity: Entity, rows: Sequence[Any]) -> Sequence[Any]:
    u.session.add_all(rows)
    u.session.flush()
    for made in rows:
        after = made.model_dump()
        u.audit(f"{entity.name}.create", entity.name, after["id"], after=after)
        u.outbox(f"{entity.name}.create", after["id"], after)
    return rows


def uniques(entity: Entity) -> list[list[str]]:
    """The columns by which the database knows two records apart, constraint by constraint."""
    found = [constraint for constraint in entity.rows.constraints if isinstance(constraint, UniqueConstraint)]
    return [[column.name for column in one.columns] for one in found]


def is_there(entity: Entity, there: Mapping[str, Any]) -> Conflict:
    """The refusal of a record that has these values, as one has that is there."""
    same = [str(value) for value in there.values()]
    return Conflict("kernel.record_there", record=entity.called, same=same, extra=dict(there))


def _require_unique(u: Unit, entity: Entity, values: Mapping[str, Any], record_id: int | None = None) -> None:
    """Raises Conflict in words; of two at the same moment the database's own constraint refuses one."""
    rows = entity.rows
    for names in uniques(entity):
        if any(values.get(name) is None for name in names):
            continue
        same = select(rows.c.id).where(*(rows.c[name] == values[name] for name in names), rows.c.id != (record_id or 0))
        if u.conn.execute(same).first() is not None:
            raise is_there(entity, {name: values[name] for name in names})


def change(u: Unit, entity: Entity, record_id: int, version: int, body: BaseModel) -> None:
    """Changes what the body gives, for somebody who has seen this version of the record.

    Raises Conflict (it was changed meanwhile: by whom), IllegalMove (not in this state), and what guard or act raise.
    """
    declared = entity.change
    assert declared is not None
    require_linked(u, entity, body)
    record = u.get_one(entity.table, record_id, lock=True)
    require_version(u, entity, record_id, version)
    require_state(entity, getattr(record, "state", None), declared.states)
    fields = fields_of(body, given_only=True)
    fields.pop("version", None)
    _require_filled(entity, fields)
    if declared.act is not None:
        declared.act(u, record_id, **fields)
    else:
        _update(u, entity, record, _stored(fields))


def require_state(entity: Entity, state: str | None, states: frozenset[str] | None) -> None:
    """Raises IllegalMove for a record that nothing is written to in its state."""
    if states is not None and state not in states:
        state_name = Message(f"state.{entity.name}.{state}")
        raise IllegalMove("kernel.not_changed_in_state", record=entity.called, state=state_name)


def _require_filled(entity: Entity, fields: Mapping[str, Any]) -> None:
    for name, value in fields.items():
        column = entity.rows.c.get(name)
        if value is None and column is not None and not column.nullable:
            raise Invalid("kernel.field_empty", record=entity.called, field=entity.field(name))


def require_version(u: Unit, entity: Entity, record_id: int, version: int) -> None:
    """Raises Conflict, saying who did what since, unless this is the locked record's version."""
    now = version_of(u, entity, record_id)
    if now == version:
        return
    since, _ = history(u, entity, record_id, limit=_SHOWN, after=version)
    done = [Message("kernel.who_did", login=one.actor, action=one.action, at=one.at) for one in reversed(since)]
    extra = {"version": now, "since": [{"actor": one.actor, "action": one.action, "at": one.at} for one in since]}
    raise Conflict("kernel.changed_meanwhile", record=entity.called, done=done, extra=extra)


def _update(u: Unit, entity: Entity, record: Any, fields: Mapping[str, Any]) -> None:
    before = {name: getattr(record, name) for name in fields}
    changed = {name: value for name, value in fields.items() if value != before[name]}
    if not changed:
        return
    would_be = {**record.model_dump(), **changed}
    if entity.guard is not None:
        entity.guard(u, would_be)
    _require_unique(u, entity, would_be, record.id)
    for name, value in changed.items():
        setattr(record, name, value)
    u.session.add(record)
    u.session.flush()
    old = {name: before[name] for name in changed}
    u.audit(f"{entity.name}.change", entity.name, record.id, before=old, after=changed)
    u.outbox(f"{entity.name}.change", record.id, changed)
