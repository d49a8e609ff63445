"""What every payload decoder takes and gives.

A decoder turns one message into values as the device said them: nothing is converted, rounded or repaired. What is
not the dialect's becomes BadPayload, and the message goes aside.
"""

import json
import math
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec
from pydantic import BaseModel, ConfigDict

from core.telemetry.quality import Quality, Reason
from core.telemetry.reading import INT_MAX, INT_MIN, TEXT_MAX, Value

EVERY_FIELD = "*"
"""The field of a Decoded that speaks of everything its device has said so far, such as its death."""
MAX_DEPTH = 32
MAX_FIELDS = 2000
MAX_IDENTITY = 128

WRONG_TYPE = "wrong_type"
"""The value is not of the kind the point takes (bad)."""
ABSENT = frozenset({"", "unavailable", "unknown", "none", "null", "undefined", "n/a", "na", "-", "--", "---"})
"""Words, in small letters, by which programs say that there is no value."""
MALFORMED = "malformed"
"""The text has a byte order mark or NULs, which are no part of a value (bad)."""
INTEGER_TOO_LARGE = "integer_outside_64_bits"
TEXT_TOO_LONG = "text_too_long"
NOT_UNICODE = "text_not_unicode"
NOT_A_VALUE = "not_a_single_value"
_SUSPECT = frozenset(b"\xef\0 \t\r\n")
_HALF = re.compile("[\\ud800-\\udfff]")


class Decoded(msgspec.Struct, frozen=True, gc=False):
    """One value as the device said it.

    `device` is the identity the payload or topic names ("" if none), `field` the quantity's name in the dialect, `unit`
    UCUM or "" where the payload says none. `historical` values are old by nature (buffered by the device). `simulated`
    is the network's own mark of a made-up message. `complete` says that the message lists every field that is not
    zero, so that what it leaves out is zero.

    A field named by its position (`DS18B20-1.Temperature`, `probes.0.t`) may come to mean another sensor. So it says
    what the payload tells of that: `sensor` is the identity of the thing it belongs to and `local` its name there; `of`
    is the length of the list it is numbered in. All "" where the name is no position.
    """

    device: str
    field: str
    value: Value
    unit: str = ""
    source_at: datetime | None = None
    quality: Quality = Quality.GOOD
    reason: str = Reason.NONE
    historical: bool = False
    simulated: bool = False
    complete: bool = False
    sensor: str = ""
    local: str = ""
    of: str = ""


class BadPayload(ValueError):
    """The message, or part of it, is not what its decoder reads; the text says what is wrong with it.

    `decoded` holds what could be read all the same.
    """

    def __init__(self, message: str, decoded: Sequence[Decoded] = ()) -> None:
        super().__init__(message)
        self.decoded = tuple(decoded)


class Options(BaseModel):
    """Options of a decoder, checked when the configuration is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Decoder(Protocol):
    """One dialect. May remember earlier messages (births, ids already seen); one object serves one source."""

    def decode(self, topic: str, payload: bytes, received_at: datetime) -> list[Decoded]:
        """The values of one message, in its order; none if it carries no measurement. Raises only BadPayload."""


def parse_json(payload: bytes) -> Any:
    """The document, with NaN and infinities as floats. Raises BadPayload.

    Words where a value should be (`nan`, `None`, `unavailable`) and values left out are read as what they are: not a
    number, text, null. So one probe's word costs its neighbours nothing. A byte order mark and NULs at the ends are no
    part of a document; `mangled` tells of them. A key that occurs twice makes it ambiguous, so it is refused.
    """
    flat = _flat(payload)
    if flat is not None:
        return flat
    document = plain_text(payload)
    try:
        try:
            return _decode_json(document)
        except json.JSONDecodeError:
            mended = _WORDS.sub(_spelled, document)
            if mended == document:
                raise
            return _decode_json(mended)
    except RecursionError as error:
        raise BadPayload("JSON nested too deeply") from error
    except ValueError as error:
        raise BadPayload(f"not JSON: {str(error)[:200]}") from error


def _flat(payload: bytes) -> dict[str, Any] | None:
    """The document if it is an object of nothing but scalars, as most are, and surely what `json` makes of it; None
    leaves it to that. Five times as fast.
    """
    if b"\\" in payload:
        return None
    try:
        flat = _decode_flat(payload)
    except ValueError:  # no such object, or no JSON: `json` finds out what it is
        return None
    # every key and every text stands between two quotes: if there are more, a key occurs twice
    names = len(flat)
    for value in flat.values():
        if type(value) is str:
            names += 1
    return flat if payload.count(b'"') == 2 * names else None


def printable(payload: bytes) -> bool:
    """Whether a text begins with a byte order mark or has NULs at its ends, as it would from a program that sends more
    than it wrote: what it says may be cut off or left over from before.
    """
    if not payload or (payload[-1] not in _SUSPECT and payload[0] not in _SUSPECT):
        return False
    bare = payload.strip(b" \t\r\n")
    return bare.startswith((b"\xef\xbb\xbf", b"\0")) or bare.endswith(b"\0")


def plain_text(payload: bytes) -> str:
    """The payload as text, without a byte order mark, and without NULs and blanks at its ends. Raises BadPayload."""
    try:
        return payload.decode("utf-8").strip("\ufeff\0 \t\r\n")
    except UnicodeDecodeError as error:
        raise BadPayload(f"not UTF-8 at byte {error.start}") from error


_WORDS = re.compile(
    r"""
    "(?:[^"\\]|\\.)*+"                                  # a string is left alone
    | (?P<word> (?<=[:\[,\s]) [-+]?[A-Za-z_][A-Za-z0-9_/.]*+ (?=\s*[,\]}]) )
    | (?P<nothing> : (?=\s*[,}]) )
    """,
    re.VERBOSE,
)
_LITERALS = frozenset({"true", "false", "null", "NaN", "Infinity", "-Infinity"})
NOT_FINITE = {
    sign + word: number
    for sign, minus in (("", ""), ("+", ""), ("-", "-"))
    for word, number in (("nan", "NaN"), ("inf", f"{minus}Infinity"), ("infinity", f"{minus}Infinity"))
}
"""Spellings of what is no number, in small letters, and JSON's (Python's) of it."""


def _spelled(found: re.Match[str]) -> str:
    if found["nothing"]:
        return ": null"
    word = found["word"]
    if word is None or word in _LITERALS:
        return found[0]
    return NOT_FINITE.get(word.lower(), f'"{word}"')


def parse_object(payload: bytes) -> dict[str, Any]:
    """The document, which must be a JSON object. Raises BadPayload."""
    document = parse_json(payload)
    if not isinstance(document, dict):
        raise BadPayload(f"a JSON object is expected, not {_kind(document)}")
    return document


def member(document: dict[str, Any], key: str) -> dict[str, Any]:
    """The object under `key`, empty if absent or null. Raises BadPayload if it is something else."""
    found = document.get(key)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise BadPayload(f"{key!r} must be a JSON object, not {_kind(found)}")
    return found


def text(document: dict[str, Any], key: str) -> str:
    """The text under `key`. Raises BadPayload if there is none."""
    found = document.get(key)
    if not isinstance(found, str) or not found:
        raise BadPayload(f"{key!r} is missing")
    return found


def on_ports(port: object, ports: frozenset[int] | None) -> bool:
    """Whether a LoRaWAN port is among those that carry measurements; no list means every port."""
    return ports is None or (isinstance(port, int) and port in ports)


def judge(raw: object) -> tuple[Value, Quality, str]:
    """A JSON scalar as (value, quality, reason): what cannot be a reading's value has none and is bad."""
    if raw is None:
        return None, Quality.BAD, Reason.NO_VALUE
    if isinstance(raw, float):
        return (raw, Quality.GOOD, Reason.NONE) if math.isfinite(raw) else (None, Quality.BAD, Reason.NOT_A_NUMBER)
    if isinstance(raw, bool):
        return raw, Quality.GOOD, Reason.NONE
    if isinstance(raw, int):
        return (raw, Quality.GOOD, Reason.NONE) if INT_MIN <= raw <= INT_MAX else (None, Quality.BAD, INTEGER_TOO_LARGE)
    if isinstance(raw, str):
        fault = TEXT_TOO_LONG if len(raw) > TEXT_MAX else "" if is_unicode(raw) else NOT_UNICODE
        if "\0" in raw or raw.startswith("\ufeff"):
            fault = MALFORMED
        return (None, Quality.BAD, fault) if fault else (raw, Quality.GOOD, Reason.NONE)
    return None, Quality.BAD, NOT_A_VALUE


def is_unicode(text: str) -> bool:
    """Whether a text can be written down: JSON's escapes can spell half a character."""
    return text.isascii() or not _HALF.search(text)


class LeafPath(msgspec.Struct, frozen=True, gc=False):
    """Where a scalar stands that is named by position: in a thing with an identity, or by number in a list."""

    sensor: str
    start: int
    of: str

    def mark(self, item: Decoded) -> Decoded:
        """The value, saying where it stands."""
        local = item.field[self.start :] if self.sensor else ""
        return msgspec.structs.replace(item, sensor=self.sensor, local=local, of=self.of)


ROOT_PATH = LeafPath("", 0, "")


def leaves(document: dict[str, Any], identity: str = "") -> Iterator[tuple[str, str, object, LeafPath]]:
    """Every scalar below an object as (path joined by dots, last key, value, place). Raises BadPayload when there are
    too many or they lie too deep. Lists are numbered.

    `identity` is the key by which an object within says which thing it is of; it is no value itself.
    """
    count = 0
    stack: list[tuple[str, str, object, int, LeafPath]] = [("", "", document, 0, ROOT_PATH)]
    while stack:
        path, key, node, depth, place = stack.pop()
        if depth > MAX_DEPTH:
            raise BadPayload(f"nested deeper than {MAX_DEPTH}")
        items: list[tuple[str, object]]
        if isinstance(node, dict):
            items = list(node.items())
            if identity in node and path:
                items.remove((identity, node[identity]))
                place = LeafPath(str(node[identity])[:MAX_IDENTITY], len(path) + 1, "")
        elif isinstance(node, list):
            items = [(str(index), item) for index, item in enumerate(node)]
            place = LeafPath(place.sensor, place.start, f"{place.of},{len(node)}".lstrip(","))
        else:
            count += 1
            if count > MAX_FIELDS:
                raise BadPayload(f"more than {MAX_FIELDS} values")
            yield path, key, node, place
            continue
        prefix = f"{path}." if path else ""
        stack.extend((f"{prefix}{name}", name, item, depth + 1, place) for name, item in reversed(items))


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]  # set.add gives None, which is false: the name is remembered on the way
        raise BadPayload(f"key {twice[:64]!r} occurs twice")
    return made


_decode_flat = msgspec.json.Decoder(dict[str, bool | int | float | str | None]).decode
_decode_json = json.JSONDecoder(object_pairs_hook=_pairs).decode


def _kind(value: object) -> str:
    return "null" if value is None else type(value).__name__
