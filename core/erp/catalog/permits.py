"""Permits of the catalog."""

from core.erp.kernel.permits import INSIDE, Role, permit

PERMITS = (
    permit("catalog.read", *INSIDE),
    permit("catalog.manage", Role.ADMIN),
    # sites themselves, and what every site stocks and is judged by
    permit("catalog.sites", Role.ADMIN, all_sites=True),
    permit("catalog.items", Role.ADMIN, all_sites=True),
    permit("catalog.points", Role.PLANT_ENGINEER, Role.ADMIN),
    permit("catalog.profiles", Role.QA, all_sites=True),
    permit("calibration.plan", Role.QA, Role.PLANT_ENGINEER),
    permit("calibration.record", Role.QA),
    permit("calibration.approve", Role.QA, signing=True),
)
