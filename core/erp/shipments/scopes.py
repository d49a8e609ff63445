"""Which shipments somebody sees: those that leave from, pass through or come to their own sites."""

from sqlalchemy import ColumnElement, and_, not_, or_

from core.erp.kernel.scope import Visible, linked, looked_up
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
_TO = linked(_shipment.receiving_zone_id, "zone", empty=False)
_GOODS, _LEFT = linked(_goods.sublot_id, "sublot", empty=False), linked(_goods.from_zone_id, "zone", empty=False)


def SHIPMENTS(actor: Actor) -> ColumnElement[bool] | None:  # noqa: N802 - a scope like the others
    """Shipments to a zone the actor sees, with goods the actor sees or that left from such a zone; and those that
    name neither goods nor a zone yet.
    """
    to, goods, left = _TO(actor), _GOODS(actor), _LEFT(actor)
    if to is None or goods is None or left is None:
        return None
    seen = or_(to, looked_up(_shipment.id, _goods.shipment_id, or_(goods, left)))
    unused = and_(_shipment.receiving_zone_id.is_(None), not_(looked_up(_shipment.id, _goods.shipment_id)))
    return seen if actor.outside else or_(seen, unused)


VISIBLE = (
    Visible("shipment", _shipment.id, SHIPMENTS, label=_shipment.code),
    Visible("shipment_leg", table(ShipmentLeg).c.id, LEGS),
    Visible("shipment_line", _line.id, LINES, "line"),
    Visible("shipment_logger", table(ShipmentLogger).c.id, LOGGERS),
    Visible("field_action", _action.id, FIELD_ACTIONS, "action"),
    Visible("field_action_consignee", table(FieldActionConsignee).c.id, CONSIGNEES),
)
