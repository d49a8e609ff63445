"""The work centres: what each runs, what is next and why."""

from typing import Any

from fastapi import Response
from sqlalchemy import select

from core.erp.kernel.door import needs
from core.erp.kernel.scope import scoped
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.production.model import WorkCentre
from core.erp.production.scopes import WORK_CENTRES
from core.erp.scheduling import service as scheduling
from core.web.frame.routes import page_routes
from core.web.frame.visit import Visiting

router = page_routes()


@router.get("/centres")
@needs("schedule.read")
def centres(visit: Visiting) -> Response:
    """Every work centre with its list."""
    return visit.read(lambda u: visit.page("desks/centres.html", lists=_lists(u)))


@router.get("/centres/lists")
@needs("schedule.read")
def lists(visit: Visiting) -> Response:
    """The same, as a live region."""
    return visit.read(lambda u: visit.fragment("desks/centre_lists.html", lists=_lists(u)))


def _lists(u: Unit) -> list[dict[str, Any]]:
    c = table(WorkCentre).c
    codes = u.conn.scalars(scoped(select(c.code), WORK_CENTRES, u.actor).order_by(c.code)).all()
    return [scheduling.dispatch_list(u, code) for code in codes]
