"""The records of access: users, and the roles a site composes."""

from typing import Any

from pydantic import SecretStr
from sqlalchemy import select

from core.erp.kernel.access import roles, scopes, users
from core.erp.kernel.access.effective_permits import COMPOSED, permits, permits_at
from core.erp.kernel.access.model import ComposedRole
from core.erp.kernel.access.shapes import PlaceIn, RoleChange, RoleIn, UserChange, UserIn, UserOut
from core.erp.kernel.access.workflow import ROLE
from core.erp.kernel.model import User
from core.erp.kernel.permits import APPROVES_USERS, MANAGES_USERS
from core.erp.kernel.records import Change, Column, Create, Entity, Section, Verb
from core.erp.kernel.shapes import ReasonIn
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit

_USER = table(User).c


def _add(u: Unit, *, login: str, name: str, password: SecretStr, roles: list[str], place: PlaceIn) -> User:
    """A new user, with a one-time password."""
    return users.create_user(u, login, name, password.get_secret_value(), roles, one_time=True, place=place.place())


def _change(
    u: Unit,
    user_id: int,
    *,
    roles: list[str] | None,
    active: bool | None,
    password: SecretStr | None,
    place: PlaceIn | None,
) -> None:
    """Changes roles, place, whether the user may sign in, or the password: to a one-time one, which its owner replaces.

    Roles that sign or manage users wait for a second person; so they do again after a password was given or a user let
    in again.
    """
    users.change_user(
        u,
        user_id,
        roles=roles,
        active=active,
        password=password.get_secret_value() if password is not None else None,
        place=place.place() if place is not None else None,
    )


def _placed(u: Unit, user_id: int) -> UserChange:
    """Where a user belongs now: what is changed of it is changed from there."""
    user = u.session.get_one(User, user_id)
    place = {"site_ids": user.site_ids, "partner_id": user.partner_id, "language": user.language}
    return UserChange(place=PlaceIn.model_validate(place))


def _held(_: Unit, row: Any) -> list[str]:
    return sorted(permits_at(row.site_ids, permits(row.roles, row.composed))) if row.active else []


USERS = Entity(
    name="user",
    path="users",
    table=User,
    read="user.read",
    scope=scopes.USERS,
    statement=select(*(_USER[name] for name in UserOut.model_fields), COMPOSED),
    answer=UserOut,
    label="login",
    columns=(
        Column("login", filter="eq", sort=True, search=True),
        Column("active", filter="eq"),
        Column("partner_id", filter="eq"),
    ),
    create=Create(MANAGES_USERS, UserIn, act=_add),
    verbs=(
        Verb("change", UserChange, _change, permit=MANAGES_USERS, begins=_placed),
        # whose permits a second person lets stand is looked at one by one
        Verb("approve", act=users.approve_user, permit=APPROVES_USERS, many=False),
        Verb("refuse", ReasonIn, users.refuse_user, permit=(APPROVES_USERS, MANAGES_USERS), many=False),
    ),
    order="id",
    sections=(Section("permits", _held, list[str]),),
)

ROLES = Entity(
    name="role",
    path="roles",
    table=ComposedRole,
    read="user.read",
    scope=scopes.ROLES,
    cycle=ROLE,
    label="code",
    columns=(Column("code", filter="eq", search=True), Column("state", filter="in")),
    create=Create(MANAGES_USERS, RoleIn, act=roles.compose_role, undo="withdraw"),
    change=Change(MANAGES_USERS, RoleChange, act=roles.change_role, states=frozenset({"draft"})),
    verbs=(Verb("approve", act=roles.approve_role, many=False), Verb("withdraw", ReasonIn, roles.withdraw_role)),
    sections=(Section("holders", roles.holders_of, list[str]),),
)

ENTITIES = (USERS, ROLES)
