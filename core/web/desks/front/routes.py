"""The front page's routes."""

from dataclasses import replace
from typing import Any

from fastapi import Response
from fastapi.responses import RedirectResponse

from core.erp.kernel.door import signed_in_only
from core.erp.kernel.permits import is_display
from core.erp.kernel.unit import Unit
from core.web.desks.front.needs import MOST_TOLD, Panel
from core.web.desks.front.sources import SOURCES
from core.web.desks.front.strip import strip
from core.web.frame.navigation import navigation
from core.web.frame.routes import page_routes
from core.web.frame.visit import Visit, Visiting

router = page_routes()
PLACES = 6
"""Places of the reader's own work that are named where nothing needs them."""


@router.get("/")
@signed_in_only()
def front(visit: Visiting) -> Response:
    """What needs me now; a wall display's is the plant."""
    if is_display(visit.actor.roles):
        return RedirectResponse("/wall", 303)
    return visit.read(lambda u: visit.page("desks/front.html", **_found(u, visit)))


@router.get("/front/needs")
@signed_in_only()
def needs(visit: Visiting) -> Response:
    """The same, as a live region."""
    return visit.read(lambda u: visit.fragment("desks/front_needs.html", **_found(u, visit)))


def _found(u: Unit, visit: Visit) -> dict[str, Any]:
    own: list[Panel] = []
    told: list[Panel] = []
    for source in SOURCES:
        if not visit.may(*source.permits):
            continue
        found, is_own = source.read(u, visit), not source.own or visit.may(*source.own)
        if found.needs and is_own:
            own.append(Panel(source.heading, source.all, found))
        elif found.needs:
            told.append(Panel(source.heading, source.all, replace(found, needs=found.needs[:MOST_TOLD]), own=False))
    return {
        "own": own,
        "told": told,
        "count": sum(panel.found.total for panel in own),
        "places": [link for _, links in navigation(visit.actor, "/")[1:2] for link in links][:PLACES],
        "strip": strip(u) if visit.may("exposure.read") and visit.may("stock.read") else None,
        "now": u.now,
    }
