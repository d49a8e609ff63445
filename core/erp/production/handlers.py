"""What production does on others' events."""

from core.erp.kernel.events import Events
from core.erp.lots.events import HoldPlaced
from core.erp.production import service


def register(events: Events) -> None:
    """Registers production's handlers."""
    events.on(HoldPlaced, "production.stop_orders", service.stop_orders)
