"""ChirpStack v4, JSON integration: `application/ID/device/EUI/event/up` and `.../status`.

Fields are those of the codec's `object` (paths joined by dots); the device is its EUI. Several gateways may hear one
uplink: what comes again under a `deduplicationId` already read is the same uplink.
"""

from collections import OrderedDict
from datetime import datetime
from typing import Any, Literal

from edge.collectors.decoders.base import (
    ROOT_PATH,
    BadPayload,
    Decoded,
    LeafPath,
    Options,
    judge,
    leaves,
    member,
    on_ports,
    parse_object,
    text,
)
from edge.collectors.decoders.number import parse_number
from edge.collectors.decoders.times import BAD_TIME, stamp

REMEMBERED = 20_000
STATUS_UNITS = {"batteryLevel": "%", "margin": "dB"}


class ChirpStackOptions(Options):
    """`f_ports` restricts the ports that carry measurements; `numeric_strings` reads "21.5" as a number.

    `identity` is the key by which an object within the decoded one says which thing it is of, such as `id`.
    """

    name: Literal["chirpstack_v4"] = "chirpstack_v4"
    f_ports: frozenset[int] | None = None
    numeric_strings: bool = True
    identity: str = ""


class ChirpStackV4:
    """Reads uplinks and device status."""

    def __init__(self, options: ChirpStackOptions) -> None:
        self._options = options
        self._seen: OrderedDict[str, None] = OrderedDict()

    def decode(self, topic: str, payload: bytes, received_at: datetime) -> list[Decoded]:
        """The uplink's decoded values; other events and repeated uplinks give none. Raises BadPayload.

        An uplink with data that no codec has decoded is a BadPayload: the operator must give the device a codec.
        """
        del received_at
        event = topic.rpartition("/")[2]
        if event not in {"up", "status"}:
            return []
        document = parse_object(payload)
        identity = f"{event}:{text(document, 'deduplicationId')}"
        if identity in self._seen:
            return []
        device = text(member(document, "deviceInfo"), "devEui").lower()
        source_at, clock = stamp(document.get("time"))
        found = self._status(document) if event == "status" else self._uplink(document)
        self._remember(identity)
        made: list[Decoded] = []
        for field, unit, raw, place in found:
            value, quality, reason = judge(raw)
            if clock > quality:
                quality, reason = clock, BAD_TIME
            item = Decoded(device, field, value, unit, source_at, quality, reason)
            made.append(item if place is ROOT_PATH else place.mark(item))
        return made

    def _uplink(self, document: dict[str, Any]) -> list[tuple[str, str, object, LeafPath]]:
        if not on_ports(document.get("fPort"), self._options.f_ports):
            return []
        decoded = member(document, "object")
        if not decoded and document.get("data"):
            raise BadPayload("no decoded object: the device profile has no codec for this uplink")
        return [(path, "", self._plain(raw), place) for path, _, raw, place in leaves(decoded, self._options.identity)]

    @staticmethod
    def _status(document: dict[str, Any]) -> list[tuple[str, str, object, LeafPath]]:
        unavailable = document.get("batteryLevelUnavailable") is True or document.get("externalPowerSource") is True
        return [
            (key, unit, document[key], ROOT_PATH)
            for key, unit in STATUS_UNITS.items()
            if key in document and not (key == "batteryLevel" and unavailable)
        ]

    def _plain(self, raw: object) -> object:
        if not self._options.numeric_strings or not isinstance(raw, str):
            return raw
        number = parse_number(raw.strip())
        return raw if number is None else number

    def _remember(self, identity: str) -> None:
        self._seen[identity] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
