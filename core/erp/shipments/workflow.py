"""The life cycle of a shipment (design §5). Departed and arrived are facts: they come from wherever the paper was."""

from typing import Any

from sqlalchemy import select

from core.erp.kernel.errors import Refused
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import sentence
from core.erp.kernel.workflow import Move, Workflow
from core.erp.lots import service as lots
from core.erp.shipments.model import FieldActionConsignee, ShipmentLeg, ShipmentLine, ShipmentLogger

PLANNED, PICKED, DISPATCHED, IN_TRANSIT = "planned", "picked", "dispatched", "in_transit"
ARRIVED, ACCEPTED, REFUSED, CANCELLED = "arrived", "accepted", "refused", "cancelled"
OVER = frozenset({ACCEPTED, REFUSED, CANCELLED})
"""States in which a shipment is over."""


SHIPPED, PUT_BACK = "shipped", "put_back"
REQUIRED, READ, WAIVED = "required", "read", "waived"
OPEN, CLOSED = "open", "closed"


def everybody_told(u: Unit, action: Any) -> None:
    """Refused while a consignee of the field action has not been told."""
    c = table(FieldActionConsignee).c
    waiting = u.conn.scalars(select(c.consignee).where(c.action_id == action.id, c.notified_at.is_(None))).all()
    if waiting:
        raise Refused("shipments.not_everybody_told", number=action.id, consignees=list(waiting))


def not_held(u: Unit, shipment: Any) -> None:
    """Refused while a hold stands on the shipment itself."""
    holds = lots.open_holds(u, shipment_id=shipment.id)
    if holds:
        raise Refused(
            "shipments.held",
            code=shipment.code,
            reasons=[sentence(hold.reason, hold.reason_message) for hold in holds],
            extra={"holds": [hold.id for hold in holds]},
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
        raise Refused("shipments.left_in_part", code=shipment.code)


def acceptable(u: Unit, shipment: Any) -> None:
    """Refused while held, or while a logger is neither read nor waived."""
    not_held(u, shipment)
    missing = outstanding(u, shipment.id)
    if missing:
        raise Refused("shipments.loggers_not_read", code=shipment.code, loggers=missing)


LINE = Workflow(
    "shipment_line",
    (
        # both follow from what becomes of the shipment
        Move("pick", frozenset({PLANNED}), PICKED, system=True),
        Move("ship", frozenset({PLANNED, PICKED}), SHIPPED, system=True),
        Move("put_back", frozenset({PLANNED, PICKED}), PUT_BACK, permit=("stock.pick", "shipment.plan")),
    ),
    begins=(PLANNED,),
)

LOGGER = Workflow(
    "shipment_logger",
    (
        Move("read", frozenset({REQUIRED}), READ, permit="logger.import"),
        Move(
            "waive",
            frozenset({REQUIRED}),
            WAIVED,
            permit="logger.waive",
            reasoned=True,
            meaning="meaning.logger_waiver",
        ),
    ),
    begins=(REQUIRED,),
)

FIELD_ACTION = Workflow(
    "field_action",
    (
        Move(
            "close",
            frozenset({OPEN}),
            CLOSED,
            permit="excursion.disposition",
            guard=everybody_told,
            reasoned=True,
        ),
    ),
    begins=(OPEN,),
)

RECEIVES = ("shipment.report", "stock.receive")
"""Who may say that something has arrived, and what becomes of it there."""

SHIPMENT = Workflow(
    "shipment",
    (
        Move("pick", frozenset({PLANNED}), PICKED, permit="stock.pick", guard=not_held),
        Move("dispatch", frozenset({PICKED}), DISPATCHED, permit="shipment.dispatch", guard=not_held),
        Move("depart", frozenset({PLANNED, PICKED, DISPATCHED}), IN_TRANSIT, permit="shipment.report"),
        Move("arrive", frozenset({PLANNED, PICKED, DISPATCHED, IN_TRANSIT}), ARRIVED, permit=RECEIVES),
        Move("accept", frozenset({ARRIVED}), ACCEPTED, permit=RECEIVES, guard=acceptable),
        Move("refuse", frozenset({ARRIVED}), REFUSED, permit=RECEIVES, reasoned=True),
        # What has left cannot be called off any more: from there on only facts and the consignee's word count.
        Move("cancel", frozenset({PLANNED, PICKED}), CANCELLED, permit="shipment.plan", guard=not_gone, reasoned=True),
    ),
    begins=(PLANNED,),
)
