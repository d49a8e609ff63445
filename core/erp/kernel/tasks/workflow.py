"""The life cycle of a task."""

from typing import Any

from core.erp.kernel.errors import Forbidden
from core.erp.kernel.unit import Unit
from core.erp.kernel.workflow import Move, Workflow

OPEN, TAKEN, DONE, WITHDRAWN = "open", "taken", "done", "withdrawn"
STANDING = frozenset({OPEN, TAKEN})
OVERSEE = "task.oversee"


def concerned(u: Unit, task: Any) -> None:
    """Refuses whoever the task is not for: not its person, without its permit, and not overseeing."""
    actor = u.actor
    if task.assignee == actor.login or actor.may(OVERSEE) or (task.permit is not None and actor.may(task.permit)):
        return
    raise Forbidden("tasks.not_yours", extra={"permit": task.permit, "assignee": task.assignee})


def in_hand(u: Unit, task: Any) -> None:
    """Refuses besides whoever does what somebody else has taken."""
    concerned(u, task)
    if task.assignee not in {None, u.actor.login} and not u.actor.may(OVERSEE):
        raise Forbidden("tasks.taken_by", login=task.assignee, extra={"assignee": task.assignee})


def require_opener(u: Unit, task: Any) -> None:
    """Refuses whoever has not opened it, and does not oversee."""
    if task.created_by != u.actor.login and not u.actor.may(OVERSEE):
        raise Forbidden("tasks.opened_by", login=task.created_by)


ACT = "task.act"
TASK = Workflow(
    "task",
    (
        # `concerned` is asked by the acts, before the person changes
        Move("take", STANDING, TAKEN, permit=ACT),
        Move("hand_over", STANDING, TAKEN, permit=ACT),
        Move("give_back", frozenset({TAKEN}), OPEN, permit=ACT, guard=in_hand),
        Move("done", STANDING, DONE, permit=ACT, guard=in_hand, reasoned=True),
        Move("cancel", STANDING, WITHDRAWN, permit=ACT, guard=require_opener, reasoned=True),
        # by the act that it asked for, or because what it was about is no more
        Move("finish", STANDING, DONE, system=True),
        Move("withdraw", STANDING, WITHDRAWN, system=True),
    ),
    begins=(OPEN,),
)
