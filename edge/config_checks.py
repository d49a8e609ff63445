"""Pydantic's findings in an operator's words, at the line of the file that they are about."""

import difflib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from core.telemetry.located import Located, NodePath

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|h|d)\Z")
_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(kB|KiB|MB|MiB|GB|GiB)\Z")
_BYTES = {"kB": 10**3, "KiB": 2**10, "MB": 10**6, "MiB": 2**20, "GB": 10**9, "GiB": 2**30}


M = TypeVar("M", bound=BaseModel)


def validated(model: type[M], document: Located, base: NodePath, data: dict[str, Any]) -> M | None:
    """The model, or None with its errors noted. Durations such as "5 min" and sizes such as "4 GiB" are understood."""
    while True:
        try:
            return model.model_validate(data)
        except ValidationError as error:
            found = error.errors(include_url=False)
        # all of them at once: a validation for each would take a file of thousands of nodes minutes
        if not sum(_reworded(document, base, detail) for detail in found):
            _note(model, document, base, found)
            return None
        fresh = document.value(base)
        data = {key: fresh[key] for key in data}


def _note(model: type[BaseModel], document: Located, base: NodePath, found: Sequence[ErrorDetails]) -> None:
    """Notes what the operator has to mend, each thing once."""
    places = [document.resolve((*base, *detail["loc"])) for detail in found]
    places_counted = Counter(places)
    above = {detail["loc"][:length] for detail in found for length in range(len(detail["loc"]))}
    for detail, where in zip(found, places, strict=True):
        if detail["type"] == "too_short" and detail["loc"] in above:
            continue  # the items are there, and wrong
        if detail["type"] in _SHAPES and places_counted[where] > 1:
            continue  # one of the forms that the value may have; what is wrong with the form it has is told
        if where not in document.unreadable:
            document.error(where, _message(model, detail))


def _reworded(document: Located, base: NodePath, detail: ErrorDetails) -> bool:
    """Turns a duration or size in words into a number, in place. False if the error is about something else."""
    text = detail["input"]
    if not isinstance(text, str):
        return False
    try:
        value = _spelled(detail["type"], text)
    except OverflowError:
        return False
    where = document.resolve((*base, *detail["loc"]))
    # what a model made of the text, rather than the text itself, is not ours to change
    if value is None or where not in document.lines or document.value(where) != text:
        return False
    document.replace(where, value)
    return True


def _spelled(kind: str, text: str) -> object:
    """The duration or size in words; None if it is neither. Raises OverflowError."""
    if kind.startswith("time_delta") and (span := _DURATION.match(text)):
        return timedelta(seconds=float(span[1]) * _SECONDS[span[2]])
    if kind.startswith("int_") and (size := _SIZE.match(text)):
        return int(float(size[1]) * _BYTES[size[2]])
    return None


_SHAPES = frozenset({"model_type", "dict_type"})
_WORDS = {
    "missing": "is required",
    "path_type": "is not a path",
    "string_type": "must be text: put it in quotes",
    "time_delta_parsing": "is not a duration: write 30 s, 5 min, 48 h, ISO 8601 (PT5M), or a number of seconds",
}


def _message(model: type[BaseModel], detail: ErrorDetails) -> str:
    if detail["type"] == "extra_forbidden":
        key = str(detail["loc"][-1])
        return f"unknown key{did_you_mean(key, _names(model))}"
    if detail["type"] == "union_tag_invalid":
        tag, expected = str(detail["ctx"]["tag"]), str(detail["ctx"]["expected_tags"]).replace("'", "")
        return f"{tag!r} is not one of {expected}{did_you_mean(tag, set(expected.split(', ')))}"
    return _WORDS.get(detail["type"], detail["msg"].removeprefix("Value error, "))


def did_you_mean(word: str, known: Mapping[str, Any] | set[str]) -> str:
    """A question after the known word that is closest, or nothing if none is close."""
    close = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def _names(model: type[BaseModel], seen: frozenset[Any] = frozenset()) -> set[str]:
    """Every key that a model or a model inside it takes."""
    names = set(model.model_fields)
    for field in model.model_fields.values():
        for inner in _models_in(field.annotation):
            if inner not in seen:
                names |= _names(inner, seen | {model, inner})
    return names


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _models_in(argument)
