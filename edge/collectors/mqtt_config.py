"""Configuration of an MQTT source, checked whole before anything starts."""

import re
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    model_validator,
)

from edge.collectors.decoders import DecoderOptions
from edge.collectors.decoders.base import EVERY_FIELD
from edge.collectors.mqtt_topics import DEVICE, FIELD, SENSOR, PointTemplate, TopicFilter, overlapping
from edge.collectors.port import SourceConfig

REPEATERS = {"zigbee2mqtt": timedelta(hours=2)}
"""Dialects whose publisher repeats its cache, and how long it is believed: twice the hour in which sensors report."""
PLAIN_PORT, TLS_PORT = 1883, 8883


def _check_topic(text: str) -> str:
    TopicFilter(text)
    return text


def _check_host(text: str) -> str:
    if not text or re.search(r"[\s/]|^[^:]*:\d*$", text):
        raise ValueError("is not a host's name or address: without mqtt:// before it, and the port goes in `port`")
    return text


def _check_template(text: str) -> str:
    PointTemplate(text)
    return text


# Checked as fields, too, and not only against each other, so that all that is wrong with a file is told at once.
Topic = Annotated[str, AfterValidator(_check_topic)]
Template = Annotated[str, AfterValidator(_check_template)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tls(_Part):
    """The broker's certificate is always verified, against `ca` or the system's store; `cert` and `key` are ours."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key go together")
        for path in (self.ca, self.cert, self.key):
            if path is not None and not path.is_file():
                raise ValueError(f"{path} is not a file")
        return self


class PointRule(_Part):
    """Which point takes a field.

    `field` is the decoder's name of it, `*` for every field without a rule of its own; `device` restricts the rule to
    one device. `point` is an address or a template with `{1}`, `{name}`, `{rest}`, `{device}`, `{sensor}`, `{field}`.

    `sensor` is the identity of a probe as the payload gives it (`*`: any), and `field` then what it measures: such a
    rule is safe from probes that are numbered anew. `of` is how many the list has that `field` numbers. Without either,
    what was first there is remembered, and another is bad (`identity_changed`).

    `unit` (UCUM) speaks where the payload does not. `kind` states what the value must be; a value with a unit must be a
    number anyway. A text that spells a number, alone or with the unit after it, is then read as one; one that says
    that there is no value (`unavailable`, `None`) has none, and is bad. `sentinels` are error codes, `minimum` and
    `maximum` the sensor's range. `omitted_is_zero`: an uplink that leaves the field out says 0, false or "" by kind.
    """

    field: str = Field(min_length=1)
    point: Template
    device: str | None = None
    sensor: str | None = None
    of: Annotated[str, BeforeValidator(str)] | None = None
    unit: str = ""
    kind: Literal["number", "bool", "text"] | None = None
    sentinels: tuple[float, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    omitted_is_zero: bool = False

    @model_validator(mode="after")
    def _sense(self) -> Self:
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError("minimum is above maximum")
        if self.omitted_is_zero and (self.field == EVERY_FIELD or self.kind is None):
            raise ValueError("omitted_is_zero needs a field by name and a kind, which says what its zero is")
        return self

    @property
    def key(self) -> tuple[str | None, str | None, str]:
        """What it takes: device, sensor and field."""
        return self.device, self.sensor, self.field

    @cached_property
    def measures(self) -> bool:
        """Whether error codes or a range say that the value is a number, where no kind and no unit does."""
        return bool(self.sentinels) or self.minimum is not None or self.maximum is not None


class Subscription(_Part):
    """One topic filter, how its payloads are read, and which points they speak for.

    `point` is short for one rule that takes every field; `points` may be empty where only deaths are announced.
    Fields in `ignore` are deliberately not taken.

    `may_repeat`: the publisher repeats what a device said last, so that without a stamp only a change in the message
    shows that the device lives; what has not changed for longer than this is uncertain (`repeated_unchanged`). Two
    hours for zigbee2mqtt, which does so; for the others there is none unless it is said.
    """

    topic: Topic
    decoder: DecoderOptions
    point: Template | None = None
    points: tuple[PointRule, ...] | None = None
    unit: str = ""
    ignore: frozenset[str] = frozenset()
    may_repeat: timedelta | None = Field(default=None, gt=timedelta(0))

    @model_validator(mode="after")
    def _sense(self) -> Self:
        if (self.point is None) == (self.points is None):
            raise ValueError(f"{self.topic}: give either point or points")
        seen: set[tuple[str | None, str | None, str]] = set()
        for rule in self.rules:
            PointTemplate(rule.point, self.placeholders)
            if rule.key in seen:
                raise ValueError(f"{self.topic}: field {rule.field!r} has two points")
            seen.add(rule.key)
            if rule.sensor is not None and not getattr(self.decoder, "identity", ""):
                raise ValueError(f"{self.topic}: a rule by sensor needs a decoder with `identity`")
            if rule.omitted_is_zero and self.decoder.name != "ttn_v3":
                raise ValueError(f"{self.topic}: only ttn_v3 leaves out zeros; {self.decoder.name} does not")
        return self

    @cached_property
    def filter(self) -> TopicFilter:
        """The topic filter, parsed."""
        return TopicFilter(self.topic)

    @cached_property
    def repeats(self) -> timedelta | None:
        """How long the same content may stand for a device that lives; None where every message is a new one."""
        return self.may_repeat or REPEATERS.get(self.decoder.name)

    @cached_property
    def rules(self) -> tuple[PointRule, ...]:
        """The point rules, with the short form written out."""
        if self.point is not None:
            return (PointRule(field=EVERY_FIELD, point=self.point, unit=self.unit),)
        return self.points or ()

    @cached_property
    def placeholders(self) -> set[str]:
        """Names that a point template may use."""
        return {*self.filter.placeholders, DEVICE, SENSOR, FIELD}


class MqttSource(SourceConfig):
    """One broker session.

    `client_id` names the persistent session and must be the gateway's alone (by default it is made of the gateway's and
    the source's name); the broker keeps what it queued for
    `session_expiry` (MQTT 5; with 3.1.1 as long as it is set to). `receive_maximum` bounds what is in flight.
    `quiet` without a message, or `catch_up_limit` at most, ends the delivery of what was queued while we were away.
    """

    protocol: Literal["mqtt"]
    host: Annotated[str, AfterValidator(_check_host)]
    port: int | None = Field(default=None, ge=1, le=65535)
    version: Annotated[Literal["3.1.1", "5"], BeforeValidator(str)] = "5"
    client_id: str = Field(default="", max_length=64)
    session_expiry: timedelta = Field(default=timedelta(days=7), gt=timedelta(0), le=timedelta(days=3650))
    tls: Tls | None = None
    username: str | None = None
    password: SecretStr | None = None
    shared_group: str | None = Field(default=None, pattern=r"^[^/+#\s]+$")
    receive_maximum: int = Field(default=4000, ge=1, le=65535)
    keepalive: int = Field(default=30, ge=2, le=65535)
    connect_timeout: timedelta = Field(default=timedelta(seconds=10), gt=timedelta(0))
    max_payload: int = Field(default=1_048_576, ge=64)
    quiet: timedelta = Field(default=timedelta(milliseconds=500), gt=timedelta(0))
    catch_up_limit: timedelta = Field(default=timedelta(seconds=30), gt=timedelta(0))
    subscriptions: tuple[Subscription, ...] = Field(min_length=1)
    _remembered: dict[str, object] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _sense(self) -> Self:
        if self.password is not None and self.username is None:
            raise ValueError("a password needs a username")
        both = overlapping(subscription.filter for subscription in self.subscriptions)
        if both is not None:
            raise ValueError(
                f"topic filters {both[0].text!r} and {both[1].text!r} overlap: a broker may deliver a message twice; "
                "make them distinct or use two sources"
            )
        fields: dict[str, tuple[str | None, str | None, str]] = {}
        for subscription in self.subscriptions:
            for rule in subscription.rules:
                if "{" not in rule.point and fields.setdefault(rule.point, rule.key) != rule.key:
                    raise ValueError(f"point {rule.point} is given to two fields")
        if self.shared_group and any(one.decoder.name == "sparkplug_b" for one in self.subscriptions):
            raise ValueError("sparkplug_b needs every message of a node in order: no shared_group")
        return self

    @property
    def remembered(self) -> dict[str, object]:
        """What this process knows of the session, for the collector alone. It lives as long as the configuration, so
        that a collector made anew after a loss does not take a repeated message for a new one.
        """
        return self._remembered

    @property
    def session(self) -> str:
        """The client identifier of the persistent session."""
        return self.client_id or f"lotwise-{self.name}"

    def of(self, gateway: str) -> Self:
        """With a session of the gateway's own: others may read the same broker by a source of the same name."""
        return self if self.client_id else self.model_copy(update={"client_id": f"lotwise-{gateway}-{self.name}"})

    @property
    def alone(self) -> str:
        """The session: the broker lets one client at a time have it."""
        return f"MQTT session {self.session!r} at {':'.join(map(str, self.address))}"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, with the protocol's usual port where none is given."""
        return self.host, self.port or (TLS_PORT if self.tls else PLAIN_PORT)

    def wire_filters(self) -> list[str]:
        """The filters as subscribed, in the order of `subscriptions`."""
        prefix = f"$share/{self.shared_group}/" if self.shared_group else ""
        return [prefix + one.filter.wire for one in self.subscriptions]
