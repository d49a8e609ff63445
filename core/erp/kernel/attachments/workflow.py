"""The life cycle of an attached document."""

from core.erp.kernel.workflow import Move, Workflow

CURRENT, WITHDRAWN = "current", "withdrawn"

ATTACHMENT = Workflow(
    "attachment",
    # by whoever may attach to the record it hangs on: the act on that record has asked for its permit
    (Move("withdraw", frozenset({CURRENT}), WITHDRAWN, reasoned=True, system=True),),
    begins=(CURRENT,),
)
