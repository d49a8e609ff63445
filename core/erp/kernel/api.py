"""Routes of the kernel: sign in, and whether the audit trail is whole."""

from typing import Annotated

from fastapi import Depends, Request, Response
from fastapi.security import OAuth2PasswordRequestForm
from pydantic import BaseModel, Field, SecretStr

from core.erp.kernel import auth, tokens
from core.erp.kernel.audit_verification import verify
from core.erp.kernel.door import needs, open_to_all, routes, signed_in_only
from core.erp.kernel.errors import Unauthenticated
from core.erp.kernel.http import (
    Answer,
    Body,
    Door,
    bearer,
    signed_in,
)
from core.erp.kernel.password_checks import PasswordChecks
from core.erp.kernel.proxies import address_of
from core.erp.kernel.unit import Actor, Unit
from core.erp.kernel.witness import WITNESS_FILE, Witness

router = routes()

Secret = Annotated[SecretStr, Field(max_length=1024)]
"""A password in a body: what is longer than any may be is not even hashed."""


class Token(BaseModel):
    """A short-lived access token."""

    access_token: str
    token_type: str = "bearer"  # noqa: S105 - the name of a scheme
    expires_in: int = Field(description="seconds", examples=[900])
    one_time: bool = Field(False, description="signed in with a one-time password: POST /password is all it opens")


def _never_kept(response: Response) -> None:
    """No cache on the way keeps a token (RFC 6749, 5.1)."""
    response.headers["Cache-Control"] = "no-store"


@router.post("/token", tags=["sign in"], dependencies=[Depends(_never_kept)])
@open_to_all()
async def sign_in(request: Request, form: Annotated[OAuth2PasswordRequestForm, Depends()]) -> Token:
    """OAuth2 password flow.

    Wrong tries of a login from one address are answered 429 for a while that grows; too many at once, 503. Both say
    when to ask again (Retry-After). Neither touches sessions that there are.
    """
    state = request.app.state
    user = await state.checks.sign_in(form.username, form.password, address_of(request))
    token, lasts = tokens.issue_token(user, state.signing_key, auth.now_utc(), state.settings.token_minutes)
    return Token(access_token=token, expires_in=lasts, one_time=user.one_time_until is not None)


class PasswordIn(Body):
    """The password there is, and the one to be: 10 to 256 characters, and not among those that are tried first."""

    password: Secret
    new_password: Secret


class PasswordChanged(BaseModel):
    """The password is the owner's own choice now; every session begun with the old one has ended."""

    changed: bool = True


@router.post("/password", tags=["sign in"])
@signed_in_only(one_time=True)
async def choose_password(
    body: PasswordIn, request: Request, actor: Annotated[Actor, Depends(signed_in)]
) -> PasswordChanged:
    """My own choice of a password. Ends all my sessions: sign in again. A one-time password opens this and no more."""
    checks: PasswordChecks = request.app.state.checks
    await checks.change_password(actor, body.password.get_secret_value(), body.new_password.get_secret_value())
    return PasswordChanged()


_Held = Annotated[str | None, Depends(bearer)]


@router.post("/token/renew", tags=["sign in"], dependencies=[Depends(_never_kept)])
@open_to_all()
def renew(request: Request, token: _Held) -> Token:
    """A fresh token for a wall display (role `display`), up to a day after the old one's end, for at most 30 days.

    Anybody who may do more than read signs in again.
    """
    state = request.app.state
    fresh, lasts = tokens.renew(
        state.engine, _given(token), state.signing_key, auth.now_utc(), state.settings.token_minutes
    )
    return Token(access_token=fresh, expires_in=lasts)


class SignedOut(BaseModel):
    """The session has ended."""

    signed_out: bool = True


@router.post("/token/revoke", tags=["sign in"])
@open_to_all()
def revoke(request: Request, token: _Held) -> SignedOut:
    """Ends this session: its token opens nothing any more, on whatever instance. Also for one that has expired."""
    state = request.app.state
    tokens.revoke(state.engine, _given(token), state.signing_key, auth.now_utc())
    return SignedOut()


def _given(token: str | None) -> str:
    if token is None:
        raise Unauthenticated("kernel.no_token")
    return token


class Me(BaseModel):
    """Who asks, and what they may."""

    login: str
    one_time: bool = Field(description="signed in with a one-time password, which opens POST /password and no more")
    roles: list[str]
    permits: list[str]
    sites: list[int] | None = Field(description="sites I belong to; null: all of them")
    partner_id: int | None = Field(description="whose person I am, outside")
    language: str = Field(description="the language I chose; empty: the browser's", examples=["en"])


@router.get("/me", tags=["sign in"])
@signed_in_only(one_time=True)
def me(door: Door) -> Me:
    """Who I am, and what I may."""
    actor = door.actor
    return Me(
        login=actor.login,
        one_time=actor.one_time,
        roles=sorted(actor.roles),
        permits=sorted(actor.permits),
        sites=sorted(actor.sites) if actor.sites is not None else None,
        partner_id=actor.partner_id,
        language=actor.language,
    )


class FindingOut(Answer):
    """Something wrong with the trail."""

    kind: str
    detail: str


class Verdict(BaseModel):
    """Whether the trail is whole."""

    whole: bool
    findings: list[FindingOut]


@router.get("/audit/verify", tags=["audit"])
@needs("audit.read")
def verify_audit(request: Request, door: Door) -> Verdict:
    """Checks every row and every seal, and the seals against the heads kept outside the database. Reads all of it."""
    witness = Witness(request.app.state.settings.data_dir / WITNESS_FILE)

    def work(u: Unit) -> Verdict:
        findings = [FindingOut.model_validate(finding) for finding in verify(u.conn, u.now, witness)]
        return Verdict(whole=not findings, findings=findings)

    return door.look(work)
