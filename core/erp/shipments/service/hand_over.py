"""Hand-over at the ramp or at the consignee's door: signed by who gives, with who takes and what was seen (GDP 9.2)."""

from typing import Any

from core.erp.kernel import signatures
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message, sentence
from core.erp.lots import service as lots
from core.erp.shipments.model import Shipment, ShipmentHandOver
from core.erp.shipments.rules import PURPOSE
from core.erp.shipments.service.journey import accept, dispatch
from core.erp.shipments.service.planning import get_shipment, lines_of, lock_with_goods, restriction_context
from core.erp.shipments.workflow import ARRIVED, PICKED, outstanding


def hand_over_signing(
    shipment_id: int, taken_by: str, vehicle: str = "", temperature: float | None = None, remark: str = ""
) -> signatures.Signing[Shipment]:
    """The act of signing `hand_over`."""
    act = _act(shipment_id, taken_by, vehicle)
    return signatures.Signing(
        "shipment.hand_over",
        act,
        lambda u, proof: hand_over(u, shipment_id, proof, taken_by, vehicle, temperature, remark),
    )


def _act(shipment_id: int, taken_by: str, vehicle: str) -> signatures.Act:
    who = ", ".join(filter(None, (taken_by, vehicle)))
    return signatures.Act(Message("meaning.hand_over"), "shipment", (str(shipment_id),), who)


def hand_over_obstacles(u: Unit, shipment_id: int) -> list[Message]:
    """What would refuse the hand-over now: holds, goods that may not leave, loggers that nobody has read."""
    shipment = get_shipment(u, shipment_id)
    found = list[Message]()
    holds = lots.open_holds(u, shipment_id=shipment_id)
    if holds:
        reasons = [sentence(hold.reason, hold.reason_message) for hold in holds]
        found.append(Message("shipments.held", code=shipment.code, reasons=reasons))
    if shipment.state == PICKED:
        context = restriction_context(shipment)
        for line in lines_of(u, shipment_id):
            against = lots.movable(u, line.sublot_id, PURPOSE[shipment.kind], context=context)
            found += [one.message for one in against if one.message not in found]
    unread = outstanding(u, shipment_id)
    if shipment.state == ARRIVED and unread:
        found.append(Message("shipments.loggers_not_read", code=shipment.code, loggers=unread))
    return found


def hand_over(
    u: Unit,
    shipment_id: int,
    proof: signatures.Proof,
    taken_by: str,
    vehicle: str = "",
    temperature: float | None = None,
    remark: str = "",
) -> Shipment:
    """Gives a picked shipment to the carrier: it is dispatched; or an arrived one to the consignee: it is accepted.

    Refused with whatever bars that move now. Raises IllegalMove in any other state, Forbidden.
    """
    arrived = lock_with_goods(u, shipment_id).state == ARRIVED
    shipment = accept(u, shipment_id) if arrived else dispatch(u, shipment_id)
    seen: dict[str, Any] = {
        "taker": "consignee" if arrived else "carrier",
        "taken_by": taken_by,
        "vehicle": vehicle,
        "temperature": temperature,
        "remark": remark,
    }
    goods = [[line.sublot_id, line.amount] for line in lines_of(u, shipment_id)]
    signer = signatures.begin_signing(u, proof, _act(shipment_id, taken_by, vehicle))
    signed = signer.sign(shipment_id, {"shipment": shipment.code, "goods": goods, **seen})
    u.session.add(ShipmentHandOver(shipment_id=shipment_id, at=u.now, signature_id=signed.id, **seen))
    u.session.flush()
    u.audit("shipment.hand_over", "shipment", shipment_id, after=seen)
    return shipment
