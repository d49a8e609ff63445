"""How the rows of the dispatch lists may change."""

from core.erp.kernel.guarded import EVERY, Guarded
from core.erp.scheduling.model import DispatchEntry, DispatchPlan

TABLES = (
    Guarded(DispatchPlan, changes=EVERY, why="what is ready: made again from orders"),
    Guarded(DispatchEntry, changes=EVERY, removable=True, why="what is ready: made again from orders"),
)
