"""Whose request it is, by the browser's cookie."""

from fastapi import Request

from core.erp.kernel.auth import now_utc
from core.erp.kernel.errors import Unauthenticated
from core.erp.kernel.sessions.cookies import cookie_of, prolongs
from core.erp.kernel.sessions.service import actor_of_session
from core.erp.kernel.unit import Actor


def actor_of_request(request: Request) -> Actor:
    """Who is signed in; the session goes on by what a person asks. Raises Unauthenticated, with `why`."""
    cookie, state = cookie_of(request), request.app.state
    if cookie is None:
        raise Unauthenticated("kernel.sign_in_first", extra={"why": "first"})
    return actor_of_session(state.engine, cookie, now_utc(), state.session_limits, prolong=prolongs(request))
