"""A shipment's page: its way with the climate on it, its goods and loggers, and what is to be done next."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from fastapi import Response

from core.erp.kernel.door import needs
from core.erp.kernel.http import Id
from core.erp.kernel.records.registry import entities
from core.erp.kernel.records.shown import shown
from core.erp.kernel.unit import Unit
from core.web.desks.alerts.telling import telling_of_shipment
from core.web.desks.plant.queries import ZoneNow, zones
from core.web.frame.routes import page_routes
from core.web.frame.visit import Visit, Visiting
from core.web.records.record import record_page

router = page_routes()
SHOWS = ("lines", "legs", "loggers", "hand_overs", "holds")
"""The parts of the record that its page shows in its own way."""
BY_LEG = ("depart", "arrive")
"""The verbs that its page offers beside each leg."""
ROUND = timedelta(hours=1)
"""What of a zone's temperature is shown before and after the goods were in it."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """One leg: how far it is, and the zone of its vehicle."""

    leg: Any
    place: str
    zone: ZoneNow | None

    @property
    def chart(self) -> tuple[datetime, datetime | None] | None:
        """From when to when the vehicle's temperature matters; no end while it is under way."""
        if self.zone is None or self.leg.departed_at is None:
            return None
        arrived = self.leg.arrived_at
        return self.leg.departed_at - ROUND, arrived + ROUND if arrived is not None else None


@router.get("/shipments/{record_id:int}")
@needs("shipment.read")
def shipment(visit: Visiting, record_id: Id) -> Response:
    """One shipment."""
    return visit.read(lambda u: _page(u, visit, record_id))


def _page(u: Unit, visit: Visit, record_id: int) -> Response:
    entity = entities()["shipment"]
    record: Any = shown(u, entity, record_id)
    known = zones_of(u, record)
    return record_page(
        u,
        entity,
        visit,
        record_id,
        template="desks/shipment.html",
        shows=SHOWS,
        elsewhere=BY_LEG if record.legs else (),
        stretches=[Stretch(leg, _place(leg), known.get(leg.vehicle_zone_id)) for leg in record.legs],
        zones=known,
        units=_by_unit(record.lines),
        now=u.now,
        telling=telling_of_shipment(u, visit, record_id),
    )


def zones_of(u: Unit, record: Any) -> dict[int | None, ZoneNow]:
    """The zones that a shipment's legs, loggers and goods name, of those that the reader may see."""
    named = {record.receiving_zone_id, *(one.zone_id for one in record.loggers)}
    named |= {zone for leg in record.legs for zone in (leg.vehicle_zone_id, leg.to_zone_id)}
    named |= {line.sublot_zone_id for line in record.lines}
    if not u.actor.may("exposure.read"):
        return {}
    return {zone.id: zone for zone in zones(u, {}, [one for one in named if one is not None])}


def _place(leg: Any) -> str:
    return "done" if leg.arrived_at is not None else "now" if leg.departed_at is not None else "to"


def _by_unit(lines: Sequence[Any]) -> list[tuple[str | None, list[Any]]]:
    """Lines by the handling unit they are packed in; loose ones last."""
    units: dict[str | None, list[Any]] = {}
    for line in sorted(lines, key=lambda one: (one.sscc is None, one.sscc or "", one.id)):
        units.setdefault(line.sscc, []).append(line)
    return list(units.items())
