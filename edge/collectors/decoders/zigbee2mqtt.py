"""zigbee2mqtt: `BASE/FRIENDLY NAME` with JSON output, and `BASE/FRIENDLY NAME/availability`.

The stamp is `last_seen` (any of its formats) where the bridge is set to send it. Without it a state that the bridge
publishes again from its cache cannot be told from a new one: set `advanced.last_seen`.
"""

from datetime import datetime
from typing import Literal

from core.telemetry.quality import Quality, Reason
from edge.collectors.decoders.base import (
    EVERY_FIELD,
    ROOT_PATH,
    BadPayload,
    Decoded,
    Options,
    judge,
    leaves,
    parse_object,
)
from edge.collectors.decoders.times import BAD_TIME, TimeFormat, stamp

UNITS = {
    "temperature": "Cel",
    "device_temperature": "Cel",
    "soil_temperature": "Cel",
    "local_temperature": "Cel",
    "humidity": "%",
    "soil_moisture": "%",
    "battery": "%",
    "pressure": "hPa",
    "illuminance": "lx",
    "illuminance_lux": "lx",
    "co2": "[ppm]",
    "voc": "[ppb]",
    "pm25": "ug/m3",
    "power": "W",
    "current": "A",
    "energy": "kW.h",
}
NOT_DEVICES = frozenset({"bridge"})
COMMANDS = frozenset({"set", "get"})


class Zigbee2MqttOptions(Options):
    """`base` is the bridge's `base_topic`. `identity` is the key by which an object in a list says which thing it is
    of.
    """

    name: Literal["zigbee2mqtt"] = "zigbee2mqtt"
    base: str = "zigbee2mqtt"
    identity: str = ""


class Zigbee2Mqtt:
    """Reads device states and availability."""

    def __init__(self, options: Zigbee2MqttOptions) -> None:
        self._prefix = f"{options.base}/"
        self._identity = options.identity

    def decode(self, topic: str, payload: bytes, received_at: datetime) -> list[Decoded]:
        """The state's values. The bridge's own topics and commands give none. Raises BadPayload."""
        del received_at
        if not topic.startswith(self._prefix):
            raise BadPayload(f"topic does not begin with {self._prefix!r}")
        device = topic.removeprefix(self._prefix)
        if device.split("/")[0] in NOT_DEVICES or device.rpartition("/")[2] in COMMANDS:
            return []
        if device.endswith("/availability"):
            return _availability(device.removesuffix("/availability"), payload)
        return _state(device, payload, self._identity)


def _state(device: str, payload: bytes, identity: str) -> list[Decoded]:
    document = parse_object(payload)
    source_at, clock = _last_seen(document.pop("last_seen", None))
    # battery devices report the cell in millivolt, mains devices the line in volt
    voltage = "mV" if "battery" in document else ""
    found: list[Decoded] = []
    for path, key, raw, place in leaves(document, identity):
        unit = voltage if path == "voltage" else UNITS.get(key, "")
        value, quality, reason = judge(raw)
        if clock > quality:
            quality, reason = clock, BAD_TIME
        item = Decoded(device, path, value, unit, source_at, quality, reason)
        found.append(item if place is ROOT_PATH else place.mark(item))
    return found


def _last_seen(raw: object) -> tuple[datetime | None, Quality]:
    return stamp(raw, TimeFormat.ISO if isinstance(raw, str) else TimeFormat.EPOCH_MS)


def _availability(device: str, payload: bytes) -> list[Decoded]:
    state = payload if payload in (b"online", b"offline") else parse_object(payload).get("state")
    if state in (b"online", "online"):
        return []
    if state in (b"offline", "offline"):
        return [Decoded(device, EVERY_FIELD, None, quality=Quality.BAD, reason=Reason.DISCONNECTED)]
    raise BadPayload("availability is neither online nor offline")
