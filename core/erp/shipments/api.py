"""Routes of what spans shipments: what holds ask of the warehouse and of the planner, with the line it is about."""

from sqlalchemy import ColumnElement, select

from core.erp.kernel.door import needs, routes
from core.erp.kernel.http import Cursor, Door, Limit, Page, paginate
from core.erp.kernel.scope import scoped
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.lots.model import StockTask
from core.erp.lots.scopes import STOCK_TASKS
from core.erp.shipments.model import ShipmentLine
from core.erp.shipments.shapes import TaskKind, TaskOut

router = routes(tags=["shipments"])

_l, _t = table(ShipmentLine), table(StockTask)


@router.get("/shipment-tasks")
@needs("shipment.read")
def list_tasks(
    door: Door, kind: TaskKind | None = None, *, done: bool = False, cursor: Cursor = None, limit: Limit = 100
) -> Page[TaskOut]:
    """What holds ask for: goods to put back (with their line and place), reservations to re-allocate.

    Done by POST /api/v1/shipment-lines/{line_id}/put-back, or by POST /api/v1/stock-tasks/{id}/done.
    """
    where: list[ColumnElement[bool]] = [_t.c.done_at.is_not(None) if done else _t.c.done_at.is_(None)]
    if kind is not None:
        where.append(_t.c.kind == kind)
    query = (
        select(_t, _l.c.id.label("line_id"), _l.c.from_zone_id.label("zone_id"))
        .outerjoin(_l, _l.c.reservation_id == _t.c.reservation_id)
        .where(*where)
    )

    def work(u: Unit) -> Page[TaskOut]:
        rows, following = paginate(u, scoped(query, STOCK_TASKS, u.actor), _t.c.id, cursor, limit)
        return Page(items=[TaskOut.model_validate(row) for row in rows], next=following)

    return door.read(work)
