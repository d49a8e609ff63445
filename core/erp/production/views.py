"""What of production is read together: a work order with all that belongs to it."""

from sqlalchemy import select, text

from core.erp.catalog.model import Item
from core.erp.kernel.errors import NotFound
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.production import service
from core.erp.production.model import WorkCentre, WorkOrder, WorkOrderOperation
from core.erp.production.shapes import (
    BalanceOut,
    LineOut,
    MaterialOut,
    OperationOut,
    OrderDetail,
    OrderOut,
    OutputOut,
)
from core.erp.production.workflow import WORK_ORDER

_c, _o, _i = table(WorkCentre), table(WorkOrder), table(Item)
ORDERS = select(_o, _i.c.code.label("item")).join_from(_o, _i, _i.c.id == _o.c.item_id)
"""Work orders with their item's code."""

_LINES = text(
    "SELECT l.*, i.code AS item FROM work_order_line l JOIN item i ON i.id = l.item_id "
    "WHERE l.order_id = :o ORDER BY l.id"
)
_MATERIALS = text(
    "SELECT m.*, s.code AS sublot, r.state FROM work_order_material m JOIN sublot s ON s.id = m.sublot_id "
    "LEFT JOIN reservation r ON r.id = m.reservation_id WHERE m.order_id = :o ORDER BY m.id"
)
_OUTPUTS = text(
    "SELECT w.*, s.code AS sublot FROM work_order_output w JOIN sublot s ON s.id = w.sublot_id "
    "WHERE w.order_id = :o ORDER BY w.id"
)


def _operations(u: Unit, order_id: int) -> list[OperationOut]:
    p, done = table(WorkOrderOperation), _c.alias()
    rows = u.conn.execute(
        select(p, _c.c.code.label("work_centre"), done.c.code.label("done_on"))
        .join_from(p, _c, _c.c.id == p.c.work_centre_id)
        .outerjoin(done, done.c.id == p.c.done_on_id)
        .where(p.c.order_id == order_id)
        .order_by(p.c.number)
    )
    return [OperationOut.model_validate(row) for row in rows]


def detail(u: Unit, order_id: int) -> OrderDetail:
    """A work order with all that belongs to it. Raises NotFound."""
    u.session.flush()
    row = u.conn.execute(ORDERS.where(_o.c.id == order_id)).one_or_none()
    if row is None:
        raise NotFound("production.no_work_order", order_id=order_id)
    one = {"o": order_id}
    return OrderDetail(
        **OrderOut.model_validate(row).in_language(u.language).model_dump(),
        moves=[move.name for move in WORK_ORDER.available(u.actor, row.state)],
        lines=[LineOut.model_validate(x) for x in u.conn.execute(_LINES, one)],
        operations=_operations(u, order_id),
        materials=[MaterialOut.model_validate(x) for x in u.conn.execute(_MATERIALS, one)],
        outputs=[OutputOut.model_validate(x) for x in u.conn.execute(_OUTPUTS, one)],
        balance=[BalanceOut.model_validate(x) for x in service.balances(u, order_id)],
    )
