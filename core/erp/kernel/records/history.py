"""The history of one record, field by field, from the audit trail; and its version, which is how far that has come."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, select

from core.erp.kernel.model import AuditRow
from core.erp.kernel.records import cursors
from core.erp.kernel.records.declare import Entity
from core.erp.kernel.tables import table
from core.erp.kernel.unit import REASON_MESSAGE, Unit
from core.erp.kernel.words import from_json, render

_A = table(AuditRow)
_NEWEST_FIRST = ("id", True)
_NEWEST = (
    select(_A.c.entity_id, func.max(_A.c.id))
    .where(_A.c.entity == bindparam("entity"), _A.c.entity_id.in_(bindparam("ids", expanding=True)))
    .group_by(_A.c.entity_id)
)
_NEWEST_OF_ONE = select(func.coalesce(func.max(_A.c.id), 0)).where(
    _A.c.entity == bindparam("entity"), _A.c.entity_id == bindparam("entity_id")
)
VERSION = _NEWEST_OF_ONE.correlate(None).scalar_subquery().label("version_of_record")
"""A record's version as a column of the statement that reads it, with the parameters of `named`."""


def named(entity: Entity, record_id: int) -> dict[str, str]:
    """How the trail calls a record."""
    return {"entity": entity.name, "entity_id": str(record_id)}


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field, before and after; None where there was nothing, or where it was not said."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Entry:
    """Somebody did something to the record."""

    id: int
    at: datetime
    actor: str
    action: str
    reason: str | None
    changes: tuple[FieldChange, ...]


def version_of(u: Unit, entity: Entity, record_id: int) -> int:
    """The record's version: the id of its newest audit row, 0 without any. Whoever writes a record locks it and says
    so in the trail, so of two versions the later is the greater.
    """
    return int(u.conn.execute(_NEWEST_OF_ONE, named(entity, record_id)).scalar_one())


def versions_of(u: Unit, entity: Entity, ids: Sequence[int]) -> dict[int, int]:
    """The same of several records."""
    parameters = {"entity": entity.name, "ids": list(map(str, ids))}
    found = {int(record_id): version for record_id, version in u.conn.execute(_NEWEST, parameters)}
    return {one: found.get(one, 0) for one in ids}


def history(
    u: Unit, entity: Entity, record_id: int, cursor: str | None = None, limit: int = 100, after: int = 0
) -> tuple[list[Entry], str | None]:
    """(what was done to a record, newest first, behind version `after`; the cursor of the next page).

    Raises Invalid for what is no cursor.
    """
    statement = select(_A).where(*_of(entity, record_id), _A.c.id > after)
    if cursor is not None:
        statement = statement.where(_A.c.id < cursors.decode(entity, _NEWEST_FIRST, cursor)[1])
    rows = u.conn.execute(statement.order_by(_A.c.id.desc()).limit(limit + 1)).all()
    following = cursors.encode(_NEWEST_FIRST, rows[limit - 1]) if len(rows) > limit else None
    return [_entry(row, u.language) for row in rows[:limit]], following


def _entry(row: Any, language: str) -> Entry:
    message = (row.after or {}).get(REASON_MESSAGE)
    reason = row.reason if message is None else render(from_json(message), language)
    return Entry(row.id, row.at, row.actor, row.action, reason, changes(row.before, row.after))


def changes(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> tuple[FieldChange, ...]:
    """Field by field what is not the same."""
    old, new = before or {}, after or {}
    names = [*old, *(name for name in new if name not in old)]
    return tuple(
        FieldChange(name, old.get(name), new.get(name))
        for name in names
        if old.get(name) != new.get(name) and name != REASON_MESSAGE
    )


def _of(entity: Entity, record_id: int) -> tuple[Any, ...]:
    return _A.c.entity == entity.name, _A.c.entity_id == str(record_id)
