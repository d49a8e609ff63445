"""Payloads of no known dialect: a bare value, or JSON of somebody's own. Where values, time and units are."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from core.telemetry.units import CANONICAL, convertible
from edge.browse.quantities import Measured, measured
from edge.collectors.decoders.base import BadPayload, leaves, parse_json
from edge.collectors.decoders.number import ON_OFF, parse_number
from edge.collectors.decoders.times import PER_SECOND, BadTime, TimeFormat, parse_time
from edge.collectors.decoders.units import ucum

TIME_KEYS = frozenset(
    {
        "time",
        "ts",
        "timestamp",
        "datetime",
        "date_time",
        "date",
        "at",
        "t",
        "last_seen",
        "lastseen",
        "measured_at",
        "time_utc",
        "utc",
        "when",
        "measuredat",
        "eventtime",
    }
)
UNIT_KEYS = frozenset({"unit", "units", "u", "uom", "unit_of_measurement"})
VALUE_KEYS = frozenset({"value", "v", "val", "reading", "state"})
DEVICE_KEYS = frozenset(
    {
        "device",
        "id",
        "dev",
        "sensor",
        "deviceid",
        "device_id",
        "sensor_id",
        "name",
        "sn",
        "serial",
        "mac",
        "uid",
        "node",
        "eui",
        "deveui",
    }
)
VERDICT_KEYS = frozenset({"quality", "q", "qc", "valid", "status", "error"})
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_EARLIEST, _LATEST = datetime(2010, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_COMMA = re.compile(r"[+-]?\d+,\d+")


@dataclass(frozen=True, slots=True)
class Shape:
    """How a payload is read: the options of its decoder, what its fields measure, and what to tell the operator."""

    decoder: dict[str, Any]
    fields: dict[str, Measured]
    notes: tuple[str, ...] = ()
    device_path: str | None = None
    """Where the payload names its device."""


def number_shape(payloads: Sequence[bytes], name: str) -> Shape | None:
    """A topic whose payloads are nothing but a number or a switch word; None if they are something else.

    `name` is what the topic calls the quantity: its unit can only be guessed from that.
    """
    texts = [payload.decode("utf-8", "replace").strip() for payload in payloads]
    texts = [one for one in texts if one]
    if not texts:
        return None
    comma = any(_COMMA.fullmatch(one) for one in texts)
    numbers = [parse_number(one.replace(",", ".", 1) if comma else one) for one in texts]
    if all(number is not None for number in numbers):
        decoder = {"name": "number", **({"decimal_comma": True} if comma else {})}
        found = measured(name, "", numbers[-1])
        return Shape(decoder, {"value": found} if found else {})
    if all(one.lower() in ON_OFF for one in texts):
        found = measured(name, "", value=True)
        return Shape({"name": "number", "kind": "bool"}, {"value": found} if found else {})
    return None


def with_unit(name: str, unit: str, shape: Shape) -> dict[str, Measured]:
    """What a bare value measures whose unit is said elsewhere."""
    what = measured(name, ucum(unit), 0.0) if shape.decoder.get("kind") != "bool" else None
    return {"value": what} if what is not None else dict(shape.fields)


def document_shape(payloads: Sequence[bytes], timezone: str | None, *, everything: bool = False) -> Shape | None:
    """How JSON objects of one topic are read, by the latest of them; None if the payloads are none."""
    try:
        parsed = parse_json(payloads[-1])
        if not isinstance(parsed, dict):
            return None
        found = [(path, key, value) for path, key, value, _ in leaves(parsed)]
    except BadPayload:
        return None
    units = {
        path: ucum(str(value)) for path, key, value in found if key.lower() in UNIT_KEYS and isinstance(value, str)
    }
    fields: dict[str, Measured] = {}
    values: dict[str, Any] = {}
    for path, key, raw in found:
        value = parse_number(raw.strip()) if isinstance(raw, str) else raw
        if key.lower() in TIME_KEYS and _time(raw, timezone) is not None:
            continue
        name = _name(path, key)
        unit_path = next((one for one in units if _beside(one, path)), None)
        what = measured(name, "", value)
        mine = unit_path is not None and _owns(path, key, what, found, unit_path)
        if (
            unit_path is not None
            and mine
            and (measured_here := _with_unit(name, units[unit_path], value, what)) is not None
        ):
            fields[name] = measured_here
            values[name] = {"path": _json_path(path), "unit_path": _json_path(unit_path)}
        elif what is not None:
            fields[name], values[name] = what, _json_path(path)
        elif everything and isinstance(value, int | float):
            values[name] = _json_path(path)
    decoder: dict[str, Any] = {"name": "json", "values": values}
    notes = list(_add_time(decoder, found, timezone))
    notes += [
        f"it has {path!r} = {value!r}: if that is the device's own verdict, add `quality: {{path: {_json_path(path)}}}`"
        for path, key, value in found
        if key.lower() in VERDICT_KEYS and isinstance(value, str | bool | int)
    ]
    device = next((path for path, key, value in found if key.lower() in DEVICE_KEYS and isinstance(value, str)), None)
    return Shape(decoder, fields, tuple(notes), device and _json_path(device))


def _owns(path: str, key: str, guessed: Measured | None, found: Sequence[tuple[str, str, Any]], unit: str) -> bool:
    """Whether the unit may be this value's: its name says what it measures, or it is called a value, or no other is.

    A counter, a level or a position beside a temperature has not the temperature's unit.
    """
    if guessed is not None or key.lower() in VALUE_KEYS:
        return True
    others = [(p, k, v) for p, k, v in found if p != path and _beside(unit, p) and k.lower() not in TIME_KEYS]
    return not any(
        k.lower() in VALUE_KEYS or measured(_name(p, k), "", parse_number(v.strip()) if isinstance(v, str) else v)
        for p, k, v in others
    )


def _with_unit(name: str, unit: str, value: object, guessed: Measured | None) -> Measured | None:
    """What a value with a unit beside it measures; None if the unit is not this value's."""
    if guessed is not None and not convertible(unit, CANONICAL.get(guessed.quantity, guessed.unit)):
        return None
    if guessed is not None:
        return Measured(guessed.quantity, unit)
    return measured(name, unit, value)


def _add_time(decoder: dict[str, Any], found: Sequence[tuple[str, str, object]], timezone: str | None) -> Iterator[str]:
    for path, key, raw in found:
        if key.lower() not in TIME_KEYS:
            continue
        if (form := _time(raw, timezone)) is not None:
            decoder["time"] = {"path": _json_path(path), **form}
            return
        if isinstance(raw, str) and _is_local(raw):
            yield f"its time {raw!r} has no offset and is not used: say --timezone, such as Europe/Berlin"


def _time(raw: object, timezone: str | None) -> dict[str, str] | None:
    """How a time is written; None if it is none, or one that cannot be placed."""
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        return None
    for form in (TimeFormat.ISO, *PER_SECOND):
        try:
            moment = parse_time(raw, form)
        except BadTime:
            continue
        if _EARLIEST <= moment <= _LATEST:
            return {} if form is TimeFormat.ISO else {"format": str(form)}
    return {"timezone": timezone} if timezone and isinstance(raw, str) and _is_local(raw) else None


def _is_local(raw: str) -> bool:
    try:
        return datetime.fromisoformat(raw.strip()).tzinfo is None and len(raw) > len("2026-01-01")
    except ValueError:
        return False


def _name(path: str, key: str) -> str:
    """What a value is called: its path, without a last step that only says `value`."""
    parent = path.rpartition(".")[0]
    return parent if parent and key.lower() in VALUE_KEYS else path


def _beside(unit: str, value: str) -> bool:
    return unit.rpartition(".")[0] == value.rpartition(".")[0]


def _json_path(path: str) -> str:
    """The dotted path of a leaf as a JSON path (RFC 9535)."""
    parts = path.split(".")
    if all(_PLAIN_KEY.fullmatch(part) for part in parts):
        return "$." + path
    steps = (
        f"[{part}]" if part.isdecimal() else "['" + part.replace("\\", "\\\\").replace("'", "\\'") + "']"
        for part in parts
    )
    return "$" + "".join(steps)
