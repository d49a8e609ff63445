"""Planning: bills, routings, work orders; and the moves of an order's life."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import func, insert, select, text

from core.erp.catalog.model import Item
from core.erp.catalog.service import active
from core.erp.kernel.errors import Conflict, Invalid, absent
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message, kept
from core.erp.lots import service as lots
from core.erp.lots.events import HoldPlaced
from core.erp.production.events import OrdersChanged
from core.erp.production.material import materials
from core.erp.production.model import Bom, BomLine, RoutingStep, WorkOrder, WorkOrderLine, WorkOrderOperation
from core.erp.production.rules import scaled
from core.erp.production.service.centres import active_centre, interrupt
from core.erp.production.workflow import WORK_ORDER


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a routing, by the codes of its work centres."""

    number: int
    name: str
    work_centre: str
    alternatives: tuple[str, ...] = ()
    duration: timedelta = timedelta(0)


def create_bom(
    u: Unit,
    item_id: int,
    output_amount: Decimal,
    lines: Sequence[tuple[int, Decimal]],
    steps: Sequence[Step],
    *,
    tolerance: Decimal = Decimal(0),
) -> Bom:
    """A new version of how an item is made: materials (item, amount) for `output_amount`, and steps.

    Raises Invalid without lines or steps, for an item made of itself, or for a tolerance outside 0…1.
    """
    if not lines or not steps:
        raise Invalid("production.bill_incomplete")
    if not 0 <= tolerance < 1:
        raise Invalid("production.tolerance_is_a_part", tolerance=tolerance)
    for material, amount in lines:
        lots.amount_of(amount)
        if material == item_id:
            raise Invalid("production.made_of_itself")
        _item(u, material)
    _item(u, item_id)
    last = u.conn.scalar(select(func.max(table(Bom).c.version)).where(table(Bom).c.item_id == item_id)) or 0
    made = Bom(item_id=item_id, version=last + 1, output_amount=lots.amount_of(output_amount), tolerance=tolerance)
    u.session.add(made)
    u.session.flush()
    u.session.add_all(BomLine(bom_id=made.id, item_id=material, amount=amount) for material, amount in lines)
    u.session.add_all(
        RoutingStep(
            bom_id=made.id,
            number=step.number,
            name=step.name,
            work_centre_id=active_centre(u, step.work_centre).id,
            alternatives=[active_centre(u, code).id for code in step.alternatives],
            duration=step.duration,
        )
        for step in steps
    )
    u.session.flush()
    u.audit("bom.create", "bom", made.id, after={"item_id": item_id, "version": made.version, "lines": lines})
    return made


def _item(u: Unit, item_id: int) -> Item:
    return active(u, Item, item_id)


def plan(u: Unit, code: str, bom_id: int, amount: Decimal, due_at: datetime, *, priority: int = 100) -> WorkOrder:
    """A new work order by a bill, which is copied into it. Raises Conflict if the code is taken, NotFound, Invalid."""
    bom = u.session.get(Bom, bom_id)
    if bom is None:
        raise absent("bom", bom_id)
    if not code.strip():
        raise Invalid("production.order_uncoded")
    if u.conn.scalar(select(table(WorkOrder).c.id).where(table(WorkOrder).c.code == code)) is not None:
        raise Conflict("production.order_exists", code=code)
    amount = lots.amount_of(amount)
    order = WorkOrder(
        code=code,
        item_id=bom.item_id,
        bom_id=bom_id,
        amount=amount,
        due_at=due_at,
        priority=priority,
        created_at=u.now,
    )
    u.session.add(order)
    u.session.flush()
    line, step = table(BomLine).c, table(RoutingStep).c
    rows = u.conn.execute(select(line.item_id, line.amount).where(line.bom_id == bom_id).order_by(line.id)).all()
    for item_id in sorted({bom.item_id, *(row.item_id for row in rows)}):
        active(u, Item, item_id)
    u.conn.execute(
        insert(WorkOrderLine),
        [
            {"order_id": order.id, "item_id": r.item_id, "needed": scaled(r.amount, bom.output_amount, amount)}
            for r in rows
        ],
    )
    copied = select(step.number, step.name, step.work_centre_id, step.alternatives, step.duration)
    steps = u.conn.execute(copied.where(step.bom_id == bom_id).order_by(step.number)).mappings().all()
    u.conn.execute(
        insert(WorkOrderOperation), [{"order_id": order.id, "state": "waiting", **dict(row)} for row in steps]
    )
    u.audit(
        "work_order.plan",
        "work_order",
        order.id,
        after={"code": code, "bom_id": bom_id, "amount": amount, "due_at": due_at, "priority": priority},
    )
    u.outbox("work_order.plan", order.id, {"code": code})
    return order


def get_order(u: Unit, order_id: int, *, lock: bool = False) -> WorkOrder:
    """The order as it stands, with its row locked if asked (sublots are locked before orders). Raises NotFound."""
    u.session.flush()
    found = u.get(WorkOrder, order_id, lock=lock)
    if found is None:
        raise absent("work_order", order_id)
    return found


def lock_with_material(u: Unit, order_id: int) -> WorkOrder:
    """The order, locked after the sublots it takes from: the order of locks of design rule 2."""
    lots.lock_sublots(u, [row.sublot_id for row in materials(u, order_id)])
    return get_order(u, order_id, lock=True)


MOVES = frozenset(name for name, move in WORK_ORDER.moves.items() if not move.system) - {"start"}
"""Moves that people make by name; `start` comes with the first operation, `hold` and `block` with a hold."""


def move_order(u: Unit, order_id: int, move: str, *, reason: str | None = None) -> WorkOrder:
    """Makes one of MOVES; the final test of its material is under the sublots' locks.

    `resume` and `unblock` first take up the reservations that a hold had suspended, where their goods are free again.
    Raises IllegalMove, Refused (what is lacking or held), Forbidden, Invalid.
    """
    if move not in MOVES:
        raise Invalid("production.no_move", move=move, moves=sorted(MOVES))
    order = lock_with_material(u, order_id)
    if move in {"resume", "unblock"} and order.state in WORK_ORDER.moves[move].sources:
        _resume_reservations(u, order_id)
        order.stopped_reason = order.stopped_reason_message = None
    if move in {"complete", "abort"}:
        order.completed_at = u.now
    WORK_ORDER.apply(u, order, move, reason=reason)
    if move == "cancel":
        _release_reservations(u, order, reason or "")
    state = Message(f"state.work_order.{order.state}")
    u.emit(OrdersChanged((order_id,), Message("production.order_is", code=order.code, state=state)))
    return order


def _resume_reservations(u: Unit, order_id: int) -> None:
    """Reservations that a hold had suspended count again; Refused where their goods are not free."""
    for row in materials(u, order_id):
        if row.state == "suspended":
            lots.resume_reservation(u, row.reservation_id)
            for task in u.conn.scalars(_OPEN_TASKS, {"reservation": row.reservation_id}).all():
                lots.close_task(u, task)


def _release_reservations(u: Unit, order: WorkOrder, reason: str) -> None:
    for row in materials(u, order.id):
        if row.reservation_id is not None:
            lots.abandon_reservation(
                u, row.reservation_id, reason=Message("production.called_off", code=order.code, reason=reason)
            )


_OPEN_TASKS = text("SELECT id FROM stock_task WHERE reservation_id = :reservation AND done_at IS NULL ORDER BY id")

_TOUCHED = text("""
    SELECT o.id FROM work_order o
    WHERE o.state IN ('material_ok', 'released', 'running') AND EXISTS (
        SELECT FROM work_order_material m LEFT JOIN reservation r ON r.id = m.reservation_id
        WHERE m.order_id = o.id AND m.sublot_id = ANY (CAST(:sublots AS bigint[]))
          AND (r.state IS NULL OR r.state <> 'cancelled') AND (m.returned < m.consumed OR m.consumed = 0)
    )
    ORDER BY o.id FOR UPDATE OF o
""")


def stop_orders(u: Unit, placed: HoldPlaced) -> None:
    """A hold on a material stops every order that takes from it, in the hold's own transaction.

    A running order is held and its operations wait again, so that their machines are free; one that has not begun is
    blocked. A planner resumes them when their material is movable again, or replaced.
    """
    if not placed.sublot_ids:
        return
    ids = tuple(row.id for row in u.lock(_TOUCHED, {"sublots": list(placed.sublot_ids)}))
    why = Message("production.material_held", holds=placed.hold_ids[:5])
    for order_id in ids:
        order = u.session.get_one(WorkOrder, order_id, populate_existing=True)
        order.stopped_reason, order.stopped_reason_message = kept(why)
        WORK_ORDER.apply(u, order, "hold" if order.state == "running" else "block", reason=order.stopped_reason)
    if ids:
        interrupt(u, table(WorkOrderOperation).c.order_id.in_(ids))
        u.emit(OrdersChanged(ids, why))
