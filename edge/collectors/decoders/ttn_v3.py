"""The Things Stack v3: `v3/APPLICATION@TENANT/devices/DEVICE/up`.

Fields are those of `decoded_payload`. The stack leaves out fields that are "", 0 or false: a point whose mapping says
`omitted_is_zero` gets its zero from a message that does not name it. The stamp is when the network received the uplink
(LoRaWAN devices send none), and it marks messages it simulates.
"""

from datetime import datetime
from typing import Any, Literal

from core.telemetry.quality import Reason
from edge.collectors.decoders.base import (
    ROOT_PATH,
    BadPayload,
    Decoded,
    Options,
    judge,
    leaves,
    member,
    on_ports,
    parse_object,
    text,
)
from edge.collectors.decoders.times import BAD_TIME, stamp


class TtnOptions(Options):
    """`f_ports` restricts the ports that carry measurements. `identity` is the key by which an object within the
    decoded payload says which thing it is of, such as `id`.
    """

    name: Literal["ttn_v3"] = "ttn_v3"
    f_ports: frozenset[int] | None = None
    identity: str = ""


class TtnV3:
    """Reads uplinks."""

    def __init__(self, options: TtnOptions) -> None:
        self._options = options

    def decode(self, topic: str, payload: bytes, received_at: datetime) -> list[Decoded]:
        """The uplink's decoded values; other events give none. Raises BadPayload, also for an undecoded uplink."""
        del received_at
        if topic.rpartition("/")[2] != "up":
            return []
        document = parse_object(payload)
        device = text(member(document, "end_device_ids"), "device_id")
        uplink = member(document, "uplink_message")
        if not uplink:
            raise BadPayload("'uplink_message' is missing")
        if not on_ports(uplink.get("f_port"), self._options.f_ports):
            return []
        if uplink.get("decoded_payload") is None:
            if not uplink.get("frm_payload"):
                return []
            raise BadPayload("no decoded_payload: the application has no formatter for this uplink")
        return _values(device, document, uplink, self._options.identity)


def _values(device: str, document: dict[str, Any], uplink: dict[str, Any], identity: str) -> list[Decoded]:
    source_at, clock = stamp(uplink.get("received_at") or document.get("received_at"))
    simulated = document.get("simulated") is True
    found: list[Decoded] = []
    for path, _, raw, place in leaves(member(uplink, "decoded_payload"), identity):
        value, quality, reason = judge(raw)
        if clock > quality:
            quality, reason = clock, BAD_TIME
        item = Decoded(device, path, value, "", source_at, quality, reason, simulated=simulated, complete=True)
        found.append(item if place is ROOT_PATH else place.mark(item))
    if not found:  # everything was left out: carries device and time for the zeros that the mapping knows of
        reason = BAD_TIME if clock else Reason.NONE
        found.append(Decoded(device, "", "", "", source_at, clock, reason, simulated=simulated, complete=True))
    return found
