"""Which users somebody sees: whoever belongs to some sites sees those who belong to one of them, or to all."""

from sqlalchemy import ColumnElement, func, or_

from core.erp.kernel.access.model import ComposedRole
from core.erp.kernel.model import User
from core.erp.kernel.scope import Visible, everything, inside
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Actor

_user = table(User).c


def _of_own_sites(actor: Actor) -> ColumnElement[bool] | None:
    if actor.system or actor.sites is None:
        return None
    return or_(_user.site_ids.overlap(sorted(actor.sites)), func.cardinality(_user.site_ids) == 0)


USERS = inside(_of_own_sites)
ROLES = everything

VISIBLE = (Visible("user", _user.id, USERS, label=_user.login), Visible("role", table(ComposedRole).c.id, ROLES))
