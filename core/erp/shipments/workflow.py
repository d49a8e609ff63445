"""The life cycle of a shipment (design §5). Departed and arrived are facts: they come from wherever the paper was."""

from typing import Any

from sqlalchemy import select

from core.erp.kernel.errors import Forbidden, Refused
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.kernel.workflow import Move, Workflow
from core.erp.lots import service as lots
from core.erp.shipments.model import ShipmentLeg, ShipmentLine, ShipmentLogger

PLANNED, PICKED, DISPATCHED, IN_TRANSIT = "planned", "picked", "dispatched", "in_transit"
ARRIVED, ACCEPTED, REFUSED, CANCELLED = "arrived", "accepted", "refused", "cancelled"


def need_any(u: Unit, *permits: str) -> None:
    """Raises Forbidden unless the actor holds one of the permits."""
    if not any(u.actor.may(permit) for permit in permits):
        raise Forbidden(f"{u.actor.login} may not: needs one of {', '.join(permits)}", permits=list(permits))


def not_held(u: Unit, shipment: Any) -> None:
    """Refused while a hold stands on the shipment itself."""
    holds = lots.open_holds(u, shipment_id=shipment.id)
    if holds:
        raise Refused(
            f"shipment {shipment.code} is held: {'; '.join(h.reason for h in holds)}", holds=[h.id for h in holds]
        )


def outstanding(u: Unit, shipment_id: int) -> list[str]:
    """Serial numbers of the loggers that are neither read nor waived."""
    u.session.flush()
    c = table(ShipmentLogger).c
    query = select(c.serial).where(c.shipment_id == shipment_id, c.state == "required").order_by(c.serial)
    return list(u.conn.scalars(query))


def not_gone(u: Unit, shipment: Any) -> None:
    """Refused once any of it has left, whatever the paper says."""
    u.session.flush()
    line, leg = table(ShipmentLine).c, table(ShipmentLeg).c
    left = select(line.id).where(line.shipment_id == shipment.id, line.state == "shipped")
    under_way = select(leg.id).where(leg.shipment_id == shipment.id, leg.departed_at.is_not(None))
    if u.conn.scalar(left.union_all(under_way).limit(1)) is not None:
        raise Refused(f"shipment {shipment.code} has left in part: it cannot be cancelled")


def acceptable(u: Unit, shipment: Any) -> None:
    """Refused while held, while a logger is neither read nor waived, or to who neither receives nor reports."""
    need_any(u, "stock.receive", "shipment.report")
    not_held(u, shipment)
    missing = outstanding(u, shipment.id)
    if missing:
        raise Refused(f"shipment {shipment.code}: loggers not read: {', '.join(missing)}", loggers=missing)


SHIPMENT = Workflow(
    "shipment",
    (
        Move("pick", frozenset({PLANNED}), PICKED, needs="stock.pick", guard=not_held),
        Move("dispatch", frozenset({PICKED}), DISPATCHED, needs="shipment.dispatch", guard=not_held),
        Move("depart", frozenset({PLANNED, PICKED, DISPATCHED}), IN_TRANSIT, needs="shipment.report"),
        Move("arrive", frozenset({PLANNED, PICKED, DISPATCHED, IN_TRANSIT}), ARRIVED),
        Move("accept", frozenset({ARRIVED}), ACCEPTED, guard=acceptable),
        Move("refuse", frozenset({ARRIVED}), REFUSED, reasoned=True),
        # What has left cannot be called off any more: from there on only facts and the consignee's word count.
        Move("cancel", frozenset({PLANNED, PICKED}), CANCELLED, needs="shipment.plan", guard=not_gone, reasoned=True),
    ),
)
