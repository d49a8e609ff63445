"""What of shipments is read together."""

from sqlalchemy import exists, select, text

from core.erp.kernel.errors import NotFound
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.lots.model import Hold
from core.erp.shipments.model import FieldAction, FieldActionConsignee, Shipment
from core.erp.shipments.shapes import (
    ConsigneeOut,
    FieldActionOut,
    HoldOut,
    LegOut,
    LineOut,
    LoggerOut,
    ShipmentDetail,
    ShipmentOut,
)
from core.erp.shipments.workflow import SHIPMENT

_s, _h, _f, _c = table(Shipment), table(Hold), table(FieldAction), table(FieldActionConsignee)
HELD = exists().where(_h.c.shipment_id == _s.c.id, _h.c.lifted_at.is_(None))
SHIPMENTS = select(_s, HELD.label("held"))
"""Shipments, with whether a hold stands on each."""

_LINES = text("""
    SELECT l.id, l.sublot_id, s.code AS sublot, b.number AS lot, i.code AS item, s.state AS sublot_state,
           s.zone_id AS sublot_zone_id, l.amount, l.state, u.sscc, l.reservation_id, l.from_zone_id
    FROM shipment_line l JOIN sublot s ON s.id = l.sublot_id JOIN lot b ON b.id = s.lot_id
    JOIN item i ON i.id = b.item_id LEFT JOIN handling_unit u ON u.id = l.handling_unit_id
    WHERE l.shipment_id = :s ORDER BY l.id
""")
_LEGS = text("SELECT * FROM shipment_leg WHERE shipment_id = :s ORDER BY number")
_LOGGERS = text("SELECT * FROM shipment_logger WHERE shipment_id = :s ORDER BY serial")
_HOLDS = text("""
    SELECT h.id, 'shipment' AS "on", h.kind, h.certainty, h.reason, h.reason_message, h.since_at, h.placed_at
    FROM hold h WHERE h.shipment_id = :s AND h.lifted_at IS NULL
    UNION ALL
    SELECT h.id, s.code, h.kind, h.certainty, h.reason, h.reason_message, h.since_at, h.placed_at
    FROM shipment_line l JOIN sublot s ON s.id = l.sublot_id
    JOIN hold h ON h.lifted_at IS NULL AND (h.sublot_id = s.id OR h.lot_id = s.lot_id)
    WHERE l.shipment_id = :s AND l.state <> 'put_back'
    ORDER BY placed_at, id
""")


def detail(u: Unit, shipment_id: int) -> ShipmentDetail:
    """A shipment with its lines, legs, loggers and every hold on it or its goods. Raises NotFound."""
    u.session.flush()
    row = u.conn.execute(SHIPMENTS.where(_s.c.id == shipment_id)).one_or_none()
    if row is None:
        raise NotFound("shipments.no_shipment", shipment_id=shipment_id)
    one = {"s": shipment_id}
    return ShipmentDetail(
        **ShipmentOut.model_validate(row).model_dump(),
        moves=[move.name for move in SHIPMENT.available(u.actor, row.state)],
        lines=[LineOut.model_validate(x) for x in u.conn.execute(_LINES, one)],
        legs=[LegOut.model_validate(x) for x in u.conn.execute(_LEGS, one)],
        loggers=[LoggerOut.model_validate(x) for x in u.conn.execute(_LOGGERS, one)],
        holds=[HoldOut.model_validate(x).in_language(u.language) for x in u.conn.execute(_HOLDS, one)],
    )


def field_action(u: Unit, action_id: int) -> FieldActionOut:
    """A field action with its consignees. Raises NotFound."""
    u.session.flush()
    row = u.conn.execute(select(_f).where(_f.c.id == action_id)).mappings().one_or_none()
    if row is None:
        raise NotFound("shipments.no_field_action", action_id=action_id)
    whom = u.conn.execute(select(_c).where(_c.c.action_id == action_id).order_by(_c.c.id))
    return FieldActionOut(
        **row,
        overdue=row["state"] == "open" and u.now > row["deadline"],
        consignees=[ConsigneeOut.model_validate(x) for x in whom],
    )
