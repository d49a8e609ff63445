"""Shipments planned: lines reserved, legs laid out, loggers required, goods packed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import select, text

from core.erp.catalog.service import require_zones
from core.erp.custody.model import HandlingUnit, HandlingUnitContent
from core.erp.kernel.errors import Conflict, IllegalMove, Invalid, Refused, absent
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message
from core.erp.lots import service as lots
from core.erp.lots.events import ZonesToLock
from core.erp.shipments.model import Shipment, ShipmentLeg, ShipmentLine, ShipmentLogger
from core.erp.shipments.rules import PURPOSE, checked_sscc
from core.erp.shipments.service.consignees import require_consignee


@dataclass(frozen=True, slots=True)
class PlannedLeg:
    """One stretch of the way, as planned."""

    origin: str
    destination: str
    vehicle_zone_id: int | None = None
    to_zone_id: int | None = None
    carrier: str = ""


@dataclass(frozen=True, slots=True)
class RequiredLogger:
    """A logger that must be read, and the zone whose climate it records."""

    serial: str
    zone_id: int | None = None


def create(
    u: Unit,
    code: str,
    consignee: str,
    lines: Sequence[tuple[int, Decimal]],
    legs: Sequence[PlannedLeg],
    *,
    kind: str = "sale",
    market: str = "",
    receiving_zone_id: int | None = None,
    loggers: Sequence[RequiredLogger] = (),
    due_at: datetime | None = None,
    consignee_id: int | None = None,
) -> Shipment:
    """Plans a shipment and reserves its goods (sublot, amount); what may not be taken is refused.

    An inbound shipment reserves nothing: its sublots are expected. Raises Conflict, Invalid, NotFound, Refused,
    Forbidden.
    """
    u.need("shipment.plan")
    if not code.strip() or not consignee.strip():
        raise Invalid("shipments.unnamed")
    if kind not in PURPOSE:
        raise Invalid("shipments.no_kind", kind=kind, kinds=list(PURPOSE))
    if not lines or not legs:
        raise Invalid("shipments.incomplete")
    if u.conn.scalar(select(table(Shipment).c.id).where(table(Shipment).c.code == code)) is not None:
        raise Conflict("shipments.exists", code=code)
    require_consignee(u, kind, consignee_id)
    require_zones(u, receiving_zone_id, *(zone for leg in legs for zone in (leg.vehicle_zone_id, leg.to_zone_id)))
    lots.lock_sublots(u, [sublot for sublot, _ in lines])
    shipment = Shipment(
        code=code,
        kind=kind,
        consignee=consignee,
        consignee_id=consignee_id,
        market=market,
        receiving_zone_id=receiving_zone_id,
        created_at=u.now,
        due_at=due_at,
    )
    u.session.add(shipment)
    u.session.flush()
    u.session.add_all(
        ShipmentLeg(
            shipment_id=shipment.id,
            number=number,
            origin=leg.origin,
            destination=leg.destination,
            vehicle_zone_id=leg.vehicle_zone_id,
            to_zone_id=leg.to_zone_id,
            carrier=leg.carrier,
        )
        for number, leg in enumerate(legs, 1)
    )
    for sublot_id, amount in lines:
        _add_line(u, shipment, sublot_id, amount)
    for logger in loggers:
        _require_logger(u, shipment, logger)
    u.session.flush()
    u.audit(
        "shipment.plan",
        "shipment",
        shipment.id,
        after={
            "code": code,
            "kind": kind,
            "consignee": consignee,
            "consignee_id": consignee_id,
            "lines": lines,
            "loggers": [x.serial for x in loggers],
        },
    )
    u.outbox("shipment.plan", shipment.id, {"code": code, "consignee": consignee})
    return shipment


def restriction_context(shipment: Shipment) -> dict[str, Any]:
    """What restrictions on its goods ask about; its own holds count against them too."""
    return {"market": shipment.market or None, "customer": shipment.consignee, "shipment_id": shipment.id}


def _add_line(u: Unit, shipment: Shipment, sublot_id: int, amount: Decimal) -> ShipmentLine:
    amount = lots.amount_of(amount)
    reservation = None
    if shipment.kind != "inbound":
        reservation = lots.reserve(
            u,
            sublot_id,
            amount,
            PURPOSE[shipment.kind],
            f"shipment:{shipment.id}",
            context=restriction_context(shipment),
        ).id
    line = ShipmentLine(shipment_id=shipment.id, sublot_id=sublot_id, amount=amount, reservation_id=reservation)
    u.session.add(line)
    u.session.flush()
    return line


def add_line(u: Unit, shipment_id: int, sublot_id: int, amount: Decimal) -> ShipmentLine:
    """Another line of a shipment that is still planned. Refused like any reservation."""
    u.need("shipment.plan")
    lots.get_sublot(u, sublot_id, lock=True)
    shipment = get_shipment(u, shipment_id, lock=True)
    _require_state(shipment, "planned")
    line = _add_line(u, shipment, sublot_id, amount)
    u.audit("shipment.add_line", "shipment", shipment_id, after={"sublot_id": sublot_id, "amount": amount})
    return line


def _require_state(shipment: Shipment, *states: str) -> None:
    if shipment.state not in states:
        state = Message(f"state.shipment.{shipment.state}")
        raise IllegalMove("shipments.not_changed_so", state=state, extra={"state": shipment.state})


def require_logger(u: Unit, shipment_id: int, serial: str, zone_id: int | None = None) -> ShipmentLogger:
    """The shipment's receipt waits for this logger. Only before it has arrived."""
    u.need("shipment.plan")
    shipment = get_shipment(u, shipment_id, lock=True)
    _require_state(shipment, "planned", "picked", "dispatched", "in_transit")
    made = _require_logger(u, shipment, RequiredLogger(serial, zone_id))
    u.audit("shipment.require_logger", "shipment", shipment_id, after={"serial": serial})
    return made


def _require_logger(u: Unit, shipment: Shipment, logger: RequiredLogger) -> ShipmentLogger:
    if not logger.serial.strip():
        raise Invalid("shipments.logger_unnumbered")
    require_zones(u, logger.zone_id)
    c = table(ShipmentLogger).c
    if u.conn.scalar(select(c.id).where(c.shipment_id == shipment.id, c.serial == logger.serial)) is not None:
        raise Conflict("shipments.logger_required_already", code=shipment.code, serial=logger.serial)
    made = ShipmentLogger(shipment_id=shipment.id, serial=logger.serial, zone_id=logger.zone_id)
    u.session.add(made)
    u.session.flush()
    return made


def get_shipment(u: Unit, shipment_id: int, *, lock: bool = False) -> Shipment:
    """The shipment as it stands, its row locked if asked (sublots are locked before shipments). Raises NotFound."""
    u.session.flush()
    found = u.get(Shipment, shipment_id, lock=lock)
    if found is None:
        raise absent("shipment", shipment_id)
    return found


def lines_of(u: Unit, shipment_id: int) -> list[ShipmentLine]:
    """Its lines that are not put back, by sublot ascending."""
    c = table(ShipmentLine).c
    u.session.flush()
    ids = u.conn.scalars(
        select(c.id).where(c.shipment_id == shipment_id, c.state != "put_back").order_by(c.sublot_id, c.id)
    ).all()
    return [u.session.get_one(ShipmentLine, line, populate_existing=True) for line in ids]


def legs_of(u: Unit, shipment_id: int) -> list[ShipmentLeg]:
    """Its legs in order."""
    c = table(ShipmentLeg).c
    u.session.flush()
    ids = u.conn.scalars(select(c.id).where(c.shipment_id == shipment_id).order_by(c.number)).all()
    return [u.session.get_one(ShipmentLeg, leg, populate_existing=True) for leg in ids]


def legs_on_the_way(u: Unit, shipment: Shipment) -> list[ShipmentLeg]:
    """As `legs_of`, for what needs one. Raises Refused for a shipment that goes nowhere."""
    legs = legs_of(u, shipment.id)
    if not legs:
        raise Refused("shipments.no_legs", code=shipment.code)
    return legs


_ZONES_OF_LEGS = text("""
    SELECT vehicle_zone_id FROM shipment_leg WHERE shipment_id = :s
    UNION SELECT to_zone_id FROM shipment_leg WHERE shipment_id = :s
    UNION SELECT receiving_zone_id FROM shipment WHERE id = :s
    UNION SELECT from_zone_id FROM shipment_line WHERE shipment_id = :s
    UNION SELECT u.zone_id FROM shipment_line l JOIN handling_unit u ON u.id = l.handling_unit_id
          WHERE l.shipment_id = :s
""")


def lock_with_goods(u: Unit, shipment_id: int, *, zone_id: int | None = None) -> Shipment:
    """The shipment, locked after its sublots, and those after every zone on its way: the one order of locks (rule 2).

    `zone_id`: another zone that its goods are about to stand in.
    """
    goods = [line.sublot_id for line in lines_of(u, shipment_id) if line.sublot_id is not None]
    zones = {*u.conn.scalars(_ZONES_OF_LEGS, {"s": shipment_id}), zone_id} - {None}
    u.emit(ZonesToLock(tuple(goods), tuple(sorted(zones))))
    lots.lock_sublots(u, goods)
    return get_shipment(u, shipment_id, lock=True)


def pack(u: Unit, line_id: int, sscc: str, *, kind: str = "pallet", zone_id: int | None = None) -> HandlingUnit:
    """Packs a line into the handling unit of that SSCC, made if new. `zone_id`: the unit's own climate (a shipper).

    Raises Invalid (check digit), NotFound, Conflict (the unit has another zone), IllegalMove once dispatched.
    """
    require_pack_permit(u)
    line = get_line(u, line_id)
    _require_state(get_shipment(u, line.shipment_id), "planned", "picked")
    number = checked_sscc(sscc)
    require_zones(u, zone_id)
    found = u.conn.scalar(select(table(HandlingUnit).c.id).where(table(HandlingUnit).c.sscc == number))
    if found is None:
        box = HandlingUnit(sscc=number, kind=kind, zone_id=zone_id)
        u.session.add(box)
        u.session.flush()
    else:
        box = u.session.get_one(HandlingUnit, found)
        if zone_id is not None and box.zone_id != zone_id:
            raise Conflict("shipments.handling_unit_zone", sscc=number, monitored=box.zone_id, zone_id=zone_id)
    u.session.add(HandlingUnitContent(handling_unit_id=box.id, sublot_id=line.sublot_id, from_at=u.now))
    line.handling_unit_id = box.id
    u.session.add(line)
    u.session.flush()
    u.audit("shipment.pack", "shipment", line.shipment_id, after={"line_id": line_id, "sscc": number})
    return box


def require_pack_permit(u: Unit) -> None:
    """Packing is the warehouse's, or the planner's of the shipment."""
    if not u.actor.may("stock.pick"):
        u.need("shipment.plan")


def get_line(u: Unit, line_id: int) -> ShipmentLine:
    """A line. Raises NotFound."""
    found = u.session.get(ShipmentLine, line_id, populate_existing=True)
    if found is None:
        raise absent("shipment_line", line_id)
    return found
