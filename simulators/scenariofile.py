"""Reads scenario files: shapes by the models, references across the file here; every problem at once, with its line."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from asyncua import ua
from pydantic import TypeAdapter, ValidationError

from core.telemetry.located import ConfigErrors, Located, NodePath
from simulators.faults import APPLIES, FaultKind
from simulators.field_types import seconds, wording
from simulators.machine import VARIABLES
from simulators.scenario import ZONE_ACTS, Injected, Scenario

PROTOCOLS = {
    "mqtt_sensor": "mqtt",
    "filling_machine": "opcua",
    "cold_room_controller": "modbus",
    "sparkplug_node": "sparkplug",
}
"""Protocol of each kind of device that can have faults."""


def read_scenario(path: Path, environment: Mapping[str, str] | None = None) -> Scenario:
    """The scenario of a file. A `${NAME}` in it stands for what the environment says, so that no secret need be in it.

    Raises ConfigErrors with every problem and its line.
    """
    document = Located(path, environment)
    if not isinstance(document.data, dict):
        document.error((), "a mapping of settings is expected")
        raise ConfigErrors(document.errors)
    for where, text in _references(document.data):
        if where not in document.unreadable:
            document.error(where, text)
    try:
        scenario = Scenario.model_validate(document.data)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        for found in errors:
            where = document.resolve(found["loc"])
            if found["type"] == "too_short" and _beneath(found["loc"], [other["loc"] for other in errors]):
                continue  # the items are there, and wrong
            if where not in document.unreadable:
                document.error(where, wording(found))
        raise ConfigErrors(document.errors) from error
    if document.errors:
        raise ConfigErrors(document.errors)
    return scenario


_INJECTED: TypeAdapter[Injected] = TypeAdapter(Injected)
_KEYS = {"do": "timeline", "fault": "faults", "over": "faults"}
"""What tells the kinds of event apart, and the section of a file that they would stand in."""


def injected(scenario: Scenario, asked: Mapping[str, Any]) -> Injected:
    """An event for a scenario that runs: as in a file, at once; `{device, over: FAULT}` ends a fault.

    Raises ValueError with everything that cannot be.
    """
    section = next((section for key, section in _KEYS.items() if key in asked), "timeline")
    raw = scenario.model_dump(by_alias=True, mode="json") | {"timeline": [], "faults": []} | {section: [dict(asked)]}
    problems = [text for where, text in _references(raw) if where[0] == section]
    if problems:
        raise ValueError("; ".join(problems))
    try:
        return _INJECTED.validate_python(dict(asked))
    except ValidationError as error:
        found = {f"{'.'.join(map(str, each['loc'][1:]))}: {wording(each)}" for each in error.errors(include_url=False)}
        raise ValueError("; ".join(sorted(found))) from error


def _beneath(where: NodePath, others: Sequence[NodePath]) -> bool:
    return any(len(other) > len(where) and other[: len(where)] == where for other in others)


def _items(raw: Mapping[str, Any], key: str) -> list[tuple[int, dict[str, Any]]]:
    """The mappings of a list, with their places; what has another shape is the models' to report."""
    found = raw.get(key)
    return [(n, item) for n, item in enumerate(found) if isinstance(item, dict)] if isinstance(found, list) else []


def _references(raw: Mapping[str, Any]) -> list[tuple[NodePath, str]]:
    """What refers to something that is not there, or cannot be: place and text. Works on a half-right document."""
    zones = raw.get("zones")
    known = set(zones) if isinstance(zones, dict) else set()
    kinds = {str(device.get("name")): device for _, device in _items(raw, "devices")}
    found = _among_devices(raw)
    for section in ("devices", "timeline"):
        for n, item in _items(raw, section):
            found.extend(
                ((section, n, *where), f"no zone {zone!r}") for where, zone in _zones_of(item) if str(zone) not in known
            )
    for section in ("timeline", "faults"):
        for n, item in _items(raw, section):
            problems = [*_about_device(item, kinds), *_about_status(item), *_about_time(item, raw)]
            found.extend(((section, n, *where), text) for where, text in problems)
    return found


def _among_devices(raw: Mapping[str, Any]) -> list[tuple[NodePath, str]]:
    """Names, ports and serial lines that two devices would share."""
    found: list[tuple[NodePath, str]] = []
    owners: dict[tuple[str, str], str] = {}
    for n, device in _items(raw, "devices"):
        name = str(device.get("name"))
        if owners.setdefault(("name", name), f"devices[{n}]") != f"devices[{n}]":
            found.append((("devices", n, "name"), f"device {name!r} is there twice"))
        for key in ("port", "serial"):
            end = str(device.get(key))
            if device.get(key) is not None and owners.setdefault((key, end), name) != name:
                found.append((("devices", n, key), f"{key} {end} is taken by {owners[key, end]!r}"))
    return found


def _zones_of(item: Mapping[str, Any]) -> list[tuple[NodePath, Any]]:
    """The zones that a device or an event names, and where."""
    found: list[tuple[NodePath, Any]] = [(("zone",), item["zone"])] if "zone" in item else []
    for key in ("units", "devices"):
        parts = item.get(key)
        if isinstance(parts, dict):
            found.extend(((key, part), zone) for part, zone in parts.items())
    return found


_NEEDS = {
    "opcua_state": "filling_machine",
    "opcua_status": "filling_machine",
    "break_probe": "cold_room_controller",
    "mend_probe": "cold_room_controller",
    **dict.fromkeys(ZONE_ACTS, "filling_machine"),
}
"""The kind of device that an event needs, where it names one."""


def _about_status(item: Mapping[str, Any]) -> list[tuple[NodePath, str]]:
    """Whether OPC UA has the status, and a machine the variable, that an event names."""
    if item.get("do") != "opcua_status":
        return []
    variable, status = item.get("variable"), item.get("status")
    found: list[tuple[NodePath, str]] = []
    if variable is not None and str(variable) not in VARIABLES:
        found.append((("variable",), f"a filling machine has no variable {variable!r}: one of {', '.join(VARIABLES)}"))
    if status is not None and not isinstance(getattr(ua.StatusCodes, str(status), None), int):
        found.append((("status",), f"OPC UA has no status {status!r}, such as BadSensorFailure"))
    return found


def _about_device(item: Mapping[str, Any], kinds: Mapping[str, Mapping[str, Any]]) -> list[tuple[NodePath, str]]:
    """Whether an event or fault fits the device it names, if it names one."""
    if "device" not in item:
        return []
    device = kinds.get(str(item["device"]))
    if device is None:
        return [(("device",), f"no device {item['device']!r}")]
    found: list[tuple[NodePath, str]] = []
    kind = str(device.get("kind"))
    wanted = _NEEDS.get(str(item.get("do")))
    if wanted is not None and kind != wanted:
        found.append((("do",), f"{item['do']} needs a {wanted}, and {item['device']!r} is a {kind}"))
    if kind == "mqtt_load":
        found.append((("device",), f"{item['device']!r} is a load: it takes neither events nor faults"))
    members, member = device.get("devices"), item.get("member")
    if member is not None and (not isinstance(members, dict) or str(member) not in members):
        found.append((("member",), f"{item['device']!r} has no member {member!r}"))
    units = device.get("units")
    if isinstance(units, dict) and str(item.get("unit", 1)) not in units:
        found.append((("unit",), f"{item['device']!r} has no unit {item.get('unit', 1)}"))
    fault = str(item.get("fault"))
    if fault in set(FaultKind) and fault not in APPLIES.get(PROTOCOLS.get(kind, ""), frozenset()):
        found.append((("fault",), f"a {kind} cannot show the fault {fault}"))
    return found


def _about_time(item: Mapping[str, Any], raw: Mapping[str, Any]) -> list[tuple[NodePath, str]]:
    """Whether an event or fault begins before the scenario's end."""
    key = "from" if "fault" in item else "at"
    try:
        late = seconds(item.get(key, 0)) >= seconds(raw.get("duration", 0))
    except ValueError:
        return []  # the models say so
    return [((key,), f"{key}: {item.get(key, 0)} is not before the scenario's end")] if late else []
