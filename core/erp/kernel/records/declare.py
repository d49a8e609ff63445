"""What is declared of a record: its table, life cycle and statement, and what may be asked of it and done with it.

A declaration holds data and references to functions. Whatever it names that is not there fails when it is made, so a
core with a wrong declaration does not start.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from pydantic import BaseModel
from sqlalchemy import ColumnElement, Select, Table, select
from sqlmodel import SQLModel

from core.erp.kernel.records.answers import answer_of
from core.erp.kernel.records.search import Search
from core.erp.kernel.scope import Scope
from core.erp.kernel.shapes import ReasonIn
from core.erp.kernel.signatures import Signing
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Actor, Unit
from core.erp.kernel.words import ENGLISH, Message, catalogue
from core.erp.kernel.workflow import Move, Workflow

Permits = str | tuple[str, ...]
"""One permit, or several of which one is enough."""
FilterKind = Literal["eq", "in", "prefix", "range", "since", "until"]
"""eq: this value; in: one of these; prefix: begins so; range: from (included) to before; since, until: one half."""


def as_permits(permits: Permits) -> tuple[str, ...]:
    """One or several, as several."""
    return (permits,) if isinstance(permits, str) else permits


@dataclass(frozen=True, slots=True)
class Column:
    """What a column does besides being shown.

    `filter` is asked for by the column's own name, a range by NAME_from and NAME_before, unless `asked` names it.
    Only a stored column of the entity's own table that is never empty and has an index may sort. `search` finds by how
    its text begins. `link` is the entity that the column's id names, `kind` the type of its values where that says more
    than the table: the words it may be.
    """

    name: str
    filter: FilterKind | None = None
    sort: bool = False
    search: bool = False
    link: str | None = None
    kind: Any = None
    asked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter that is no column: a condition made of the value asked for, of the type `kind`."""

    name: str
    kind: Any
    where: Callable[[Any], ColumnElement[bool]]


@dataclass(frozen=True, slots=True)
class Hidden:
    """What a list shows, unless it is filtered by `unless`: the other rows are left out."""

    where: ColumnElement[bool]
    unless: str


@dataclass(frozen=True, slots=True)
class Create:
    """Who may make a record, of what. `act(u, **fields)` gives the row made; without one the fields are the row.

    `many(u, [fields, …])` makes many at once and gives their ids in order: what `act` would have made of each. Without
    one, an import makes them one by one where there is an act.
    `undo` is the verb by which an import of such records is undone, as long as nothing was done with them; without one
    it cannot be.
    """

    permit: Permits
    body: type[BaseModel]
    act: Callable[..., Any] | None = None
    undo: str | None = None
    many: Callable[[Unit, Sequence[dict[str, Any]]], Sequence[int]] | None = None

    @property
    def at_once(self) -> bool:
        """Whether many records are made in a few statements."""
        return self.many is not None or self.act is None


@dataclass(frozen=True, slots=True)
class Change:
    """Who may change what of a record, in which states (none: in any). Fields left out stay as they are.

    `act(u, record_id, **fields)` does it; without one the fields are written.
    """

    permit: Permits
    body: type[BaseModel]
    act: Callable[..., Any] | None = None
    states: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Verb:
    """Something that is done with a record: a move of its life cycle, or an act beside it.

    `act(u, record_id, **fields of the form)` does it; without one the move of that name is applied to the locked
    record. A signed verb has `signing(record_id, **fields)` instead, whose password is checked before the transaction.
    Permit and states are the move's, where it is one, and so is the need of a reason. It answers the record, or what
    the act gives, as `answer`.
    """

    name: str
    form: type[BaseModel] | None = None
    act: Callable[..., Any] | None = None
    signing: Callable[..., Signing[Any]] | None = None
    permit: Permits | None = None
    states: frozenset[str] | None = None
    path: str | None = None
    answer: Any = None
    status: int = 200
    many: bool | None = None
    """Whether one form does it with many records at once; where nothing is said, if it asks for a reason at most."""
    begins: Callable[[Unit, int], BaseModel | None] | None = None
    """What its form begins with, by the record's id: the version that a new one is mostly like."""

    @property
    def address(self) -> str:
        """The last part of its route: `path`, or else its name, with hyphens as addresses have them."""
        return self.path or self.name.replace("_", "-")


@dataclass(frozen=True, slots=True)
class Files:
    """Files hang on the records: who may attach, and in which states (none: in any). Who may read one may read them."""

    permit: str
    states: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a record's answer that is read besides its row: `read(u, row)` gives a value of `shape`."""

    name: str
    read: Callable[[Unit, Any], Any]
    shape: Any


@dataclass(frozen=True, kw_only=True, eq=False)
class Entity:
    """A kind of record. Its name is the one that audit rows and message ids have.

    `guard(u, fields)` raises Invalid or Refused for what a record would be, made or changed without an act of its own.
    """

    name: str
    path: str
    table: type[SQLModel]
    read: Permits
    scope: Scope
    cycle: Workflow | None = None
    statement: Select[Any] | None = None
    answer: type[BaseModel] | None = None
    label: str = "id"
    """The column that people know a record by."""
    columns: tuple[Column, ...] = ()
    filters: tuple[Filter, ...] = ()
    search: tuple[Search, ...] = ()
    hidden: Hidden | None = None
    create: Create | None = None
    change: Change | None = None
    guard: Callable[[Unit, Mapping[str, Any]], None] | None = None
    verbs: tuple[Verb, ...] = ()
    files: Files | None = None
    order: str = "-id"
    sections: tuple[Section, ...] = ()

    @property
    def words(self) -> str:
        """The kind of record in English, for descriptions of the API."""
        return self.name.replace("_", " ")

    @property
    def called(self) -> Message:
        """The kind of record as people say it."""
        return Message(f"record.{self.name}")

    def field(self, name: str) -> Message:
        """What a field is called: in this entity, or wherever it is met."""
        specific = f"field.{self.name}.{name}"
        return Message(specific if specific in catalogue(ENGLISH) else f"field.{name}")

    @cached_property
    def rows(self) -> Table:
        """The Core table."""
        return table(self.table)

    @cached_property
    def select(self) -> Select[Any]:
        """The statement that its rows are read by."""
        return self.statement if self.statement is not None else select(self.rows)

    @cached_property
    def shape(self) -> type[BaseModel]:
        """What one row is answered as."""
        kinds = {column.name: column.kind for column in self.columns if column.kind is not None}
        return self.answer or answer_of(self.table, self.select, self.cycle, kinds)

    @cached_property
    def searches(self) -> tuple[Search, ...]:
        """What its records are found by."""
        searched = (Search(self.rows.c[column.name]) for column in self.columns if column.search)
        return (*searched, *self.search)

    @cached_property
    def by_name(self) -> dict[str, Column]:
        """Its declared columns."""
        return {column.name: column for column in self.columns}

    def column(self, name: str) -> ColumnElement[Any]:
        """A column of the table, or else of the statement, behind its label. Raises ValueError."""
        if name in self.rows.c:
            return self.rows.c[name]
        found = self.select.selected_columns.get(name)
        if found is None:
            raise ValueError(f"{self.name} has no column {name}")
        return getattr(found, "element", found)

    def permits(self, verb: Verb) -> tuple[str, ...]:
        """Of which one lets an actor do the verb."""
        if verb.permit is not None:
            return as_permits(verb.permit)
        return self._move(verb).permits if self.cycle is not None else ()

    def states(self, verb: Verb) -> frozenset[str] | None:
        """In which the verb may be done; None for any."""
        if verb.states is not None or self.cycle is None or verb.name not in self.cycle.moves:
            return verb.states
        return self._move(verb).sources

    def _move(self, verb: Verb) -> Move:
        assert self.cycle is not None
        return self.cycle.moves[verb.name]

    def form(self, verb: Verb) -> type[BaseModel] | None:
        """What the verb asks for: its own form, or the reason that its move needs."""
        if verb.form is not None or verb.act is not None or verb.signing is not None:
            return verb.form
        return ReasonIn if self._move(verb).reasoned else None

    def moves(self, actor: Actor, state: str | None) -> list[str]:
        """Names of the verbs that this actor may do in this state, whatever guards will say."""
        return [verb.name for verb in self.verbs if self._offered(verb, actor, state)]

    def _offered(self, verb: Verb, actor: Actor, state: str | None) -> bool:
        states = self.states(verb)
        return (states is None or state in states) and any(actor.may(permit) for permit in self.permits(verb))
