"""What shipments do on others' events."""

from core.erp.kernel.events import Events
from core.erp.lots.events import HoldPlaced, SublotReleasing
from core.erp.quality.events import ExcursionAfterDeparture
from core.erp.shipments import service


def register(events: Events) -> None:
    """Registers the handlers of shipments."""
    events.on(HoldPlaced, "shipments.stop", service.on_hold_placed)
    events.on(ExcursionAfterDeparture, "shipments.field_action", service.open_field_actions)
    events.on(SublotReleasing, "shipments.loggers", service.veto_release)
