"""Shelly Gen2 and later: `PREFIX/events/rpc` notifications, `PREFIX/status/COMPONENT`, `PREFIX/online`.

Fields are component and path, such as `temperature:0.tC`. The stamp is `ts` of a notification, in seconds; a device
that never learned the time sends null, or its uptime. A Bluetooth sensor's is when it was last heard.

A device is called as its notifications call it (`src`), whatever the topic's prefix; the online flag, which bears only
the prefix, ends both. A device on batteries is offline between two reports: its flag is not worth a subscription.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

from core.telemetry.quality import Quality, Reason
from edge.collectors.decoders.base import (
    EVERY_FIELD,
    BadPayload,
    Decoded,
    Options,
    judge,
    leaves,
    member,
    parse_json,
    parse_object,
    text,
)
from edge.collectors.decoders.times import BAD_TIME, TimeFormat, stamp

UNITS = {
    "tC": "Cel",
    "tF": "[degF]",
    "rh": "%",
    "apower": "W",
    "act_power": "W",
    "aprt_power": "V.A",
    "voltage": "V",
    "current": "A",
    "freq": "Hz",
    "percent": "%",
    "V": "V",
    "lux": "lx",
    "rssi": "dB[mW]",
}
ENERGY = {"total": "W.h"}
NOTIFICATIONS = frozenset({"NotifyStatus", "NotifyFullStatus"})
MAX_DEVICES = 10_000
HEARD_AT = "last_updated_ts"
"""When a Bluetooth sensor behind the device was last heard: a full status repeats its value at a time of its own."""
NOT_MEASURED = frozenset({"id", "ts", "errors", "minute_ts", "by_minute", HEARD_AT})


class ShellyOptions(Options):
    """No options: every message says what it is."""

    name: Literal["shelly_gen2"] = "shelly_gen2"


class ShellyGen2:
    """Reads status notifications, status topics and the online flag."""

    def __init__(self, options: ShellyOptions) -> None:
        del options
        self._names: dict[str, str] = {}
        """What a topic's prefix calls itself."""

    def decode(self, topic: str, payload: bytes, received_at: datetime) -> list[Decoded]:
        """The components' values. Other topics and notifications give none. Raises BadPayload."""
        del received_at
        if topic.endswith("/events/rpc"):
            found = _notification(payload)
            if found and len(self._names) < MAX_DEVICES:
                self._names[topic.removesuffix("/events/rpc")] = found[0].device
            return found
        if topic.endswith("/online"):
            prefix = topic.removesuffix("/online")
            return _online({_last_level(prefix), self._names.get(prefix, _last_level(prefix))}, payload)
        prefix, status, component = topic.rpartition("/status/")
        if status:
            return list(_component(_last_level(prefix), component, parse_object(payload), None, Quality.GOOD))
        return []


def _notification(payload: bytes) -> list[Decoded]:
    document = parse_object(payload)
    method = document.get("method")
    if not isinstance(method, str) or method not in NOTIFICATIONS:
        return []
    device = text(document, "src")
    params = member(document, "params")
    if not params:
        raise BadPayload("'params' is missing")
    source_at, clock = stamp(params.get("ts"), TimeFormat.EPOCH_S)
    return [
        item
        for component, status in params.items()
        if isinstance(status, dict)
        for item in _component(device, component, status, source_at, clock)
    ]


def _component(
    device: str, component: str, status: dict[str, Any], source_at: datetime | None, clock: Quality
) -> Iterable[Decoded]:
    failed = status.get("errors")
    if status.get(HEARD_AT) is not None:
        source_at, clock = stamp(status[HEARD_AT], TimeFormat.EPOCH_S)
    on_mains = component.startswith("devicepower") and member(status, "external").get("present") is True
    for path, key, raw, place in leaves(status):
        parts = path.split(".")
        if NOT_MEASURED.intersection(parts):
            continue
        unit = ENERGY.get(key, "") if "aenergy" in parts else UNITS.get(key, "")
        value, quality, reason = judge(raw)
        if failed and quality is Quality.GOOD:
            quality, reason = Quality.BAD, Reason.DEVICE
        elif on_mains and parts[0] == "battery" and quality is Quality.GOOD:
            quality, reason = Quality.BAD, Reason.SENTINEL  # on external power the battery reads 0 % and is no battery
        if clock > quality:
            quality, reason = clock, BAD_TIME
        yield Decoded(device, f"{component}.{path}", value, unit, source_at, quality, reason, of=place.of)


def _online(devices: set[str], payload: bytes) -> list[Decoded]:
    online = parse_json(payload)
    if online is True:
        return []
    if online is False:
        return [
            Decoded(device, EVERY_FIELD, None, quality=Quality.BAD, reason=Reason.DISCONNECTED)
            for device in sorted(devices)
        ]
    raise BadPayload("online is neither true nor false")


def _last_level(topic: str) -> str:
    return topic.rpartition("/")[2]
