"""The front page's routes."""

from typing import Any

from fastapi import Response
from fastapi.responses import RedirectResponse

from core.erp.kernel.door import signed_in_only
from core.erp.kernel.permits import is_display
from core.erp.kernel.unit import Unit
from core.web.desks.front.needs import Panel
from core.web.desks.front.sources import SOURCES
from core.web.desks.front.strip import strip
from core.web.frame.routes import page_routes
from core.web.frame.visit import Visit, Visiting

router = page_routes()


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
    shown = [source for source in SOURCES if visit.may(*source.permits)]
    panels = [Panel(source.heading, source.all, source.read(u, visit)) for source in shown]
    filled = [panel for panel in panels if panel.found.needs]
    return {
        "panels": filled,
        "count": sum(panel.found.total for panel in filled),
        "strip": strip(u) if visit.may("exposure.read") and visit.may("stock.read") else None,
        "now": u.now,
    }
