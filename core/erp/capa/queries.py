"""What of CAPA is read together: a plan's actions, the plans signed so far, and what they came to."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, select

from core.erp.capa.model import Capa, CapaAction, CapaCheck, CapaPlan
from core.erp.kernel.errors import absent
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit

_capa, _action, _plan, _check = table(Capa), table(CapaAction), table(CapaPlan), table(CapaCheck)

ACTIONS = select(_action, _capa.c.number.label("capa")).join_from(_action, _capa, _capa.c.id == _action.c.capa_id)
"""Actions with the number of what they are of."""


def capa_of(u: Unit, capa_id: int) -> Capa:
    """One CAPA, locked: before any action of it. Raises NotFound."""
    found = u.get(Capa, capa_id, lock=True)
    if found is None:
        raise absent("capa", capa_id)
    return found


def actions_of(u: Unit, capa_id: int) -> Sequence[CapaAction]:
    """Its actions, in the order in which they were thought of."""
    mine = select(CapaAction).where(_action.c.capa_id == capa_id).order_by(_action.c.id)
    return u.session.scalars(mine.execution_options(populate_existing=True)).all()


def newest_plan(u: Unit, capa_id: int) -> CapaPlan | None:
    """The plan that was signed last; None before the first."""
    mine = select(CapaPlan).where(_plan.c.capa_id == capa_id).order_by(_plan.c.id.desc()).limit(1)
    return u.session.scalars(mine).first()


def check_of(u: Unit, plan_id: int) -> CapaCheck | None:
    """What was found of a plan's effectiveness; None before that."""
    return u.session.scalars(select(CapaCheck).where(_check.c.plan_id == plan_id)).first()


def actions(u: Unit, row: Any) -> Sequence[Row[Any]]:
    """A CAPA's actions as they are answered."""
    return u.conn.execute(ACTIONS.where(_action.c.capa_id == row.id).order_by(_action.c.id)).all()


def plans(u: Unit, row: Any) -> Sequence[Row[Any]]:
    """Every plan that was signed, oldest first."""
    return u.conn.execute(select(_plan).where(_plan.c.capa_id == row.id).order_by(_plan.c.id)).all()


def checks(u: Unit, row: Any) -> Sequence[Row[Any]]:
    """Every check of effectiveness, oldest first."""
    return u.conn.execute(select(_check).where(_check.c.capa_id == row.id).order_by(_check.c.id)).all()
