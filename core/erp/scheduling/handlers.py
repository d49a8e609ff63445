"""What scheduling does on others' events. Registered after production: it lists what production has left ready."""

from core.erp.kernel.events import Events
from core.erp.lots.events import HoldPlaced
from core.erp.production.events import OrdersChanged, WorkCentresChanged
from core.erp.scheduling import service


def register(events: Events) -> None:
    """Registers scheduling's handlers."""
    events.on(OrdersChanged, "scheduling.replan", service.on_orders)
    events.on(WorkCentresChanged, "scheduling.replan", service.on_centres)
    events.on(HoldPlaced, "scheduling.replan", service.on_hold)
