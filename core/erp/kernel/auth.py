"""Signing in by password."""

from datetime import UTC, datetime

from sqlalchemy import Engine, select, update

from core.erp.kernel import login_throttle, passwords
from core.erp.kernel.errors import Unauthenticated
from core.erp.kernel.model import User
from core.erp.kernel.tables import table, values_of


def check_password(engine: Engine, login: str, password: str, address: str, now: datetime) -> User:
    """The user, if the password is theirs and they may sign in from there.

    Every try is recorded in a transaction of its own, before it is answered, so that no roll-back forgets it. A hash
    made with other parameters than today's is made anew. Raises TooManyAttempts (see `login_throttle`),
    Unauthenticated.
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
    return User(**values_of(row))


def now_utc() -> datetime:
    """The door's clock: the one place where the API takes the time."""
    return datetime.now(UTC)
