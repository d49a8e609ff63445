"""What the page knows of sources. The core speaks no field protocol: whoever starts the server hands it what does."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class AskedSource:
    """A broker or server to be asked: its address, where its devices stand, and what its protocol needs besides."""

    address: str
    zone: str
    gateway: str
    user: str = ""
    password: str = ""
    seconds: float = 15.0
    topics: str = "#"
    units: str = "1"
    registers: str = "input:0-31 holding:0-31"


@dataclass(frozen=True, slots=True)
class OfferedPoint:
    """A value that a gateway would read: the point it speaks for, and what was only guessed of it."""

    address: str
    quantity: str
    unit: str
    role: str
    value: str
    guesses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Offered:
    """What a source has, in lines; the gateway's configuration that reads it, and the points of that."""

    lines: tuple[str, ...]
    section: str
    points: tuple[OfferedPoint, ...]
    cut: bool
    """Whether there was more than is told."""


class CannotAsk(Exception):
    """A source cannot be asked, or a text not be read; says why."""


class NotOfThePlant(Exception):
    """The address is in none of the networks where this server may look for devices."""


class Sources(Protocol):
    """Looks at sources and at gateways' configurations, in a bounded process of its own."""

    @property
    def networks(self) -> tuple[str, ...]:
        """Where it may look for devices; nowhere without any."""

    async def ask(self, asked: AskedSource) -> Offered:
        """What the source has. Raises CannotAsk, NotOfThePlant."""

    async def read(self, text: str) -> Offered:
        """What a gateway's file, or a part of one, names. Raises CannotAsk."""
