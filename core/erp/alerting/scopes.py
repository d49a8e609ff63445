"""Which alerts, messages, routes and rotas somebody sees: those of their own sites; ways to reach people: their own,
and for whoever manages alerting those of people they see.
"""

from sqlalchemy import ColumnElement, and_, or_

from core.erp.alerting.model import Absence, Alert, AlertMessage, AlertRoute, ContactWay, OnCallRota, OnCallSwap
from core.erp.kernel.model import User
from core.erp.kernel.scope import Scope, Visible, inside, linked, looked_up, sees, sites, visible
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Actor

_alert, _message, _route = table(Alert).c, table(AlertMessage).c, table(AlertRoute).c
_rota, _swap, _absence, _way = table(OnCallRota).c, table(OnCallSwap).c, table(Absence).c, table(ContactWay).c
_user = table(User).c

ALERTS, MESSAGES, ROUTES, ROTAS = (sites(c.site_id) for c in (_alert, _message, _route, _rota))
SWAPS = linked(_swap.rota_id, "on_call_rota")


def _of_people(login: ColumnElement[str | None], places: Scope) -> Scope:
    """The actor's own; those of people whom a manager sees, and of places at the actor's sites."""

    def rows(actor: Actor) -> ColumnElement[bool] | None:
        if actor.system:
            return None
        found = [login == actor.login, and_(login.is_(None), sees(places, actor))]
        if actor.may("alerting.manage"):
            found.append(looked_up(login, _user.login, sees(visible()["user"].scope, actor)))
        return or_(*found)

    return inside(rows)


WAYS = _of_people(_way.login, sites(_way.site_id))


def ABSENCES(actor: Actor) -> ColumnElement[bool] | None:  # noqa: N802 - a scope like the others
    """Those of people whom the actor sees: whoever counts on somebody may know that they are away."""
    people = visible()["user"].scope(actor)
    return None if people is None else looked_up(_absence.login, _user.login, people)


VISIBLE = (
    Visible("alert", _alert.id, ALERTS),
    Visible("alert_message", _message.id, MESSAGES),
    Visible("alert_route", _route.id, ROUTES, label=_route.name),
    Visible("on_call_rota", _rota.id, ROTAS, label=_rota.name),
    Visible("on_call_swap", _swap.id, SWAPS),
    Visible("absence", _absence.id, ABSENCES),
    Visible("contact_way", _way.id, WAYS),
)
