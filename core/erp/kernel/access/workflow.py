"""The life cycle of a composed role: nobody approves what they have composed, or would gain by."""

from core.erp.kernel.access.model import APPROVED, DRAFT, WITHDRAWN
from core.erp.kernel.workflow import Move, Workflow

ROLE = Workflow(
    "role",
    (
        Move("approve", frozenset({DRAFT}), APPROVED, permit="user.approve", second_person=True),
        Move(
            "withdraw",
            frozenset({DRAFT, APPROVED}),
            WITHDRAWN,
            permit=("user.manage", "user.approve"),
            reasoned=True,
        ),
        # the next edition of the role was approved
        Move("replace", frozenset({APPROVED}), WITHDRAWN, system=True),
    ),
    begins=(DRAFT,),
)
