"""Who is there: users, and signing in by password."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, any_, select, update

from core.erp.kernel import login_throttle, passwords
from core.erp.kernel.errors import Conflict, Invalid, NotFound, Refused, Unauthenticated
from core.erp.kernel.events import UserPlaced
from core.erp.kernel.model import User
from core.erp.kernel.permits import OUTSIDE, Role, permits_of, signing
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message

ONE_TIME_PASSWORD_LIFETIME = timedelta(hours=72)
"""How long a password that somebody else gave opens the choice of one's own."""
SIGNER_TOPIC = "user.signer"
"""The outbox topic that tells who was given the means to sign, by whom."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a user belongs: to these sites (none: to all of them), or outside to a partner; and the language chosen."""

    site_ids: tuple[int, ...] = ()
    partner_id: int | None = None
    language: str = ""


def create_user(
    u: Unit,
    login: str,
    name: str,
    password: str,
    roles: Iterable[str],
    *,
    one_time: bool = False,
    place: Place | None = None,
) -> User:
    """A new user. Raises Invalid (unfit password, unknown role, empty name, no partner), Conflict.

    With `one_time` the password opens nothing but the choice of another. Who may sign records is told by the outbox.
    Permits are the door's business: the first administrator is made by the command line.
    """
    place = place or Place()
    wanted = _known(roles)
    if not wanted:
        raise Invalid("kernel.role_missing")
    if not login.strip() or not name.strip():
        raise Invalid("kernel.user_unnamed")
    _fits(wanted, place.partner_id)
    passwords.check_rules(password, login, name)
    users = table(User)
    if u.conn.execute(select(users.c.id).where(users.c.login == login)).first() is not None:
        raise Conflict("kernel.user_exists", login=login)
    user = User(
        login=login,
        name=name,
        password_hash=passwords.hash_of(password),
        roles=wanted,
        created_at=u.now,
        one_time_until=u.now + ONE_TIME_PASSWORD_LIFETIME if one_time else None,
        site_ids=sorted(set(place.site_ids)),
        partner_id=place.partner_id,
        language=place.language,
    )
    u.session.add(user)
    u.session.flush()
    u.emit(UserPlaced(user.id, tuple(user.site_ids), user.partner_id))
    u.audit("user.create", "user", user.id, after={"login": login, "name": name} | _standing(user))
    _notify_signer(u, user, "made")
    return user


def change_user(
    u: Unit,
    user_id: int,
    *,
    roles: Iterable[str] | None = None,
    active: bool | None = None,
    password: str | None = None,
    place: Place | None = None,
) -> User:
    """Changes a user's roles, place, password, or whether they may sign in. Raises NotFound, Invalid, Refused (last
    admin).

    A password given so is a one-time one: it signs nothing, and its owner chooses another at the first sign-in.
    """
    hashed = passwords.hash_of(password) if password is not None else None
    admins = _lock_admins(u)
    user = u.get(User, user_id, lock=True)
    if user is None:
        raise NotFound("kernel.no_user", user_id=user_id)
    before, could = _standing(user), user.active and _may_sign(user.roles)
    if roles is not None:
        user.roles = _known(roles)
    if place is not None:
        user.site_ids, user.partner_id = sorted(set(place.site_ids)), place.partner_id
        user.language = place.language
    _fits(user.roles, user.partner_id)
    if active is not None:
        user.token_epoch += user.active and not active  # who may come back later begins with a new session
        user.active = active
    if admins == {user_id} and not (user.active and Role.ADMIN in user.roles):
        raise Refused("kernel.last_administrator", extra={"user_id": user_id})
    if password is not None and hashed is not None:
        passwords.check_rules(password, user.login, user.name)
        user.password_hash, user.one_time_until = hashed, u.now + ONE_TIME_PASSWORD_LIFETIME
        user.token_epoch += 1  # whoever had the old one is out, everywhere
    u.session.add(user)
    u.session.flush()
    if place is not None:
        u.emit(UserPlaced(user.id, tuple(user.site_ids), user.partner_id))
    reset = {"password": "reset" if password is not None else "as before"}
    u.audit("user.change", "user", user_id, before=before, after=_standing(user) | reset)
    if password is not None:
        _notify_signer(u, user, "reset")
    elif before != _standing(user):
        _notify_signer(u, user, "changed", could=could)
    return user


def _standing(user: User) -> dict[str, Any]:
    """What the audit trail keeps of a user."""
    return {
        "roles": user.roles,
        "active": user.active,
        "site_ids": user.site_ids,
        "partner_id": user.partner_id,
        "language": user.language,
    }


def _known(roles: Iterable[str]) -> list[str]:
    """The roles in order. Raises Invalid for one that there is not."""
    wanted = sorted(set(roles))
    unknown = [role for role in wanted if role not in set(Role)]
    if unknown:
        raise Invalid("kernel.role_unknown", roles=unknown)
    return wanted


def _fits(roles: Iterable[str], partner_id: int | None) -> None:
    """Raises Invalid: outside roles need a partner, inside roles have none, and nobody has both."""
    outside = OUTSIDE.intersection(roles)
    if outside and outside != set(roles):
        raise Invalid("kernel.roles_of_two_kinds")
    if outside and partner_id is None:
        raise Invalid("kernel.role_needs_partner", roles=[Message(f"role.{role}") for role in sorted(outside)])
    if partner_id is not None and not outside:
        raise Invalid("kernel.partner_of_insider", extra={"partner_id": partner_id})


def _may_sign(roles: Iterable[str]) -> bool:
    return bool(permits_of(roles) & signing())


def _notify_signer(u: Unit, user: User, act: str, *, could: bool = False) -> None:
    """Somebody was given the means to sign records: whoever watches over that is told, not only the audit trail."""
    if _may_sign(user.roles) and user.active and not could:
        u.outbox(
            SIGNER_TOPIC,
            user.id,
            {"act": act, "login": user.login, "name": user.name, "roles": user.roles, "by": u.actor.login},
        )


def _lock_admins(u: Unit) -> set[int]:
    """The users who can manage users, locked until commit, so that two of them cannot send each other away."""
    users = table(User)
    found = select(users.c.id).where(users.c.active, any_(users.c.roles) == Role.ADMIN).order_by(users.c.id)
    return {row.id for row in u.lock(found.with_for_update())}


def check_password(engine: Engine, login: str, password: str, address: str, now: datetime) -> User:
    """The user, if the password is theirs and they may sign in from there.

    Every try is recorded in a transaction of its own, before it is answered, so that no roll-back forgets it. A hash
    made with other parameters than today's is made anew. Raises TooManyAttempts (see `tries`), Unauthenticated.
    """
    users = table(User)
    with engine.begin() as conn:
        login_throttle.lock_attempts(conn, "login", login)
        login_throttle.require_sign_in_allowed(conn, login, address, now)
        row = conn.execute(select(users).where(users.c.login == login)).one_or_none()
        ok = passwords.matches(row.password_hash if row is not None else None, password)
        ok = ok and row is not None and row.active
        login_throttle.record_attempt(conn, login, now, ok=ok, address=address)
        if ok and row is not None and passwords.needs_rehash(row.password_hash):
            again = passwords.hash_of(password)
            conn.execute(update(users).where(users.c.id == row.id).values(password_hash=again))
    if not ok or row is None:
        raise Unauthenticated("kernel.wrong_login")
    if row.one_time_until is not None and now > row.one_time_until:
        raise Unauthenticated("kernel.one_time_run_out")
    return User(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public way to a row's dict


def now_utc() -> datetime:
    """The door's clock: the one place where the API takes the time."""
    return datetime.now(UTC)
