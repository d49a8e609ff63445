"""What shipments do on others' events."""

from sqlalchemy import select

from core.erp.catalog.events import Withdrawing
from core.erp.catalog.withdrawal import NAMED, use
from core.erp.kernel.events import Events
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.lots.events import HoldPlaced, SublotReleasing
from core.erp.quality.events import ExcursionAfterDeparture
from core.erp.shipments import service
from core.erp.shipments.model import Shipment, ShipmentLeg
from core.erp.shipments.workflow import OVER

_s, _leg = table(Shipment).c, table(ShipmentLeg).c


def uses(u: Unit, asked: Withdrawing) -> None:
    """Open shipments on whose way a zone is."""
    if asked.kind == "zone":
        on_the_way = (_leg.vehicle_zone_id == asked.record_id) | (_leg.to_zone_id == asked.record_id)
        here = (_s.receiving_zone_id == asked.record_id) | _s.id.in_(select(_leg.shipment_id).where(on_the_way))
        found = select(_s.code).where(here, _s.state.not_in(OVER)).order_by(_s.id).limit(NAMED)
        asked.uses.extend(use("shipment", list(u.conn.scalars(found))))


def register(events: Events) -> None:
    """Registers the handlers of shipments."""
    events.on(Withdrawing, "shipments.uses", uses)
    events.on(HoldPlaced, "shipments.stop", service.on_hold_placed)
    events.on(ExcursionAfterDeparture, "shipments.field_action", service.open_field_actions)
    events.on(SublotReleasing, "shipments.loggers", service.veto_release)
