"""Signing in and out, choosing a password and a language, as pages."""

import re
from typing import Annotated

from fastapi import Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlalchemy import Engine
from starlette.concurrency import run_in_threadpool

from core.erp.kernel.access.users import choose_language
from core.erp.kernel.auth import now_utc
from core.erp.kernel.door import open_to_all, signed_in_only
from core.erp.kernel.errors import Busy, TooManyAttempts, Unauthenticated
from core.erp.kernel.model import User
from core.erp.kernel.proxies import address_of
from core.erp.kernel.sessions import service as sessions
from core.erp.kernel.sessions.cookies import cookie_of, delete_cookie, set_cookie
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import LANGUAGES
from core.web.frame.routes import page_routes
from core.web.frame.signed_out import SECRET, form_of, sign_in_page
from core.web.frame.templating import environment
from core.web.frame.visit import Visiting

router = page_routes()
_BACK = re.compile(r"/(?![/\\])[^\x00-\x20\\]*")
"""Where signing in may lead back to: our own pages only."""
KEPT = "kept."


def own(back: str) -> str:
    """An address of ours; the front page for any other."""
    return back if _BACK.fullmatch(back) else "/"


@router.get("/login")
@open_to_all()
def login_page(request: Request, why: str = "first", back: str = "/", language: str = "") -> Response:
    """Where one signs in."""
    if language in LANGUAGES:
        request.state.language = language
    return sign_in_page(request, why, own(back))


@router.post("/login")
@open_to_all(max_body=1024 * 1024)
async def sign_in(request: Request) -> Response:
    """Begins a session and leads back; to a form that was sent without one, with what was written in it."""
    form = await form_of(request)
    sent = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
    given = dict(sent)
    back = own(given.get("back", "/"))
    kept = [(name.removeprefix(KEPT), value) for name, value in sent if name.startswith(KEPT)]
    login, password, state = given.get("login", ""), given.get("password", ""), request.app.state
    try:
        user = await state.checks.sign_in(login, password, address_of(request))
    except Unauthenticated:
        return sign_in_page(request, "bad", back, kept, 401, login)
    except (TooManyAttempts, Busy) as error:
        return sign_in_page(request, "many", back, kept, error.status, login)
    cookie = await run_in_threadpool(_begin, state.engine, user, request)
    if user.one_time_until is not None:
        answer: Response = RedirectResponse("/password", 303)
    elif kept:
        answer = _resume(request, back, kept)
    else:
        answer = RedirectResponse(back, 303)
    set_cookie(answer, request, cookie, sessions.lasts(user))
    return answer


def _begin(engine: Engine, user: User, request: Request) -> str:
    """The cookie of a new session. That of whoever was signed in at this browser is over: nobody could end it later."""
    before = cookie_of(request)
    if before is not None:
        sessions.end(engine, before, now_utc())
    return sessions.begin(engine, user, now_utc(), address_of(request))


def _resume(request: Request, back: str, kept: list[tuple[str, str]]) -> HTMLResponse:
    fields = [(name, value) for name, value in kept if not any(secret in name for secret in SECRET)]
    made = environment(request.state.language, "UTC").get_template("resume.html")
    return HTMLResponse(made.render(back=back, kept=fields))


@router.post("/logout")
@open_to_all()
async def sign_out(request: Request) -> Response:
    """Ends the session, in every tab and on every instance."""
    cookie = cookie_of(request)
    if cookie is not None:
        await run_in_threadpool(sessions.end, request.app.state.engine, cookie, now_utc())
    answer = RedirectResponse("/login?why=out", 303)
    delete_cookie(answer, request)
    return answer


@router.post("/language")
@signed_in_only()
async def language(visit: Visiting, language: Annotated[str, Form()], back: Annotated[str, Form()] = "/") -> Response:
    """The reader's own choice of a language, from the next page on."""
    if language in LANGUAGES:

        def work(u: Unit) -> list[object]:
            choose_language(u, language)
            return []

        await visit.post(work)  # type: ignore[arg-type]  # it answers nothing
    return RedirectResponse(own(back), 303)
