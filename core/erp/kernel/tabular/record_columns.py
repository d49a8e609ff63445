"""The columns that an entity has in a table: those that a list exports, and those that a form takes.

Names and types are those of the entity's answer and of its form; labels are the entity's words in both languages.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal, get_args, get_origin

from pydantic import AwareDatetime, BaseModel, SecretStr
from pydantic.fields import FieldInfo

from core.erp.kernel.annotations import leaf_of, longest_of, may_be_none
from core.erp.kernel.records.declare import Entity
from core.erp.kernel.tabular.fields import LONGEST, Choice, Field, Kind
from core.erp.kernel.words import LANGUAGES, Message, catalogue, from_json, render

_KINDS: dict[Any, Kind] = {
    bool: Kind.FLAG,
    int: Kind.INTEGER,
    Decimal: Kind.DECIMAL,
    float: Kind.DECIMAL,
    datetime: Kind.MOMENT,
    AwareDatetime: Kind.MOMENT,
    date: Kind.DATE,
}
_WRITTEN = "_message"
"""What the system wrote stands as a message in the column of that name beside its sentence."""
_FIGURE, _QUANTITY = (24, 12), (18, 6)
"""Digits and decimals of a figure, and of a quantity."""


def exported(entity: Entity) -> tuple[Field, ...]:
    """What a list shows, as far as its statement reads it."""
    read = set(_keys(entity))
    shape = {name: info for name, info in entity.shape.model_fields.items() if not name.endswith(_WRITTEN)}
    return tuple(_field(entity, name, info, required=False) for name, info in shape.items() if name in read)


def as_exported(entity: Entity, rows: Iterable[Sequence[Any]], language: str) -> Iterator[list[Any]]:
    """Rows of the entity's statement as the values of `exported`; what the system wrote is said in the language."""
    keys, names = _keys(entity), [field.name for field in exported(entity)]
    places = [(keys.index(name), keys.index(name + _WRITTEN) if name + _WRITTEN in keys else None) for name in names]
    for row in rows:
        yield [
            row[place] if written is None or row[written] is None else render(from_json(row[written]), language)
            for place, written in places
        ]


def _keys(entity: Entity) -> list[str]:
    return [str(column.key) for column in entity.select.selected_columns]


def imported(entity: Entity) -> tuple[Field, ...] | None:
    """What a new record's form takes; None where it needs what is no single value, or there is no form."""
    if entity.create is None:
        return None
    fields = []
    for name, info in entity.create.body.model_fields.items():
        if not _single(info.annotation):
            if info.is_required():
                return None
            continue
        fields.append(_field(entity, name, info, required=info.is_required(), link=link_of(entity, name, info)))
    return tuple(fields)


def link_of(entity: Entity, name: str, info: FieldInfo) -> str | None:
    """The kind of record that the field's ids name."""
    links = [part.entity for part in info.metadata if type(part).__name__ == "Link"]
    column = entity.by_name.get(name)
    return links[0] if links else column.link if column is not None else None


def _field(entity: Entity, name: str, info: FieldInfo, *, required: bool, link: str | None = None) -> Field:
    leaf = leaf_of(info.annotation)
    many = get_origin(leaf) is list
    choices = _choices(entity, name, leaf_of(get_args(leaf)[0]) if many else leaf)
    kind = Kind.TEXT if link is not None else Kind.CHOICE if choices else _KINDS.get(leaf, Kind.TEXT)
    digits, decimals = _FIGURE if leaf is float else _QUANTITY
    return Field(
        name,
        _labels(entity.field(name)),
        kind,
        required=required,
        filled=not may_be_none(info.annotation) and info.default != "",
        many=many and kind in {Kind.TEXT, Kind.CHOICE},
        choices=choices if kind is Kind.CHOICE else (),
        longest=LONGEST if many else longest_of(info, LONGEST),
        digits=digits,
        decimals=decimals,
        secret=leaf is SecretStr,
    )


def _labels(message: Message) -> Mapping[str, str]:
    return {language: render(message, language) for language in LANGUAGES}


def _choices(entity: Entity, name: str, leaf: Any) -> tuple[Choice, ...]:
    if get_origin(leaf) is Literal:
        values = [value for value in get_args(leaf) if isinstance(value, str)]
    elif isinstance(leaf, type) and issubclass(leaf, StrEnum):
        values = [member.value for member in leaf]
    else:
        return ()
    noun = entity.cycle.noun if entity.cycle is not None and name == "state" else None
    return tuple(Choice(value, _state(noun, value)) for value in values)


def _state(noun: str | None, value: str) -> Mapping[str, str]:
    name = f"state.{noun}.{value}"
    return {} if noun is None else {one: render(Message(name), one) for one in LANGUAGES if name in catalogue(one)}


def _single(annotation: Any) -> bool:
    """Whether it stands in one cell: a value, or several texts or words."""
    leaf = leaf_of(annotation)
    if get_origin(leaf) is list:
        part = leaf_of(get_args(leaf)[0])
        return part is str or get_origin(part) is Literal or (isinstance(part, type) and issubclass(part, StrEnum))
    if leaf is None or get_origin(leaf) not in {None, Literal}:
        return False
    return not (isinstance(leaf, type) and issubclass(leaf, (BaseModel, dict, list)))
