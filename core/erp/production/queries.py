"""What of production is read together: records with the names that people know things by, and their parts."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Select, select

from core.erp.catalog.model import Item
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.lots.model import Reservation, Sublot
from core.erp.production.model import (
    BomLine,
    RoutingStep,
    WorkCentre,
    WorkOrder,
    WorkOrderLine,
    WorkOrderMaterial,
    WorkOrderOperation,
    WorkOrderOutput,
)

_item, _sublot, _centre = table(Item), table(Sublot), table(WorkCentre)
_order, _line, _operation = table(WorkOrder), table(WorkOrderLine), table(WorkOrderOperation)
_material, _output, _reservation = table(WorkOrderMaterial), table(WorkOrderOutput), table(Reservation)
_done_on = _centre.alias("done_on_centre")

ORDERS = select(_order, _item.c.code.label("item")).join_from(_order, _item, _item.c.id == _order.c.item_id)
"""Work orders with their item's code."""

OPERATIONS = (
    select(
        _operation,
        _order.c.code.label("order"),
        _centre.c.code.label("work_centre"),
        _done_on.c.code.label("done_on"),
    )
    .join_from(_operation, _order, _order.c.id == _operation.c.order_id)
    .join(_centre, _centre.c.id == _operation.c.work_centre_id)
    .outerjoin(_done_on, _done_on.c.id == _operation.c.done_on_id)
)
"""Operations with their order and their work centres: the planned one, and the one that really did it."""

MATERIALS = (
    select(_material, _sublot.c.code.label("sublot"), _reservation.c.state)
    .join_from(_material, _sublot, _sublot.c.id == _material.c.sublot_id)
    .outerjoin(_reservation, _reservation.c.id == _material.c.reservation_id)
)
"""What orders take of sublots, with the state of its reservation: none for a fact."""

_OUTPUTS = select(_output, _sublot.c.code.label("sublot")).join_from(
    _output, _sublot, _sublot.c.id == _output.c.sublot_id
)
_LINES = select(_line, _item.c.code.label("item")).join_from(_line, _item, _item.c.id == _line.c.item_id)


def _of(u: Unit, statement: Select[Any], by: Any, record_id: int, order: Any) -> Sequence[Row[Any]]:
    return u.conn.execute(statement.where(by == record_id).order_by(order)).all()


def lines(u: Unit, row: Any) -> Sequence[Row[Any]]:
    """What an order needs."""
    return _of(u, _LINES, _line.c.order_id, row.id, _line.c.id)


def operations(u: Unit, row: Any) -> Sequence[Row[Any]]:
    """An order's steps, in their order."""
    return _of(u, OPERATIONS, _operation.c.order_id, row.id, _operation.c.number)


def materials(u: Unit, row: Any) -> Sequence[Row[Any]]:
    """What an order has taken."""
    return _of(u, MATERIALS, _material.c.order_id, row.id, _material.c.id)


def outputs(u: Unit, row: Any) -> Sequence[Row[Any]]:
    """What an order has brought forth."""
    return _of(u, _OUTPUTS, _output.c.order_id, row.id, _output.c.id)


def bom_lines(u: Unit, row: Any) -> Sequence[Row[Any]]:
    """The materials of a bill."""
    line = table(BomLine)
    joined = select(line, _item.c.code.label("item")).join_from(line, _item, _item.c.id == line.c.item_id)
    return _of(u, joined, line.c.bom_id, row.id, line.c.id)


def bom_steps(u: Unit, row: Any) -> Sequence[Row[Any]]:
    """The routing of a bill."""
    step = table(RoutingStep)
    joined = select(step, _centre.c.code.label("work_centre"))
    joined = joined.join_from(step, _centre, _centre.c.id == step.c.work_centre_id)
    return _of(u, joined, step.c.bom_id, row.id, step.c.number)
