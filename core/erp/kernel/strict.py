"""What a body may hold, whatever its shape: numbers that are numbers, measures that can be meant, text that is shown.

JSON has one kind of number and Python is lenient: `true` would be an id, `"1"` and `1.0` too. What people read in lists
and sign must be what is stored: no character that turns the direction of writing round or is not shown at all.
"""

import types
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, SecretStr

from core.erp.kernel.errors import UnfitValue
from core.erp.kernel.hidden import hidden_in
from core.erp.kernel.words import Message

MAX_MAGNITUDE = 1e9
"""No measure, limit or offset lies beyond."""
ABSOLUTE_ZERO, MAX_CELSIUS = -273.15, 5000.0
FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2199, 12, 31)


_SHAPES = frozenset({object})


def check(model: type[BaseModel], data: Any, *, all_texts: bool = False) -> Any:
    """The body as it came, if it may be so; `all_texts` for a form's fields. Raises UnfitValue naming the field."""
    if isinstance(data, Mapping):
        kinds = {} if all_texts else _kinds(model)
        for name, value in data.items():
            fault = _fault(kinds.get(name, frozenset()), value)
            if fault is not None:
                raise UnfitValue("value.of_field", field=name, what=fault)
    return data


def _fault(kinds: frozenset[Any], value: Any) -> Message | None:
    if isinstance(value, str) and SecretStr not in kinds:
        hidden = hidden_in(value)
        if hidden is not None:
            return Message("value.hidden", hidden=hidden)
    if isinstance(value, Mapping) and kinds & {dict, Any}:  # free form: its words are text too
        return next((fault for one in value.values() if (fault := _fault(frozenset({Any}), one))), None)
    if kinds == _SHAPES and not isinstance(value, bool):
        return None  # shapes of their own, which check themselves
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return next((fault for one in value if (fault := _fault(kinds, one))), None)
    return None if Any in kinds else _misfit(kinds, value)


def _misfit(kinds: frozenset[Any], value: Any) -> Message | None:
    """A value of a kind that would only pass for the one that is wanted."""
    if isinstance(value, bool):
        return None if bool in kinds or not kinds else Message("value.no_truth")
    if kinds == {int} and isinstance(value, str | float):
        return Message("value.whole_number")
    if kinds == {float} and isinstance(value, str):
        return Message("value.number")
    if kinds == {bool} and value is not None:
        return Message("value.truth")
    if float in kinds and isinstance(value, int | float) and abs(value) > MAX_MAGNITUDE:
        return Message("value.not_meant", value=f"{value:g}")
    return None


@cache
def _kinds(model: type[BaseModel]) -> dict[str, frozenset[Any]]:
    """Of each field (by its name on the wire) the plain types it may be of."""
    return {field.alias or name: frozenset(_leaves(field.annotation)) for name, field in model.model_fields.items()}


def _leaves(annotation: Any) -> list[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _leaves(get_args(annotation)[0])
    if origin in {Union, types.UnionType}:
        return [leaf for part in get_args(annotation) if part is not types.NoneType for leaf in _leaves(part)]
    if origin is list:
        return _leaves(get_args(annotation)[0])
    if origin is dict:
        return [dict]
    plain = (bool, int, float, str, Decimal, SecretStr)
    return [annotation] if annotation in plain or annotation is Any else [object]


def _plausible(value: date) -> date:
    if not FIRST_DAY <= value <= LAST_DAY:
        raise UnfitValue("value.implausible_day", first=FIRST_DAY.year, last=LAST_DAY.year)
    return value


def _digits(value: Any) -> Any:
    """Digits alone: a query or a path holds texts, of which `1.0` and ` 1` would pass for numbers."""
    if isinstance(value, str) and not (value.isascii() and value.isdigit()):
        raise UnfitValue("value.no_id")
    return value


Day = Annotated[date, AfterValidator(_plausible)]
"""A day in a body: one that can be meant."""
Celsius = Annotated[float, Field(ge=ABSOLUTE_ZERO, le=MAX_CELSIUS, allow_inf_nan=False)]
"""A temperature in °C that something can have."""
OnlyDigits = BeforeValidator(_digits)
"""An id in a path or a query."""
