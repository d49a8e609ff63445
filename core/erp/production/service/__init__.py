"""What production does, inside a transaction somebody else opened."""

from core.erp.production.material import balances, materials, needs, standing_against
from core.erp.production.service.centres import create_work_centre, set_state, work_centre
from core.erp.production.service.floor import (
    consume,
    finish_operation,
    give_back,
    issue,
    report_output,
    report_scrap,
    reserve,
    start_operation,
    used_up,
)
from core.erp.production.service.orders import MOVES, Step, apply, create_bom, get_order, plan, stop_orders

__all__ = [
    "MOVES",
    "Step",
    "apply",
    "balances",
    "consume",
    "create_bom",
    "create_work_centre",
    "finish_operation",
    "get_order",
    "give_back",
    "issue",
    "materials",
    "needs",
    "plan",
    "report_output",
    "report_scrap",
    "reserve",
    "set_state",
    "standing_against",
    "start_operation",
    "stop_orders",
    "used_up",
    "work_centre",
]
