"""The life cycle of a deadline."""

from core.erp.kernel.workflow import Move, Workflow

OPEN, MET, PASSED, CANCELLED = "open", "met", "passed", "cancelled"

DEADLINE = Workflow(
    "deadline",
    (
        # each follows from an act on the record it is of, or from the time
        Move("meet", frozenset({OPEN}), MET, system=True),
        Move("pass", frozenset({OPEN}), PASSED, system=True),
        Move("cancel", frozenset({OPEN}), CANCELLED, system=True),
    ),
    begins=(OPEN,),
)
