"""The planner's desk: orders that stand still or are late, and what each work centre runs, what is next and why."""

from typing import Any

from fastapi import Response
from sqlalchemy import select

from core.erp.kernel.door import needs
from core.erp.kernel.records import read
from core.erp.kernel.records.registry import entities
from core.erp.kernel.scope import scoped
from core.erp.kernel.tables import table, values_of
from core.erp.kernel.unit import Unit
from core.erp.production.model import WorkCentre
from core.erp.production.scopes import WORK_CENTRES
from core.erp.production.workflow import BLOCKED, HELD, MATERIAL_OK, PLANNED, RELEASED, RUNNING
from core.erp.scheduling import service as scheduling
from core.web.frame.routes import page_routes
from core.web.frame.visit import Visit, Visiting

router = page_routes()
STOPPED, OPEN = (HELD, BLOCKED), (PLANNED, MATERIAL_OK, RELEASED, RUNNING)
MOST = 25
"""Orders of one kind; all of them are behind a link."""


@router.get("/centres")
@needs("schedule.read")
def centres(visit: Visiting) -> Response:
    """Every work centre with its list."""
    return visit.read(lambda u: visit.page("desks/centres.html", **_found(u, visit)))


@router.get("/centres/lists")
@needs("schedule.read")
def lists(visit: Visiting) -> Response:
    """The same, as a live region."""
    return visit.read(lambda u: visit.fragment("desks/centre_lists.html", **_found(u, visit)))


def _found(u: Unit, visit: Visit) -> dict[str, Any]:
    may = visit.may("production.read")
    stopped = _orders(u, state=list(STOPPED)) if may else []
    late = _orders(u, state=list(OPEN), due_at_before=u.now) if may else []
    return {"lists": dispatch_lists(u), "stopped": stopped, "late": late, "now": u.now, "most": MOST}


def _orders(u: Unit, **filters: Any) -> list[dict[str, Any]]:
    found = read.page(u, entities()["work_order"], read.Asked(filters, sort="due_at", limit=MOST))
    return [values_of(row) for row in found.rows]


def dispatch_lists(u: Unit) -> list[dict[str, Any]]:
    """Of each work centre that the reader sees: what it runs, and what is next."""
    c = table(WorkCentre).c
    codes = u.conn.scalars(scoped(select(c.code), WORK_CENTRES, u.actor).order_by(c.code)).all()
    return [scheduling.dispatch_list(u, code) for code in codes]
