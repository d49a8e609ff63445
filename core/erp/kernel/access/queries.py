"""Statements of access: composed roles by code, who holds them, and who manages users."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import any_, func, or_, select, text

from core.erp.kernel.access.effective_permits import COMPOSED, permits
from core.erp.kernel.access.model import APPROVED, ComposedRole
from core.erp.kernel.errors import absent
from core.erp.kernel.model import User
from core.erp.kernel.permits import MANAGES_USERS, OUTSIDE, Role, guarded, permits_of, roles_with
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit

_user, _role = table(User).c, table(ComposedRole).c
_LOCK = text("SELECT pg_advisory_xact_lock(hashtext('lotwise.access'))")


@dataclass(frozen=True, slots=True)
class Grant:
    """What a role gives that counts now, default or composed."""

    code: str
    permits: frozenset[str]
    outside: bool

    @property
    def guarded(self) -> frozenset[str]:
        """What of it nobody gives alone: giving the role takes a second person."""
        return self.permits & guarded()


@dataclass(frozen=True, slots=True)
class Holder:
    """Somebody with a role, counted or proposed, and all they may now."""

    id: int
    login: str
    name: str
    active: bool
    outside: bool
    roles: tuple[str, ...]
    proposed_roles: tuple[str, ...]
    permits: frozenset[str]


def lock_access(u: Unit) -> set[int]:
    """Until the transaction ends nobody else changes who may what: two changes together could be what neither may.

    Gives the users who manage users now.
    """
    u.lock(_LOCK)
    return managers(u)


def grants(u: Unit, codes: Iterable[str]) -> Mapping[str, Grant]:
    """Roles that count, by code; one that there is not, or that is not approved, is left out."""
    wanted = set(codes)
    found = {code: Grant(code, permits_of((code,)), code in OUTSIDE) for code in wanted & set(Role)}
    composed = select(_role.code, _role.permits, _role.outside).where(
        _role.code.in_(wanted - set(found)), _role.state == APPROVED
    )
    for row in u.conn.execute(composed):
        found[row.code] = Grant(row.code, permits((), row.permits), row.outside)
    return found


def holders(u: Unit, code: str) -> list[Holder]:
    """Everybody who has the role, counted or proposed, by login."""
    held = or_(_user.roles.contains([code]), _user.proposed_roles.contains([code]))
    rows = u.conn.execute(select(table(User), COMPOSED).where(held).order_by(_user.login))
    return [
        Holder(
            row.id,
            row.login,
            row.name,
            row.active,
            row.partner_id is not None,
            tuple(row.roles),
            tuple(row.proposed_roles),
            permits(row.roles, row.composed),
        )
        for row in rows
    ]


def managers(u: Unit) -> set[int]:
    """Those who can manage users now, by a default or a composed role."""
    by_default = _user.roles.overlap(sorted(roles_with(MANAGES_USERS)))
    composed = select(_role.id).where(
        _role.state == APPROVED, _role.code == any_(_user.roles), any_(_role.permits) == MANAGES_USERS
    )
    found = select(_user.id).where(_user.active, or_(by_default, composed.exists()))
    return set(u.conn.scalars(found))


def user_id(u: Unit, login: str) -> int:
    """Who signs in so. Raises NotFound."""
    found = u.conn.scalar(select(_user.id).where(_user.login == login))
    if found is None:
        raise absent("user", login)
    return int(found)


def newest(u: Unit, code: str) -> ComposedRole | None:
    """The newest edition of a composed role; None without one."""
    found = select(func.max(_role.id)).where(_role.code == code)
    role_id = u.conn.scalar(found)
    return u.get(ComposedRole, role_id) if role_id is not None else None
