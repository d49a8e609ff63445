"""Which tasks somebody sees: of their own sites those for them, by person or permit; who oversees or audits, all."""

from sqlalchemy import ColumnElement, and_, or_

from core.erp.kernel.scope import Visible, all_of, sites
from core.erp.kernel.tables import table
from core.erp.kernel.tasks.model import Task
from core.erp.kernel.tasks.workflow import OVERSEE, STANDING
from core.erp.kernel.unit import Actor

_t = table(Task).c
SEES_ALL = (OVERSEE, "audit.read")
"""Whoever reads the audit trail reads every task there."""


def _for_me(actor: Actor) -> ColumnElement[bool] | None:
    if actor.system or any(actor.may(permit) for permit in SEES_ALL):
        return None
    return or_(_t.assignee == actor.login, _t.created_by == actor.login, _t.permit.in_(sorted(actor.permits)))


TASKS = all_of(sites(_t.site_id), _for_me)


def mine(actor: Actor) -> ColumnElement[bool]:
    """What this actor is to do: taken or given to them, or free for a permit they hold, at their sites."""
    free = and_(_t.assignee.is_(None), _t.permit.in_(sorted(actor.permits)))
    here = sites(_t.site_id)(actor)
    condition = and_(_t.state.in_(sorted(STANDING)), or_(_t.assignee == actor.login, free))
    return condition if here is None else and_(condition, here)


VISIBLE = (Visible("task", _t.id, TASKS),)
