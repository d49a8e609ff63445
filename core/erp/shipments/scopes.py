"""Which shipments somebody sees: those that leave from, pass through or come to their own sites."""

from sqlalchemy import ColumnElement, and_, not_, or_, select

from core.erp.kernel.scope import Visible, linked, visible
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Actor
from core.erp.shipments.model import (
    FieldAction,
    FieldActionConsignee,
    Shipment,
    ShipmentLeg,
    ShipmentLine,
    ShipmentLogger,
)

_shipment, _line = table(Shipment).c, table(ShipmentLine).c
# under a name of its own: a statement that reads shipments together with their lines asks it too
_goods = table(ShipmentLine).alias("goods_of_shipment").c
_action = table(FieldAction).c

LEGS = linked(table(ShipmentLeg).c.shipment_id, "shipment")
LINES = linked(_line.shipment_id, "shipment")
LOGGERS = linked(table(ShipmentLogger).c.shipment_id, "shipment")
FIELD_ACTIONS = linked(_action.sublot_id, "sublot")
CONSIGNEES = linked(table(FieldActionConsignee).c.action_id, "field_action")


def SHIPMENTS(actor: Actor) -> ColumnElement[bool] | None:  # noqa: N802 - a scope like the others
    """Shipments to a zone the actor sees, with goods the actor sees or that left from such a zone; and those that
    name neither goods nor a zone yet.
    """
    if linked(_goods.sublot_id, "sublot")(actor) is None:
        return None
    goods, zones = visible()["sublot"].keys(actor), visible()["zone"].keys(actor)
    lines = select(_goods.id).where(_goods.shipment_id == _shipment.id)
    seen = or_(
        _shipment.receiving_zone_id.in_(zones),
        lines.where(or_(_goods.sublot_id.in_(goods), _goods.from_zone_id.in_(zones))).exists(),
    )
    return seen if actor.outside else or_(seen, and_(_shipment.receiving_zone_id.is_(None), not_(lines.exists())))


VISIBLE = (
    Visible("shipment", _shipment.id, SHIPMENTS, label=_shipment.code),
    Visible("shipment_leg", table(ShipmentLeg).c.id, LEGS),
    Visible("shipment_line", _line.id, LINES, "line"),
    Visible("shipment_logger", table(ShipmentLogger).c.id, LOGGERS),
    Visible("field_action", _action.id, FIELD_ACTIONS, "action"),
    Visible("field_action_consignee", table(FieldActionConsignee).c.id, CONSIGNEES),
)
