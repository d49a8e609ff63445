"""What devices have said, written down by the devices themselves: the truth that the soak compares with.

Nothing of the product is in it. Times are whole microseconds since 1970, as both databases and payloads have them.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

Protocol = Literal["mqtt", "opcua", "modbus"]
GOOD, UNCERTAIN, BAD = 0, 1, 2
QUALITY_WORDS = ("good", "uncertain", "bad")


@dataclass(frozen=True, slots=True)
class SentValue:
    """One measurement: its number (from 1, without holes), instant, °C, and the quality the device gives it."""

    number: int
    at: int
    value: float
    quality: int = GOOD


@dataclass(slots=True)
class Device:
    """A device's own book: everything it has said, and (MQTT) what its broker has acknowledged.

    A Modbus device is asked, so its book says what it has answered, and when.
    """

    name: str
    zone: str
    protocol: Protocol
    sent: list[SentValue] = field(default_factory=list)
    acknowledged: set[int] = field(default_factory=set)

    @property
    def temperature(self) -> str:
        """The point of its temperature."""
        return f"{self.zone}/{self.name}/temperature"

    @property
    def sequence(self) -> str:
        """The point of its numbers."""
        return f"{self.zone}/{self.name}/sequence"

    def promised(self, upto: int) -> list[SentValue]:
        """What must not be lost, said before `upto`: of MQTT what the broker has acknowledged, of others all."""
        return [
            each
            for each in self.sent
            if each.at < upto and (self.protocol != "mqtt" or each.number in self.acknowledged)
        ]

    def written(self) -> dict[str, Any]:
        """The book as plain data, for a file."""
        return {
            "device": self.name,
            "zone": self.zone,
            "protocol": self.protocol,
            "unacknowledged": sorted({each.number for each in self.sent} - self.acknowledged)
            if self.protocol == "mqtt"
            else [],
            "said": [[each.number, each.at, each.value, each.quality] for each in self.sent],
        }
