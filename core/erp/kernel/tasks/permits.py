"""Permits of tasks: everybody inside sees and does their own; who oversees sees and passes on all of their sites."""

from core.erp.kernel.permits import PEOPLE, Role, permit

PERMITS = (
    permit("task.read", *PEOPLE),
    permit("task.act", *(PEOPLE - {Role.AUDITOR})),
    permit("task.oversee", Role.QA, Role.PLANNER, Role.ADMIN),
)
