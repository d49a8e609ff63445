"""Access tokens: short-lived, dead everywhere as soon as their owner signs out or changes the password.

A token names the user, a session (`jti`) and the epoch of the user's password. What ends a session is written to the
database, so every instance of the core goes by it. Only a wall display, which may read and nothing else, has its token
renewed; everybody else signs in again.
"""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from sqlalchemy import Engine, bindparam, delete, select
from sqlalchemy.dialects.postgresql import insert as upsert

from core.erp.kernel.access.effective_permits import COMPOSED, permits
from core.erp.kernel.errors import Forbidden, Unauthenticated
from core.erp.kernel.model import RevokedToken, User
from core.erp.kernel.permits import is_display
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Actor

ALGORITHM = "HS256"
ISSUER = "lotwise"
RENEWAL_WINDOW = timedelta(hours=24)
"""How long after its end a wall display's token may still be renewed: the display may have been without us as long."""
MAX_SESSION = timedelta(days=30)
"""After this even a wall display is signed in anew, by a person."""


_ENDED = {"out": "kernel.signed_out", "wrong": "kernel.session_ended_wrong"}
"""Why a session has ended → what its owner is told."""


def issue_token(user: User, key: str, now: datetime, minutes: int) -> tuple[str, int]:
    """(access token, seconds it lasts). It names the user and a session; roles are read afresh at every request."""
    return _signed(
        {"sub": str(user.id), "jti": uuid.uuid4().hex, "epoch": user.token_epoch, "began": int(now.timestamp())},
        key,
        now,
        minutes,
    )


def _signed(claims: dict[str, Any], key: str, now: datetime, minutes: int) -> tuple[str, int]:
    lasts = minutes * 60
    span = {"iss": ISSUER, "iat": now, "nbf": now, "exp": now + timedelta(seconds=lasts)}
    return jwt.encode(claims | span, key, algorithm=ALGORITHM), lasts


def actor_of(engine: Engine, token: str, key: str) -> Actor:
    """The actor a token speaks for.

    Raises Unauthenticated, with `why`: `expired`, `out` (signed out), `wrong` (ended by wrong passwords), or `invalid`
    (forged, the password changed since, or a user who may not sign in any more).
    """
    claims = _claims(token, key)
    return user_actor(_user(engine, claims), claims["jti"])


def user_actor(row: Any, session: str) -> Actor:
    """The actor that a row of `app_user` with its COMPOSED permits is, in a session."""
    return Actor(
        row.login,
        frozenset(row.roles),
        row.id,
        session=session,
        one_time=row.one_time_until is not None,
        sites=frozenset(row.site_ids) or None,
        partner_id=row.partner_id,
        language=row.language,
        permits=permits(row.roles, row.composed),
    )


def renew(engine: Engine, token: str, key: str, now: datetime, minutes: int) -> tuple[str, int]:
    """A fresh token of the same session for a wall display, up to RENEWAL_WINDOW after the old one's end.

    Raises Unauthenticated, or Forbidden for anybody who may do more than read.
    """
    claims = _claims(token, key, lenient=True)
    row = _user(engine, claims)
    if not is_display(row.roles):
        raise Forbidden("kernel.only_displays_renewed")
    ended, began = (datetime.fromtimestamp(claims[name], UTC) for name in ("exp", "began"))
    if now > ended + RENEWAL_WINDOW or now > began + MAX_SESSION:
        raise Unauthenticated("kernel.too_old_to_renew", extra={"why": "expired"})
    return _signed({name: claims[name] for name in ("sub", "jti", "epoch", "began")}, key, now, minutes)


def revoke(engine: Engine, token: str, key: str, now: datetime) -> None:
    """Ends the token's session, on every instance and in every tab; a token that is none ends nothing.

    What could no longer be used or renewed anyway is forgotten at the same time.
    """
    try:
        claims = _claims(token, key, lenient=True)
    except Unauthenticated:
        return
    revoked = table(RevokedToken)
    with engine.begin() as conn:
        conn.execute(delete(revoked).where(revoked.c.until < now))
        row = {"jti": claims["jti"], "user_id": int(claims["sub"]), "at": now, "until": now + MAX_SESSION}
        conn.execute(upsert(RevokedToken).values(row).on_conflict_do_nothing())


def _claims(token: str, key: str, *, lenient: bool = False) -> dict[str, Any]:
    """What the token says; `lenient` takes one that has ended too. Raises Unauthenticated."""
    options: Any = {"require": ["exp", "sub", "jti", "epoch", "began"], "verify_exp": not lenient}
    try:
        claims: dict[str, Any] = jwt.decode(token, key, algorithms=[ALGORITHM], issuer=ISSUER, options=options)
        int(claims["sub"])
    except jwt.ExpiredSignatureError as error:
        raise Unauthenticated("kernel.token_expired", extra={"why": "expired"}) from error
    except (jwt.InvalidTokenError, ValueError) as error:
        raise Unauthenticated("kernel.token_invalid", extra={"why": "invalid"}) from error
    return claims


_users, _revoked = table(User), table(RevokedToken)
_OUT = select(_revoked.c.why).where(_revoked.c.jti == bindparam("jti")).scalar_subquery().label("out")
_ASKED = ("id", "login", "roles", "active", "token_epoch", "one_time_until", "site_ids", "partner_id", "language")
_BY_TOKEN = select(*(_users.c[name] for name in _ASKED), _OUT, COMPOSED).where(_users.c.id == bindparam("user"))


def _user(engine: Engine, claims: dict[str, Any]) -> Any:
    # without a transaction around: every request does it
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        row = conn.execute(_BY_TOKEN, {"user": int(claims["sub"]), "jti": claims["jti"]}).one_or_none()
    if row is None or not row.active:
        raise Unauthenticated("kernel.user_inactive", extra={"why": "invalid"})
    if row.out is not None:
        raise Unauthenticated(_ENDED[row.out], extra={"why": row.out})
    if row.token_epoch != claims["epoch"]:
        raise Unauthenticated("kernel.password_changed", extra={"why": "invalid"})
    return row
