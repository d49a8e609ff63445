"""From an MQTT message to readings: route by topic, decode, find the point, judge the time."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from core.telemetry.address import BadAddress, check_point, zone_of
from core.telemetry.quality import Quality, Reason
from core.telemetry.reading import Reading, Value
from edge.collectors.decoders import BadPayload, Decoded, Decoder, DecoderOptions, make_decoder
from edge.collectors.decoders.base import EVERY_FIELD, MALFORMED, printable
from edge.collectors.decoders.sparkplug_b import SparkplugB
from edge.collectors.mqtt_config import MqttSource, PointRule
from edge.collectors.mqtt_identities import Identities
from edge.collectors.mqtt_repeats import REPEATED, Repeats
from edge.collectors.mqtt_routes import ReadResult, ReceivedMessage, Route, Target
from edge.collectors.mqtt_topics import DEVICE, FIELD, SENSOR
from edge.collectors.mqtt_values import checked, with_zeros
from edge.collectors.port import Clock, judged_at

QUEUED = "queued_by_broker"
"""Delivered late by the broker and without a time of its own: receipt says nothing of when it was so (uncertain)."""
EARLIEST_STAMP = datetime(2000, 1, 1, tzinfo=UTC)
"""No reading is older; such a stamp is a clock that was never set."""
FRESH = timedelta(seconds=2)
MAX_POINTS = 100_000
MAX_CACHED = 200_000


class MessageReader:
    """All subscriptions of one source. Remembers which points a device has spoken for, so that its death reaches
    them, and which field made each point, so that two never share one.
    """

    def __init__(self, config: MqttSource) -> None:
        self._config = config
        self._routes = [Route(one) for one in config.subscriptions]
        self._by_topic: dict[str, tuple[Route, dict[str, str]] | None] = {}
        self._targets: dict[tuple[str, str, str], Target] = {}
        self._origins: dict[str, str] = {}
        self._owners: dict[tuple[str, str], dict[str, str]] = {}
        self._set_aside_once: set[tuple[str, str, str]] = set()
        self.identities = Identities()
        self._repeats = Repeats()
        self._moved: set[str] = set()
        self._zones: set[str] = set()
        self.zones: frozenset[str] = frozenset()
        self.counts: Counter[str] = Counter()
        self.saw_fresh = False
        """Whether a queued message bore a stamp of just now: what the broker had queued is delivered."""
        self.forget()
        self._announce_fixed_points()

    def begin_after(self, kept: Mapping[str, datetime]) -> None:
        """`kept`: the time of each point's last reading, of earlier processes."""
        self._repeats.begin_after(kept)

    def forget(self) -> None:
        """Makes the decoders anew: what they learned from messages that were then not kept must not count.

        Subscriptions with the same decoder and options share it, so that births on one topic serve data on another.
        """
        self._repeats.forget_all()
        self.identities.unsaved()
        made: list[tuple[DecoderOptions, Decoder]] = []
        for route in self._routes:
            options = route.subscription.decoder
            decoder = next((one for known, one in made if known == options), None)
            if decoder is None:
                decoder = make_decoder(options)
                made.append((options, decoder))
            route.decoder = decoder

    def take_requests(self) -> list[tuple[str, bytes]]:
        """What decoders want published, as (topic, payload)."""
        return [
            request
            for route in self._routes
            if isinstance(route.decoder, SparkplugB)
            for request in route.decoder.take_requests()
        ]

    def read(self, topic: str, payload: bytes, received_at: datetime, *, retained: bool, queued: bool) -> ReadResult:
        """The readings of one message. Never raises for what a device may send."""
        heard_before = topic in self._by_topic
        routed = self._route(topic)
        read = ReadResult()
        if routed is None:
            self.counts["topics_without_subscription"] += 1
            if not heard_before:
                read.problems.append("no subscription for this topic: the broker's session has one of earlier days")
            return read
        if len(payload) > self._config.max_payload:
            read.problems.append(f"payload of {len(payload)} bytes, at most {self._config.max_payload}")
            return read
        route, matched = routed
        received = ReceivedMessage(route, topic, matched, received_at, retained, queued)
        decoded = self._decoded(received, payload, read)
        limit = route.subscription.repeats
        if limit is not None:
            received.repeated = self._repeats.unchanged(topic, payload, decoded, received_at, limit)
        for item in decoded:
            # a payload may have a field of that name too; only a decoder itself says that the device is gone
            if item.field == EVERY_FIELD and item.reason == Reason.DISCONNECTED:
                self._death(route, item, received_at, read)
            elif item.field:
                self._one(received, item, read)
        return read

    @staticmethod
    def _decoded(received: ReceivedMessage, payload: bytes, read: ReadResult) -> list[Decoded]:
        """What the decoder makes of it, devices named by the topic where the payload names none."""
        try:
            decoded = received.route.decoder.decode(received.topic, payload, received.received_at)
        except BadPayload as error:
            read.problems.append(str(error))
            decoded = list(error.decoded)
        named = received.matched.get(DEVICE)
        if named:
            decoded = [item if item.device else msgspec.structs.replace(item, device=named) for item in decoded]
        if received.route.zeros:
            decoded = with_zeros(received.route.zeros, decoded)
        if received.route.of_text and printable(payload):
            decoded = [msgspec.structs.replace(item, quality=Quality.BAD, reason=MALFORMED) for item in decoded]
        return decoded

    def _route(self, topic: str) -> tuple[Route, dict[str, str]] | None:
        if topic in self._by_topic:
            return self._by_topic[topic]
        if len(self._by_topic) >= MAX_CACHED:
            self._by_topic.clear()
        found: tuple[Route, dict[str, str]] | None = None
        for route in self._routes:
            matched = route.subscription.filter.match(topic)
            if matched is not None:
                found = route, matched
                break
        self._by_topic[topic] = found
        return found

    def _one(self, received: ReceivedMessage, item: Decoded, read: ReadResult) -> None:
        key = (received.topic, item.device, f"{item.field}\0{item.sensor}" if item.sensor else item.field)
        target = self._targets.get(key) or self._new_target(key, received, item)
        if target.rule is None:
            self._set_aside(received.route, item, target.problem, read)
            return
        stamp = item.source_at
        undated = stamp is None or stamp < EARLIEST_STAMP or self._config.clock is Clock.GATEWAY
        if received.retained and undated:
            self.counts["retained_without_time"] += 1
            read.problems.append("retained and without a time: not taken as new")
            return
        if stamp is not None:
            if received.queued and abs(received.received_at - stamp) <= FRESH:
                self.saw_fresh = True
            if self._repeats.stamped(target.point, item):
                self.counts["repeated_with_their_stamp"] += 1
                return
        value, quality, reason = checked(item, target.rule)
        if item.sensor or item.of:
            value, quality, reason = self._in_place(item, target.rule, read, (value, quality, reason))
        late = received.retained or received.queued or self._repeats.was_kept(target.point, stamp)
        at, clock, why = self._when(item, received.received_at, late=late)
        if clock is Quality.GOOD and received.queued and undated:
            clock, why = Quality.UNCERTAIN, QUEUED
        if clock is Quality.GOOD and received.repeated:
            clock, why = Quality.UNCERTAIN, REPEATED
        if clock > quality:
            quality, reason = clock, why
        unit = item.unit or target.rule.unit
        simulated = self._config.simulated or item.simulated
        read.readings.append(
            Reading(target.point, at, value, unit, received.received_at, stamp, quality, reason, simulated)
        )

    def _new_target(self, key: tuple[str, str, str], received: ReceivedMessage, item: Decoded) -> Target:
        target = self._target(received.route, received.matched, item)
        if len(self._targets) >= MAX_CACHED:
            self._targets.clear()
        self._targets[key] = target
        return target

    def _in_place(
        self, item: Decoded, rule: PointRule, read: ReadResult, verdict: tuple[Value, Quality, str]
    ) -> tuple[Value, Quality, str]:
        """The verdict on a value that is named by its position: none where something else stands there; told once."""
        moved = self.identities.moved(item, rule)
        if not moved:
            return verdict
        if moved not in self._moved and len(self._moved) < MAX_POINTS:
            self._moved.add(moved)
            read.problems.append(moved)
        return None, Quality.BAD, Reason.IDENTITY

    def _when(self, item: Decoded, received_at: datetime, *, late: bool) -> tuple[datetime, Quality, str]:
        if item.source_at is not None and item.source_at < EARLIEST_STAMP:
            return received_at, Quality.UNCERTAIN, Reason.CLOCK
        return judged_at(self._config, item.source_at, received_at, historical=late or item.historical)

    def _target(self, route: Route, matched: dict[str, str], item: Decoded) -> Target:
        rule = route.rule(item)
        if rule is None or item.field in route.subscription.ignore:
            return Target("", None, "" if item.field in route.subscription.ignore else "no point takes this field")
        point = route.templates[rule.point].fill(
            {
                **matched,
                DEVICE: item.device,
                SENSOR: item.sensor,
                FIELD: item.field if rule.sensor is None else item.local,
            }
        )
        try:
            check_point(point)
        except BadAddress as error:
            return Target("", None, str(error)[:200])
        # where the payload names no device, what the wildcards matched stands for it
        named = f"{item.sensor}\0{item.local}" if rule.sensor is not None else item.field
        origin = f"{item.device or matched}\0{named}"
        if self._origins.setdefault(point, origin) != origin:
            return Target("", None, f"{point} already stands for another field")
        if len(self._origins) > MAX_POINTS:
            del self._origins[point]
            return Target("", None, f"more than {MAX_POINTS} points")
        self._owners.setdefault((route.subscription.decoder.name, item.device), {})[point] = item.unit or rule.unit
        self._claim_point(point)
        return Target(point, rule)

    def _claim_point(self, point: str) -> None:
        zone = zone_of(point)
        if zone not in self._zones:
            self._zones.add(zone)
            self.zones = frozenset(self._zones)

    def _announce_fixed_points(self) -> None:
        for route in self._routes:
            for rule in route.subscription.rules:
                if route.templates[rule.point].literal:
                    self._claim_point(rule.point)
                    if rule.device is not None:
                        key = (route.subscription.decoder.name, rule.device)
                        self._owners.setdefault(key, {})[rule.point] = rule.unit

    def _set_aside(self, route: Route, item: Decoded, problem: str, read: ReadResult) -> None:
        """An unknown field goes aside once, with its message; after that it is only counted."""
        if not problem:
            return
        self.counts["fields_without_point"] += 1
        key = (route.subscription.topic, item.device, item.field)
        if key not in self._set_aside_once and len(self._set_aside_once) < MAX_POINTS:
            self._set_aside_once.add(key)
            read.problems.append(f"field {item.field[:128]!r} of {item.device[:64]!r}: {problem}")

    def _death(self, route: Route, item: Decoded, received_at: datetime, read: ReadResult) -> None:
        at, _, _ = self._when(item, received_at, late=False)
        spoken = self._owners.get((route.subscription.decoder.name, item.device), {})
        self._repeats.forget(list(spoken))
        for point, unit in spoken.items():
            simulated = self._config.simulated or item.simulated
            read.readings.append(
                Reading(point, at, None, unit, received_at, item.source_at, item.quality, item.reason, simulated)
            )
