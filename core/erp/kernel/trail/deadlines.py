"""The deadline of the trail's next review: whoever may review it gets a task a fortnight before, and again when due."""

from core.erp.kernel.calendars.rules import days
from core.erp.kernel.deadlines.terms import Term

REVIEW = Term("audit_review", "audit.review", warnings=(days(14), days(3)))

TERMS = (REVIEW,)
