"""What production does on others' events."""

from sqlalchemy import any_, select

from core.erp.catalog.events import Withdrawing
from core.erp.catalog.withdrawal import ACTIVE, NAMED, use
from core.erp.kernel.events import Events
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.lots.events import HoldPlaced
from core.erp.production import service
from core.erp.production.model import WorkCentre, WorkOrder, WorkOrderLine, WorkOrderOperation
from core.erp.production.workflow import OVER

_o, _line, _step, _centre = (table(one).c for one in (WorkOrder, WorkOrderLine, WorkOrderOperation, WorkCentre))


def uses(u: Unit, asked: Withdrawing) -> None:
    """Open orders that make or take an item, or have still to be done at a work centre; work centres in a zone."""
    lines = select(_line.order_id).where(_line.item_id == asked.record_id)
    here = (_step.work_centre_id == asked.record_id) | (_step.done_on_id == asked.record_id)
    steps = select(_step.order_id).where(here | (asked.record_id == any_(_step.alternatives)), _step.state != "done")
    whose = {"item": (_o.item_id == asked.record_id) | _o.id.in_(lines), "work_centre": _o.id.in_(steps)}
    if asked.kind in whose:
        found = select(_o.code).where(whose[asked.kind], _o.state.not_in(OVER)).order_by(_o.id).limit(NAMED)
        asked.uses.extend(use("work_order", list(u.conn.scalars(found))))
    if asked.kind == "zone":
        there = select(_centre.code).where(_centre.zone_id == asked.record_id, _centre.state == ACTIVE).limit(NAMED)
        asked.uses.extend(use("work_centre", list(u.conn.scalars(there))))


def register(events: Events) -> None:
    """Registers production's handlers."""
    events.on(Withdrawing, "production.uses", uses)
    events.on(HoldPlaced, "production.stop_orders", service.stop_orders)
