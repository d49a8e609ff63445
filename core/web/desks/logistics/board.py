"""The board: what is to be picked, to be sent, on its way and waiting at its end, the most urgent first."""

from typing import Any, get_args

from fastapi import Response

from core.erp.kernel.door import needs
from core.erp.kernel.unit import Unit
from core.erp.shipments.shapes import Kind
from core.web.desks.logistics.queries import lanes
from core.web.frame.routes import page_routes
from core.web.frame.visit import Visiting

router = page_routes()


@router.get("/logistics")
@needs("shipment.read")
def board(visit: Visiting, kind: Kind | None = None) -> Response:
    """Open shipments by how far they are."""
    return visit.read(lambda u: visit.page("desks/board.html", **_found(u, kind)))


@router.get("/logistics/lanes")
@needs("shipment.read")
def region(visit: Visiting, kind: Kind | None = None) -> Response:
    """The same, as a live region."""
    return visit.read(lambda u: visit.fragment("desks/board_lanes.html", **_found(u, kind)))


def _found(u: Unit, kind: Kind | None) -> dict[str, Any]:
    return {"lanes": lanes(u, kind or ""), "kind": kind, "kinds": get_args(Kind), "now": u.now}
