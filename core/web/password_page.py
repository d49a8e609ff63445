"""Choosing one's own password: a plain form, also the only page that a one-time password opens."""

from html import escape
from typing import Annotated

from fastapi import FastAPI, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from core.erp.kernel.errors import LotwiseError, Unauthenticated
from core.erp.kernel.passwords import MAX_LENGTH, MIN_LENGTH
from core.erp.kernel.sessions.cookies import cookie_of
from core.web.desk import Desk
from core.web.old_frame import error_page, signing_in

PASSWORD = "/password"  # noqa: S105 - a path
_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Lotwise: your password</title>
<meta name="viewport" content="width=device-width"></head><body><main><h1>Choose your password</h1>
<p>{rules}</p><p role="alert">{said}</p>
<form method="post" action="/password">
<p><label>The password you signed in with <input type="password" name="password" autocomplete="current-password"
 required autofocus></label></p>
<p><label>Your new password <input type="password" name="chosen" autocomplete="new-password" required></label></p>
<p><label>Your new password again <input type="password" name="again" autocomplete="new-password" required></label></p>
<p><button>Choose it</button></p></form></main></body></html>"""
RULES = (
    f"{MIN_LENGTH} to {MAX_LENGTH} characters of any kind, and none that is tried first. You sign in again after it."
)


def _page(message: str = "", status: int = 200) -> HTMLResponse:
    return HTMLResponse(_PAGE.format(rules=escape(RULES), said=escape(message)), status, {"Cache-Control": "no-store"})


def install(app: FastAPI, desk: Desk) -> None:
    """Puts the form on the app."""

    @app.get(PASSWORD, include_in_schema=False)
    def form(request: Request) -> Response:
        """The form, for who is signed in."""
        if cookie_of(request) is None:
            return RedirectResponse(signing_in("first", PASSWORD), 303)
        return _page()

    @app.post(PASSWORD, include_in_schema=False)
    async def choose(
        request: Request,
        password: Annotated[str, Form()] = "",
        chosen: Annotated[str, Form()] = "",
        again: Annotated[str, Form()] = "",
    ) -> Response:
        """Makes it the password and leads to the sign-in page, or says why not."""
        if chosen != again:
            return _page("The new password was not typed twice the same way.", 422)
        try:
            await desk.change_password(cookie_of(request) or "", password, chosen)
        except Unauthenticated as error:
            return RedirectResponse(error_page(error, PASSWORD), 303)
        except LotwiseError as error:
            return _page(f"{error.title}: {error.detail}", error.status)
        return RedirectResponse(signing_in("chosen"), 303)
