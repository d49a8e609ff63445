"""Who is there: users, argon2 password hashes, rate-limited sign-in."""

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Engine, any_, func, insert, select, text

from core.erp.kernel.errors import Conflict, Invalid, NotFound, Refused, TooManyAttempts, Unauthenticated
from core.erp.kernel.model import LoginAttempt, User
from core.erp.kernel.permits import Role
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit

WINDOW = timedelta(minutes=15)
PER_LOGIN = 5
PER_ADDRESS = 30
SHORTEST_PASSWORD = 10


@lru_cache(maxsize=1)
def _hasher() -> PasswordHasher:
    return PasswordHasher()


@lru_cache(maxsize=1)
def _nobody() -> str:
    """A hash to check against where there is no such user, so that both answers take as long."""
    return _hasher().hash(uuid.uuid4().hex)


def create_user(u: Unit, login: str, name: str, password: str, roles: Iterable[str]) -> User:
    """A new user. Raises Invalid (short password, unknown role, empty name), Conflict.

    Permits are the door's business: the first administrator is made by the command line.
    """
    wanted = sorted(set(roles))
    unknown = [role for role in wanted if role not in set(Role)]
    if unknown or not wanted:
        raise Invalid(f"unknown role {', '.join(unknown)}" if unknown else "a user needs a role")
    if not login.strip() or not name.strip():
        raise Invalid("a user needs a login and a name")
    _check_password(password)
    users = table(User)
    if u.conn.execute(select(users.c.id).where(users.c.login == login)).first() is not None:
        raise Conflict(f"there is a user {login} already", login=login)
    user = User(login=login, name=name, password_hash=_hasher().hash(password), roles=wanted, created_at=u.now)
    u.session.add(user)
    u.session.flush()
    u.audit("user.create", "user", user.id, after={"login": login, "name": name, "roles": wanted})
    return user


def _check_password(password: str) -> None:
    if len(password) < SHORTEST_PASSWORD:
        raise Invalid(f"a password needs at least {SHORTEST_PASSWORD} characters")


def change_user(
    u: Unit, user_id: int, *, roles: Iterable[str] | None = None, active: bool | None = None,
    password: str | None = None,
) -> User:  # fmt: skip
    """Changes a user's roles, password, or whether they may sign in. Raises NotFound, Invalid, Refused (last admin)."""
    admins = _lock_admins(u)
    user = u.get(User, user_id, lock=True)
    if user is None:
        raise NotFound(f"no user {user_id}", user_id=user_id)
    before = {"roles": user.roles, "active": user.active}
    if roles is not None:
        unknown = [role for role in roles if role not in set(Role)]
        if unknown:
            raise Invalid(f"unknown role {', '.join(unknown)}")
        user.roles = sorted(set(roles))
    if active is not None:
        user.token_epoch += user.active and not active  # who may come back later begins with a new session
        user.active = active
    if admins == {user_id} and not (user.active and Role.ADMIN in user.roles):
        raise Refused("nobody else could manage users: make another administrator first", user_id=user_id)
    if password is not None:
        _check_password(password)
        user.password_hash = _hasher().hash(password)
        user.token_epoch += 1  # whoever had the old one is out, everywhere
    u.session.add(user)
    u.session.flush()
    after = {"roles": user.roles, "active": user.active, "password": "changed" if password else "as before"}
    u.audit("user.change", "user", user_id, before=before, after=after)
    return user


def _lock_admins(u: Unit) -> set[int]:
    """The users who can manage users, locked until commit, so that two of them cannot send each other away."""
    users = table(User)
    found = select(users.c.id).where(users.c.active, any_(users.c.roles) == Role.ADMIN).order_by(users.c.id)
    return {row.id for row in u.lock(found.with_for_update())}


def check_password(engine: Engine, login: str, password: str, address: str, now: datetime) -> User:
    """The user, if the password is theirs and they may sign in.

    Every try is recorded in a transaction of its own, before it is answered, so that no roll-back forgets it. Raises
    TooManyAttempts (5 failures per login or 30 per address in 15 min), Unauthenticated.
    """
    users, tries = table(User), table(LoginAttempt)
    with engine.begin() as conn:
        conn.execute(text("SELECT pg_advisory_xact_lock(hashtext('lotwise.login'), hashtext(:l))"), {"l": login})
        since = now - WINDOW
        failed = select(func.count()).select_from(tries).where(tries.c.at > since, ~tries.c.ok)
        # tries of one login come one after the other, under its lock: their ids are in order, also within one instant
        good = select(func.max(tries.c.id)).where(tries.c.login == login, tries.c.ok)
        last_good = conn.execute(good).scalar() or 0
        by_login = conn.execute(failed.where(tries.c.login == login, tries.c.id > last_good)).scalar_one()
        by_address = conn.execute(failed.where(tries.c.address == address)).scalar_one()
        if by_login >= PER_LOGIN or by_address >= PER_ADDRESS:
            raise TooManyAttempts("too many failed tries: wait a quarter of an hour", retry_after=int(WINDOW.seconds))
        row = conn.execute(select(users).where(users.c.login == login)).one_or_none()
        ok = _verify(row.password_hash if row is not None else _nobody(), password) and row is not None and row.active
        conn.execute(insert(LoginAttempt), {"login": login, "address": address, "at": now, "ok": ok})
    if not ok or row is None:
        raise Unauthenticated("wrong login or password")
    return User(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public way to a row's dict


def _verify(hashed: str, password: str) -> bool:
    try:
        return _hasher().verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False


def now_utc() -> datetime:
    """The door's clock: the one place where the API takes the time."""
    return datetime.now(UTC)
