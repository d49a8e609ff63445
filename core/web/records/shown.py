"""How the fields of a record are shown: by the kind of their values, what they link to by its own label."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

from markupsafe import Markup
from pydantic import BaseModel
from sqlalchemy import select

from core.erp.kernel.named import referred_to
from core.erp.kernel.records.declare import Entity
from core.erp.kernel.records.registry import entities
from core.erp.kernel.scope import scoped
from core.erp.kernel.tabular.record_columns import link_of
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import ENGLISH, Message, catalogue, from_json
from core.web.frame.templating import Words
from core.web.records.acts import act_said

INTERNAL = frozenset({"id", "moves", "version", "token_epoch", "search_grams"})
"""Fields that people have no use for."""
SPOKEN = {"zone": "name", "site": "name"}
"""Fields by which people speak of a record that is found by another: a zone by its address, a site by its code."""
FEW = 8
"""Columns that a list shows where its entity does not say."""
Labels = Mapping[tuple[str, int], str]
"""(entity, id) → what people call that record."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One column of a list, or fact of a page."""

    name: str
    label: Message
    link: str | None = None
    numeric: bool = False
    called: str | None = None
    """The field beside it that says what the linked record is called."""
    each: str | None = None
    """The kind of record that each of several ids is of."""


@cache
def columns(entity: Entity) -> tuple[Shown, ...]:
    """Every field of the entity's answer that people read, the label first."""
    beside = {called for name in entity.shape.model_fields if (called := _called(entity, name)) is not None}
    fields = [name for name in entity.shape.model_fields if _is_shown(name) and name not in beside]
    fields.sort(key=lambda name: (name != entity.label, name != "state"))
    return tuple(_shown(entity, name) for name in fields)


@cache
def usual(entity: Entity) -> tuple[str, ...]:
    """The columns that its list shows at first."""
    declared = [column.name for column in entity.columns]
    found = [one.name for one in columns(entity)]
    found.sort(key=lambda name: (name != entity.label, name != "state", name not in declared))
    chosen = found[:FEW]
    return tuple(name for name in (one.name for one in columns(entity)) if name in chosen)


def usual_columns(entity: Entity) -> list[Shown]:
    """The same as columns."""
    return [one for one in columns(entity) if one.name in usual(entity)]


def _is_shown(name: str) -> bool:
    return name not in INTERNAL and not name.endswith(("_message", "_hash"))


def _shown(entity: Entity, name: str) -> Shown:
    declared, info = entity.by_name.get(name), entity.shape.model_fields[name]
    link = declared.link if declared is not None else None
    numeric = any(kind in str(info.annotation) for kind in ("Decimal", "float", "int")) and link is None
    several = "list" in str(info.annotation)
    each = link_of(entity, name, info) if several else None
    return Shown(name, entity.field(name), link, numeric and not several, _called(entity, name), each)


def _called(entity: Entity, name: str) -> str | None:
    """The field that says what a link's record is called: `lot_number` or `lot` beside `lot_id`."""
    declared, base = entity.by_name.get(name), name.removesuffix("_id")
    if declared is None or declared.link is None or base == name:
        return None
    labels_of = (base, f"{base}_{entities()[declared.link].label}")
    return next((one for one in labels_of if one in entity.shape.model_fields and one != entity.label), None)


def labels(u: Unit, entity: Entity, rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, int], str]:
    """What people call the records that the rows link to, of those that the actor may know of."""
    wanted: dict[str, set[int]] = {}
    for column in columns(entity):
        if column.link is not None and (column.called is None or column.link in SPOKEN):
            wanted.setdefault(column.link, set()).update(
                row[column.name] for row in rows if isinstance(row.get(column.name), int)
            )
        if column.each is not None:
            wanted.setdefault(column.each, set()).update(one for row in rows for one in row.get(column.name) or ())
    for row in rows:
        if (referred := referred_by(row)) is not None:
            wanted.setdefault(referred[0], set()).add(referred[1])
    return {key: text for name, ids in wanted.items() if ids for key, text in spoken(u, name, ids).items()}


def referred_by(row: Mapping[str, Any]) -> tuple[str, int] | None:
    """The record that a row of stock is for (`shipment:19`), where it has a page."""
    found = referred_to(str(row.get("reference") or ""))
    return found if found is not None and found[0] in entities() else None


def spoken(u: Unit, name: str, ids: Iterable[int]) -> dict[tuple[str, int], str]:
    """What people call these records where they are only read, by (entity, id)."""
    return _called_by(u, name, ids, SPOKEN.get(name, entities()[name].label))


def named(u: Unit, name: str, ids: Iterable[int]) -> dict[tuple[str, int], str]:
    """What these records are found by, by (entity, id)."""
    return _called_by(u, name, ids, entities()[name].label)


def _called_by(u: Unit, name: str, ids: Iterable[int], field: str) -> dict[tuple[str, int], str]:
    entity = entities()[name]
    if field == "id":
        return {(name, one): str(one) for one in ids}
    c = entity.rows.c
    wanted = select(c.id, entity.column(field).label("called")).where(c.id.in_(ids))
    return {(name, row.id): str(row.called) for row in u.conn.execute(scoped(wanted, entity.scope, u.actor))}


def title(entity: Entity, row: Mapping[str, Any], words: Words) -> str:
    """What a record is called: its label, or its kind and number."""
    if entity.label == "id":
        return words.t("web.numbered", what=entity.called, number=row["id"])
    return words.sentence(row, entity.label) if f"{entity.label}_message" in row else str(row[entity.label])


class Cells:
    """Makes values of one entity into what its reader sees; `brief` ones, of a list, write times without this year."""

    def __init__(self, entity: Entity, words: Words, known: Labels, *, brief: bool = False) -> None:
        self._entity, self._words, self._known, self._brief = entity, words, known, brief

    def _state(self, state: str, *, held: bool) -> Markup:
        """The state; of what is held, that it is held comes first: a sublot may be released and may not move."""
        assert self._entity.cycle is not None
        if not held:
            return self._words.state(self._entity.cycle.noun, state, bare=True)
        stopped = self._words.badge("hold", self._words.t("web.held"), bare=True)
        return stopped + Markup(' <span class="mute">{}</span>').format(
            self._words.t(f"state.{self._entity.cycle.noun}.{state}")
        )

    def cell(self, column: Shown, row: Mapping[str, Any]) -> Markup | str:
        """One value."""
        value = row.get(column.name)
        written = row.get(f"{column.name}_message")
        if written is not None:
            return self._words.say(from_json(written))
        if value is None or value == "":
            return "–"
        if column.name == "state" and self._entity.cycle is not None:
            return self._state(str(value), held=row.get("held") is True)
        linked = self._linked(column, row, value)
        if linked is not None:
            return linked
        if self._brief and isinstance(value, datetime):
            return self._words.brief(value)
        about = row.get("entity")  # a row of the trail tells of another record
        return plain(column.name, value, self._words, noun=about if isinstance(about, str) else self._entity.name)

    def _linked(self, column: Shown, row: Mapping[str, Any], value: Any) -> Markup | None:
        if column.link is not None and isinstance(value, int):
            return self.link(column.link, value, row.get(column.called) if column.called is not None else None)
        if column.each is not None and value:
            return Markup(", ").join(self.link(column.each, one) for one in value)
        referred = referred_by(row) if column.name == "reference" else None  # what goods are kept for
        if referred is None:
            return None
        return Markup("{} {}").format(self._words.label(entities()[referred[0]].called), self.link(*referred))

    def link(self, name: str, record_id: int, beside: str | None = None) -> Markup:
        """A record by what people call it; its number, where the reader may not know more."""
        known = self._known.get((name, record_id))
        called = known if name in SPOKEN and known is not None else beside or known
        if called is None:
            return Markup("%d") % record_id
        return Markup('<a href="/%s/%d">%s</a>') % (entities()[name].path, record_id, called)


Facts = Sequence[tuple[Shown, Markup | str]]
"""Some of a record's fields with their values."""


def brief_facts(u: Unit, entity: Entity, row: Mapping[str, Any], words: Words) -> Facts:
    """A record in the columns of its list, but for what its title says and what is empty."""
    cells = Cells(entity, words, labels(u, entity, [row]), brief=True)
    told = [(column, cells.cell(column, row)) for column in usual_columns(entity) if column.name != entity.label]
    return [(column, cell) for column, cell in told if cell != "–"]


def plain(name: str, value: Any, words: Words, noun: str = "") -> Markup | str:
    """A value by its own kind; `noun` is the kind of record that it is of."""
    if isinstance(value, bool):
        return words.t("web.yes" if value else "web.no")
    for kind, show in _BY_KIND:
        if isinstance(value, kind):
            return show(value, words)
    if isinstance(value, BaseModel):
        value = value.model_dump()
    if isinstance(value, Mapping):
        parts = [
            f"{part_name(key, words, noun)}: {plain(key, part, words, noun)}"
            for key, part in value.items()
            if part is not None
        ]
        return words.listed(parts)
    if isinstance(value, (list, tuple, set, frozenset)):
        return words.listed([str(plain(name, one, words, noun)) for one in value]) or "–"
    return word_of(name, str(value), words, noun)


_BY_KIND: tuple[tuple[Any, Callable[[Any, Words], Markup | str]], ...] = (
    (datetime, lambda value, words: words.when(value)),
    (date, lambda value, words: words.day(value)),
    (timedelta, lambda value, words: words.lasting(value)),
    ((int, float, Decimal), lambda value, words: words.num(value)),
)


def word_of(name: str, value: str, words: Words, noun: str = "") -> str:
    """One of a field's few words in the reader's language; text as it is."""
    if name == "action":
        return act_said(value, words)
    message = choice_id(name, value)
    if message is not None and words.has(message):
        return words.t(message)
    coded = f"state.{_STATES_OF.get(noun, noun)}" if name == "state" else _CODED.get(name)
    return words.label(f"{coded}.{value}") if words.has(f"{coded}.{value}") else value


_CODED = {
    "entity": "record",
    "lift_permit": "permit",
    "permit": "permit",
    "permits": "permit",
    "proposed_roles": "role",
    "roles": "role",
    "source": "account",
    "sublot_state": "state.sublot",
    "target": "account",
    "term": "term",
    "uom": "unit",
}
"""Fields whose values are codes of something that has a word of its own."""
_STATES_OF = {"work_order_material": "reservation"}
"""Records that show another one's state."""


def choice_id(name: str, value: str) -> str | None:
    """The id of the word for one of a field's few values; None for what is no word: a language has its own name."""
    if f"purpose.{value}" in catalogue(ENGLISH) and name == "purpose":
        return f"purpose.{value}"
    return None if name in _NAMES else f"choice.{name}.{_SIGNS.get(value, value)}"


_NAMES = frozenset({"language"})
_SIGNS = {"<": "lt", "<=": "le", ">": "gt", ">=": "ge"}


def part_name(name: str, words: Words, noun: str = "") -> str:
    """What a field is called of that kind of record, or wherever it is met; its name, where it has no word."""
    for message in (f"field.{noun}.{name}", f"field.{name}"):
        if words.has(message):
            return words.t(message)
    return name.replace("_", " ")
