"""Deadlines of CAPA: its plan, each action of it, and the check of its effectiveness."""

from core.erp.kernel.calendars.rules import working_days
from core.erp.kernel.deadlines.rules import Escalation
from core.erp.kernel.deadlines.terms import Term

_LATE = working_days(1)

PLAN = Term(
    "capa_plan",
    "capa.manage",
    within=working_days(15),
    warnings=(working_days(5),),
    escalations=(Escalation(_LATE, "capa.sign"),),
)
"""Of one that is open, or open again: until its plan is signed."""

ACTION = Term(
    "capa_action",
    "capa.manage",
    warnings=(working_days(5), working_days(1)),
    escalations=(Escalation(_LATE, "capa.manage"),),
)
"""Of one action of a signed plan, for its owner; behind it for whoever keeps the CAPA."""

CHECK = Term(
    "capa_check",
    "capa.sign",
    within=working_days(10),
    warnings=(working_days(10),),
    escalations=(Escalation(_LATE, "capa.manage"),),
)
"""Counted from the day of the plan's check."""

TERMS = (PLAN, ACTION, CHECK)
