"""The plant's pages: tiles, and one zone."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from fastapi import Request, Response
from markupsafe import Markup

from core.erp.kernel.door import needs
from core.erp.kernel.errors import absent
from core.erp.kernel.http import Id
from core.erp.kernel.records import read
from core.erp.kernel.records.registry import entities
from core.erp.kernel.tables import values_of
from core.erp.kernel.unit import Unit
from core.web.charts.sparkline import Band, sparkline
from core.web.desks.plant.queries import GoodsCounts, Inside, ZoneNow, inside, zones
from core.web.frame.grafana import board_link
from core.web.frame.routes import page_routes
from core.web.frame.visit import Visit, Visiting
from core.web.live import shared

router = page_routes()
MOST_POINTS = 8
"""Points on a zone's page, those that count first; all are behind a link."""
SPANS = {
    "12h": ("web.span_12h", timedelta(hours=12)),
    "24h": ("web.span_24h", timedelta(hours=24)),
    "7d": ("web.span_7d", timedelta(days=7)),
    "30d": ("web.span_30d", timedelta(days=30)),
    "1y": ("web.span_1y", timedelta(days=366)),
}
"""What a zone's chart may show, up to now."""


@router.get("/plant")
@needs("exposure.read")
def plant(visit: Visiting, area: str = "") -> Response:
    """Every zone as a tile, worst first."""
    return visit.read(lambda u: visit.page("desks/plant.html", **_tiles(u, visit, area)))


@router.get("/plant/tiles")
@needs("exposure.read")
def tiles(request: Request, visit: Visiting, area: str = "") -> Response:
    """The same, as a live region."""
    made = partial(visit.read, lambda u: visit.fragment("desks/plant_tiles.html", **_tiles(u, visit, area)))
    return shared(request, visit.actor, made)


def _tiles(u: Unit, visit: Visit, area: str) -> dict[str, Any]:
    every = zones(u, _inside(u, visit))
    found = [zone for zone in every if not area or zone.area == area]
    return {
        "zones": found,
        "sparks": _sparks(u, visit, found),
        "areas": sorted({zone.area for zone in every}),
        "area": area,
        "now": u.now,
        "judged": min((zone.judged_to for zone in found if zone.judged_to is not None), default=None),
    }


def _inside(u: Unit, visit: Visit) -> Mapping[int, Inside]:
    counts: GoodsCounts = visit.request.app.state.goods_counts
    return counts.of(u)


def _sparks(u: Unit, visit: Visit, found: Sequence[ZoneNow]) -> dict[int, Markup]:
    """The last day of each zone as a picture."""
    columns = visit.request.app.state.sparklines.of(u.conn, [zone.id for zone in found], u.now)
    return {
        zone.id: sparkline(columns[zone.id], Band(zone.low, zone.high), out=zone.standing.look == "harm")
        for zone in found
    }


@router.get("/zones/{zone_id:int}")
@needs("exposure.read")
def zone(visit: Visiting, zone_id: Id, span: str = "24h") -> Response:
    """One zone: as it stands, its history, its alarms, the goods inside, its points."""
    return visit.read(lambda u: visit.page("desks/zone.html", **_zone(u, visit, zone_id, span)))


def _zone(u: Unit, visit: Visit, zone_id: int, span: str) -> dict[str, Any]:
    found = zones(u, _inside(u, visit), [zone_id])
    if not found:
        raise absent("zone", zone_id)
    chosen = span if span in SPANS else "24h"
    length = SPANS[chosen][1]
    alarms = _list(u, "alarm", zone_id, 20) if visit.may("quality.read") else []
    return {
        "zone": found[0],
        "grafana": board_link(visit, "lotwise-cold-room", zone=found[0].address),
        "span": chosen,
        "spans": SPANS,
        "since": u.now - length,
        "now": u.now,
        "alarms": alarms,
        "goods": inside(u, zone_id) if visit.may("stock.read") else [],
        "points": sorted(_list(u, "point", zone_id, 50), key=lambda one: one["role"] == "machine")[:MOST_POINTS],
        "modes": ("high", "low", "stale"),
    }


def _list(u: Unit, name: str, zone_id: int, most: int) -> list[dict[str, Any]]:
    found = read.page(u, entities()[name], read.Asked({"zone_id": zone_id}, limit=most))
    return [values_of(row) for row in found.rows]
