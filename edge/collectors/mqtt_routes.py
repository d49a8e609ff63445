"""Which subscription takes a message, which rule a field, and what is known of a message while it is read."""

from datetime import datetime

import msgspec

from core.telemetry.reading import Reading
from edge.collectors.decoders import Decoded, Decoder
from edge.collectors.decoders.base import EVERY_FIELD
from edge.collectors.mqtt_config import PointRule, Subscription
from edge.collectors.mqtt_topics import PointTemplate


class Target(msgspec.Struct, frozen=True, gc=False):
    """A point and the rule that chose it; no point if no rule takes the field or its address cannot be."""

    point: str
    rule: PointRule | None
    problem: str = ""


class ReadResult(msgspec.Struct, gc=False):
    """What came of a message: readings, and why what is missing among them is missing."""

    readings: list[Reading] = []
    problems: list[str] = []


class Route:
    """One subscription with its decoder and its templates."""

    def __init__(self, subscription: Subscription) -> None:
        self.subscription = subscription
        self.decoder: Decoder
        self.rules = {rule.key: rule for rule in subscription.rules}
        self.templates = {
            rule.point: PointTemplate(rule.point, subscription.placeholders) for rule in subscription.rules
        }
        self.of_text = subscription.decoder.name != "sparkplug_b"
        """Whether its payloads are text, which neither a byte order mark nor NULs belong to."""
        self.zeros = [rule for rule in subscription.rules if rule.omitted_is_zero]

    def rule(self, item: Decoded) -> PointRule | None:
        """The rule for a field: by the sensor's identity before its position, the device's own before anybody's, by
        name before `*`.
        """
        device, sensor = item.device, item.sensor
        keys: list[tuple[str | None, str | None, str]] = [
            (one, None, name) for name in (item.field, EVERY_FIELD) for one in (device, None)
        ]
        if sensor:
            keys = [(one, known, item.local) for known in (sensor, "*") for one in (device, None)] + keys
        return next((self.rules[key] for key in keys if key in self.rules), None)


class ReceivedMessage(msgspec.Struct, gc=False):
    """A routed message: what its wildcards matched, when it came, whether it may be old, and whether it says for too
    long what it said before.
    """

    route: Route
    topic: str
    matched: dict[str, str]
    received_at: datetime
    retained: bool
    queued: bool
    repeated: bool = False
