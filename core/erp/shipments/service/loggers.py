"""Required loggers: read, or waived by signature. Until then the receipt stays in quarantine."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select, text

from core.erp.exposure.history.logger_zones import LOGGER_ZONE
from core.erp.kernel import signatures
from core.erp.kernel.errors import Refused, absent
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message
from core.erp.lots.events import SublotReleasing
from core.erp.shipments.model import Shipment, ShipmentLogger
from core.erp.shipments.service import logger_zones
from core.erp.shipments.service.journey import travels_in
from core.erp.shipments.service.planning import get_shipment
from core.erp.shipments.workflow import LOGGER, REQUIRED, WAIVED


def get_logger(u: Unit, shipment_id: int, serial: str, *, lock: bool = False) -> ShipmentLogger:
    """A logger that the shipment requires. Raises NotFound."""
    c = table(ShipmentLogger).c
    found = u.conn.scalar(select(c.id).where(c.shipment_id == shipment_id, c.serial == serial))
    if found is None:
        raise absent("shipment_logger", serial)
    return u.get_one(ShipmentLogger, found, lock=lock)


def mark_logger_read(u: Unit, shipment_id: int, serial: str, *, at: datetime | None = None) -> ShipmentLogger:
    """The logger has been read out and its readings judged. Reading it again changes nothing."""
    get_shipment(u, shipment_id, lock=True)
    found = get_logger(u, shipment_id, serial, lock=True)
    if found.state == REQUIRED:
        found.read_at = at or u.now
        LOGGER.apply(u, found, "read", also={"shipment_id": shipment_id, "serial": serial})
    return found


_READINGS_COVER = text("""
    SELECT coalesce(max(r.at) >= :stop AND bool_or(r.at >= :start AND r.at <= :stop), false)
    FROM zone z JOIN point p ON p.zone_id = z.id JOIN series_point s ON s.address = p.address
    JOIN reading r ON r.point_id = s.id
    WHERE z.kind = :kind AND split_part(p.address, '/', 4) = :serial
      AND (split_part(z.address, '/', 3) = :own OR split_part(z.address, '/', 3) LIKE :own || '-box-%')
""")


def confirm_logger_read(u: Unit, shipment_id: int, serial: str, *, at: datetime | None = None) -> ShipmentLogger:
    """Somebody says that the logger has been read, as when its arrival was keyed after its file had been imported.

    Raises Refused unless what it recorded up to the arrival is here: nobody's word stands for a logger's.
    """
    shipment = get_shipment(u, shipment_id, lock=True)
    if get_logger(u, shipment_id, serial).state == REQUIRED:
        _require_readings(u, shipment, serial)
    return mark_logger_read(u, shipment_id, serial, at=at)


def _require_readings(u: Unit, shipment: Shipment, serial: str) -> None:
    start, stop = logger_zones.journey_span(u, shipment)
    if stop is None:
        raise Refused("shipments.still_under_way", code=shipment.code, serial=serial)
    asked = {
        "kind": LOGGER_ZONE,
        "serial": logger_zones.address_segment(serial),
        "start": start,
        "stop": stop,
        "own": f"shipment-{shipment.id}",
    }
    if not u.conn.scalar(_READINGS_COVER, asked):
        raise Refused("shipments.journey_not_covered", serial=serial)


def waiver_signing(shipment_id: int, serial: str, reason: str) -> signatures.Signing[ShipmentLogger]:
    """The act of signing `waive_logger`."""
    return signatures.Signing(
        "logger.waive", _act(shipment_id, serial, reason), lambda u, p: waive_logger(u, shipment_id, serial, reason, p)
    )


def _act(shipment_id: int, serial: str, reason: str) -> signatures.Act:
    return signatures.Act(Message("meaning.logger_waiver"), "shipment_logger", (f"{shipment_id}/{serial}",), reason)


def waive_logger(u: Unit, shipment_id: int, serial: str, reason: str, proof: signatures.Proof) -> ShipmentLogger:
    """QA does without a logger that cannot be read, by signature. Raises IllegalMove unless it is still required."""
    shipment = get_shipment(u, shipment_id, lock=True)
    found = get_logger(u, shipment_id, serial, lock=True)
    record = {"shipment": shipment.code, "serial": serial, "reason": reason}
    signer = signatures.begin_signing(u, proof, _act(shipment_id, serial, reason))
    signed = signer.sign(found.id, record, listed_as=f"{shipment_id}/{serial}")
    found.signature_id, found.reason = signed.id, reason
    LOGGER.apply(u, found, "waive", reason=reason, also={"shipment_id": shipment_id, "serial": serial})
    _return_unmeasured_goods(u, shipment, found)
    return found


def _return_unmeasured_goods(u: Unit, shipment: Shipment, waived: ShipmentLogger) -> None:
    """The last logger of a box is waived and none was read: no data is not good data, the vehicle's rule holds."""
    box = logger_zones.box_of(u, shipment, waived.zone_id)
    c = table(ShipmentLogger).c
    rows = u.conn.execute(select(c.state, c.zone_id).where(c.shipment_id == shipment.id)).all()
    if all(row.state == WAIVED for row in rows if logger_zones.box_of(u, shipment, row.zone_id) == box):
        logger_zones.return_to_vehicle(u, shipment, box, travels_in)


_UNREAD_LOGGERS = text("""
    WITH RECURSIVE up(sublot_id, id) AS (
        SELECT one, one FROM unnest(CAST(:sublots AS bigint[])) one
        UNION
        SELECT up.sublot_id, g.parent_id FROM genealogy g JOIN up ON g.child_id = up.id
        WHERE g.transformation LIKE 'split:%' OR g.transformation LIKE 'merge:%'
    )
    SELECT DISTINCT up.sublot_id, s.id AS shipment_id, s.code, r.serial FROM up
    JOIN shipment_line l ON l.sublot_id = up.id AND l.state <> 'put_back'
    JOIN shipment s ON s.id = l.shipment_id AND s.state IN ('dispatched', 'in_transit', 'arrived')
    JOIN shipment_logger r ON r.shipment_id = s.id AND r.state = 'required'
    ORDER BY s.code, r.serial
""")


def unread_loggers(u: Unit, sublot_ids: Sequence[int]) -> dict[int, list[Row[Any]]]:
    """By sublot: the loggers (shipment_id, code, serial) that travelled with it and are neither read nor waived."""
    u.session.flush()
    found: dict[int, list[Row[Any]]] = {sublot_id: [] for sublot_id in sublot_ids}
    for row in u.conn.execute(_UNREAD_LOGGERS, {"sublots": list(found)}):
        found[row.sublot_id].append(row)
    return found


def veto_release(u: Unit, releasing: SublotReleasing) -> None:
    """A receipt is not released while a logger that travelled with it is neither read nor waived."""
    waiting = unread_loggers(u, [releasing.sublot_id])[releasing.sublot_id]
    if waiting:
        what = [Message("shipments.logger_of", serial=row.serial, code=row.code) for row in waiting]
        extra = {"loggers": [row.serial for row in waiting]}
        raise Refused("shipments.release_waits", sublot_id=releasing.sublot_id, loggers=what, extra=extra)
