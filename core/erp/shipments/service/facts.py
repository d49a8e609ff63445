"""Facts of the journey: departed, arrived, returned. They stand, with their true time; what they break is on record."""

from datetime import datetime

from sqlalchemy import text

from core.erp.custody import service as custody
from core.erp.kernel.errors import IllegalMove, Invalid, absent
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message, sentence
from core.erp.lots import service as lots
from core.erp.lots.events import ZonesToLock
from core.erp.lots.model import Sublot
from core.erp.quality import service as quality
from core.erp.shipments.model import Shipment, ShipmentLeg, ShipmentLine
from core.erp.shipments.rules import PURPOSE
from core.erp.shipments.service.hold_shipments import hold_those_with_held_goods
from core.erp.shipments.service.journey import save, settle, travels_in
from core.erp.shipments.service.logger_zones import waiting_zone
from core.erp.shipments.service.planning import (
    get_line,
    legs_on_the_way,
    lines_of,
    lock_with_goods,
    restriction_context,
)
from core.erp.shipments.workflow import LINE, RECEIVES, SHIPMENT, SHIPPED, outstanding


def departed(u: Unit, shipment_id: int, at: datetime, reason: str, *, leg: int = 1) -> Shipment:
    """A fact: it left on this leg at `at`, whatever stood against it. It stands.

    Tested as it was at `at` and against the holds that stand now; a breach opens a deviation with its hold, and the
    shipment is held. Goods not dispatched before are posted out with their true time.
    """
    u.need(*SHIPMENT.moves["depart"].permits)  # a later leg is no move of the shipment's
    _require_past(u, at, reason)
    shipment = lock_with_goods(u, shipment_id)
    stretch = _leg(u, shipment, leg)
    if stretch.departed_at is not None:
        raise IllegalMove("shipments.leg_departed", leg=leg, code=shipment.code, at=stretch.departed_at)
    if leg == 1:
        SHIPMENT.apply(u, shipment, "depart", reason=reason, also={"at": at, "code": shipment.code})
        shipment.departed_at = at
    stretch.departed_at = at
    u.session.add(stretch)
    for line in lines_of(u, shipment_id):
        _post_departure(u, shipment, line, at, reason)
        zone = waiting_zone(u, shipment, line, travels_in(u, line, stretch), at)
        custody.record_location(u, line.sublot_id, zone, at, Message("shipments.left_with", code=shipment.code))
    save(u, shipment)
    hold_those_with_held_goods(u, [shipment_id])
    return shipment


def _post_departure(u: Unit, shipment: Shipment, line: ShipmentLine, at: datetime, reason: str | Message) -> None:
    """Posts what left without a dispatch, and opens deviations for what should not have left."""
    if shipment.kind == "inbound":
        LINE.apply(u, line, "ship", reason=reason, also={"shipment_id": shipment.id})
        return
    if line.state == SHIPPED:  # dispatched as an intention: only what came to stand since can be against it
        held = [sentence(h.reason, h.reason_message) for h in lots.open_holds(u, sublot_id=line.sublot_id)]
        if held:
            _deviate(u, shipment, line, at, Message("shipments.left_held", reasons=held))
        return
    purpose = PURPOSE[shipment.kind]
    if lots.on_hand(u, line.sublot_id) > line.amount:
        line.sublot_id = lots.split(u, line.sublot_id, line.amount, gone=True).id
    LINE.apply(u, line, "ship", reason=reason, also={"shipment_id": shipment.id})
    if shipment.kind == "sale":
        lots.post_fact(
            u,
            line.sublot_id,
            line.amount,
            "customer",
            purpose=purpose,
            reference=f"shipment:{shipment.id}",
            at=at,
            reason=reason,
            context=restriction_context(shipment),
        )
    else:
        against = lots.movable(u, line.sublot_id, purpose, context=restriction_context(shipment), at=at)
        if against:
            why = [obstacle.sentence for obstacle in against]
            _deviate(u, shipment, line, at, Message("quality.what_stood_against", obstacles=why))
    settle(u, line)


def _deviate(u: Unit, shipment: Shipment, line: ShipmentLine, at: datetime, detail: Message) -> None:
    quality.open_deviation(
        u,
        sublot_id=line.sublot_id,
        shipment_id=shipment.id,
        title=Message("shipments.left_against_rules", code=shipment.code),
        detail=detail,
        happened_at=at,
    )


def _require_past(u: Unit, at: datetime, reason: str) -> None:
    if at > u.now:
        raise Invalid("kernel.not_yet", at=at)
    if not reason.strip():
        raise Invalid("lots.fact_without_reason")


def _leg(u: Unit, shipment: Shipment, number: int) -> ShipmentLeg:
    found = next((leg for leg in legs_on_the_way(u, shipment) if leg.number == number), None)
    if found is None:
        raise absent("shipment_leg", number)
    return found


def arrived(u: Unit, shipment_id: int, at: datetime, reason: str, *, leg: int | None = None) -> Shipment:
    """A fact: it arrived at the end of this leg (the last one by default) at `at`. A held shipment may arrive.

    At the end of the last leg its goods stand in the receiving zone; in quarantine if a hold stands on them or the
    shipment, or while a logger it requires is neither read nor waived, or if it is a supplier's.
    """
    u.need(*RECEIVES)
    _require_past(u, at, reason)
    shipment = lock_with_goods(u, shipment_id)
    legs = legs_on_the_way(u, shipment)
    stretch = legs[-1] if leg is None else _leg(u, shipment, leg)
    if stretch.arrived_at is not None:
        raise IllegalMove("shipments.leg_arrived", leg=stretch.number, code=shipment.code, at=stretch.arrived_at)
    stretch.arrived_at = at
    u.session.add(stretch)
    last = stretch.number == legs[-1].number
    zone = (shipment.receiving_zone_id or stretch.to_zone_id) if last else stretch.to_zone_id
    if last:
        SHIPMENT.apply(u, shipment, "arrive", reason=reason, also={"at": at, "code": shipment.code})
        shipment.arrived_at = at
        save(u, shipment)
    for line in lines_of(u, shipment_id):
        _post_receipt(u, shipment, line, zone, at, last=last)
    hold_those_with_held_goods(u, [shipment_id])
    return shipment


def _post_receipt(
    u: Unit, shipment: Shipment, line: ShipmentLine, zone: int | None, at: datetime, *, last: bool
) -> None:
    if line.state != SHIPPED:  # nobody had posted that it left: it must have
        _post_departure(u, shipment, line, at, Message("shipments.arrived_with", code=shipment.code))
    where = Message("shipments.arrived_with", code=shipment.code)
    sublot = lots.get_sublot(u, line.sublot_id)
    if last and shipment.kind == "inbound" and sublot.state == "expected":
        lots.arrive(u, line.sublot_id, line.amount, zone, at=at, reason=where, reference=f"shipment:{shipment.id}")
        return
    custody.record_location(u, line.sublot_id, zone, at, where)
    doubt = outstanding(u, shipment.id) or lots.open_holds(u, shipment_id=shipment.id)
    if last and sublot.state == "released" and (doubt or lots.open_holds(u, sublot_id=line.sublot_id)):
        fresh = u.session.get_one(Sublot, line.sublot_id, populate_existing=True)
        lots.SUBLOT.apply(u, fresh, "take_back", reason=Message("shipments.received_in_quarantine", code=shipment.code))


_BACK = text("SELECT COALESCE(sum(amount), 0) FROM genealogy WHERE transformation = :name")


def returned(u: Unit, line_id: int, amount: object, zone_id: int | None, *, at: datetime, reason: str) -> Sublot:
    """A customer's return: a sublot of its own, in quarantine, descended from what was shipped.

    Raises Invalid for more than was shipped with the line and has not come back.
    """
    u.need("stock.receive")
    _require_past(u, at, reason)
    line = get_line(u, line_id)
    quantity = lots.amount_of(amount)
    source = lots.get_sublot(u, line.sublot_id)
    u.emit(ZonesToLock((), () if zone_id is None else (zone_id,)))
    lots.get_lot(u, source.lot_id, lock=True)
    lots.lock_sublots(u, [line.sublot_id])
    back_already = u.conn.execute(_BACK, {"name": f"return:line:{line_id}"}).scalar_one()
    most = line.amount - back_already if line.state == SHIPPED else 0
    if quantity > most:
        raise Invalid("shipments.less_may_return", line_id=line_id, most=most, amount=quantity)
    back = lots.receive(
        u,
        source.lot_id,
        quantity,
        zone_id,
        at=at,
        source="customer",
        reason=reason,
        reference=f"shipment:{line.shipment_id}",
        parents=[(line.sublot_id, quantity)],
        transformation=f"return:line:{line_id}",
        serial=source.serial,
    )
    u.audit("shipment.return", "shipment", line.shipment_id, after={"line_id": line_id, "sublot_id": back.id})
    return back
