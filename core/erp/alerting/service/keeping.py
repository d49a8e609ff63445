"""What a route, rota, swap, absence or way must be before it is kept."""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import select

from core.erp.alerting.model import AlertRoute
from core.erp.alerting.rules import ways
from core.erp.alerting.workflow import require_all_sites
from core.erp.kernel.access.model import ComposedRole
from core.erp.kernel.errors import Forbidden, Invalid
from core.erp.kernel.model import User
from core.erp.kernel.permits import Role
from core.erp.kernel.tables import table
from core.erp.kernel.tasks import service as tasks
from core.erp.kernel.unit import Unit

_TARGETS = ("rota_id", "login", "role", "way_id")


def check_route(u: Unit, fields: Mapping[str, Any]) -> None:
    """Raises Invalid where a step names nobody or several, or a role or person that there is not; Forbidden for a route
    of every site, to whoever belongs to some sites only.
    """
    _require_sites(u, fields)
    for number, step in enumerate(fields["steps"], 1):
        named = [name for name in _TARGETS if step.get(name) not in {None, ""}]
        if len(named) != 1:
            raise Invalid("alerting.step_names_one", step=number)
        if step.get("role"):
            _require_role(u, step["role"])
        if step.get("login"):
            tasks.require_able(u, step["login"], "alert.read", fields.get("site_id"))


def _require_role(u: Unit, role: str) -> None:
    composed = select(table(ComposedRole).c.code).where(table(ComposedRole).c.code == role)
    if role not in set(Role) and u.conn.execute(composed).first() is None:
        raise Invalid("alerting.no_such_role", role=role)


def check_rota(u: Unit, fields: Mapping[str, Any]) -> None:
    """Raises what a person raises who cannot be on call there."""
    _able(u, fields["logins"], fields.get("site_id"))


def check_swap(u: Unit, fields: Mapping[str, Any]) -> None:
    """Raises Invalid for no span of time."""
    _span(fields)
    _able(u, [fields["login"]], None)


def check_absence(u: Unit, fields: Mapping[str, Any]) -> None:
    """Raises Forbidden for another's, to whoever does not manage alerting, Invalid for no span of time."""
    _own(u, fields["login"])
    _span(fields)
    if fields["login"] == fields["deputy"]:
        raise Invalid("alerting.own_deputy")
    _able(u, [fields["login"], fields["deputy"]], None)


def check_way(u: Unit, fields: Mapping[str, Any]) -> None:
    """Raises Forbidden for another's, to whoever does not manage alerting, Invalid for an address of no such kind."""
    _own(u, fields["login"])
    if fields["login"] is not None:
        _known(u, [fields["login"]])
    if not ways.fits_quiet(fields["quiet"]):
        raise Invalid("alerting.no_quiet_hours", quiet=fields["quiet"])
    if not ways.fits_address(fields["kind"], fields["address"]):
        raise Invalid("alerting.no_address", address=fields["address"])


def _require_sites(u: Unit, fields: Mapping[str, Any]) -> None:
    """Of what it would be, and of what it is now: nobody of some sites takes to theirs a route of every site."""
    require_all_sites(u, fields.get("site_id"))
    if (now := fields.get("id")) is not None:
        require_all_sites(u, u.session.get_one(AlertRoute, now).site_id)


def _own(u: Unit, login: str | None) -> None:
    if login != u.actor.login and not u.actor.may("alerting.manage"):
        raise Forbidden("alerting.not_yours")


def _span(fields: Mapping[str, Any]) -> None:
    if fields["from_at"] >= fields["to_at"]:
        raise Invalid("alerting.no_span")


def _known(u: Unit, logins: Collection[str]) -> None:
    c = table(User).c
    there = set(u.conn.scalars(select(c.login).where(c.login.in_(sorted(logins)), c.active)))
    for login in logins:
        if login not in there:
            raise Invalid("alerting.nobody", login=login)


def _able(u: Unit, logins: Collection[str], site_id: int | None) -> None:
    for login in logins:
        tasks.require_able(u, login, "alert.read", site_id)
