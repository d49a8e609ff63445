"""Rows of a list as JSON, straight from the columns of the statement that reads them.

What is answered is what the entity's shape would be made of and say, which a test compares for every entity; a model a
row, checked and written out again, takes ten times as long.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from types import NoneType
from typing import Annotated, Any, Literal, cast, get_args, get_origin

import msgspec
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    PlainSerializer,
    PlainValidator,
    TypeAdapter,
    WrapSerializer,
    WrapValidator,
)
from pydantic.fields import FieldInfo

from core.erp.kernel.annotations import parts_of
from core.erp.kernel.records.declare import Entity
from core.erp.kernel.shapes import Answer
from core.erp.kernel.tables import value_type
from core.erp.kernel.words import from_json, render

Said = Callable[[Any], Any]
"""A value that is there, as what is written as JSON."""

_AS_THEY_ARE = {int: int, str: str, bool: bool, datetime: datetime, AwareDatetime: datetime, date: date, float: float}
"""Types of fields whose values are written as they are, and of which type the column then is."""
_SAID_OF = {Decimal, float, timedelta}
"""Types of fields that say by a function how they are written."""
_MADE_OTHERWISE = (PlainSerializer, WrapSerializer, PlainValidator, WrapValidator, BeforeValidator, AfterValidator)
"""What makes a value, or what is written of it, other than it is in the row."""
_MESSAGE = "_message"


@cache
def writer(entity: Entity) -> "Writer":
    """How rows of the entity's statement are written. Raises ValueError for a shape that does more than name fields."""
    return Writer(entity)


class Writer:
    """Writes rows of one entity as its shape says them."""

    def __init__(self, entity: Entity) -> None:
        shape = entity.shape
        if not issubclass(shape, Answer) or shape.in_language is not Answer.in_language or _behaves(shape):
            raise ValueError(f"{shape.__name__}: rows of a list are written from their columns, by the fields' types")
        columns = list(entity.select.selected_columns)
        keys = [str(column.key) for column in columns]
        self._names = tuple(shape.model_fields)
        absent = [name for name in self._names if name not in keys]
        if absent:
            raise ValueError(f"{entity.name}: {', '.join(absent)} is no column of its statement")
        self._places = tuple(keys.index(name) for name in self._names)
        types = [value_type(columns[place]) for place in self._places]
        self._said = tuple(_said(info, kind) for info, kind in zip(shape.model_fields.values(), types, strict=True))
        self._sentences = tuple(
            (self._names.index(name.removesuffix(_MESSAGE)), place)
            for place, name in enumerate(self._names)
            if name.endswith(_MESSAGE)
        )

    def json(self, rows: Sequence[Sequence[Any]], language: str) -> bytes:
        """The rows as a JSON list, with what the system wrote in the language."""
        if not rows:
            return b"[]"
        read = list(zip(*rows, strict=True))
        written: list[Iterable[Any]] = [
            read[place] if said is None else [None if value is None else said(value) for value in read[place]]
            for place, said in zip(self._places, self._said, strict=True)
        ]
        for text, message in self._sentences:
            messages = read[self._places[message]]
            if any(one is not None for one in messages):
                written[text] = [
                    said if one is None else render(from_json(one), language)
                    for said, one in zip(written[text], messages, strict=True)
                ]
        return msgspec.json.encode(
            [dict(zip(self._names, values, strict=True)) for values in zip(*written, strict=True)]
        )


def _behaves(shape: type[BaseModel]) -> bool:
    """Whether validators, serializers or computed fields of its own make more of it than its fields."""
    own = shape.__pydantic_decorators__
    return any(vars_of for vars_of in (getattr(own, name) for name in own.__slots__ if hasattr(own, name)))


def _said(info: FieldInfo, column: Any) -> Said | None:
    """How a field's values are written, of a column of that type; None: as they are."""
    kinds = [part for part in parts_of(info.annotation) if part is not NoneType]
    kind, about = _plain(kinds[0], info.metadata) if len(kinds) == 1 else (None, ())
    said = [one for one in about if isinstance(one, _MADE_OTHERWISE)]
    if not said and _as_it_is(kind, column):
        return None
    if len(said) == 1 and isinstance(said[0], PlainSerializer) and kind in _SAID_OF and kind is column:
        return cast("Said", said[0].func)
    checked: TypeAdapter[Any] = TypeAdapter(Annotated[info.annotation, *info.metadata, None])  # type: ignore[arg-type]  # known when run
    return lambda value: checked.dump_python(checked.validate_python(value, from_attributes=True), mode="json")


def _plain(kind: Any, about: Sequence[Any]) -> tuple[Any, Sequence[Any]]:
    """(the type itself, what is said about it)."""
    if get_origin(kind) is Annotated:
        return _plain(get_args(kind)[0], (*get_args(kind)[1:], *about))
    return kind, about


def _as_it_is(kind: Any, column: Any) -> bool:
    if kind is dict or get_origin(kind) is dict or kind == list[int] or kind == list[str]:
        return True
    if get_origin(kind) is Literal:
        return column is str and all(isinstance(one, str) for one in get_args(kind))
    return kind in _AS_THEY_ARE and _AS_THEY_ARE[kind] is column
