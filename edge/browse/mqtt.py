"""Browses an MQTT broker: listens for a while, decodes what came as the gateway would, and makes the section for it."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter

from edge.browse.dialects import Recogniser, SkippedTopic, TopicDialect
from edge.browse.filters import Group, joined, without_overlaps
from edge.browse.found import BrowsedSource, FoundPoint, Names, segment_of, value_text
from edge.browse.mqtt_listen import Capture, Topic
from edge.browse.quantities import Measured, measured
from edge.collectors.decoders import BadPayload, Decoded, DecoderOptions, make_decoder
from edge.collectors.decoders.base import EVERY_FIELD
from edge.collectors.mqtt_topics import DEVICE, TopicFilter

OFF_CLOCK = timedelta(minutes=5)
"""A device's stamp so far from its message's arrival is what a gateway calls uncertain by default."""
_SAID_TWICE = ".tF"
"""Shelly says each temperature in °C, too."""
_NAMED = 5
NO_LAST_SEEN = (
    "zigbee2mqtt repeats what a device said last, with no time: set advanced.last_seen to ISO_8601 in the bridge, or a"
    " dead sensor is noticed late"
)
_OPTIONS: TypeAdapter[Any] = TypeAdapter(DecoderOptions)


@dataclass(slots=True)
class Value:
    """A field of a device, as last heard."""

    topic: str
    device: str
    raw: str
    """The device as the payload names it; "" where only the topic does."""
    decoded: Decoded
    received_at: datetime
    retained: bool
    topic_dialect: TopicDialect

    @property
    def measures(self) -> Measured | None:
        """What it measures, if it is climate."""
        if self.decoded.field.endswith(_SAID_TWICE) and self.topic_dialect.dialect == "shelly_gen2":
            return None
        return self.topic_dialect.measures.get(self.decoded.field) or measured(
            self.decoded.field, self.decoded.unit, self.decoded.value
        )

    @property
    def time(self) -> str:
        """Whether the device says when it was so."""
        stamp = self.decoded.source_at
        if stamp is None:
            return "no device time"
        off = (stamp - self.received_at).total_seconds()
        if self.retained or abs(off) <= OFF_CLOCK.total_seconds():
            return "device time"
        return f"device time, {abs(off):.0f} s {'ahead' if off > 0 else 'behind'}"


def browse(
    listened: Capture,
    broker: Mapping[str, Any],
    name: str,
    names: Names,
    *,
    timezone: str | None = None,
    everything: bool = False,
) -> BrowsedSource:
    """What came, as a source of that name. `everything` takes values that are no climate, too."""
    recogniser = Recogniser(listened.topics.values(), timezone, everything=everything)
    groups: dict[str, Group] = {}
    lines: list[str] = []
    for topic in sorted(listened.topics.values(), key=lambda one: one.name):
        speech = recogniser.recognise(topic)
        if isinstance(speech, SkippedTopic):
            lines.append(_line(topic, speech.dialect or "not recognised", speech.why or "no measurements"))
        else:
            key = json.dumps([speech.filter, speech.decoder], sort_keys=True)
            groups.setdefault(key, Group(speech)).topics.append(topic)
    apart = without_overlaps(joined(list(groups.values())))
    points: list[FoundPoint] = []
    subscriptions: list[dict[str, Any]] = []
    notes: dict[str, None] = {}
    for group in apart:
        values, troubles = _decoded(group)
        lines += troubles
        notes |= dict.fromkeys(group.speech.notes)
        subscription, made = _subscription(group, values, names, everything=everything)
        lines += _described(values, made)
        notes |= dict.fromkeys(_clock_notes(values))
        if made:
            points += made.values()
            subscriptions.append(subscription)
            subscriptions += _companions(group, apart, subscriptions)
    if listened.left_out:
        notes[f"{listened.left_out} messages were left out: too many topics, or too large; name fewer with --topic"] = (
            None
        )
    source = _source(name, broker, listened.version, subscriptions) if subscriptions else None
    return BrowsedSource(tuple(lines), source, tuple(points), tuple(notes))


def _source(
    name: str, broker: Mapping[str, Any], version: str, subscriptions: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    return {
        "name": name,
        "protocol": "mqtt",
        **{key: value for key, value in broker.items() if key != "version"},
        **({"version": version} if version != "5" else {}),
        "subscriptions": list(subscriptions),
    }


def _line(topic: Topic, dialect: str, what: str) -> str:
    return f"{topic.name}  [{dialect}]  {what}"


def _described(values: Sequence[Value], made: Mapping[int, FoundPoint]) -> list[str]:
    lines = []
    for value in values:
        point = made.get(id(value))
        unit = value.decoded.unit or (point.unit if point else "")
        guess = " (guess)" if point and point.guesses else ""
        where = f"→ {point.address}" if point else "not taken"
        quality = f" {value.decoded.reason}" if value.decoded.reason else ""
        what = f"{value_text(value.decoded.value)} {unit}".rstrip() + guess + quality
        lines.append(
            f"{value.topic}  [{value.topic_dialect.dialect}]  {value.decoded.field} = {what}  ({value.time})  {where}"
        )
    return lines


def _clock_notes(values: Sequence[Value]) -> list[str]:
    """What the operator should know of the devices' times."""
    if any(one.topic_dialect.dialect == "zigbee2mqtt" and one.decoded.source_at is None for one in values):
        return [NO_LAST_SEEN]
    off = sorted({value.device for value in values if value.time.endswith(("ahead", "behind"))})
    if not off:
        return []
    who = ", ".join(off[:_NAMED]) + (" and others" if len(off) > _NAMED else "")
    cure = "set it right, or its values are uncertain (`clock: gateway` judges by the gateway's receipt instead)"
    return [f"the clock of {who} is more than 5 min off: {cure}"]


def _decoded(group: Group) -> tuple[list[Value], list[str]]:
    """The latest of each device's fields, decoded by the very decoder that the gateway would use, in order of receipt;
    and a line for each topic that it cannot read.
    """
    decoder = make_decoder(_OPTIONS.validate_python(dict(group.speech.decoder)))
    filters = TopicFilter(group.speech.filter)
    found: dict[tuple[str, str, str], Value] = {}
    troubles: dict[str, str] = {}
    messages = ((one.received_at, topic, one) for topic in group.topics for one in topic.kept)
    for received_at, topic, message in sorted(messages, key=lambda one: one[0]):
        try:
            items = decoder.decode(topic.name, message.payload, received_at)
        except BadPayload as error:
            troubles[topic.name] = _line(topic, group.speech.dialect, str(error))
            items = list(error.decoded)
        named = (filters.match(topic.name) or {}).get(DEVICE, "")
        for item in items:
            if item.field in (EVERY_FIELD, ""):
                continue
            device = item.device or named
            label = device or group.speech.device
            found[device or topic.name, item.sensor, item.local or item.field] = Value(
                topic.name, label, device, item, received_at, message.retained, group.speech
            )
    return [found[key] for key in sorted(found)], list(troubles.values())


def _subscription(
    group: Group, values: Sequence[Value], names: Names, *, everything: bool
) -> tuple[dict[str, Any], dict[int, FoundPoint]]:
    """The subscription, and the points made for values (by the value's id)."""
    wanted = [value for value in values if value.measures is not None or everything]
    alike: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for value in wanted:
        alike[value.device, _quantity(value)].add(value.decoded.field)
    probes: defaultdict[str, set[str]] = defaultdict(set)
    for value in wanted:
        probes[value.device].add(value.decoded.sensor)
    made: dict[int, FoundPoint] = {}
    rules: list[dict[str, Any]] = []
    for value in wanted:
        quantity = _quantity(value)
        field_name = value.decoded.field if value.decoded.field != "value" else value.topic_dialect.name
        name = quantity if len(alike[value.device, quantity]) == 1 else field_name
        point = _point(value, names.address(value.device or segment_of(value.topic), name), quantity)
        made[id(value)] = point
        # several probes are numbered anew when one of them dies: each is bound by its identity
        rules.append(_rule(value, point, by_identity=len(probes[value.device] - {""}) > 1))
    taken = {value.decoded.field for value in wanted}
    ignored = sorted({value.decoded.field for value in values} - taken)
    return {
        "topic": group.speech.filter,
        "decoder": _short(group.speech.decoder),
        "points": rules,
        **({"ignore": ignored} if ignored else {}),
    }, made


def _rule(value: Value, point: FoundPoint, *, by_identity: bool) -> dict[str, Any]:
    decoded = value.decoded
    bound = by_identity and decoded.sensor
    what = {"field": decoded.local, "sensor": decoded.sensor} if bound else {"field": decoded.field}
    rule = {"device": value.raw} if value.raw else {}
    unit = {"unit": point.unit} if point.unit else {}
    number = {"kind": "number"} if isinstance(decoded.value, str) and value.measures is not None else {}
    return {**what, **rule, "point": point.address, **unit, **number}


def _quantity(value: Value) -> str:
    what = value.measures
    return what.quantity if what is not None else segment_of(value.decoded.field)


def _point(value: Value, address: str, quantity: str) -> FoundPoint:
    what = value.measures or Measured(quantity, value.decoded.unit)
    text = f"{value_text(value.decoded.value)} {value.decoded.unit or what.unit}".rstrip()
    role = what.role if value.measures is not None else "machine"
    guesses = () if value.decoded.unit else what.guesses
    return FoundPoint(
        address,
        quantity,
        value.decoded.unit or what.unit,
        role,
        f"{text}, {value.time}",
        f"{value.topic} {value.decoded.field}",
        guesses,
    )


def _short(decoder: Mapping[str, Any]) -> Any:
    return decoder["name"] if len(decoder) == 1 else dict(decoder)


def _companions(group: Group, groups: Iterable[Group], before: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Subscriptions for the deaths of a dialect's devices, where nothing else takes those topics."""
    taken = [TopicFilter(each["topic"]) for each in before] + [TopicFilter(each.speech.filter) for each in groups]
    return [
        {"topic": each, "decoder": _short(group.speech.decoder), "points": []}
        for each in group.speech.companions
        if not any(TopicFilter(each).overlaps(other) for other in taken)
    ]
