"""Which work somebody sees: that of work centres in zones they see. Bills of material are everybody's."""

from sqlalchemy import ColumnElement, not_, or_

from core.erp.kernel.scope import Visible, everything, linked, looked_up
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Actor
from core.erp.production.model import Bom, WorkCentre, WorkOrder, WorkOrderMaterial, WorkOrderOperation, WorkOrderOutput

_centre, _order, _operation = table(WorkCentre).c, table(WorkOrder).c, table(WorkOrderOperation).c
# under a name of its own: a statement that reads orders together with their operations asks it too
_step = table(WorkOrderOperation).alias("step_of_order").c

WORK_CENTRES = linked(_centre.zone_id, "zone")
OPERATIONS = linked(_operation.order_id, "work_order")
MATERIALS = linked(table(WorkOrderMaterial).c.order_id, "work_order")
OUTPUTS = linked(table(WorkOrderOutput).c.order_id, "work_order")
BOMS = everything


def WORK_ORDERS(actor: Actor) -> ColumnElement[bool] | None:  # noqa: N802 - a scope like the others
    """Orders with a step on a work centre the actor sees, and orders without steps."""
    here = linked(_step.work_centre_id, "work_centre")(actor)
    if here is None:
        return None
    seen = looked_up(_order.id, _step.order_id, here)
    return seen if actor.outside else or_(seen, not_(looked_up(_order.id, _step.order_id)))


VISIBLE = (
    Visible("work_centre", _centre.id, WORK_CENTRES, label=_centre.code),
    Visible("bom", table(Bom).c.id, BOMS),
    Visible("work_order", _order.id, WORK_ORDERS, "order", _order.code),
    Visible("work_order_operation", _operation.id, OPERATIONS, "operation"),
    Visible("work_order_material", table(WorkOrderMaterial).c.id, MATERIALS, "material"),
    Visible("work_order_output", table(WorkOrderOutput).c.id, OUTPUTS),
)
