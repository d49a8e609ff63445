"""The points of a gateway's file: as the catalog is to know them, and whether a core knows them so."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from core.telemetry.address import zone_of
from core.telemetry.located import ConfigErrors
from edge.browse.gateway_file import loaded
from edge.browse.quantities import measured
from edge.config import GatewayConfig, load
from edge.points import NamedPoint, points_of, templates_of
from lotwise.catalog_plan import WantedPoint, unit_mismatch
from lotwise.core_client import Core, CoreRefused, CoreUnavailable

_SHOWN = 20


def points_of_file(file: Path) -> list[WantedPoint] | None:
    """The points that the file names, with what they measure by unit and name; None, and why, if it is wrong."""
    try:
        config = loaded(file)
    except ConfigErrors as errors:
        print(errors)
        return None
    return [wanted(point) for point in named_points(config)]


def named_points(config: GatewayConfig) -> list[NamedPoint]:
    """Every point that the configuration names outright."""
    return [point for source in config.sources for point in points_of(source)]


def wanted(point: NamedPoint) -> WantedPoint:
    """The point as the catalog is to know it. What it measures is told by its unit; without one it is only kept."""
    name = point.address.rpartition("/")[2]
    what = measured(name, point.unit, 0.0) if point.unit and point.number else None
    if what is None:
        return WantedPoint(point.address, name, point.unit, "machine")
    return WantedPoint(point.address, what.quantity, point.unit, "machine" if point.setting else what.role)


def ask_core(file: Path, core_url: str, login: str | None) -> int:
    """Whether the core's catalog has the file's zones and points, in units that fit; prints what it finds.

    0 if all fit, or the core is away (which is told); 1 if something is missing or does not fit.
    """
    out = Console(highlight=False)
    config = load(file)
    try:
        with Core(core_url, login) as core:
            known = {point["address"]: str(point["unit"]) for point in core.all("/points")}
            zones = {str(zone["address"]) for zone in core.all("/zones")}
    except CoreUnavailable as error:
        out.print(f"  core not asked, it is away: {error}", markup=False)
        return 0
    except CoreRefused as error:
        out.print(f"  core not asked, it refused: {error}", markup=False)
        return 1
    findings = list(compare(named_points(config), known, zones))
    for finding in findings[:_SHOWN]:
        out.print(f"  {finding}", markup=False, soft_wrap=True)
    if len(findings) > _SHOWN:
        out.print(f"  … and {len(findings) - _SHOWN} more")
    templates = [template for source in config.sources for template in templates_of(source)]
    if templates:
        out.print(
            f"  points made of {', '.join(templates)} are known only when devices speak: not asked for", markup=False
        )
    if findings:
        out.print(
            f"  make what is missing: lotwise edge catalog {file} --core {core_url}", markup=False, soft_wrap=True
        )
    else:
        out.print(f"  core {core_url} knows all {len(known)} points that it needs", markup=False)
    return 1 if findings else 0


def compare(points: Sequence[NamedPoint], known: dict[str, str], zones: set[str]) -> list[str]:
    """What the catalog lacks, or says otherwise."""
    missing = sorted({zone_of(point.address) for point in points} - zones)
    found = [f"zone {zone} is not in the catalog" for zone in missing]
    for point in points:
        if point.address not in known:
            found.append(f"point {point.address} is not in the catalog: its readings would wait as dead letters")
        elif point.number and (fault := unit_mismatch(point.address, point.unit, known[point.address])):
            found.append(fault)
    return found
