"""Shows what the catalog lacks for a gateway's points, asks, and makes it."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from lotwise.bands import BadBand, Band, Bands, band_of
from lotwise.catalog_plan import NO_LIMITS, Plan, WantedPoint, ZoneDefaults, carry_out, plan
from lotwise.core_client import Core, CoreRefused, CoreUnavailable
from lotwise.edge_options import DEFAULT_CORE, OFFERED

START_TIMEOUT = 60.0
"""Seconds for a core that is just being started in another terminal."""


@dataclass(frozen=True, slots=True)
class CatalogOptions:
    """Where the core is, who signs in, what is said of zones, and whether to ask."""

    core: str | None
    login: str | None
    bands: Sequence[str]
    band_delay: timedelta
    allowed_gap: timedelta
    timezone: str | None
    yes: bool
    dry_run: bool
    required: Sequence[str] = ()
    recorded: Sequence[str] = ()

    def role(self, point: WantedPoint) -> WantedPoint:
        """The point with the role that an option gives it."""
        for role, patterns in (("required", self.required), ("machine", self.recorded)):
            if any(fnmatchcase(point.address, pattern) for pattern in patterns):
                return replace(point, role=role)
        return point


def make_catalog(points: Sequence[WantedPoint], options: CatalogOptions) -> int:
    """Shows, asks, makes. 0 if the catalog has all of it afterwards (or it was a dry run), else 1."""
    out = Console(stderr=True, highlight=False)
    try:
        url = options.core or DEFAULT_CORE
        with Core(
            url, options.login, start_timeout=START_TIMEOUT, progress=lambda text: out.print(text, markup=False)
        ) as core:
            return _write(core, points, options, out)
    except CoreUnavailable as error:
        out.print(f"the core cannot be reached: {error}", markup=False)
    except CoreRefused as error:
        out.print(f"the core refused: {error}", markup=False)
    except BadBand as error:
        out.print(str(error), markup=False)
    return 1


def _write(core: Core, points: Sequence[WantedPoint], options: CatalogOptions, out: Console) -> int:
    def profiles(code: str) -> Sequence[Mapping[str, Any]]:
        found = core.get("/profiles", code=code)["items"]
        versions = core.get(f"/profiles/{found[0]['id']}")["versions"] if found else []
        if not versions:
            raise BadBand(f"there is no storage profile {code!r} with a version")
        limits: Sequence[Mapping[str, Any]] = versions[-1]["limits"]
        return limits

    asking = sys.stdin.isatty() and not options.yes and not options.dry_run
    terms = ZoneDefaults(
        Bands(options.bands, profiles), options.band_delay, options.allowed_gap, options.timezone or _timezone()
    )
    made = plan(
        core,
        [options.role(point) for point in points],
        terms,
        _ask_band if asking and not options.bands else lambda _zone: None,
    )
    _show(made, core, out)
    if made.empty:
        return 1 if made.mismatches else 0
    if options.dry_run:
        out.print("dry run: nothing was made")
        return 0
    if not options.yes and not (asking and typer.confirm("Make these?", err=True)):
        out.print("nothing was made" if asking else "nothing was made: say --yes where nobody can be asked")
        return 1
    carry_out(core, made, lambda text: out.print(text, markup=False))
    return 1 if made.mismatches else 0


def _show(made: Plan, core: Core, out: Console) -> None:
    out.print(f"{core.url}: {made.there} of these points are in the catalog", markup=False)
    for line in made.lines():
        out.print(f"  will make {line}", markup=False, soft_wrap=True)
    for zone in made.without_band:
        out.print(f"  {zone} {NO_LIMITS}", markup=False, soft_wrap=True)
    for fault in made.mismatches:
        out.print(f"  DOES NOT FIT: {fault}", markup=False, soft_wrap=True)


def _ask_band(zone: str) -> Band | None:
    while True:
        text = typer.prompt(f"Band of {zone} ({OFFERED}, or LOW..HIGH Cel; empty for none)", default="", err=True)
        if not text.strip():
            return None
        try:
            return band_of(text)
        except BadBand as error:
            typer.echo(str(error), err=True)


def _timezone() -> str:
    """The machine's time zone, as /etc/localtime names it; UTC where it does not."""
    try:
        target = str(Path("/etc/localtime").resolve(strict=True))
    except OSError:
        return "UTC"
    _, found, name = target.partition("/zoneinfo/")
    return name if found and "/" in name else "UTC"
