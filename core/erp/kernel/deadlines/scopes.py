"""Which deadlines somebody sees: of their sites those for them, by person or permit; who oversees or audits, all."""

from sqlalchemy import ColumnElement, or_

from core.erp.kernel.deadlines.model import Deadline
from core.erp.kernel.scope import Visible, all_of, sites
from core.erp.kernel.tables import table
from core.erp.kernel.tasks.scopes import SEES_ALL
from core.erp.kernel.unit import Actor

_d = table(Deadline).c


def _for_me(actor: Actor) -> ColumnElement[bool] | None:
    if actor.system or any(actor.may(permit) for permit in SEES_ALL):
        return None
    return or_(_d.permit.in_(sorted(actor.permits)), _d.assignee == actor.login)


DEADLINES = all_of(sites(_d.site_id), _for_me)
VISIBLE = (Visible("deadline", _d.id, DEADLINES),)
