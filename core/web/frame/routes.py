"""Routes of pages: each names its permits as the API's do; who is not signed in is led to the sign-in page and back."""

import inspect
import logging
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from core.erp.kernel.database_errors import translate
from core.erp.kernel.door import SAFE, Wants, limit_body, turns, wants_of
from core.erp.kernel.errors import LotwiseError, Unauthenticated
from core.erp.kernel.late_route import LateRoute
from core.erp.kernel.problems import LAST
from core.erp.kernel.words import Message, accepted
from core.series.port import StoreUnavailable
from core.web.frame.packing import pack
from core.web.frame.sessions import actor_of_request
from core.web.frame.signed_out import signed_out_form
from core.web.frame.templating import environment

log = logging.getLogger(__name__)
Handler = Callable[[Request], Coroutine[Any, Any, Response]]
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Nothing of others is loaded, and nothing runs that does not stand in a file of ours."""
HEADERS = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
KNOWN = (LotwiseError, DBAPIError, PoolTimeout, StoreUnavailable, RequestValidationError, HTTPException)
"""What may go wrong on a page, and has words; for all else see `unexpected`."""


class PageRoute(LateRoute):
    """A page: what goes wrong is a page too, in the reader's language. Raises NothingAsked for a function that does not
    say what it wants.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        wants_of(endpoint)
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Handler:
        """FastAPI's handler behind ours."""
        whole, wants = super().get_route_handler(), wants_of(self.endpoint)
        in_a_thread = not inspect.iscoroutinefunction(self.endpoint)

        async def inner(request: Request) -> Response:
            if wants.public or not in_a_thread or request.method not in SAFE:
                return await whole(request)
            async with turns(request).turn():
                return await whole(request)

        async def handler(request: Request) -> Response:
            request.state.language = accepted(request.headers.get("accept-language"))
            try:
                await _let_in(request, wants)
                limit_body(request.scope, wants.max_body)
                answer = await inner(request)
            except KNOWN as error:
                answer = await _failed(request, error)
            finally:
                await request.close()  # files that a form sent
            for name, value in HEADERS.items():
                answer.headers.setdefault(name, value)
            pack(request, answer)
            return answer

        return handler


def page_routes() -> APIRouter:
    """A router whose routes are pages."""
    return APIRouter(route_class=PageRoute, include_in_schema=False)


async def _let_in(request: Request, wants: Wants) -> None:
    if wants.public:
        return
    async with turns(request).turn():
        actor = await run_in_threadpool(actor_of_request, request)
    if actor.one_time and not wants.one_time:
        raise Unauthenticated("kernel.choose_password_first", extra={"why": "one_time"})
    request.state.language = actor.language or request.state.language
    request.state.actor, request.state.wants = replace(actor, language=request.state.language), wants
    if wants.permits:
        actor.need(*wants.permits)


# --- what goes wrong


async def _failed(request: Request, error: Exception) -> Response:
    if isinstance(error, Unauthenticated):
        return await _signed_out(request, error)
    if isinstance(error, DBAPIError):
        known = translate(error)
        error = known if known is not None else error
    if isinstance(error, LotwiseError):
        return error_page(request, error.status, error.message)
    if isinstance(error, (DBAPIError, PoolTimeout)):
        log.warning("database away in %s %s: %s", request.method, request.url.path, error)
        return error_page(request, 503, Message("kernel.database_away"))
    if isinstance(error, StoreUnavailable):
        return error_page(request, 503, Message("kernel.series_store_away", told=str(error)))
    if isinstance(error, RequestValidationError):
        absent = any(fault["loc"][:1] == ("path",) for fault in error.errors())
        return error_page(request, 404 if absent else 422, Message("web.no_such_page" if absent else "web.bad_address"))
    if isinstance(error, HTTPException):
        return error_page(request, error.status_code, getattr(error, "message", Message("web.no_such_page")))
    raise error


def unexpected(request: Request, error: Exception) -> Response:
    """What nobody foresaw: says that it was us, and under which number the log has it."""
    number = uuid.uuid4().hex
    log.error("error %s in %s %s", number, request.method, request.url.path, exc_info=error)
    request.state.language = accepted(request.headers.get("accept-language"))
    answer = error_page(request, 500, Message("kernel.went_wrong", number=number))
    answer.headers.update(LAST)
    return answer


def not_served(request: Request, error: Exception) -> Response:
    """An address of no page, or a method that none has."""
    assert isinstance(error, HTTPException)
    request.state.language = accepted(request.headers.get("accept-language"))
    answer = error_page(request, error.status_code, Message("web.no_such_page"))
    answer.headers.update({**HEADERS, **(error.headers or {})})
    return answer


async def _signed_out(request: Request, error: Unauthenticated) -> Response:
    """To the sign-in page and back; what a form sent is kept there, and shown again afterwards."""
    why = str(error.extra.get("why", "first"))
    if why == "one_time":
        return RedirectResponse("/password", 303)
    if request.method not in SAFE:
        return await signed_out_form(request, why)
    back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse("/login?" + urlencode({"why": why, "back": back}), 303)


def error_page(request: Request, status: int, what: Message | str) -> HTMLResponse:
    """What went wrong, who can act, and the way back; without navigation, which a fault may have taken with it."""
    made = environment(request.state.language, "UTC").get_template("error.html")
    kind = _KINDS.get(status, "failed" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "refused")
    text = made.render(status=status, what=what, kind=SAID[kind], path=request.url.path)
    return HTMLResponse(text, status, headers={"Retry-After": "5"} if kind == "away" else None)


SAID = {
    "forbidden": ("web.error_forbidden", "web.error_forbidden_do"),
    "absent": ("web.error_absent", "web.error_absent_do"),
    "away": ("web.error_away", "web.error_away_do"),
    "failed": ("web.error_failed", "web.error_failed_do"),
    "refused": ("web.error_refused", "web.error_refused_do"),
}
"""What went wrong, and what one can do, by kind."""
_KINDS: dict[int, str] = {
    HTTPStatus.FORBIDDEN: "forbidden",
    HTTPStatus.NOT_FOUND: "absent",
    HTTPStatus.SERVICE_UNAVAILABLE: "away",
}
