"""Sessions of browsers: begun, used, ended. What a session may is read afresh at every request."""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, and_, bindparam, insert, or_, select, update

from core.erp.kernel.access.effective_permits import COMPOSED
from core.erp.kernel.access.guards import require_within
from core.erp.kernel.errors import Refused, Unauthenticated, absent
from core.erp.kernel.model import User
from core.erp.kernel.permits import Role, is_display
from core.erp.kernel.sessions.model import BrowserSession
from core.erp.kernel.tables import table
from core.erp.kernel.tokens import MAX_SESSION, user_actor
from core.erp.kernel.unit import Actor, Unit

USE_WRITTEN_EVERY = timedelta(minutes=1)
"""How exactly `last_used_at` is kept: so an unused session ends up to a minute early, never late."""
_SECRET_BYTES = 32
_NAME = re.compile(r"browser-(\d{1,18})")

_TOLD = {
    "out": ("out", "kernel.signed_out"),
    "wrong": ("wrong", "kernel.session_ended_wrong"),
    "password": ("password", "kernel.password_changed"),
    "inactive": ("invalid", "kernel.user_inactive"),
    "expired": ("expired", "sessions.expired"),
    "administrator": ("ended", "sessions.ended_by_administrator"),
}
"""By why a session has ended: the `why` of the refusal, and what is told."""

_s, _user = table(BrowserSession), table(User)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a session may be unused and lasts at most. A wall display's lasts MAX_SESSION, unused or not."""

    idle: timedelta
    longest: timedelta

    @classmethod
    def of(cls, idle_minutes: int, longest_hours: int) -> "Limits":
        """As the settings say them."""
        return cls(timedelta(minutes=idle_minutes), timedelta(hours=longest_hours))

    def over(self, row: Any, now: datetime) -> bool:
        """Whether the time of a session is over (a row with `began_at`, `last_used_at` and the user's `roles`)."""
        if is_display(row.roles):
            return bool(now >= row.began_at + MAX_SESSION)
        return bool(now >= row.began_at + self.longest or now >= row.last_used_at + self.idle)


def begin(engine: Engine, user: User, now: datetime, address: str) -> str:
    """Signs somebody in whose password was checked just now; gives the cookie's value, which is kept nowhere.

    A password changed since the check has ended the session before it is used.
    """
    cookie = secrets.token_urlsafe(_SECRET_BYTES)
    row = {
        "secret_hash": _hash(cookie),
        "user_id": user.id,
        "token_epoch": user.token_epoch,
        "began_at": now,
        "last_used_at": now,
        "address": address,
    }
    with engine.begin() as conn:
        conn.execute(insert(_s).values(row))
    return cookie


def lasts(user: User) -> timedelta | None:
    """How long the browser keeps the cookie: a wall display's across starts of the browser, else until it is closed."""
    return MAX_SESSION if is_display(user.roles) else None


def actor_of_session(engine: Engine, cookie: str, now: datetime, limits: Limits, *, prolong: bool = True) -> Actor:
    """The actor a cookie speaks for; `prolong` where a person asked (a page that renews itself is no use of a session).

    Raises Unauthenticated, with `why`: `expired` (unused or too old), `out` (signed out), `wrong` (ended by wrong
    passwords), `password` (changed since), `ended` (by an administrator), or `invalid` (no such session, or a user
    who may not sign in any more).
    """
    # every request does it: without a transaction around, it is one message to the database instead of three
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        row = conn.execute(_BY_HASH, {"hash": _hash(cookie)}).one_or_none()
    if row is None:
        raise Unauthenticated("sessions.unknown", extra={"why": "invalid"})
    ended = _why_ended(row, now, limits)
    if ended is not None:
        why, said = _TOLD[ended]
        raise Unauthenticated(said, extra={"why": why})
    if prolong and now >= row.last_used_at + USE_WRITTEN_EVERY:
        with engine.begin() as conn:
            conn.execute(_standing(_s.c.id == row.session_id, _s.c.last_used_at < now).values(last_used_at=now))
    return user_actor(row, name_of(row.session_id))


_BY_HASH = (
    select(
        _user,
        COMPOSED,
        _s.c.id.label("session_id"),
        _s.c.token_epoch.label("began_with"),
        _s.c.began_at,
        _s.c.last_used_at,
        _s.c.ended_why,
    )
    .join_from(_s, _user, _user.c.id == _s.c.user_id)
    .where(_s.c.secret_hash == bindparam("hash"))
)


def _why_ended(row: Any, now: datetime, limits: Limits) -> str | None:
    if row.ended_why is not None:
        return str(row.ended_why)
    if not row.active:
        return "inactive"
    if row.token_epoch != row.began_with:
        return "password"
    return "expired" if limits.over(row, now) else None


def name_of(session_id: int) -> str:
    """A session as actors, signatures and tried passwords name it: no other session, nor a token, is called so."""
    return f"browser-{session_id}"


def id_named(session: str) -> int | None:
    """The id in such a name; None for a token's session."""
    matched = _NAME.fullmatch(session)
    return int(matched[1]) if matched is not None else None


def has_ended(conn: Connection, session_id: int) -> bool:
    """Whether it was ended, by whatever but time."""
    return conn.scalar(select(_s.c.id).where(_s.c.id == session_id, _s.c.ended_at.is_(None))) is None


def end(engine: Engine, cookie: str, now: datetime) -> None:
    """Signs out: on every instance and in every tab. A cookie that opens nothing ends nothing."""
    with engine.begin() as conn:
        conn.execute(_ending("out", now, _s.c.secret_hash == _hash(cookie)))


def end_wrong(u: Unit, session_id: int) -> None:
    """Too many wrong passwords when signing."""
    u.conn.execute(_ending("wrong", u.now, _s.c.id == session_id))


def end_all_of(u: Unit, user_id: int, why: str) -> None:
    """Ends every session of a user: `password` or `inactive`."""
    u.conn.execute(_ending(why, u.now, _s.c.user_id == user_id))


def end_for(u: Unit, session_id: int, *, reason: str) -> None:
    """Ends somebody's session, at once. Raises NotFound, Forbidden (of a user beyond the actor's own sites), Refused
    where it has ended already.
    """
    session = u.get(BrowserSession, session_id, lock=True)
    if session is None:
        raise absent("session", session_id)
    require_within(u, u.get_one(User, session.user_id))
    if session.ended_at is not None:
        raise Refused("sessions.ended_already")
    u.conn.execute(_ending("administrator", u.now, _s.c.id == session_id))
    u.audit("session.end", "session", session_id, after={"user_id": session.user_id}, reason=reason)


def end_expired(engine: Engine, now: datetime, limits: Limits) -> int:
    """Writes down of sessions whose time is over that they have ended; gives how many."""
    display = _user.c.roles == [Role.DISPLAY]
    unused = or_(_s.c.began_at <= now - limits.longest, _s.c.last_used_at <= now - limits.idle)
    over = or_(_s.c.began_at <= now - MAX_SESSION, and_(~display, unused))
    with engine.begin() as conn:
        return conn.execute(_ending("expired", now, _user.c.id == _s.c.user_id, over)).rowcount


def _ending(why: str, now: datetime, *which: Any) -> Any:
    return _standing(*which).values(ended_at=now, ended_why=why)


def _standing(*which: Any) -> Any:
    return update(_s).where(_s.c.ended_at.is_(None), *which)


def _hash(cookie: str) -> bytes:
    return hashlib.sha256(cookie.encode()).digest()
