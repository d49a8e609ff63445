"""Which dialect each topic speaks, by its name and what came on it, and the subscription that reads it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edge.browse import plain_payloads
from edge.browse.mqtt_listen import Topic
from edge.browse.quantities import Measured
from edge.collectors.decoders.base import BadPayload, parse_object
from edge.collectors.decoders.json_path import compile_path

CHIRPSTACK = re.compile(r"application/[^/]+/device/[0-9a-fA-F]{16}/event/[^/]+")
TTN = re.compile(r"v3/[^/]+/devices/[^/]+/.+")
GEN1 = re.compile(r"shellies/(?P<device>[^/]+)/(?:sensor/|ext_)?(?P<name>[a-z_]+)(?:/\d+)?")
_GEN1_UNITS = {"temperature": "Cel", "humidity": "%"}
_TASMOTA_LAST = frozenset({"SENSOR", "STATE", "LWT", "RESULT", "STATUS8", "STATUS10", "UPTIME", "HEARTBEAT"})
_TASMOTA_LAST_READ = frozenset({"SENSOR", "STATUS8", "STATUS10"})
_TASMOTA_INFO = re.compile(r"INFO\d|STATUS\d*|MARGINS")


@dataclass(frozen=True, slots=True)
class TopicDialect:
    """How a topic is read. `filter` may take more topics than this one; all of them speak the same.

    `device` and `name` are what the topic calls the device and the quantity, for dialects whose payloads do not.
    """

    dialect: str
    decoder: Mapping[str, Any]
    filter: str
    device: str = ""
    name: str = ""
    measures: Mapping[str, Measured] = field(default_factory=dict)
    """Of plain payloads: what each field measures. The other dialects' decoders know their units."""
    notes: tuple[str, ...] = ()
    companions: tuple[str, ...] = ()
    """Filters of the dialect that carry deaths and no measurements."""


@dataclass(frozen=True, slots=True)
class SkippedTopic:
    """A topic that is not read, and why: it belongs to a dialect and carries no measurement, or nobody knows it."""

    dialect: str
    why: str = ""


class Recogniser:
    """Sees all topics once, to learn which prefixes belong to whom, then says of each what it speaks."""

    def __init__(self, topics: Iterable[Topic], timezone: str | None, *, everything: bool = False) -> None:
        names = {topic.name: topic for topic in topics}
        self._timezone = timezone
        self._everything = everything
        self._zigbee = {
            name.rpartition("/bridge/")[0] for name in names if name.endswith(("/bridge/state", "/bridge/info"))
        }
        self._homie = {name.removesuffix("/$homie") for name in names if name.endswith("/$homie")}
        self._attributes = {name: topic for name, topic in names.items() if "/$" in name}
        self._rpc = {name.removesuffix("/events/rpc") for name in names if name.endswith("/events/rpc")}

    def recognise(self, topic: Topic) -> TopicDialect | SkippedTopic:
        """What the topic speaks."""
        if not topic.kept:
            return SkippedTopic("", "payloads too large to be looked at")
        for way in (self._lorawan, self._sparkplug, self._bridge, self._shelly, self._tasmota, self._property):
            found = way(topic)
            if found is not None:
                return found
        return self._plain(topic)

    def _lorawan(self, topic: Topic) -> TopicDialect | SkippedTopic | None:
        levels = topic.name.split("/")
        for pattern, name, prefix in ((CHIRPSTACK, "chirpstack_v4", 4), (TTN, "ttn_v3", 4)):
            if not pattern.fullmatch(topic.name):
                continue
            if levels[prefix if name == "ttn_v3" else -1] not in {"up", "status"}:
                return SkippedTopic(name)
            if _object(topic) is None:
                return SkippedTopic(name, "not JSON: switch the network server's integration to JSON")
            wanted = "application/+/device/+/event/+" if name == "chirpstack_v4" else "v3/+/devices/+/up"
            return TopicDialect(name, {"name": name}, wanted)
        return None

    @staticmethod
    def _sparkplug(topic: Topic) -> TopicDialect | SkippedTopic | None:
        levels = topic.name.split("/")
        if levels[0] == "STATE":
            return SkippedTopic("sparkplug_b")
        if levels[0] != "spBv1.0":
            return None
        if len(levels) < 4 or levels[1] == "STATE" or levels[2].endswith("CMD"):  # noqa: PLR2004 - namespace/GROUP/TYPE/NODE
            return SkippedTopic("sparkplug_b")
        # a rebirth is asked for by the gateway, which stays; a guest that listens asks for nothing
        return TopicDialect("sparkplug_b", {"name": "sparkplug_b"}, f"spBv1.0/{levels[1]}/#")

    def _bridge(self, topic: Topic) -> TopicDialect | SkippedTopic | None:
        """zigbee2mqtt: below a base that has a bridge, or a JSON object with a link quality."""
        base = next((base for base in self._zigbee if topic.name.startswith(f"{base}/")), None)
        if base is None:
            state = _object(topic)
            if state is None or "linkquality" not in state:
                return None
            base = topic.name.rpartition("/")[0]
        if topic.name.startswith(f"{base}/bridge/") or topic.name.endswith(("/availability", "/set", "/get")):
            return SkippedTopic("zigbee2mqtt")
        if not base or _object(topic) is None:
            return SkippedTopic("zigbee2mqtt", "" if base else "a base topic is missing")
        options = {"name": "zigbee2mqtt", **({"base": base} if base != "zigbee2mqtt" else {})}
        return TopicDialect("zigbee2mqtt", options, f"{base}/#")

    def _shelly(self, topic: Topic) -> TopicDialect | SkippedTopic | None:
        if topic.name.endswith("/events/rpc"):
            state = _object(topic)
            if state is None or "method" not in state:
                return None
            prefix = topic.name.removesuffix("/events/rpc")
            return TopicDialect("shelly_gen2", {"name": "shelly_gen2"}, _any_last(prefix) + "/events/rpc")
        if any(topic.name.startswith(f"{prefix}/") for prefix in self._rpc):
            return SkippedTopic("shelly_gen2")
        prefix, status, component = topic.name.rpartition("/status/")
        if status and re.fullmatch(r"[a-z_]+(:\d+)?", component) and _object(topic) is not None:
            return TopicDialect("shelly_gen2", {"name": "shelly_gen2"}, f"{_any_last(prefix)}/status/+")
        return self._gen1(topic)

    def _gen1(self, topic: Topic) -> TopicDialect | SkippedTopic | None:
        found = GEN1.fullmatch(topic.name)
        if found is None:
            return (
                SkippedTopic("shelly_gen1")
                if topic.name.startswith("shellies/") and _object(topic) is not None
                else None
            )
        shape = plain_payloads.number_shape([one.payload for one in topic.kept], found["name"])
        if shape is None:
            return None
        unit = _GEN1_UNITS.get(found["name"])
        known = {key: Measured(what.quantity, unit) if unit else what for key, what in shape.fields.items()}
        notes = ("Shelly's first generation tells °C, unless it is set to °F",) if unit == "Cel" else ()
        return TopicDialect("shelly_gen1", shape.decoder, topic.name, found["device"], found["name"], known, notes)

    def _tasmota(self, topic: Topic) -> TopicDialect | SkippedTopic | None:
        levels = topic.name.split("/")
        last = levels[-1]
        if not {"tele", "stat"} & set(levels[:-1]):
            return None
        if last not in _TASMOTA_LAST and not _TASMOTA_INFO.fullmatch(last):
            return None
        state = _object(topic)
        if last not in _TASMOTA_LAST_READ or state is None or (last == "SENSOR" and "Time" not in state):
            return SkippedTopic("tasmota")
        options = {"name": "tasmota", **({"timezone": self._timezone} if self._timezone else {})}
        pattern = "/".join(level if level in {"tele", "stat", last} else "+" for level in levels)
        lwt = "/".join(["tele" if level == "stat" else level for level in pattern.split("/")[:-1]] + ["LWT"])
        notes = () if self._timezone else ("Tasmota's Time has no offset and is not used: say --timezone",)
        return TopicDialect("tasmota", options, pattern, notes=notes, companions=(lwt,))

    def _property(self, topic: Topic) -> TopicDialect | SkippedTopic | None:
        """Homie: `BASE/DEVICE/NODE/PROPERTY`, whose unit stands in an attribute beside."""
        device = next((one for one in self._homie if topic.name.startswith(f"{one}/")), None)
        if device is None:
            return None
        if "/$" in topic.name or topic.name.endswith("/set"):
            return SkippedTopic("homie")
        last = topic.name.rpartition("/")[2]
        shape = plain_payloads.number_shape([one.payload for one in topic.kept], last)
        if shape is None:
            return SkippedTopic("homie", "neither a number nor on and off")
        unit = self._attribute(f"{topic.name}/$unit")
        known = plain_payloads.with_unit(last, unit, shape) if unit else shape.fields
        return TopicDialect("homie", shape.decoder, topic.name, device.rpartition("/")[2], last, known)

    def _attribute(self, name: str) -> str:
        topic = self._attributes.get(name)
        return topic.last.payload.decode("utf-8", "replace").strip() if topic is not None and topic.kept else ""

    def _plain(self, topic: Topic) -> TopicDialect | SkippedTopic:
        payloads = [one.payload for one in topic.kept]
        levels = topic.name.split("/")
        name = next((level for level in reversed(levels) if level.lower() not in plain_payloads.VALUE_KEYS), levels[-1])
        rest = levels[: levels.index(name)] or [name]
        shape = plain_payloads.number_shape(payloads, name)
        if shape is not None:
            return TopicDialect("plain value", shape.decoder, topic.name, rest[-1], name, shape.fields)
        shape = plain_payloads.document_shape(payloads, self._timezone, everything=self._everything)
        if shape is None:
            return SkippedTopic("", "neither JSON nor a bare value")
        if not shape.decoder["values"]:
            return SkippedTopic("plain JSON", "no value in it looks like a climate; with --everything all are taken")
        decoder = dict(shape.decoder)
        notes = tuple(f"{topic.name}: {note}" for note in shape.notes)
        if shape.device_path is not None and len(_devices_named(payloads, shape.device_path)) > 1:
            decoder["device"] = shape.device_path  # several devices share the topic
        return TopicDialect("plain JSON", decoder, topic.name, levels[-1], "", shape.fields, notes)


def _devices_named(payloads: Sequence[bytes], path: str) -> set[str]:
    """The devices that the payloads name."""
    find = compile_path(path)
    found = (find(_object_of(payload) or {}) for payload in payloads)
    return {str(one[0]) for one in found if one}


def _object(topic: Topic) -> dict[str, Any] | None:
    return _object_of(topic.last.payload)


def _object_of(payload: bytes) -> dict[str, Any] | None:
    try:
        return parse_object(payload)
    except BadPayload:
        return None


def _any_last(prefix: str) -> str:
    """The topic prefix with its last level, the device, left open."""
    head, slash, _ = prefix.rpartition("/")
    return f"{head}{slash}+"
