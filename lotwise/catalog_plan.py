"""Makes what a gateway's points need in the catalog, through the public API: site, zones with their bands, points.

Shown before it is made; what is there already stays as it is, so that it can be run again at any time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from core.telemetry.address import zone_of
from core.telemetry.units import convertible
from lotwise.bands import Band, Bands
from lotwise.core_client import Core, CoreRefused

_FORBIDDEN = 403
NO_LIMITS = "has no band: no alarm will tell that it is too warm or too cold (say --band)"


@dataclass(frozen=True, slots=True)
class WantedPoint:
    """A point that a gateway reads, and what the catalog is to say of it. `guesses`: what nobody but we said."""

    address: str
    quantity: str
    unit: str
    role: str
    guesses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ZoneDefaults:
    """What is said of zones and the site where they have to be made."""

    bands: Bands
    band_delay: timedelta
    allowed_gap: timedelta
    timezone: str


@dataclass(slots=True)
class Plan:
    """What is missing, in the order in which it is made; and what is there and does not fit."""

    site: dict[str, Any] | None = None
    zones: list[dict[str, Any]] = field(default_factory=list)
    changes: list[tuple[int, str, dict[str, Any]]] = field(default_factory=list)
    """(id, address, changes) of zones that are there without a band."""
    points: list[WantedPoint] = field(default_factory=list)
    mismatches: list[str] = field(default_factory=list)
    without_band: list[str] = field(default_factory=list)
    there: int = 0
    zone_ids: dict[str, int] = field(default_factory=dict)
    site_id: int | None = None

    @property
    def empty(self) -> bool:
        """Whether there is nothing to make."""
        return not (self.site or self.zones or self.changes or self.points)

    def lines(self) -> list[str]:
        """What will be made, one a line."""
        out = [f"site {self.site['code']} (time zone {self.site['timezone']})"] if self.site else []
        out += [
            f"zone {zone['address']}{_band_words(zone)}, may be silent for {_plain(zone['allowed_gap'])}"
            for zone in self.zones
        ]
        out += [f"zone {address}, which is there, gets its{_band_words(change)}" for _, address, change in self.changes]
        for point in self.points:
            guesses = "".join(f" [GUESS: {guess}]" for guess in point.guesses)
            out.append(f"point {point.address}: {point.quantity} in {point.unit or 'no unit'}, {point.role}{guesses}")
        return out


def _band_words(zone: dict[str, Any]) -> str:
    if "band_low" not in zone and "band_high" not in zone:
        return " without a band"
    band = Band(zone.get("band_low"), zone.get("band_high"))
    return f" band {band.text} (alarm after {_plain(zone['band_delay'])})"


Ask = Callable[[str], Band | None]
"""Asks for a zone's band where none was said; None for none."""


def plan(core: Core, points: Sequence[WantedPoint], terms: ZoneDefaults, ask: Ask = lambda _zone: None) -> Plan:
    """What the catalog lacks for these points. Raises CoreUnavailable, CoreRefused."""
    made = Plan()
    sites = {site["code"]: site["id"] for site in core.all("/sites")}
    zones = {zone["address"]: zone for zone in core.all("/zones")}
    known = {point["address"]: point for point in core.all("/points")}
    made.zone_ids = {address: zone["id"] for address, zone in zones.items()}
    for code in sorted({point.address.split("/")[0] for point in points}):
        made.site_id = sites.get(code)
        if code not in sites:
            made.site = {"code": code, "name": code.replace("-", " ").title(), "timezone": terms.timezone}
    for address in sorted({zone_of(point.address) for point in points}):
        _zone(made, address, zones.get(address), terms, ask)
    for point in points:
        there = known.get(point.address)
        if there is None:
            made.points.append(point)
            continue
        made.there += 1
        if fault := unit_mismatch(point.address, point.unit, there["unit"]):
            made.mismatches.append(fault)
    return made


def unit_mismatch(address: str, sent: str, known: str) -> str | None:
    """What is wrong between the unit that a gateway sends and the catalog's; None if nothing is."""
    if not sent or sent == known or convertible(sent, known):
        return None
    return f"{address}: sent in {sent!r}, which cannot be given in the catalog's unit {known!r}"


def _zone(made: Plan, address: str, there: dict[str, Any] | None, terms: ZoneDefaults, ask: Ask) -> None:
    bare = there is None or (there["band_low"] is None and there["band_high"] is None)
    band = (terms.bands.of(address) or ask(address)) if bare else None
    body: dict[str, Any] = {}
    if band is not None:
        ends = {"band_low": band.low, "band_high": band.high}
        body = {key: value for key, value in ends.items() if value is not None}
        body["band_delay"] = _iso(terms.band_delay)
    elif bare:
        made.without_band.append(address)
    if there is None:
        name = address.rpartition("/")[2].replace("-", " ").capitalize()
        made.zones.append({"address": address, "name": name, "allowed_gap": _iso(terms.allowed_gap), **body})
    elif body:
        made.changes.append((there["id"], address, body))


def _iso(span: timedelta) -> str:
    return f"PT{span.total_seconds():g}S"


def _plain(iso: str) -> str:
    """A span that `_iso` wrote, in words: `5 min`, `90 s`."""
    seconds = float(iso.removeprefix("PT").removesuffix("S"))
    return f"{seconds / 60:g} min" if seconds and seconds % 60 == 0 else f"{seconds:g} s"


def carry_out(core: Core, made: Plan, progress: Callable[[str], None]) -> None:
    """Makes what is planned, then tries again the readings that came before their points. Raises CoreUnavailable,
    CoreRefused; what was made till then is there, and running it again makes the rest.
    """
    if made.site is not None:
        made.site_id = core.send("POST", "/sites", made.site)["id"]
        progress(f"made site {made.site['code']}")
    for zone in made.zones:
        made.zone_ids[zone["address"]] = core.send("POST", "/zones", {"site_id": made.site_id, **zone})["id"]
        progress(f"made zone {zone['address']}")
    for zone_id, address, changes in made.changes:
        seen = core.get(f"/zones/{zone_id}")["version"]
        core.send("PATCH", f"/zones/{zone_id}", {**changes, "version": seen})
        progress(f"changed zone {address}")
    for point in made.points:
        body = {"zone_id": made.zone_ids[zone_of(point.address)], "address": point.address, "role": point.role}
        core.send("POST", "/points", {**body, "quantity": point.quantity, "unit": point.unit})
        progress(f"made point {point.address}")
    if made.points:
        progress(_replayed(core))


def _replayed(core: Core) -> str:
    try:
        done = core.send("POST", "/ingest/dead-letters/replay", {"reason": "unknown_point"})
    except CoreRefused as error:
        if error.status != _FORBIDDEN:
            raise
        return "readings that came before their points wait as dead letters: `lotwise ingest replay` takes them"
    return f"{done['landed']} readings that had come before their points were taken and judged"
