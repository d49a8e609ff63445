"""What production does, inside a transaction somebody else opened."""

from core.erp.production.material import balances, material_needs, material_obstacles, materials
from core.erp.production.service.centres import create_work_centre, report_centre_state, work_centre
from core.erp.production.service.floor import (
    consume,
    finish_operation,
    issue,
    report_output,
    report_scrap,
    report_used_up,
    reserve,
    return_material,
    start_operation,
)
from core.erp.production.service.orders import MOVES, Step, create_bom, get_order, move_order, plan, stop_orders

__all__ = [
    "MOVES",
    "Step",
    "balances",
    "consume",
    "create_bom",
    "create_work_centre",
    "finish_operation",
    "get_order",
    "issue",
    "material_needs",
    "material_obstacles",
    "materials",
    "move_order",
    "plan",
    "report_centre_state",
    "report_output",
    "report_scrap",
    "report_used_up",
    "reserve",
    "return_material",
    "start_operation",
    "stop_orders",
    "work_centre",
]
