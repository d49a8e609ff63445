"""The life cycle of calibration plans."""

from core.erp.kernel.workflow import Move, Workflow

ACTIVE, WITHDRAWN = "active", "withdrawn"

PLAN = Workflow(
    "calibration_plan",
    (Move("withdraw", frozenset({ACTIVE}), WITHDRAWN, permit="calibration.plan", reasoned=True),),
    begins=(ACTIVE,),
)
