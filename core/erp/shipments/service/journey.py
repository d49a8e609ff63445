"""Intentions of the journey: pick, dispatch, accept, refuse, put back. Each is tested when it is posted."""

from collections.abc import Sequence

from sqlalchemy import select

from core.erp.custody import service as custody
from core.erp.custody.model import HandlingUnit
from core.erp.kernel.errors import IllegalMove
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message
from core.erp.lots import service as lots
from core.erp.lots.model import Reservation, StockTask
from core.erp.quality import service as quality
from core.erp.shipments.model import Shipment, ShipmentLeg, ShipmentLine
from core.erp.shipments.rules import PURPOSE
from core.erp.shipments.service.logger_zones import waiting_zone
from core.erp.shipments.service.planning import (
    get_line,
    legs_on_the_way,
    lines_of,
    lock_with_goods,
    restriction_context,
)
from core.erp.shipments.workflow import LINE, PICKED, PLANNED, SHIPMENT


def pick(u: Unit, shipment_id: int) -> Shipment:
    """Takes every line to hand. Part of a sublot becomes a sublot of its own, with the whole history.

    An intention: refused, as a whole, for whatever stands against any line now.
    """
    shipment = lock_with_goods(u, shipment_id)
    lines = lines_of(u, shipment_id)
    for line in lines:
        _pick_line(u, shipment, line)
    move_lines(u, lines, "pick")
    SHIPMENT.apply(u, shipment, "pick")
    shipment.picked_at = u.now
    return save(u, shipment)


def _pick_line(u: Unit, shipment: Shipment, line: ShipmentLine) -> None:
    if line.reservation_id is None or line.sublot_id is None:
        raise IllegalMove("shipments.not_picked_here", code=shipment.code, extra={"state": shipment.state})
    sublot = lots.get_sublot(u, line.sublot_id)
    line.from_zone_id = sublot.zone_id
    if lots.on_hand(u, line.sublot_id) > line.amount:
        lots.require_movable(
            u, line.sublot_id, PURPOSE[shipment.kind], line.amount, context=restriction_context(shipment)
        )
        _split_line(u, shipment, line)
    _resume_reservation(u, line)
    lots.pick(u, line.reservation_id, context=restriction_context(shipment))
    u.session.add(line)
    u.session.flush()


def _split_line(u: Unit, shipment: Shipment, line: ShipmentLine) -> None:
    """Splits off what the line takes, so that it has one place of its own, and reserves that instead."""
    assert line.reservation_id is not None
    lots.cancel_reservation(u, line.reservation_id, reason=Message("shipments.picked_apart"))
    part = lots.split(u, line.sublot_id, line.amount)
    kept = lots.reserve(
        u,
        part.id,
        line.amount,
        PURPOSE[shipment.kind],
        f"shipment:{shipment.id}",
        context=restriction_context(shipment),
    )
    line.sublot_id, line.reservation_id = part.id, kept.id
    u.session.add(line)
    u.session.flush()


def _resume_reservation(u: Unit, line: ShipmentLine) -> None:
    """A reservation that a hold had suspended counts again once its goods are free; Refused while they are not."""
    if line.reservation_id is None:
        return
    if u.session.get_one(Reservation, line.reservation_id, populate_existing=True).state != "suspended":
        return
    lots.resume_reservation(u, line.reservation_id)
    for task in open_tasks(u, line):
        lots.close_task(u, task)


def dispatch(u: Unit, shipment_id: int) -> Shipment:
    """Hands the goods to the vehicle now: the final test and the posting are one, under the sublots' row locks.

    What is sold leaves our stock; custody goes into the shipper's zone, or the vehicle's. Raises Refused with every
    obstacle, IllegalMove, Forbidden.
    """
    shipment = lock_with_goods(u, shipment_id)
    leg = legs_on_the_way(u, shipment)[0]
    lines = lines_of(u, shipment_id)
    for line in lines:
        _resume_reservation(u, line)
        if shipment.kind == "sale" and line.reservation_id is not None:
            lots.consume(u, line.reservation_id, target_account="customer", context=restriction_context(shipment))
        else:
            lots.require_movable(
                u, line.sublot_id, PURPOSE[shipment.kind], line.amount, context=restriction_context(shipment)
            )
        zone = waiting_zone(u, shipment, line, travels_in(u, line, leg), u.now)
        custody.record_location(
            u, line.sublot_id, zone, u.now, Message("shipments.dispatched_with", code=shipment.code)
        )
    move_lines(u, lines, "ship")
    SHIPMENT.apply(u, shipment, "dispatch", also={"code": shipment.code})
    shipment.dispatched_at = u.now
    return save(u, shipment)


def travels_in(u: Unit, line: ShipmentLine, leg: ShipmentLeg) -> int | None:
    """The innermost climate on the way: the shipper's own zone, else the vehicle's."""
    box = u.session.get(HandlingUnit, line.handling_unit_id) if line.handling_unit_id is not None else None
    return box.zone_id if box is not None and box.zone_id is not None else leg.vehicle_zone_id


def settle(u: Unit, line: ShipmentLine) -> None:
    """The line's reservation has served: its goods are on their way."""
    if line.reservation_id is None:
        return
    if u.session.get_one(Reservation, line.reservation_id, populate_existing=True).state in {
        "active",
        "picked",
        "suspended",
    }:
        lots.deallocate(u, line.reservation_id, reason=Message("shipments.goods_left"))


def accept(u: Unit, shipment_id: int) -> Shipment:
    """The consignee takes what arrived: an intention, refused while a hold stands or a logger is missing.

    What arrived into quarantine is released automatically if nothing at all is in doubt, else by batch release
    first; a supplier's goods stay in quarantine until they are released.
    """
    shipment = lock_with_goods(u, shipment_id)
    SHIPMENT.apply(u, shipment, "accept")  # before anything is released for it
    for line in lines_of(u, shipment_id):
        _post_acceptance(u, shipment, line)
    shipment.closed_at = u.now
    return save(u, shipment)


def _post_acceptance(u: Unit, shipment: Shipment, line: ShipmentLine) -> None:
    sublot = lots.get_sublot(u, line.sublot_id)
    if shipment.kind != "inbound" and sublot.state == "quarantine":
        quality.auto_release(u, line.sublot_id, at_consignee=shipment.kind == "sale")
    waived = {"unjudged", "insufficient"} if shipment.kind == "sale" else set()  # the consignee's place is not ours
    if shipment.kind == "inbound":
        stops = {lots.ObstacleKind.HELD, lots.ObstacleKind.RESTORED}
        against = [o for o in lots.movable(u, line.sublot_id, lots.Purpose.USE) if o.kind in stops]
    else:
        purpose = PURPOSE[shipment.kind]
        against = [
            o
            for o in lots.movable(u, line.sublot_id, purpose, context=restriction_context(shipment))
            if o.kind not in waived
        ]
    if against:
        raise lots.refusal(sublot, "acceptance", against)
    if shipment.kind == "sale" and sublot.zone_id is not None:
        custody.record_location(
            u, line.sublot_id, None, u.now, Message("shipments.handed_over_with", code=shipment.code)
        )
    settle(u, line)


def refuse(u: Unit, shipment_id: int, reason: str) -> Shipment:
    """The consignee does not take what arrived; what comes back is received as a return."""
    shipment = lock_with_goods(u, shipment_id)
    SHIPMENT.apply(u, shipment, "refuse", reason=reason)
    shipment.closed_at = u.now
    return save(u, shipment)


def cancel(u: Unit, shipment_id: int, reason: str) -> Shipment:
    """Calls off a shipment of which nothing has left. Its goods are free again; what was picked is to be put back.

    Raises IllegalMove once it is dispatched, Refused once anything has left, Forbidden, Invalid without a reason.
    """
    shipment = lock_with_goods(u, shipment_id)
    SHIPMENT.apply(u, shipment, "cancel", reason=reason)
    lines = lines_of(u, shipment_id)
    for line in lines:
        if line.reservation_id is not None:
            lots.abandon_reservation(
                u, line.reservation_id, reason=Message("shipments.called_off", code=shipment.code, reason=reason)
            )
    move_lines(u, lines, "put_back")
    shipment.closed_at = u.now
    return save(u, shipment)


def put_back(u: Unit, line_id: int, zone_id: int | None = None) -> ShipmentLine:
    """Takes a line out of a shipment that has not left; picked goods go back where they stood, or to `zone_id`.

    Its reservation ends and the warehouse's tasks about it are done. The shipment's hold stands until it is lifted.
    """
    line = get_line(u, line_id)
    shipment = lock_with_goods(u, line.shipment_id, zone_id=zone_id)
    line = get_line(u, line_id)
    if shipment.state not in {PLANNED, PICKED}:
        raise IllegalMove(
            "shipments.line_not_put_back",
            line=Message(f"state.shipment_line.{line.state}"),
            shipment=Message(f"state.shipment.{shipment.state}"),
            extra={"state": line.state},
        )
    picked = line.state == PICKED
    place = zone_id or line.from_zone_id
    LINE.apply(u, line, "put_back", also={"shipment_id": shipment.id, "zone_id": place})
    if picked and place is not None:
        custody.record_location(u, line.sublot_id, place, u.now, Message("shipments.put_back_from", code=shipment.code))
    settle(u, line)
    for task in open_tasks(u, line):
        lots.close_task(u, task)
    return line


def move_lines(u: Unit, lines: Sequence[ShipmentLine], move: str) -> None:
    """The lines go along with their shipment."""
    of = {line.id: {"shipment_id": line.shipment_id} for line in lines}
    LINE.apply_many(u, ShipmentLine, of, move, also=of)


def open_tasks(u: Unit, line: ShipmentLine) -> list[int]:
    """The warehouse's open tasks about a line's reservation."""
    c = table(StockTask).c
    return list(u.conn.scalars(select(c.id).where(c.reservation_id == line.reservation_id, c.done_at.is_(None))))


def save(u: Unit, shipment: Shipment) -> Shipment:
    """The shipment, written."""
    u.session.add(shipment)
    u.session.flush()
    return shipment
