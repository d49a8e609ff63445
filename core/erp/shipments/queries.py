"""What of shipments is read together: records with the names that people know things by, and their parts."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BindParameter, Row, Select, and_, bindparam, exists, func, literal, select

from core.erp.catalog.model import Item
from core.erp.custody.model import HandlingUnit
from core.erp.kernel.model import Signature
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.lots.model import Hold, Lot, Sublot
from core.erp.shipments.model import (
    FieldAction,
    FieldActionConsignee,
    Shipment,
    ShipmentHandOver,
    ShipmentLeg,
    ShipmentLine,
    ShipmentLogger,
)
from core.erp.shipments.shapes import HoldOut

_shipment, _line, _leg, _logger = table(Shipment), table(ShipmentLine), table(ShipmentLeg), table(ShipmentLogger)
_hold, _sublot, _lot, _item, _unit = table(Hold), table(Sublot), table(Lot), table(Item), table(HandlingUnit)
_hand_over, _signature = table(ShipmentHandOver), table(Signature)
_action, _consignee = table(FieldAction), table(FieldActionConsignee)

HELD = exists().where(_hold.c.shipment_id == _shipment.c.id, _hold.c.lifted_at.is_(None)).correlate(_shipment)
"""Whether a hold stands on the shipment itself."""

SHIPMENTS = select(_shipment, HELD.label("held"))
"""Shipments, with whether a hold stands on each."""

LINES = (
    select(
        _line,
        _sublot.c.code.label("sublot"),
        _lot.c.number.label("lot"),
        _item.c.code.label("item"),
        _sublot.c.state.label("sublot_state"),
        _sublot.c.zone_id.label("sublot_zone_id"),
        _unit.c.sscc,
    )
    .join_from(_line, _sublot, _sublot.c.id == _line.c.sublot_id)
    .join(_lot, _lot.c.id == _sublot.c.lot_id)
    .join(_item, _item.c.id == _lot.c.item_id)
    .outerjoin(_unit, _unit.c.id == _line.c.handling_unit_id)
)
"""Lines with their sublot as it stands."""

FIELD_ACTIONS = select(_action, and_(_action.c.state == "open", func.now() > _action.c.deadline).label("overdue"))
"""Field actions, and whether each is late."""


_SHOWN: BindParameter[int] = bindparam("of")
_LINES_OF = LINES.where(_line.c.shipment_id == _SHOWN).order_by(_line.c.id)
_LEGS_OF = select(_leg).where(_leg.c.shipment_id == _SHOWN).order_by(_leg.c.number)
_LOGGERS_OF = select(_logger).where(_logger.c.shipment_id == _SHOWN).order_by(_logger.c.serial)
_HAND_OVERS_OF = (
    select(_hand_over, _signature.c.name.label("given_by"))
    .join(_signature, _signature.c.id == _hand_over.c.signature_id)
    .where(_hand_over.c.shipment_id == _SHOWN)
    .order_by(_hand_over.c.id)
)
_CONSIGNEES_OF = select(_consignee).where(_consignee.c.action_id == _SHOWN).order_by(_consignee.c.id)


def _holds_of() -> Select[Any]:
    """Those on the shipment, on its sublots, and on the lots of these: each found by its own index."""
    fields = (
        _hold.c.kind,
        _hold.c.certainty,
        _hold.c.reason,
        _hold.c.reason_message,
        _hold.c.since_at,
        _hold.c.placed_at,
    )
    stands, carried = _hold.c.lifted_at.is_(None), and_(_line.c.shipment_id == _SHOWN, _line.c.state != "put_back")
    own = select(_hold.c.id, literal("shipment").label("on"), *fields).where(_hold.c.shipment_id == _SHOWN, stands)
    goods = (
        select(_hold.c.id, _sublot.c.code.label("on"), *fields)
        .join_from(_line, _sublot, _sublot.c.id == _line.c.sublot_id)
        .join(_hold, by)
        .where(carried, stands)
        for by in (_hold.c.sublot_id == _sublot.c.id, _hold.c.lot_id == _sublot.c.lot_id)
    )
    found = own.union_all(*goods).subquery()
    return select(found).order_by(found.c.placed_at, found.c.id)


_HOLDS_OF = _holds_of()


def _of(u: Unit, statement: Select[Any], row: Any) -> Sequence[Row[Any]]:
    return u.conn.execute(statement, {"of": row.id}).all()


def lines(u: Unit, row: Any) -> Sequence[Row[Any]]:
    """A shipment's lines."""
    return _of(u, _LINES_OF, row)


def legs(u: Unit, row: Any) -> Sequence[Row[Any]]:
    """A shipment's legs, in their order."""
    return _of(u, _LEGS_OF, row)


def loggers(u: Unit, row: Any) -> Sequence[Row[Any]]:
    """A shipment's loggers."""
    return _of(u, _LOGGERS_OF, row)


def hand_overs(u: Unit, row: Any) -> Sequence[Row[Any]]:
    """When a shipment's goods changed hands, with who gave them."""
    return _of(u, _HAND_OVERS_OF, row)


def holds(u: Unit, row: Any) -> list[HoldOut]:
    """Every hold that stands on a shipment or on its goods, in the reader's language."""
    return [HoldOut.model_validate(hold).in_language(u.language) for hold in _of(u, _HOLDS_OF, row)]


def consignees(u: Unit, row: Any) -> Sequence[Row[Any]]:
    """Whom a field action tells."""
    return _of(u, _CONSIGNEES_OF, row)
