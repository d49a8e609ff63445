"""Reservations: stock kept for an order or a shipment, and what a hold asks to be done with it."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import bindparam, insert, select, update

from core.erp.kernel.errors import IllegalMove, absent
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message
from core.erp.lots.ledger import move
from core.erp.lots.model import Reservation, StockMove, StockTask, Sublot
from core.erp.lots.predicate import amount_of, require_free, require_movable, require_takeable
from core.erp.lots.rules import TARGETS
from core.erp.lots.workflow import OVER, RESERVATION


def reserve(
    u: Unit, sublot_id: int, amount: Decimal, purpose: str, reference: str, *, context: Mapping[str, Any] | None = None
) -> Reservation:
    """Keeps a quantity for a work order or shipment. Refused beyond what is on hand and not yet reserved."""
    amount = amount_of(amount)
    require_free(u, require_movable(u, sublot_id, purpose, amount, context=context), amount)
    reservation = Reservation(
        sublot_id=sublot_id, amount=amount, purpose=str(purpose), reference=reference, created_at=u.now
    )
    u.session.add(reservation)
    u.session.flush()
    u.audit(
        "reservation.create",
        "reservation",
        reservation.id,
        after={"sublot_id": sublot_id, "amount": amount, "purpose": purpose, "reference": reference},
    )
    return reservation


# what is locked first stands first: everybody takes sublots before what hangs on them (design, rule 2)
_LOCKED = (
    select(Sublot, Reservation)
    .join(Reservation, table(Reservation).c.sublot_id == table(Sublot).c.id)
    .where(table(Reservation).c.id == bindparam("reservation"))
    .with_for_update()
    .execution_options(populate_existing=True)
)


def _reservation(u: Unit, reservation_id: int) -> tuple[Reservation, Sublot]:
    """The reservation and its sublot, with their rows locked. Raises NotFound."""
    u.session.flush()
    found = u.session.execute(_LOCKED, {"reservation": reservation_id}).one_or_none()
    if found is None:
        raise absent("reservation", reservation_id)
    u.locked()
    return found[1], found[0]


def _require_takeable(u: Unit, reservation: Reservation, sublot: Sublot, context: Mapping[str, Any] | None) -> None:
    """Raises what stands against taking the reserved goods now: a hold says more than the state it left behind."""
    if reservation.state not in OVER:
        require_takeable(u, sublot, reservation.purpose, reservation.amount, context=context)


def pick(u: Unit, reservation_id: int, *, context: Mapping[str, Any] | None = None) -> Reservation:
    """Takes reserved goods to hand: an intention, so refused for whatever stands against them now."""
    reservation, sublot = _reservation(u, reservation_id)
    _require_takeable(u, reservation, sublot, context)
    RESERVATION.apply(u, reservation, "pick")
    return reservation


def consume(
    u: Unit,
    reservation_id: int,
    *,
    target_account: str | None = None,
    key: str | None = None,
    context: Mapping[str, Any] | None = None,
) -> StockMove:
    """Posts what was reserved or picked out of stock, for its purpose. Refused like any intention."""
    reservation, sublot = _reservation(u, reservation_id)
    target = target_account or next(iter(TARGETS.get(reservation.purpose, ("production",))))
    if reservation.state != "consumed" or key is None:  # the same key again gets the move that was posted
        _require_takeable(u, reservation, sublot, context)
        RESERVATION.apply(u, reservation, "consume")
    return move(
        u,
        reservation.sublot_id,
        reservation.amount,
        target,
        purpose=reservation.purpose,
        reference=reservation.reference,
        key=key,
        context=context,
    )


def cancel_reservation(u: Unit, reservation_id: int, *, reason: str | Message = "") -> Reservation:
    """Gives reserved goods free."""
    reservation, _ = _reservation(u, reservation_id)
    RESERVATION.apply(u, reservation, "cancel", reason=reason or None)
    return reservation


def deallocate(u: Unit, reservation_id: int, *, reason: str | Message) -> Reservation:
    """What the goods were kept for has left without them, or was called off: they are free, whoever did that."""
    reservation, _ = _reservation(u, reservation_id)
    RESERVATION.apply(u, reservation, "deallocate", reason=reason)
    return reservation


def abandon_reservation(u: Unit, reservation_id: int, *, reason: str | Message) -> Reservation:
    """Gives reserved goods free for good: nothing is left to re-allocate, and what was picked is to be put back."""
    reservation, _ = _reservation(u, reservation_id)
    picked = reservation.state == "picked"
    tasks = table(StockTask)
    u.conn.execute(
        update(tasks)
        .where(tasks.c.reservation_id == reservation_id, tasks.c.kind == "reallocate", tasks.c.done_at.is_(None))
        .values(done_at=u.now, done_by=u.actor.login)
    )
    if picked:
        task = {
            "kind": "put_back",
            "reservation_id": reservation_id,
            "sublot_id": reservation.sublot_id,
            "reference": reservation.reference,
            "amount": reservation.amount,
            "created_at": u.now,
        }
        u.conn.execute(insert(tasks), task)
        u.outbox("stock.put_back", reservation_id, task)
    return deallocate(u, reservation_id, reason=reason)


def resume_reservation(u: Unit, reservation_id: int) -> Reservation:
    """A suspended reservation is active again, if its goods may be taken again and are still free."""
    reservation, sublot = _reservation(u, reservation_id)
    _require_takeable(u, reservation, sublot, None)
    require_free(u, sublot, reservation.amount)
    RESERVATION.apply(u, reservation, "resume")
    return reservation


def close_task(u: Unit, task_id: int) -> None:
    """A put-back or re-allocation task is done."""
    task = u.get(StockTask, task_id, lock=True)
    if task is None:
        raise absent("stock_task", task_id)
    if task.done_at is not None:
        raise IllegalMove("lots.task_done", task_id=task_id, extra={"state": "done"})
    task.done_at, task.done_by = u.now, u.actor.login
    u.session.add(task)
    u.session.flush()
    u.audit("stock_task.done", "stock_task", task_id, after={"kind": task.kind})
