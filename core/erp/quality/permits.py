"""Permits of quality: `quality.read` covers zone alarms, excursions, incidents, deviations and releases."""

from core.erp.kernel.permits import INSIDE, Role, permit

PERMITS = (
    permit("quality.read", *INSIDE),
    permit("alarm.acknowledge", Role.PLANT_ENGINEER, Role.QA),
    permit("alarm.shelve", Role.PLANT_ENGINEER),
    permit("excursion.assess", Role.QA),
    permit("excursion.disposition", Role.QA, signing=True),
    permit("batch.release", Role.RESPONSIBLE_PERSON, signing=True),
)
