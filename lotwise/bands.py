"""Temperature bands as people say them: `2..8 Cel`, `freezer`, `35..46 [degF]`, or a storage profile's."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from core.telemetry.units import NotConvertible, convert
from lotwise.edge_options import OFFERED, STANDARD_BANDS

PROFILE = "profile:"
_NUMBER = r"[+-]?\d+(?:\.\d+)?"
_BAND = re.compile(rf"({_NUMBER})?\s*\.\.\s*({_NUMBER})?\s*(\S+)?")
_DEGREES = {"C": "Cel", "°C": "Cel", "F": "[degF]", "°F": "[degF]"}


class BadBand(ValueError):
    """The text is no band; says what one is."""


@dataclass(frozen=True, slots=True)
class Band:
    """A room's own band in °C; None where an end is open."""

    low: float | None
    high: float | None

    @property
    def text(self) -> str:
        """As people say it."""
        ends = ("" if end is None else f"{end:g}" for end in (self.low, self.high))
        return "..".join(ends) + " Cel"


Profiles = Callable[[str], Sequence[Mapping[str, Any]]]
"""The limits of a storage profile's newest version, by the profile's code."""


def band_of(text: str, profiles: Profiles | None = None) -> Band:
    """The band that a text says. Raises BadBand."""
    stripped = text.strip()
    if stripped in STANDARD_BANDS:
        return Band(*STANDARD_BANDS[stripped])
    if stripped.startswith(PROFILE) and profiles is not None:
        return _of_limits(stripped, profiles(stripped.removeprefix(PROFILE)))
    found = _BAND.fullmatch(stripped)
    if found is None or (found[1] is None and found[2] is None):
        raise BadBand(f"{text!r} is no band: say LOW..HIGH Cel, such as 2..8 Cel, or one of {OFFERED}")
    unit = _DEGREES.get(found[3] or "Cel", found[3] or "Cel")
    try:
        low, high = (None if end is None else convert(float(end), unit, "Cel") for end in (found[1], found[2]))
    except NotConvertible as error:
        raise BadBand(f"{text!r}: {error}") from error
    if low is not None and high is not None and low >= high:
        raise BadBand(f"{text!r}: the lower end comes first")
    return Band(low, high)


def _of_limits(text: str, limits: Sequence[Mapping[str, Any]]) -> Band:
    """The narrowest band within a profile's temperature limits, whatever time they allow outside."""
    found = [limit for limit in limits if limit["quantity"] == "temperature"]
    ends = {
        side: [convert(limit["threshold"], limit["unit"], "Cel") for limit in found if limit["op"].startswith(side)]
        for side in "<>"
    }
    if not found:
        raise BadBand(f"{text}: that profile has no temperature limits")
    return Band(max(ends["<"], default=None), min(ends[">"], default=None))


class Bands:
    """Which band each zone has: `BAND` for all, `ZONE=BAND` for those that a pattern names; the first that fits.

    Raises BadBand.
    """

    def __init__(self, given: Sequence[str], profiles: Profiles | None = None) -> None:
        self._rules = [
            (pattern if equals else "*", band_of(text, profiles))
            for pattern, equals, text in (one.rpartition("=") for one in given)
        ]

    def of(self, zone: str) -> Band | None:
        """The zone's band; None where nothing was said of it."""
        return next((band for pattern, band in self._rules if fnmatchcase(zone, pattern)), None)
