"""A form's fields, made from the body it fills: their kinds, choices and links, what was written, what is wrong."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal, get_args, get_origin
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, BaseModel, SecretStr
from pydantic.fields import FieldInfo

from core.erp.kernel.annotations import leaf_of, longest_of, may_be_none
from core.erp.kernel.digits import whole
from core.erp.kernel.named import kind_named
from core.erp.kernel.records.declare import Entity
from core.erp.kernel.records.registry import entities
from core.erp.kernel.shapes import SignIn, names_person
from core.erp.kernel.tabular import record_columns
from core.erp.kernel.tabular.fields import LONGEST
from core.erp.kernel.words import ENGLISH, catalogue, plain_number
from core.web.frame.templating import Words
from core.web.records.shown import word_of

SEVERAL = frozenset({list, tuple, set, frozenset})
"""Types that hold several values."""
UNSEEN = frozenset({"id", "version"})
"""Fields of bodies that no form of a record shows."""
MOST_LINES = 1000
"""Lines of a table that a form takes: more than any body does."""
SPARE = 1
"""Empty lines of a list that has none."""
HINTS = {
    "pairs": "web.hint_pairs",
    "time": "web.hint_time",
    "span": "web.hint_span",
    "link": "web.hint_link",
    "person": "web.hint_person",
    "links": "web.hint_links",
    "secret": "web.hint_secret",
}
"""What is said above fields of a kind."""
Choices = tuple[tuple[str, str], ...]
"""Values, each with its word."""
LONG_TEXT = frozenset({"reason", "note", "comment", "text", "description", "root_cause", "criterion", "finding"})
"""Fields that take several lines."""


@dataclass(slots=True)
class Input:
    """One field: `kind` is text, lines, number, date, time, flag, choice, choices, link, links, person, span, secret,
    pairs, group or table. `value` is what stands in it, as text; several for choices. A group's fields are `parts`, a
    table's lines `rows`; a group that the record has says so, so that emptying it takes it away.
    """

    name: str
    label: str
    kind: str
    required: bool = False
    value: str = ""
    values: tuple[str, ...] = ()
    choices: tuple[tuple[str, str], ...] = ()
    link: str | None = None
    longest: int | None = None
    error: str = ""
    parts: list["Input"] = field(default_factory=list)
    rows: list[list["Input"]] = field(default_factory=list)

    @property
    def id(self) -> str:
        """For labels and the error summary."""
        return "f-" + self.name.replace(".", "-")

    @property
    def hint(self) -> str:
        """The id of what is said above the field."""
        return HINTS.get(self.kind, "")

    def errors(self) -> list["Input"]:
        """The field itself and those within, where they have an error."""
        within = [*self.parts, *(part for row in self.rows for part in row)]
        return [*([self] if self.error else []), *(one for part in within for one in part.errors())]


@dataclass(frozen=True)
class Filled:
    """What a form is filled with: texts by field as they were written, or else values of a record."""

    written: Mapping[str, list[str]] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    called: Mapping[tuple[str, int], str] = field(default_factory=dict)
    more: str = ""
    """The table that one line more was asked for."""
    offered: Mapping[str, Choices] = field(default_factory=dict)
    """By field: what may be chosen there today."""


def inputs(entity: Entity, model: type[BaseModel], words: Words, filled: Filled, within: str = "") -> list[Input]:
    """The fields of a form for this body."""
    return [
        _input(entity, f"{within}{name}", name, info, words, filled)
        for name, info in model.model_fields.items()
        if not is_unseen(model, name)
    ]


def is_unseen(model: type[BaseModel], name: str) -> bool:
    """Whether no form shows the field: a signature has a part of its own there."""
    return name in UNSEEN or (issubclass(model, SignIn) and name in SignIn.model_fields)


def _input(entity: Entity, path: str, name: str, info: FieldInfo, words: Words, filled: Filled) -> Input:
    kind, leaf = kind_of(entity, name, info)
    if names_person(info):
        kind = "person"
    made = Input(
        path, label_of(entity, name, words), kind, required=info.is_required() and not may_be_none(info.annotation)
    )
    made.error = filled.errors.get(path, "")
    made.longest = longest_of(info, LONGEST) if kind in {"text", "lines"} else None
    if kind in {"link", "links"}:
        made.link = link_of(entity, name, info)
    if kind == "person":
        made.link = "person"
    if kind == "text" and name in entities() and entities()[name].label == "code":
        made.link = name  # the text is what that record is called
    if kind in {"choice", "choices"}:
        made.choices = tuple((value, word_of(name, value, words)) for value in choices_of(leaf))
    if kind == "group":
        made.parts = inputs(entity, leaf, words, filled, f"{path}.")
        there = _value_at(filled.values, path)
        made.value = "1" if f"{path}." in filled.written or isinstance(there, (Mapping, BaseModel)) else ""
    elif kind == "table":
        count = _lines(path, filled)
        made.rows = [inputs(entity, leaf, words, filled, f"{path}.{line}.") for line in range(count)]
    else:
        _fill(made, info, words, filled)
    if path in filled.offered:
        offered = filled.offered[path]
        gone = [one for one in made.values if one not in dict(offered)]  # kept until somebody takes it away
        made.kind, made.choices = "choices", (*offered, *((one, one) for one in gone))
    return made


def label_of(entity: Entity, name: str, words: Words) -> str:
    """What a field of a form is called; its own name, where there is no word for it."""
    message = entity.field(name)
    return words.label(message) if message.id in catalogue(ENGLISH) else name.replace("_", " ").capitalize()


def kind_of(entity: Entity, name: str, info: FieldInfo) -> tuple[str, Any]:
    """(the input's kind, the type of the value itself or of each of several)."""
    many, leaf = get_origin(leaf_of(info.annotation)) in SEVERAL, _leaf_in(info)
    return _kind(leaf, many, name, linked=link_of(entity, name, info) is not None), leaf


def link_of(entity: Entity, name: str, info: FieldInfo) -> str | None:
    """The kind of record that a field picks by what it is called; None for ids of what is no record of its own."""
    found = record_columns.link_of(entity, name, info)
    if found is None and _leaf_in(info) is int:
        found = kind_named(name)
    return found if found in entities() else None


def _leaf_in(info: FieldInfo) -> Any:
    """The type of the value, or of each of several."""
    leaf = leaf_of(info.annotation)
    return leaf_of(get_args(leaf)[0]) if get_origin(leaf) in SEVERAL else leaf


def _kind(leaf: Any, many: bool, name: str, *, linked: bool) -> str:
    if linked:
        return "links" if many else "link"
    if isinstance(leaf, type) and issubclass(leaf, BaseModel):
        return "table" if many else "group"
    if choices_of(leaf):
        return "choices" if many else "choice"
    if many or (leaf is str and name in LONG_TEXT):
        return "lines"
    return "pairs" if get_origin(leaf) is dict else _KINDS.get(leaf, "text")


_KINDS: dict[Any, str] = {
    bool: "flag",
    int: "number",
    float: "number",
    Decimal: "number",
    date: "date",
    datetime: "time",
    AwareDatetime: "time",
    timedelta: "span",
    SecretStr: "secret",
}


def choices_of(leaf: Any) -> tuple[str, ...]:
    """The few words that a value may be."""
    if get_origin(leaf) is Literal:
        return tuple(value for value in get_args(leaf) if isinstance(value, str) and value)
    if isinstance(leaf, type) and issubclass(leaf, StrEnum):
        return tuple(member.value for member in leaf)
    return ()


# --- what stands in a field


def _fill(made: Input, info: FieldInfo, words: Words, filled: Filled) -> None:
    if filled.written:
        texts = filled.written.get(made.name, [])
        made.value, made.values = (texts[-1] if texts else ""), tuple(texts)
        return
    value = _value_at(filled.values, made.name)
    if value is _ABSENT:
        value = None if info.is_required() else info.get_default(call_default_factory=True)
    several = value if isinstance(value, (list, tuple, set, frozenset)) else [value]
    texts = [text_of(made, one, words.zone, filled) for one in several if one is not None]
    made.values = tuple(texts)
    made.value = "\n".join(texts) if made.kind in {"lines", "links"} else (texts[-1] if texts else "")


_ABSENT = object()


def _value_at(values: Any, path: str) -> Any:
    found = values
    for part in path.split("."):
        if isinstance(found, BaseModel):
            found = found.model_dump()
        if isinstance(found, Mapping) and part in found:
            found = found[part]
        elif isinstance(found, (list, tuple)) and (place := whole(part)) is not None and place < len(found):
            found = found[place]
        else:
            return _ABSENT
    return found


def _lines(path: str, filled: Filled) -> int:
    """How many lines a table has: those there are, or an empty one. More are asked for: one that begins with usual
    values is no empty one when it is sent.
    """
    if filled.written:
        return max(lines_named(path, filled.written), default=-1) + 1 + (1 if filled.more == path else 0)
    there = _value_at(filled.values, path)
    return (len(there) if isinstance(there, (list, tuple)) else 0) or SPARE


def lines_named(path: str, names: Iterable[str]) -> list[int]:
    """The numbers of a table's lines that fields are called by, in order: `lines.3.amount` is of line 3. Those
    that no form of ours sends, such as 99999999999, are none.
    """
    rests = (name[len(path) + 1 :] for name in names if name.startswith(f"{path}."))
    numbers = {whole(rest.partition(".")[0]) for rest in rests}
    return sorted(number for number in numbers if number is not None and number < MOST_LINES)


def text_of(made: Input, value: Any, zone: ZoneInfo, filled: Filled) -> str:
    """A value as a field holds it: times in the reader's zone, spans as `30 min`, links by what records are called."""
    if made.link is not None and isinstance(value, int):
        return filled.called.get((made.link, value), str(value))
    if isinstance(value, datetime):
        return value.astimezone(zone).strftime("%Y-%m-%dT%H:%M")
    show = next((show for kind, show in _AS_TEXT if isinstance(value, kind)), str)
    return show(value)


_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def span_text(span: timedelta) -> str:
    """A length of time as people write it and `parsing.span_in` reads it: `1 d 2 h`."""
    rest, parts = int(span.total_seconds()), []
    for unit, size in _UNITS:
        if rest >= size:
            parts.append(f"{rest // size} {unit}")
            rest %= size
    return " ".join(parts) or "0 min"


_AS_TEXT: tuple[tuple[type, Callable[[Any], str]], ...] = (
    (bool, lambda value: "yes" if value else ""),
    (timedelta, span_text),
    (Decimal, plain_number),
    (float, lambda value: f"{value:.15g}"),
    (StrEnum, lambda value: str(value.value)),
    (Mapping, lambda value: "\n".join(f"{name}: {_several(one)}" for name, one in value.items())),
)


def _several(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def summary(fields: list[Input]) -> list[Input]:
    """Every field with an error, in the form's order."""
    return [one for made in fields for one in made.errors()]
