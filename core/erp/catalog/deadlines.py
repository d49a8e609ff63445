"""The catalog's deadlines: a sensor's next calibration."""

from core.erp.kernel.calendars.rules import days
from core.erp.kernel.deadlines.rules import Escalation
from core.erp.kernel.deadlines.terms import Term

CALIBRATION = Term(
    "calibration",
    "calibration.record",
    warnings=(days(30), days(7)),
    escalations=(Escalation(days(1), "calibration.plan"),),
)
"""Of a sensor that has a plan. Behind it the sensor's readings are uncertain, whoever was told."""

TERMS = (CALIBRATION,)
