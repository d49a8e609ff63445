"""What an entity gives so that its records can be imported: its fields, and how one is made and taken back."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select

from core.erp.kernel.model import AuditRow
from core.erp.kernel.tables import table
from core.erp.kernel.tabular.fields import Field
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file whose values are of their fields' types. A field without a column has no value here, an empty
    cell None.
    """

    number: int
    values: dict[str, Any]
    prepared: list[Any] = field(default_factory=list)
    """What `prepare` keeps for `create`, if anything."""


@dataclass(frozen=True, slots=True)
class LineFault:
    """What the entity says against a line: which field ("" for the line as a whole), and why."""

    line: int
    field: str
    message: Message


def _nothing(_: Unit, __: Sequence[Line]) -> Iterable[LineFault]:
    return ()


def _none_moved(_: Unit, __: Sequence[int], ___: datetime) -> Mapping[int, str]:
    return {}


@dataclass(frozen=True)
class Importable:
    """An entity whose records come from tables.

    `create(u, line)` makes one of a line and gives its id; it raises what it refuses (Refused, Invalid, NotFound,
    Conflict), which is then told of its line. `create_many(u, lines)` makes all of them or raises what it refuses of
    any; without it, or then, they are made one by one. `key` are the fields by which two lines would be the same
    record.
    `prepare(u, lines)` looks at some lines at once before any is made: it may write into their values (an id for a
    code), and says what it has against them.
    To undo a run, `moved(u, ids, since)` names the records that have gone on since then, by id; if there are none,
    `withdraw(u, ids, reason)` takes them back. Without it a run cannot be undone.
    """

    entity: str
    fields: tuple[Field, ...]
    create: Callable[[Unit, Line], int]
    key: tuple[str, ...] = ()
    prepare: Callable[[Unit, Sequence[Line]], Iterable[LineFault]] = _nothing
    withdraw: Callable[[Unit, Sequence[int], str], None] | None = None
    moved: Callable[[Unit, Sequence[int], datetime], Mapping[int, str]] = _none_moved
    create_many: Callable[[Unit, Sequence[Line]], Sequence[int]] | None = None

    def __post_init__(self) -> None:
        names = [field.name for field in self.fields]
        unknown = set(self.key) - set(names)
        if unknown or len(set(names)) < len(names):
            raise ValueError(f"{self.entity}: fields have different names, and the key is some of them")

    @property
    def known(self) -> frozenset[str]:
        """Every heading that means one of its fields."""
        return frozenset().union(*(field.headings for field in self.fields))


def audited_since(u: Unit, entity: str, ids: Sequence[int], since: datetime) -> dict[int, str]:
    """Of these records those that something was done to after that time, by the audit trail: what `moved` may say of
    an entity whose records are only ever changed by themselves.
    """
    c = table(AuditRow).c
    where = (c.entity == entity, c.entity_id.in_([str(one) for one in ids]), c.at > since)
    found = u.conn.scalars(select(c.entity_id).where(*where).distinct())
    return {int(one): one for one in found}
