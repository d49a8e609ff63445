"""What browsing finds in a source, whatever its protocol."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from core.telemetry.address import BadAddress, check_point, check_zone
from core.telemetry.address import check_segment as _check_segment

PLACEHOLDER = "SITE/AREA/ZONE"
DEVICE = "{device}"
_LONGEST = 64
_OUTSIDE = re.compile(r"[^A-Za-z0-9_-]+")
_SHOWN = 60


class CannotBrowse(Exception):
    """What was asked for cannot be: an option that makes no sense, or a source that tells nothing. Says why."""


@dataclass(frozen=True, slots=True)
class FoundPoint:
    """A value that the gateway would read, and the point it would speak for.

    `unit` is UCUM, "" where nobody said and nothing was guessed. `role` is what the catalog would be told: `required`
    or `machine`. `guesses` are what the device did not say, in words: somebody has to look at them.
    """

    address: str
    quantity: str
    unit: str
    role: str
    value: str
    origin: str
    guesses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BrowsedSource:
    """All that was found: `lines` lists what the source has, `notes` what the operator should know of it.

    `source` is a source of a gateway file as plain data, None where there is nothing to read. `comments` belong to
    points by their address, and stand above them in the file.
    """

    lines: tuple[str, ...]
    source: dict[str, Any] | None
    points: tuple[FoundPoint, ...]
    notes: tuple[str, ...]

    @property
    def comments(self) -> dict[str, str]:
        """What to write above each point: its value when it was found, and what was guessed."""
        return {point.address: point.value + guesses_text(point.guesses) for point in self.points}


def guesses_text(guesses: Sequence[str]) -> str:
    """What was guessed, marked as such, to stand after what is known; "" where nothing was."""
    return f"; GUESS: {'; '.join(guesses)}" if guesses else ""


class ZoneRules:
    """Which zone a device stands in: `SITE/AREA/ZONE` for all, `DEVICE=SITE/AREA/ZONE` for those that a pattern names.

    `{device}` in an address is the device's name: a zone for each. Patterns are those of file names (`fridge-*`), and
    the first that fits counts. Raises CannotBrowse.
    """

    def __init__(self, given: Sequence[str], site: str | None = None) -> None:
        self._rules = [_rule(one) for one in given]
        sites = {zone.split("/")[0] for _, zone in self._rules} | ({site} if site else set())
        if len(sites) > 1:
            raise CannotBrowse(f"a gateway stands at one site, and not at {', '.join(sorted(sites))}")
        self.site = sites.pop() if sites else PLACEHOLDER.split("/", maxsplit=1)[0]
        self._default = "/".join([self.site, *PLACEHOLDER.split("/")[1:]])

    def zone(self, device: str) -> str:
        """The zone's address."""
        for pattern, zone in self._rules:
            if fnmatchcase(device, pattern):
                return zone.replace(DEVICE, segment_of(device))
        return self._default


def _rule(text: str) -> tuple[str, str]:
    pattern, equals, zone = text.rpartition("=")
    try:
        check_zone(zone.replace(DEVICE, "x"))
        _check_segment(zone.split("/", maxsplit=1)[0])
    except BadAddress as error:
        raise CannotBrowse(f"--zone {text}: {error}") from error
    return (pattern if equals else "*"), zone


def segment_of(text: str) -> str:
    """The text as one segment of an address."""
    return _OUTSIDE.sub("-", text).strip("-")[:_LONGEST] or "x"


class Names:
    """Addresses for what is found, each once. `taken` are those that the gateway's file has already."""

    def __init__(self, places: ZoneRules, taken: Sequence[str] = ()) -> None:
        self._places = places
        self._taken = set(taken)

    def address(self, device: str, name: str) -> str:
        """`zone/device/name`, with a number where that is taken."""
        head, last = f"{self._places.zone(device)}/{segment_of(device)}", segment_of(name)
        address, number = f"{head}/{last}", 2
        while address in self._taken:
            address = f"{head}/{last[: _LONGEST - 4]}-{number}"
            number += 1
        self._taken.add(address)
        return check_point(address)


def value_text(value: object) -> str:
    """A value for a line of a listing."""
    text = value if isinstance(value, str) else repr(value)
    text = "".join(each if each.isprintable() else "·" for each in text)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
