"""Every error as an RFC 9457 problem document: ours, the database's refusals, and what nobody foresaw."""

import logging
import uuid
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from core.erp.kernel.database_errors import translate
from core.erp.kernel.errors import LotwiseError, Unauthenticated
from core.erp.kernel.misfits import bad_request
from core.erp.kernel.openapi import PROBLEM, describe
from core.erp.kernel.words import ENGLISH, LANGUAGES, Message, accepted, render
from core.series.port import StoreUnavailable

log = logging.getLogger(__name__)


def language_of(request: Request) -> str:
    """The language of who asks: their own choice once they are known, else what the browser asks for."""
    actor = getattr(request.state, "actor", None)
    chosen: str = getattr(actor, "language", "")
    return chosen if chosen in LANGUAGES else accepted(request.headers.get("accept-language"))


def problem_body(
    status: int, title: str, detail: Message | str, language: str = ENGLISH, extra: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The problem document. A message in `extra` (under `message`) is written as its id, params and detail."""
    kind = title.lower().replace(" ", "-")
    found: dict[str, Any] = {"type": f"urn:lotwise:{kind}", "title": title, "status": status}
    if isinstance(detail, Message):
        found["title"] = render(Message(f"problem.{kind.replace('-', '_')}"), language)
    return {
        **found,
        **(message_fields(detail, language) if isinstance(detail, Message) else {"detail": detail}),
        **jsonable_encoder(_with_messages(extra or {}, language)),
    }


def message_fields(message: Message, language: str) -> dict[str, Any]:
    """A message as the wire carries it: id, params, and as detail the text in the language."""
    return {**message.as_json(), "detail": render(message, language)}


def _with_messages(value: Any, language: str) -> Any:
    if isinstance(value, Mapping):
        found = {name: _with_messages(one, language) for name, one in value.items() if not isinstance(one, Message)}
        return found | (message_fields(value["message"], language) if isinstance(value.get("message"), Message) else {})
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_with_messages(one, language) for one in value]
    return value


def problem(
    status: int,
    title: str,
    detail: Message | str,
    language: str,
    headers: Mapping[str, str] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> JSONResponse:
    """The problem document as an answer."""
    body = problem_body(status, title, detail, language, extra)
    return JSONResponse(body, status, {**(headers or {}), "Content-Language": language}, media_type=PROBLEM)


def error_body(error: LotwiseError, language: str) -> dict[str, Any]:
    """The problem document of one of our errors."""
    return problem_body(error.status, error.title, error.message, language, error.extra)


def _lotwise_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, LotwiseError)
    headers = {"WWW-Authenticate": "Bearer"} if isinstance(error, Unauthenticated) else {}
    if "retry_after" in error.extra:
        headers["Retry-After"] = str(error.extra["retry_after"])
    detail = error.message
    return problem(error.status, error.title, detail, language_of(request), headers, error.extra)


def _bad_request(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    message, faults = bad_request(error.errors())
    language = language_of(request)
    told_each = [{**one, "what": render(one["message"], language)} for one in faults]
    return problem(422, "Invalid", message, language, extra={"errors": told_each})


def http_error(request: Request, error: Exception) -> JSONResponse:
    """What the framework refuses: an address that is not there, a method that it does not have."""
    assert isinstance(error, HTTPException)
    detail = getattr(error, "message", None) or _of_the_framework(request, error)
    return problem(error.status_code, HTTPStatus(error.status_code).phrase, detail, language_of(request), error.headers)


def _of_the_framework(request: Request, error: HTTPException) -> Message | str:
    """What the framework refuses: an address that is none, a method that an address does not take."""
    if error.status_code == HTTPStatus.NOT_FOUND:
        return Message("kernel.no_route")
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return Message("kernel.wrong_method", method=request.method)
    return str(error.detail)


def _database_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, DBAPIError)
    known = translate(error)
    if known is not None:
        return _lotwise_error(request, known)
    state = getattr(error.orig, "sqlstate", None)
    if isinstance(error, OperationalError) and (state is None or state.startswith(_TRANSIENT)):
        return _database_unavailable(request, error)
    return unexpected(request, error)


_TRANSIENT = ("08", "40", "53", "57")
"""SQLSTATE classes of what passes: no connection, deadlock, no room, shutting down. Without one nobody answered."""


def _database_unavailable(request: Request, error: Exception) -> JSONResponse:
    """The database cannot be had now: nothing was posted, the same may be asked again."""
    log.warning("database away in %s %s: %s", request.method, request.url.path, error)
    detail = Message("kernel.database_away")
    return problem(503, "Unavailable", detail, language_of(request), {"Retry-After": "5"})


LAST = {"Connection": "close"}
"""Of an answer to what nobody foresaw: the server ends the connection behind it, and a client told so sends no more."""


def unexpected(request: Request, error: Exception) -> JSONResponse:
    """Says that it was us, and under which id the log has it; never what it was."""
    number = uuid.uuid4().hex
    log.error("error %s in %s %s", number, request.method, request.url.path, exc_info=error)
    detail = Message("kernel.went_wrong", number=number)
    return problem(500, "Internal error", detail, language_of(request), LAST, {"number": number})


def _store_unavailable(request: Request, error: Exception) -> JSONResponse:
    detail = Message("kernel.series_store_away", told=str(error))
    return problem(503, "Unavailable", detail, language_of(request), {"Retry-After": "5"})


def install(app: FastAPI) -> None:
    """Makes every error of the app a problem document."""
    app.add_exception_handler(LotwiseError, _lotwise_error)
    app.add_exception_handler(RequestValidationError, _bad_request)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(DBAPIError, _database_error)
    app.add_exception_handler(PoolTimeout, _database_unavailable)
    app.add_exception_handler(StoreUnavailable, _store_unavailable)
    app.add_exception_handler(Exception, unexpected)
    describe(app)
