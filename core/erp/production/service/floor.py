"""The shop floor: material taken, operations run, output brought forth."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import select

from core.erp.custody import service as custody
from core.erp.kernel.errors import Conflict, IllegalMove, Invalid, Refused, absent
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message
from core.erp.lots import service as lots
from core.erp.lots.events import ZonesToLock
from core.erp.lots.model import Lot, Sublot
from core.erp.production.events import OrdersChanged
from core.erp.production.material import materials, require_material
from core.erp.production.model import (
    WorkCentre,
    WorkOrder,
    WorkOrderLine,
    WorkOrderMaterial,
    WorkOrderOperation,
    WorkOrderOutput,
)
from core.erp.production.rules import share
from core.erp.production.service.centres import work_centre
from core.erp.production.service.orders import get_order, lock_with_material
from core.erp.production.workflow import MAKING, OPERATION, RUNNING, TAKING, WORK_ORDER


def _not_while(order: WorkOrder, reason: str) -> IllegalMove:
    """The refusal of what an order in its state does not do."""
    state = Message(f"state.work_order.{order.state}")
    return IllegalMove(Message(reason, state=state), extra={"state": order.state})


def _line(u: Unit, order_id: int, sublot_id: int) -> int:
    """The order's line that a sublot's item is for. Raises Refused if the order takes no such item."""
    line, lot, sublot = table(WorkOrderLine).c, table(Lot).c, table(Sublot).c
    found = u.conn.scalar(
        select(line.id)
        .join_from(table(WorkOrderLine), table(Lot), lot.item_id == line.item_id)
        .join(table(Sublot), sublot.lot_id == lot.id)
        .where(line.order_id == order_id, sublot.id == sublot_id)
    )
    if found is None:
        raise Refused("production.takes_nothing_of", order_id=order_id, sublot_id=sublot_id)
    return int(found)


def reserve(u: Unit, order_id: int, sublot_id: int, amount: Decimal) -> WorkOrderMaterial:
    """Keeps an amount of a sublot for the order. Refused like any intention, or if the order is past taking any."""
    u.need("stock.reserve")
    lots.get_sublot(u, sublot_id, lock=True)
    order = get_order(u, order_id, lock=True)
    if order.state not in TAKING:
        raise _not_while(order, "production.takes_no_material")
    line = _line(u, order_id, sublot_id)
    reservation = lots.reserve(u, sublot_id, amount, lots.Purpose.USE, f"work_order:{order_id}")
    made = WorkOrderMaterial(
        order_id=order_id, line_id=line, sublot_id=sublot_id, reservation_id=reservation.id, amount=reservation.amount
    )
    u.session.add(made)
    u.session.flush()
    return made


def material(u: Unit, material_id: int) -> WorkOrderMaterial:
    """One material of an order. Raises NotFound."""
    found = u.session.get(WorkOrderMaterial, material_id, populate_existing=True)
    if found is None:
        raise absent("work_order_material", material_id)
    return found


def _reservation_of(row: WorkOrderMaterial) -> int:
    if row.reservation_id is None:
        raise IllegalMove("production.material_was_fact", material_id=row.id, extra={"state": "consumed"})
    return row.reservation_id


def issue(u: Unit, material_id: int) -> WorkOrderMaterial:
    """Brings reserved material to the line (picks it). Refused for whatever stands against it now."""
    row = material(u, material_id)
    lots.pick(u, _reservation_of(row))
    return row


def consume(u: Unit, material_id: int) -> WorkOrderMaterial:
    """Uses the material up: posts it out of stock. Refused like any intention, and unless the order is running."""
    row = material(u, material_id)
    u.emit(ZonesToLock((row.sublot_id,)))
    lots.consume(u, _reservation_of(row))
    order = get_order(u, row.order_id, lock=True)
    if order.state != "running":
        raise _not_while(order, "production.consumes_nothing")
    row.consumed = row.amount
    u.session.add(row)
    _leave_if_empty(u, row.sublot_id, u.now)
    u.audit("material.consume", "work_order", order.id, after={"sublot_id": row.sublot_id, "amount": row.amount})
    return row


def report_used_up(
    u: Unit, order_id: int, sublot_id: int, amount: Decimal, *, at: datetime, reason: str
) -> WorkOrderMaterial:
    """A fact: the order has used this up, whatever stands against it. A breach opens a deviation and a hold."""
    u.emit(ZonesToLock((sublot_id,)))
    lots.get_sublot(u, sublot_id, lock=True)
    line = _line(u, order_id, sublot_id)
    row = WorkOrderMaterial(order_id=order_id, line_id=line, sublot_id=sublot_id, amount=lots.amount_of(amount))
    row.consumed = row.amount
    u.session.add(row)
    u.session.flush()  # before the fact: a hold that it causes must find the order
    lots.post_fact(
        u,
        sublot_id,
        row.amount,
        "production",
        purpose=lots.Purpose.USE,
        reference=f"work_order:{order_id}",
        at=at,
        reason=reason,
    )
    _leave_if_empty(u, sublot_id, at)
    return row


def _leave_if_empty(u: Unit, sublot_id: int, at: datetime) -> None:
    """What is used up stands nowhere any more: its exposure ends."""
    if lots.on_hand(u, sublot_id) == 0:
        custody.record_location(u, sublot_id, None, at, Message("production.used_up"))


def return_material(u: Unit, material_id: int, amount: Decimal, zone_id: int | None) -> Sublot:
    """What was taken and not needed comes back: a sublot of its own, in quarantine, descended from what it was.

    Raises Invalid for more than was consumed and not yet returned.
    """
    row = material(u, material_id)
    source = lots.get_sublot(u, row.sublot_id)
    amount = lots.amount_of(amount)
    u.emit(ZonesToLock((), () if zone_id is None else (zone_id,)))
    lots.get_lot(u, source.lot_id, lock=True)
    lots.lock_sublots(u, [row.sublot_id])
    get_order(u, row.order_id, lock=True)
    u.get_one(WorkOrderMaterial, row.id, lock=True)  # the same object, as it stands now
    if amount > row.consumed - row.returned:
        raise Invalid("production.less_can_return", most=row.consumed - row.returned, amount=amount)
    # One return of a material at a time: the edge names how often it came back before.
    back = lots.receive(
        u,
        source.lot_id,
        amount,
        zone_id,
        source="production",
        reason=Message("production.returned_from_line"),
        reference=f"work_order:{row.order_id}",
        parents=[(row.sublot_id, amount)],
        transformation=f"return:{row.id}:{row.returned:f}",
    )
    row.returned += amount
    u.session.add(row)
    u.session.flush()
    u.audit("material.return", "work_order", row.order_id, after={"sublot_id": back.id, "amount": amount})
    return back


def operation(u: Unit, operation_id: int, *, lock: bool = False) -> WorkOrderOperation:
    """An operation of an order. Raises NotFound."""
    found = u.get(WorkOrderOperation, operation_id, lock=lock)
    if found is None:
        raise absent("work_order_operation", operation_id)
    return found


def start_operation(u: Unit, operation_id: int, centre_code: str | None = None) -> WorkOrderOperation:
    """Starts an operation on its work centre, or on an alternative; the first one starts the order.

    An intention: the order's material is tested again here, under its sublots' locks. Refused if the work centre is
    down or busy, or an earlier operation is not done. Raises IllegalMove, Forbidden, NotFound.
    """
    order_id = operation(u, operation_id).order_id
    order = lock_with_material(u, order_id)
    centre = _centre_for(u, operation(u, operation_id), centre_code)  # locked before the operation, as `set_state` does
    step = operation(u, operation_id, lock=True)
    step.done_on_id, step.started_at = centre.id, step.started_at or u.now
    OPERATION.apply(u, step, "start", also={"order_id": order_id, "work_centre": centre.code})
    if order.state == RUNNING:
        require_material(u, order)
    else:
        order.started_at = u.now
        WORK_ORDER.apply(u, order, "start")
    u.emit(OrdersChanged((order_id,), Message("production.step_started", code=order.code, step=step.name)))
    return step


def _centre_for(u: Unit, step: WorkOrderOperation, code: str | None) -> WorkCentre:
    """The work centre that is to do the step, locked. Refused if it is down or may not do it."""
    if code is None:
        code = u.session.get_one(WorkCentre, step.work_centre_id).code
    centre = work_centre(u, code, lock=True)
    if centre.id != step.work_centre_id and centre.id not in step.alternatives:
        raise Refused("production.centre_does_not", code=code, step=step.name)
    if not centre.up:
        raise Refused("production.centre_is_down", code=code, since=centre.state_since, reason=centre.state_reason)
    return centre


def finish_operation(u: Unit, operation_id: int) -> WorkOrderOperation:
    """An operation that runs is done. Raises IllegalMove unless it runs."""
    order_id = operation(u, operation_id).order_id
    order = get_order(u, order_id, lock=True)
    step = operation(u, operation_id, lock=True)
    step.done_at = u.now
    OPERATION.apply(u, step, "finish", also={"order_id": order_id})
    u.emit(OrdersChanged((order_id,), Message("production.step_done", code=order.code, step=step.name)))
    return step


def report_scrap(u: Unit, order_id: int, amount: Decimal, reason: str) -> WorkOrder:
    """Output that is no good, counted for the balance. Raises Invalid without a reason."""
    if not reason.strip():
        raise Invalid("production.scrap_without_reason")
    order = get_order(u, order_id, lock=True)
    order.scrap += lots.amount_of(amount)
    u.session.add(order)
    u.session.flush()
    u.audit("work_order.scrap", "work_order", order_id, after={"amount": amount}, reason=reason)
    return order


def report_output(
    u: Unit,
    order_id: int,
    amount: Decimal,
    zone_id: int | None,
    *,
    at: datetime | None = None,
    code: str | None = None,
    serial: str | None = None,
) -> Sublot:
    """A sublot is born of the order, in quarantine, linked to all the order has consumed, with all their holds.

    Of each material it takes the share of the order it is. The first output makes the lot, numbered as the order.
    Refused before anything was consumed: goods without ancestors cannot be traced.
    """
    amount = lots.amount_of(amount)
    order = get_order(u, order_id)
    if order.state not in MAKING:
        raise _not_while(order, "production.brings_nothing_forth")
    lot_id = order.output_lot_id or _make_lot(u, order)
    parents = _consumed(u, order_id)
    if not parents:
        raise Refused("production.consumed_nothing", code=order.code)
    born = lots.receive(
        u,
        lot_id,
        amount,
        zone_id,
        at=at,
        source="production",
        code=code,
        serial=serial,
        reason=order.code,
        reference=f"work_order:{order_id}",
        transformation=f"work_order:{order_id}",
        parents=[(sublot, share(used, amount, order.amount)) for sublot, used in sorted(parents.items())],
    )
    order = get_order(u, order_id, lock=True)
    if _consumed(u, order_id).keys() != parents.keys():
        raise Conflict("production.consumed_meanwhile", code=order.code)
    order.output_lot_id = lot_id
    u.session.add(order)
    u.session.add(WorkOrderOutput(order_id=order_id, sublot_id=born.id, amount=amount, at=at or u.now))
    u.session.flush()
    u.audit("work_order.output", "work_order", order_id, after={"sublot_id": born.id, "amount": amount})
    u.outbox("work_order.output", order_id, {"sublot_id": born.id, "amount": amount})
    return born


def _make_lot(u: Unit, order: WorkOrder) -> int:
    made = lots.create_lot(u, order.item_id, order.code)
    return made.id


def _consumed(u: Unit, order_id: int) -> dict[int, Decimal]:
    """What the order has consumed of each sublot, net of what came back."""
    found: dict[int, Decimal] = {}
    for row in materials(u, order_id):
        if row.consumed > row.returned:
            found[row.sublot_id] = found.get(row.sublot_id, Decimal(0)) + row.consumed - row.returned
    return found
