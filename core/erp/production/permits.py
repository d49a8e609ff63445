"""Permits of production."""

from core.erp.kernel.permits import INSIDE, Role, permit

PERMITS = (
    permit("production.read", *INSIDE),
    permit("production.plan", Role.PLANNER),
    # what every site makes an item by
    permit("production.bills", Role.PLANNER, all_sites=True),
    permit("production.release", Role.PLANNER),
    permit("production.report", Role.PLANNER, Role.OPERATOR, Role.PLANT_ENGINEER),
    permit("machine.state", Role.PLANNER, Role.OPERATOR, Role.PLANT_ENGINEER),
)
