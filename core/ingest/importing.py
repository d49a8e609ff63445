"""A logger read out after the journey: what it was with, and so where its readings land and count.

They land under a point of the logger's own zone (core.erp.shipments.service.logger_zones says why), keyed by (point,
at) like all readings: the same file twice lands nothing twice, another value at the same time is a conflict on record.
"""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select, text

from core.erp.catalog.model import Zone
from core.erp.custody import service as custody
from core.erp.exposure.judge.judge import Judge
from core.erp.exposure.times import moment
from core.erp.kernel.errors import Invalid, NotFound, Refused
from core.erp.kernel.scope import visible
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.lots import service as lots
from core.erp.lots.model import Lot, Sublot
from core.erp.shipments import service as shipments
from core.erp.shipments.model import Shipment, ShipmentLine, ShipmentLogger
from core.erp.shipments.service import logger_zones
from core.erp.shipments.service.logger_zones import TogetherSpan
from core.erp.shipments.service.planning import lock_with_goods
from core.ingest.import_request import ImportRequest, ImportResult, Series, Value
from core.ingest.landing import bind_to_goods, land_import, readings_of

__all__ = ["ImportRequest", "ImportResult", "Series", "Value", "import_logger"]


def import_logger(u: Unit, judge: Judge, order: ImportRequest, *, live: bool) -> ImportResult:
    """Lands, binds and judges in the caller's transaction.

    Raises Forbidden without the permit `logger.import`, Invalid (nothing to import, nothing usable, not one binding),
    NotFound, Refused (not left yet; everything was measured already; a file of another time), Conflict (with another
    binding's logger then).
    """
    u.need("logger.import")
    if not order.serial.strip() or not any(len(series.values) for series in order.series):
        raise Invalid("ingest.nothing_to_import")
    if order.start is not None and order.stop is not None and order.stop <= order.start:
        raise Invalid("ingest.span_backwards")
    if sum(target is not None for target in (order.shipment, order.lot, order.sublot, order.zone)) != 1:
        raise Invalid("ingest.bound_to_one_thing")
    if order.shipment is not None:
        return _shipment(u, judge, order, live=live)
    if order.zone is not None:
        return _zone(u, judge, order, live=live)
    return _goods(u, judge, order, live=live)


# --- what it was with


def _shipment(u: Unit, judge: Judge, order: ImportRequest, *, live: bool) -> ImportResult:
    shipment_id = _find(u, Shipment, "code", order.shipment, "ingest.no_shipment")
    shipment = lock_with_goods(u, shipment_id)
    c = table(ShipmentLogger).c
    required = u.conn.execute(
        select(c.zone_id, c.serial).where(
            c.shipment_id == shipment_id, c.serial.in_((order.serial, order.serial.strip()))
        )
    ).first()
    box = logger_zones.box_of(u, shipment, required.zone_id if required else None)
    start, stop = logger_zones.journey_span(u, shipment)
    span = _narrowed(TogetherSpan(_sublots(logger_zones.lines_in(u, shipment, box)), start, stop), order)
    zone = logger_zones.logger_zone(u, shipment, box)
    done = ImportResult(f"shipment {shipment.code}", zone, [], [span] if span else [], source=order.source)
    bind_to_goods(u, judge, order, done, live=live)
    if required is not None:
        if stop is not None:
            shipments.mark_logger_read(u, shipment_id, required.serial)
        done.logger = u.conn.scalar(select(c.state).where(c.shipment_id == shipment_id, c.serial == required.serial))
    return done


def _goods(u: Unit, judge: Judge, order: ImportRequest, *, live: bool) -> ImportResult:
    """A lot's or sublot's logger speaks for where nobody else measured, or for all of a time that is named."""
    s = table(Sublot).c
    if order.lot is not None:
        lot_id = _find(u, Lot, "number", order.lot, "ingest.no_lot")
        ids = list(u.conn.scalars(select(s.id).where(s.lot_id == lot_id).order_by(s.id)))
        name, title = f"lot-{lot_id}", f"lot {lots.get_lot(u, lot_id).number}"
    else:
        one = _find(u, Sublot, "code", order.sublot, "ingest.no_sublot")
        ids, name, title = [one], f"sublot-{one}", f"sublot {lots.get_sublot(u, one).code}"
    custody.lock_zones(u, ids)
    lots.lock_sublots(u, ids)
    found = custody.intervals(u, ids)
    places = [place for spans in found.values() for place, _, _ in spans]
    zone = logger_zones.binding_zone(u, name, f"loggers of {title}", places)
    named = order.start is not None or order.stop is not None
    spans = []
    for sublot, intervals in found.items():
        for place, start, stop in intervals:
            if place is None or (not named and place != zone.id and _sensors_measured(u, place, start, stop)):
                continue
            narrowed = _narrowed(TogetherSpan((sublot,), start, stop), order)
            if narrowed is not None:
                spans.append(narrowed)
    if not spans:
        raise Refused("ingest.measured_already", goods=title)
    done = ImportResult(title, zone, [], spans, source=order.source)
    bind_to_goods(u, judge, order, done, live=live)
    return done


_READ = text("""
    SELECT EXISTS (
        SELECT FROM point p JOIN series_point s ON s.address = p.address JOIN reading r ON r.point_id = s.id
        WHERE p.zone_id = ANY(:zones) AND p.role = 'required' AND r.at >= :start
          AND r.at < coalesce(CAST(:stop AS timestamptz), :now))
""")


def _sensors_measured(u: Unit, place: int, start: datetime, stop: datetime | None) -> bool:
    """Whether sensors there are required and have said something over [start, stop)."""
    if not logger_zones.is_monitored(u, place, start):
        return False
    zones = {place, *u.conn.scalars(text("SELECT parent_id FROM zone_nesting WHERE zone_id = :z"), {"z": place})}
    return bool(u.conn.scalar(_READ, {"zones": sorted(zones), "start": start, "stop": stop, "now": u.now}))


def _zone(u: Unit, judge: Judge, order: ImportRequest, *, live: bool) -> ImportResult:
    """A logger that stays in a zone is one of its sensors, read by hand: all of its file counts."""
    zone = u.session.get_one(Zone, _find(u, Zone, "address", order.zone, "ingest.no_zone"))
    done = ImportResult(f"zone {zone.address}", zone, [], [], source=order.source)
    readings = readings_of(u, order, done, live=live)
    land_import(u, judge, readings, done, moment(int(readings.times().max())))
    done.counted = len(readings)
    return done


def _find(
    u: Unit,
    model: type[Shipment] | type[Lot] | type[Sublot] | type[Zone],
    column: str,
    wanted: int | str | None,
    none: str,
) -> int:
    """The id of the one row with that id, or with that code or number, that the actor sees. Raises NotFound (with the
    message `none`), Invalid (several).
    """
    c, known = table(model).c, visible()[str(table(model).name)].keys(u.actor)
    rows = []
    if isinstance(wanted, str):
        rows = list(u.conn.scalars(known.where(c[column] == wanted).limit(2)))
    if not rows and str(wanted).isascii() and str(wanted).isdecimal() and int(str(wanted)) < 2**63:
        rows = list(u.conn.scalars(known.where(c.id == int(str(wanted)))))
    if not rows:
        raise NotFound(none, called=str(wanted))
    if len(rows) > 1:
        raise Invalid("ingest.several_called", called=str(wanted))
    return int(rows[0])


def _sublots(lines: Iterable[ShipmentLine]) -> tuple[int, ...]:
    return tuple(sorted({line.sublot_id for line in lines if line.sublot_id is not None}))


def _narrowed(span: TogetherSpan, order: ImportRequest) -> TogetherSpan | None:
    start = max(span.start, order.start) if order.start is not None else span.start
    stops = [at for at in (span.stop, order.stop) if at is not None]
    stop = min(stops) if stops else None
    return None if stop is not None and stop <= start else TogetherSpan(span.sublot_ids, start, stop)
