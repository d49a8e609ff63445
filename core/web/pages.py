"""Puts the pages on the core's app: routes, signing in and out, and what is neither page nor API."""

import functools
import re
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import FastAPI, Form, HTTPException, Request
from fastapi.responses import RedirectResponse, Response
from nicegui import ui
from starlette.datastructures import MutableHeaders
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.erp.kernel.errors import Busy, LotwiseError, TooManyAttempts, Unauthenticated
from core.erp.kernel.http import BIGGEST_ID
from core.erp.kernel.middleware import METHODS
from core.erp.kernel.proxies import address_of
from core.erp.kernel.sessions.cookies import cookie_of, delete_cookie, set_cookie
from core.erp.kernel.sessions.service import lasts
from core.web import hold, home, password_page, shipment, shipments_and_centres, stock
from core.web.desk import Desk
from core.web.desks.logistics.logger_files import FileImportPort
from core.web.frame.installing import install
from core.web.old_frame import Visit, header, signing_in, visit
from core.web.password_page import PASSWORD

WHY = {
    "first": "Sign in to go on.",
    "expired": "Your session has ended: sign in again. Nothing that you had not sent was posted.",
    "out": "You have signed out.",
    "wrong": "Wrong login or password.",
    "many": "Too many wrong passwords, or too many at once: wait a little and try again.",
    "ended": "Your session has ended after too many wrong passwords: sign in again.",
    "by_administrator": "An administrator has ended your session: sign in again.",
    "changed": "Your password was changed: sign in with the new one.",
    "chosen": "Your new password holds from now on: sign in with it.",
}
_BACK = re.compile(r"/[a-z]*(/\d{1,19})?")
"""Where signing in may lead back to: our own pages only."""
HEADERS = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
        "style-src 'self' 'unsafe-inline'; connect-src 'self' ws: wss:; frame-ancestors 'none'; form-action 'self'"
    ),
}
"""Nothing is loaded from elsewhere. The page library compiles templates in the browser, hence unsafe-eval."""

RECONNECT_TIMEOUT = 60.0
"""Seconds a page with a form waits for its browser to come back before it is drawn anew, without what was written."""

Draw = Callable[[Visit], Awaitable[None]]


def install_pages(app: FastAPI, take: FileImportPort) -> None:
    """Mounts the pages on the core's app, at `/`; the API keeps its paths and its problem documents.

    `take` is what is done with a logger's file.

    The session is a row in the database, named by a cookie that no script and no other site can read.
    """
    desk = Desk(app.state.engine, app.state.events, app.state.checks, app.state.session_limits)
    install(app, take)
    _session_routes(app, desk)
    password_page.install(app, desk)
    _unknown_api(app)

    @ui.page("/login", title="Lotwise: sign in")
    def login(why: str = "first", back: str = "/") -> None:
        _login_page(why, back)

    for path, title, draw in (
        ("/", "Lotwise", home.overview),
        ("/stock", "Lotwise: lots", stock.stock),
        ("/release", "Lotwise: release", stock.release),
        ("/shipments", "Lotwise: shipments", shipments_and_centres.shipments),
        ("/centres", "Lotwise: work centres", shipments_and_centres.centres),
    ):
        _page(desk, path, title, draw)
    _numbered(desk, "/holds", "Lotwise: hold", hold.hold)
    _numbered(desk, "/sublots", "Lotwise: sublot", stock.sublot)
    _numbered(desk, "/shipments", "Lotwise: shipment", functools.partial(shipment.shipment, take))
    ui.run_with(app, title="Lotwise", mount_path="/", show_welcome_message=False)
    app.add_middleware(PageHeaders)


async def _render_page(desk: Desk, request: Request, draw: Draw) -> Response | None:
    found = await visit(desk, request)
    if isinstance(found, Response):
        return found
    header(found)
    try:
        await draw(found)
    except LotwiseError as error:
        ui.label(f"{error.title}: {error.detail}").props("role=alert")
    return None


def _page(desk: Desk, path: str, title: str, draw: Draw) -> None:
    @ui.page(path, title=title)
    async def page(request: Request) -> Response | None:
        return await _render_page(desk, request, draw)


def _numbered(desk: Desk, path: str, title: str, draw: Callable[[Visit, int], Awaitable[None]]) -> None:
    @ui.page(path + "/{number}", title=title, reconnect_timeout=RECONNECT_TIMEOUT)
    async def page(request: Request, number: int) -> Response | None:
        if not 0 < number <= BIGGEST_ID:
            raise HTTPException(404, f"there is no {path}/{number}")
        return await _render_page(desk, request, lambda found: draw(found, number))


def _session_routes(app: FastAPI, desk: Desk) -> None:
    @app.post("/login", include_in_schema=False)
    async def sign_in(
        request: Request,
        login: Annotated[str, Form()] = "",
        password: Annotated[str, Form()] = "",
        back: Annotated[str, Form()] = "/",
    ) -> Response:
        """Signs in and leads back, or says why not."""
        back = _own(back)
        try:
            cookie, user = await desk.sign_in(login, password, address_of(request))
        except Unauthenticated:
            return RedirectResponse(signing_in("wrong", back), 303)
        except (TooManyAttempts, Busy):
            return RedirectResponse(signing_in("many", back), 303)
        answer = RedirectResponse(PASSWORD if user.one_time_until is not None else back, 303)
        set_cookie(answer, request, cookie, lasts(user))
        return answer

    @app.post("/logout", include_in_schema=False)
    def sign_out(request: Request) -> Response:
        """Ends the session, in every tab."""
        cookie = cookie_of(request)
        if cookie is not None:
            desk.sign_out(cookie)
        answer = RedirectResponse(signing_in("out"), 303)
        delete_cookie(answer, request)
        return answer


def _unknown_api(app: FastAPI) -> None:
    """Below /api a path that nobody serves is a problem document, not a page."""
    known = list(app.router.routes)

    @app.api_route("/api", methods=list(METHODS), include_in_schema=False)
    @app.api_route("/api/{rest:path}", methods=list(METHODS), include_in_schema=False)
    def unknown(request: Request) -> None:
        """404, or 405 where another method would have been served."""
        allowed = [method for method in METHODS if _served(known, request.scope, method)]
        if allowed:
            raise HTTPException(405, f"{request.url.path} has no {request.method}", {"Allow": ", ".join(allowed)})
        raise HTTPException(404, f"there is no {request.url.path}")


def _served(routes: list[BaseRoute], scope: Scope, method: str) -> bool:
    return any(route.matches({**scope, "method": method})[0] is Match.FULL for route in routes)


def _own(back: str) -> str:
    return back if _BACK.fullmatch(back) else "/"


def _login_page(why: str, back: str) -> None:
    with (
        ui.card().classes("absolute-center w-96"),
        ui.element("form").props("method=post action=/login").classes("w-full"),
    ):
        with ui.element("h1").classes("text-2xl"):
            ui.label("Lotwise")
        ui.label(WHY.get(why, WHY["first"])).props("role=status" if why in {"first", "out"} else "role=alert")
        ui.input("Login").classes("w-full").props("name=login autofocus autocomplete=username")
        ui.input("Password", password=True).classes("w-full").props("name=password autocomplete=current-password")
        ui.element("input").props(f'type=hidden name=back value="{_own(back)}"')
        ui.button("Sign in").classes("w-full mt-4").props("type=submit")


class PageHeaders:
    """Puts `HEADERS` on what is not the API's, whose own documentation page brings scripts of its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or scope["path"].startswith("/api/"):
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, with_headers)
