"""Which sensor stood where a rule takes a field by its position, so that another one there is never taken for it."""

import msgspec

from edge.collectors.decoders import Decoded
from edge.collectors.mqtt_config import PointRule
from edge.collectors.mqtt_topics import SENSOR

MOST = 20_000
_decode = msgspec.json.Decoder(dict[str, str]).decode


class Identities:
    """By device and field: the identity that was first met there, or the length of the list.

    `changed` says that there is something to write down: a gateway that is started again knows them still.
    """

    def __init__(self) -> None:
        self._met: dict[str, str] = {}
        self.changed = False

    def load(self, noted: str) -> None:
        """Takes up what was written down, unless it was met since."""
        self._met = _decode(noted) | self._met

    def dump(self) -> str:
        """What is to be written down."""
        self.changed = False
        return msgspec.json.encode(self._met).decode()

    def unsaved(self) -> None:
        """What was dumped was perhaps not written down."""
        self.changed = bool(self._met)

    def moved(self, item: Decoded, rule: PointRule) -> str:
        """Why the field is no longer what the rule took it for; "" if it is. Meets what is new."""
        if rule.sensor is not None or (item.sensor and f"{{{SENSOR}}}" in rule.point):
            return ""
        if rule.of is not None:
            return (
                "" if item.of == rule.of else f"{item.field} of {item.device!r}: a list of {item.of}, not of {rule.of}"
            )
        now = item.sensor or item.of
        key = f"{item.device}\0{item.field}"
        known = self._met.get(key)
        if known is None and len(self._met) < MOST:
            self._met[key] = known = now
            self.changed = True
        if known == now:
            return ""
        bind, what = ("sensor", "sensor") if item.sensor else ("of", "a list of")
        return (
            f"{item.field[:128]} of {item.device[:64]!r} is {what} {now[:128]} and was {known}: no value is taken "
            f"until the rule says which by `{bind}:`"
        )
