"""The wall display's pages."""

from typing import Any

from fastapi import Response

from core.erp.kernel.door import needs
from core.erp.kernel.unit import Unit
from core.web.desks.front.strip import strip
from core.web.desks.plant.queries import zones
from core.web.frame.routes import page_routes
from core.web.frame.visit import Visiting

router = page_routes()
MOST = 24
"""Zones on one wall, the worst."""


@router.get("/wall")
@needs("exposure.read")
def wall(visit: Visiting) -> Response:
    """Plant and holds, large."""
    return visit.read(lambda u: visit.page("desks/wall.html", **_found(u)))


@router.get("/wall/now")
@needs("exposure.read")
def now(visit: Visiting) -> Response:
    """The same, as a live region."""
    return visit.read(lambda u: visit.fragment("desks/wall_now.html", **_found(u)))


def _found(u: Unit) -> dict[str, Any]:
    found = zones(u)
    return {"zones": found[:MOST], "more": max(len(found) - MOST, 0), "strip": strip(u), "now": u.now}
