"""The wall display's pages."""

from functools import partial
from typing import Any

from fastapi import Request, Response

from core.erp.kernel.door import needs
from core.erp.kernel.unit import Unit
from core.web.desks.front.strip import strip
from core.web.desks.plant.queries import zones
from core.web.frame.routes import page_routes
from core.web.frame.visit import Visit, Visiting
from core.web.live import shared

router = page_routes()
MOST = 24
"""Zones on one wall, the worst."""


@router.get("/wall")
@needs("exposure.read")
def wall(visit: Visiting) -> Response:
    """Plant and holds, large."""
    return visit.read(lambda u: visit.page("desks/wall.html", **_found(u, visit)))


@router.get("/wall/now")
@needs("exposure.read")
def now(request: Request, visit: Visiting) -> Response:
    """The same, as a live region."""
    made = partial(visit.read, lambda u: visit.fragment("desks/wall_now.html", **_found(u, visit)))
    return shared(request, visit.actor, made)


def _found(u: Unit, visit: Visit) -> dict[str, Any]:
    found = zones(u, visit.request.app.state.goods_counts.of(u))
    return {"zones": found[:MOST], "more": max(len(found) - MOST, 0), "strip": strip(u), "now": u.now}
