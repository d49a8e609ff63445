"""Permits of calendars."""

from core.erp.kernel.permits import PEOPLE, Role, permit

PERMITS = (
    permit("calendar.read", *PEOPLE),
    permit("calendar.manage", Role.PLANNER, Role.QA, Role.ADMIN),
)
