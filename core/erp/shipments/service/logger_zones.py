"""Loggers that travel with goods: a zone of their own, where the goods were while the logger was with them.

A logger measures what is around the goods, not a room. Its readings therefore land in a zone that belongs to the
binding (a shipment's journey, a lot, a sublot), and the goods' custody for the time they were together is there. What
the logger saw before and after (a warm office) lands in the same series, but no goods stood there then, and nobody
else's goods ever do: so it cannot count. Several loggers in one box share the zone; one may stand in for another.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, text

from core.erp.catalog import service as catalog
from core.erp.catalog.model import Point, Site, Zone
from core.erp.custody import service as custody
from core.erp.exposure.history.logger_zones import LOGGER_ZONE
from core.erp.exposure.history.monitoring_zone import MonitoringZones
from core.erp.exposure.times import micros
from core.erp.kernel.errors import Conflict, Invalid, Refused
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message
from core.erp.shipments.model import Shipment, ShipmentLeg, ShipmentLine, ShipmentLogger
from core.erp.shipments.service.planning import legs_of, legs_on_the_way, lines_of

VehicleZone = Callable[[Unit, ShipmentLine, ShipmentLeg], int | None]

_z, _p = table(Zone), table(Point)


@dataclass(frozen=True, slots=True)
class TogetherSpan:
    """Sublots and logger were together over [start, stop); `stop` is None while they still are."""

    sublot_ids: tuple[int, ...]
    start: datetime
    stop: datetime | None


def binding_zone(u: Unit, name: str, title: str, near: Sequence[int | None]) -> Zone:
    """The logger's zone SITE/loggers/NAME, made if new; the site is that of the first zone given in `near`.

    `name` may not be the same for two bindings. Raises Invalid where there is no site at all.
    """
    found = u.conn.scalar(select(_z.c.id).where(_z.c.address.like(f"%/loggers/{name}"), _z.c.kind == LOGGER_ZONE))
    if found is not None:
        return u.session.get_one(Zone, found)
    place = next((zone for zone in near if zone is not None), None)
    c = table(Site).c
    site_id = None if place is None else u.conn.scalar(select(_z.c.site_id).where(_z.c.id == place))
    site_id = site_id or u.conn.scalar(select(c.id).order_by(c.id).limit(1))
    if site_id is None:
        raise Invalid("shipments.no_site_yet")
    code = u.conn.scalar(select(c.code).where(c.id == site_id))
    # a fixture's site code may be written differently in its zones' addresses: those are what counts
    other = u.conn.scalar(select(_z.c.address).where(_z.c.site_id == site_id).order_by(_z.c.id).limit(1))
    lead = other.split("/", maxsplit=1)[0] if other else code
    zone = Zone(site_id=site_id, address=f"{lead}/loggers/{name}", name=title, kind=LOGGER_ZONE)
    u.session.add(zone)
    u.session.flush()
    u.audit("zone.create", "zone", zone.id, after=zone.model_dump())
    return zone


def logger_point(u: Unit, zone: Zone, serial: str, quantity: str, unit: str) -> Point:
    """The logger's point for a quantity in a zone, made if new: required where none is, else a spare.

    A spare's readings count like any other's; only its silence does not. Raises Conflict for a point of another kind.
    """
    address = f"{zone.address}/{address_segment(serial)}/{address_segment(quantity)}"
    found = u.session.scalars(select(Point).where(_p.c.address == address)).one_or_none()
    if found is not None:
        if found.quantity != quantity:
            raise Conflict("shipments.measures_otherwise", point=address, quantity=found.quantity, given=quantity)
        return found
    first = u.conn.scalar(
        select(_p.c.id).where(_p.c.zone_id == zone.id, _p.c.quantity == quantity, _p.c.role == "required").limit(1)
    )
    role = "required" if first is None else "spare"
    return catalog.create_point(u, zone.id, address, quantity, unit, role=role)


def address_segment(text_: str) -> str:
    """A serial number or quantity as one segment of an address. Raises Invalid when nothing is left of it."""
    made = re.sub(r"[^A-Za-z0-9_-]+", "_", text_.strip())[:64]
    if not made.strip("_"):
        raise Invalid("shipments.names_no_logger", given=text_)
    return made


# --- a shipment's loggers


def logger_zone(u: Unit, shipment: Shipment, recorded: int | None) -> Zone:
    """The zone of the loggers that recorded all of the shipment (None) or one box of it (the box's zone)."""
    name = f"shipment-{shipment.id}" + ("" if recorded is None else f"-box-{recorded}")
    title = f"loggers of shipment {shipment.code}" + ("" if recorded is None else f", box zone {recorded}")
    legs = legs_of(u, shipment.id)
    came_from = [line.from_zone_id for line in lines_of(u, shipment.id)]
    near = [recorded, *(leg.vehicle_zone_id for leg in legs), shipment.receiving_zone_id, *came_from]
    return binding_zone(u, name, title, [*near, *(leg.to_zone_id for leg in legs)])


_BOXES = text("""
    SELECT l.id FROM shipment_line l JOIN handling_unit h ON h.id = l.handling_unit_id
    WHERE l.shipment_id = :s AND h.zone_id = :z
""")


def box_of(u: Unit, shipment: Shipment, zone_id: int | None) -> int | None:
    """The zone itself where it is a box of the shipment with climate of its own; None for vehicle and all else."""
    if zone_id is None or u.conn.execute(_BOXES, {"s": shipment.id, "z": zone_id}).first() is None:
        return None
    return zone_id


def lines_in(u: Unit, shipment: Shipment, recorded: int | None) -> list[ShipmentLine]:
    """The lines that a logger of the box (None: of the whole shipment) was with, by id."""
    lines = [line for line in lines_of(u, shipment.id) if line.state != "put_back"]
    if recorded is None:
        return lines
    boxed = set(u.conn.scalars(_BOXES, {"s": shipment.id, "z": recorded}))
    return [line for line in lines if line.id in boxed]


def waiting_zone(u: Unit, shipment: Shipment, line: ShipmentLine, zone_id: int | None, at: datetime) -> int | None:
    """Where the line travels: in its loggers' zone while one is still to be read and nobody measures the vehicle.

    Such goods are like those of a gateway that is cut off: unjudged, not blamed, since the logger may still tell.
    """
    if zone_id is not None and is_monitored(u, zone_id, at):
        return zone_id
    c = table(ShipmentLogger).c
    rows = u.conn.execute(
        select(c.serial, c.zone_id).where(c.shipment_id == shipment.id, c.state == "required").order_by(c.serial)
    ).all()
    mine = {}
    for row in rows:
        recorded = box_of(u, shipment, row.zone_id)
        if any(one.id == line.id for one in lines_in(u, shipment, recorded)):
            mine[row.serial] = recorded
    if not mine:
        return zone_id
    recorded = next((box for box in mine.values() if box is not None), None)
    zone = logger_zone(u, shipment, recorded)
    for serial, box in mine.items():
        if box == recorded:
            logger_point(u, zone, serial, "temperature", "Cel")
    return zone.id


def is_monitored(u: Unit, zone_id: int, at: datetime) -> bool:
    """Whether sensors of its own, or of the zone around it, are required there."""
    zones = MonitoringZones(u.conn)
    return all(zones.setup(zone).monitored for zone, _, _ in zones.judged_path([(zone_id, at, None)]))


def journey_span(u: Unit, shipment: Shipment) -> tuple[datetime, datetime | None]:
    """From leaving (dispatched, or departed if that was before) to the arrival at the end of the last leg.

    Raises Refused for a shipment that has not left.
    """
    legs = legs_on_the_way(u, shipment)
    began = [at for at in (shipment.dispatched_at, shipment.departed_at, legs[0].departed_at) if at is not None]
    stop = legs[-1].arrived_at or shipment.arrived_at
    if not began and stop is None:
        raise Refused("shipments.not_left_yet", code=shipment.code)
    start = min(began) if began else stop
    assert start is not None
    return start, stop


def record_together(u: Unit, zone: Zone, span: TogetherSpan, reason: str | Message) -> None:
    """Puts the goods' custody into the logger's zone for the span, as far as it is not there already.

    A box's zone is narrower than its shipment's and prevails over it. Raises Conflict where the goods were with a
    logger of another binding then.
    """
    custody.lock_zones(u, span.sublot_ids, [zone.id])
    for sublot_id in span.sublot_ids:
        while (at := _first_elsewhere(u, zone, sublot_id, span)) is not None:
            custody.record_location(u, sublot_id, zone.id, at, reason)


def _first_elsewhere(u: Unit, zone: Zone, sublot_id: int, span: TogetherSpan) -> datetime | None:
    """The first instant of the span at which the sublot is on record somewhere else; None when there is none."""
    for place, start, stop in custody.intervals(u, [sublot_id])[sublot_id]:
        if place == zone.id or (span.stop is not None and start >= span.stop):
            continue
        if stop is not None and stop <= span.start:
            continue
        kind, address = u.conn.execute(select(_z.c.kind, _z.c.address).where(_z.c.id == place)).one_or_none() or (
            "",
            "",
        )
        if kind == LOGGER_ZONE:
            if address.startswith(f"{zone.address}-box-"):
                continue
            if not zone.address.startswith(f"{address}-box-"):
                raise Conflict("shipments.with_other_loggers", sublot_id=sublot_id, zone=address, since=start)
        return max(start, span.start)
    return None


def return_to_vehicle(u: Unit, shipment: Shipment, recorded: int | None, travels_in: VehicleZone) -> None:
    """No logger of the box (None: of the shipment) will tell: its goods were in the vehicle, measured or not."""
    zone = logger_zone(u, shipment, recorded)
    legs, why = legs_of(u, shipment.id), Message("shipments.no_logger_tells", code=shipment.code)
    for line in lines_in(u, shipment, recorded):
        for place, start, stop in custody.intervals(u, [line.sublot_id])[line.sublot_id]:
            if place != zone.id:
                continue
            for leg in legs:
                at = max(start, leg.departed_at or start) if leg.number > 1 else start
                if (leg.number == 1 or leg.departed_at is not None) and (stop is None or at < stop):
                    custody.record_location(u, line.sublot_id, travels_in(u, line, leg), at, why)


def intervals_in_zone(u: Unit, zone_id: int, sublot_ids: Sequence[int]) -> dict[int, list[tuple[int, int | None]]]:
    """By sublot: when it was in the zone, [from, to) in microseconds."""
    found = custody.intervals(u, sublot_ids)
    return {
        sublot: [(micros(a), None if b is None else micros(b)) for place, a, b in spans if place == zone_id]
        for sublot, spans in found.items()
    }
