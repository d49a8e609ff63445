"""Sparkplug B 3.0: births name the metrics, data refer to them by alias, deaths end them.

The device of a node's own metrics is `GROUP/NODE`, of a device's `GROUP/NODE/DEVICE`; the field is the metric's name.
When the order of a node's messages cannot be trusted (an alias without birth, a number missing) the node is asked to
be born again; until then what refers to it by alias is uncertain.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field

from core.telemetry.quality import Quality, Reason
from core.telemetry.sparkplug import BD_SEQ, NAMESPACE, SEQUENCE, DataType, Metric, Payload
from edge.collectors.decoders.base import EVERY_FIELD, BadPayload, Decoded, Options
from edge.collectors.decoders.sparkplug_payload import read_payload
from edge.collectors.decoders.sparkplug_values import (
    engineering_unit,
    marked,
    members,
    needs_type,
    scalars,
)
from edge.collectors.decoders.times import BAD_TIME, TimeFormat, stamp

SEQUENCE_GAP = "sequence_gap"
MAX_NODES = 10_000
CONTROL = ("Node Control/", "Device Control/")
NODE_LEVELS, DEVICE_LEVELS = 4, 5
DEVICE_MESSAGES = frozenset({"DBIRTH", "DDATA", "DDEATH"})
READ = DEVICE_MESSAGES | {"NBIRTH", "NDATA", "NDEATH"}


class SparkplugOptions(Options):
    """`rebirth` allows us to ask nodes for their birth, at most once in `rebirth_interval` each."""

    name: Literal["sparkplug_b"] = "sparkplug_b"
    rebirth: bool = True
    rebirth_interval: timedelta = Field(default=timedelta(seconds=30), gt=timedelta(0))


@dataclass(frozen=True, slots=True)
class _Born:
    name: str
    datatype: int
    unit: str


@dataclass(slots=True)
class _Node:
    """What is known of an edge node since its birth."""

    born: bool = False
    bd_seq: int | None = None
    next_seq: int | None = None
    trusted: bool = False
    asked_at: datetime | None = None
    aliases: dict[tuple[str, int], _Born] = field(default_factory=dict)
    names: dict[tuple[str, str], _Born] = field(default_factory=dict)
    devices: set[str] = field(default_factory=set)


class SparkplugB:
    """Reads births, data and deaths; remembers every node. One object must see all messages of its nodes in order."""

    def __init__(self, options: SparkplugOptions) -> None:
        self._options = options
        self._nodes: dict[tuple[str, str], _Node] = {}
        self._requests: list[tuple[str, bytes]] = []

    def take_requests(self) -> list[tuple[str, bytes]]:
        """Rebirth requests, as (topic, payload), since the last call."""
        taken, self._requests = self._requests, []
        return taken

    def decode(self, topic: str, payload: bytes, received_at: datetime) -> list[Decoded]:
        """The metrics' values; commands and host states give none. Raises BadPayload, with what could be read."""
        levels = topic.split("/")
        if levels[0] == "STATE" or levels[1:2] == ["STATE"]:
            return []
        if levels[0] != NAMESPACE or len(levels) not in (NODE_LEVELS, DEVICE_LEVELS):
            raise BadPayload("not a Sparkplug B topic")
        kind = levels[2]
        if kind in {"NCMD", "DCMD"}:
            return []
        if kind not in READ or (kind in DEVICE_MESSAGES) != (len(levels) == DEVICE_LEVELS):
            raise BadPayload(f"{kind[:32]!r} is not a Sparkplug message of a {'device' if len(levels) > 4 else 'node'}")  # noqa: PLR2004 - the topic's levels up to the node's
        return self._message(kind, levels, read_payload(payload), received_at)

    def _message(self, kind: str, levels: list[str], message: Payload, now: datetime) -> list[Decoded]:
        key = (levels[1], levels[3])
        node = self._node(key)
        device = "/".join([levels[1], *levels[3:]])
        if kind == "NDEATH":
            return self._node_death(node, device, message)
        if kind == "NBIRTH":
            self._node_birth(node, message)
        self._follow(key, node, message, now, birth=kind == "NBIRTH")
        if kind == "DDEATH":
            node.devices.discard(device)
            return [_death_values(device, *_time(message))]
        if kind.endswith("BIRTH"):
            node.devices.add(device)
            for metric in message.metrics:
                _learn(node, device, metric)
        return self._values(key, node, device, message, now)

    def _node(self, key: tuple[str, str]) -> _Node:
        node = self._nodes.get(key)
        if node is None:
            if len(self._nodes) >= MAX_NODES:
                raise BadPayload(f"more than {MAX_NODES} Sparkplug nodes")
            node = self._nodes[key] = _Node()
        return node

    @staticmethod
    def _node_birth(node: _Node, message: Payload) -> None:
        node.born, node.trusted, node.bd_seq = True, True, _bd_seq(message)
        node.aliases.clear()
        node.names.clear()
        node.devices.clear()

    @staticmethod
    def _node_death(node: _Node, device: str, message: Payload) -> list[Decoded]:
        if node.born and node.bd_seq is not None and _bd_seq(message) not in (None, node.bd_seq):
            return []  # the will of an earlier session, delivered late
        gone = {device, *node.devices}
        node.born = node.trusted = False
        node.next_seq = None
        node.devices.clear()
        # a will is written when the node connects, so its time is not the death's
        return [_death_values(one, None, Quality.GOOD) for one in sorted(gone)]

    def _follow(self, key: tuple[str, str], node: _Node, message: Payload, now: datetime, *, birth: bool) -> None:
        seq = message.seq if message.HasField("seq") else None
        broken = not node.born or seq is None or seq >= SEQUENCE or node.next_seq not in (None, seq)
        if broken and not birth:
            node.trusted = False
        if not node.trusted and not birth:
            # again after the interval, though the order is right since: an earlier request may have come too soon
            self._request_rebirth(key, node, now)
        node.next_seq = None if seq is None else (seq + 1) % SEQUENCE

    def _request_rebirth(self, key: tuple[str, str], node: _Node, now: datetime) -> None:
        if not self._options.rebirth:
            return
        if node.asked_at is not None and timedelta(0) <= now - node.asked_at < self._options.rebirth_interval:
            return
        node.asked_at = now
        millis = int(now.timestamp() * 1000)
        metric = Metric(
            name="Node Control/Rebirth", timestamp=millis, datatype=DataType.BOOLEAN.value, boolean_value=True
        )
        request = Payload(timestamp=millis, metrics=[metric])
        self._requests.append((f"{NAMESPACE}/{key[0]}/NCMD/{key[1]}", request.SerializeToString()))

    def _values(self, key: tuple[str, str], node: _Node, device: str, message: Payload, now: datetime) -> list[Decoded]:
        found: list[Decoded] = []
        unknown: list[str] = []
        trusted = node.trusted and (device in node.devices or device == "/".join(key))
        if node.trusted and not trusted:
            self._request_rebirth(key, node, now)  # data of a device after its death, or before its birth
        for metric in message.metrics:
            born = _resolve(node, device, metric)
            if born is None:
                unknown.append(metric.name or f"alias {metric.alias}")
            elif born.name != BD_SEQ and not born.name.startswith(CONTROL):
                for name, part in members(born.name, metric):
                    known = born if part is metric else _known(node, device, name, part)
                    if known is None:
                        unknown.append(name)
                    else:
                        sure = trusted or bool(metric.name)
                        found.extend(_decoded(device, metric, part, known, message, trusted=sure))
        if unknown:
            node.trusted = False
            self._request_rebirth(key, node, now)
            raise BadPayload(f"metrics without a birth: {', '.join(unknown[:5])[:200]}", found)
        return found


def _learn(node: _Node, device: str, metric: Metric) -> None:
    if not metric.name:
        raise BadPayload("a birth's metric has no name")
    born = _Born(metric.name, metric.datatype, engineering_unit(metric))
    node.names[device, metric.name] = born
    if metric.HasField("alias"):
        node.aliases[device, metric.alias] = born
    for name, part in members(metric.name, metric):
        node.names[device, name] = _Born(name, part.datatype, engineering_unit(part))


def _resolve(node: _Node, device: str, metric: Metric) -> _Born | None:
    """What the metric is, from its own words and its birth; None if they do not tell."""
    if metric.name:
        return _known(node, device, metric.name, metric)
    born = node.aliases.get((device, metric.alias))
    return None if born is None else _completed(born, metric)


def _known(node: _Node, device: str, name: str, metric: Metric) -> _Born | None:
    born = node.names.get((device, name))
    if born is not None:
        return _completed(born, metric)
    if needs_type(metric) and not metric.datatype:
        return None
    return _Born(name, metric.datatype, engineering_unit(metric))


def _completed(born: _Born, metric: Metric) -> _Born:
    return _Born(born.name, metric.datatype or born.datatype, engineering_unit(metric) or born.unit)


def _decoded(
    device: str, metric: Metric, part: Metric, born: _Born, message: Payload, *, trusted: bool
) -> list[Decoded]:
    """The values of a metric, or of the `part` of it that is a member of its template."""
    stamped = next((one for one in (part, metric) if one.HasField("timestamp")), message)
    source_at, clock = _time(stamped)
    gap = (Quality.GOOD if trusted else Quality.UNCERTAIN, SEQUENCE_GAP)
    verdicts = [marked(metric), marked(part), (clock, BAD_TIME), gap]
    unit = "ms" if born.datatype == DataType.DATETIME else born.unit
    found: list[Decoded] = []
    parts = list(scalars(born.name, part, born.datatype))
    of = str(len(parts)) if born.datatype >= DataType.INT8_ARRAY else ""
    for name, value, quality, reason in parts:
        for other, why in verdicts:
            if other > quality:
                quality, reason = other, why  # noqa: PLW2901 - the worst verdict wins
        found.append(Decoded(device, name, value, unit, source_at, quality, reason, metric.is_historical, of=of))
    return found


def _time(stamped: Metric | Payload) -> tuple[datetime | None, Quality]:
    return stamp(stamped.timestamp if stamped.HasField("timestamp") else None, TimeFormat.EPOCH_MS)


def _bd_seq(message: Payload) -> int | None:
    for metric in message.metrics:
        if metric.name == BD_SEQ:
            return metric.long_value if metric.WhichOneof("value") == "long_value" else metric.int_value
    return None


def _death_values(device: str, source_at: datetime | None, clock: Quality) -> Decoded:
    del clock  # bad already
    return Decoded(device, EVERY_FIELD, None, "", source_at, Quality.BAD, Reason.DISCONNECTED)
