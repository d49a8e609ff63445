"""Every error as an RFC 9457 problem document: ours, the database's refusals, and what nobody foresaw."""

import logging
import uuid
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DataError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from core.erp.kernel.errors import Busy, Conflict, Invalid, LotwiseError, Refused, Unauthenticated
from core.erp.kernel.openapi import PROBLEM, describe
from core.series.port import StoreUnavailable

log = logging.getLogger(__name__)


def problem_body(status: int, title: str, detail: str, **extra: Any) -> dict[str, Any]:
    """The problem document."""
    kind = title.lower().replace(" ", "-")
    return {
        "type": f"urn:lotwise:{kind}",
        "title": title,
        "status": status,
        "detail": detail,
        **jsonable_encoder(extra),
    }


def _problem(status: int, title: str, detail: str, headers: dict[str, str] | None = None, **extra: Any) -> JSONResponse:
    return JSONResponse(problem_body(status, title, detail, **extra), status, headers, media_type=PROBLEM)


def error_body(error: LotwiseError) -> dict[str, Any]:
    """The problem document of one of our errors."""
    return problem_body(error.status, error.title, error.detail, **error.extra)


def _lotwise_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, LotwiseError)
    headers = {"WWW-Authenticate": "Bearer"} if isinstance(error, Unauthenticated) else {}
    if "retry_after" in error.extra:
        headers["Retry-After"] = str(error.extra["retry_after"])
    return JSONResponse(error_body(error), error.status, headers, media_type=PROBLEM)


def _bad_request(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    faults = [{"where": "/".join(str(part) for part in fault["loc"]), "what": fault["msg"]} for fault in error.errors()]
    detail = "; ".join(f"{fault['where']}: {fault['what']}" for fault in faults)
    return _problem(422, "Invalid", detail, errors=faults)


def _http_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers) if error.headers else None
    return _problem(error.status_code, HTTPStatus(error.status_code).phrase, str(error.detail), headers)


_HELD = "55P03"
"""SQLSTATE of a lock that was not had in time."""

_DATABASE: dict[str, tuple[type[LotwiseError], str]] = {
    "LW": (Refused, ""),
    "22": (Invalid, "a value does not fit: "),
    "23505": (Conflict, "there already: "),
    "23": (Invalid, "a rule on values is broken: "),
}


def translate(error: DBAPIError) -> LotwiseError | None:
    """What the database's own guards refused, as our error; None if it is no refusal but a fault."""
    state = getattr(error.orig, "sqlstate", None) or ""
    for prefix, (kind, lead) in _DATABASE.items():
        if state.startswith(prefix):
            diag = getattr(error.orig, "diag", None)
            return kind(lead + (getattr(diag, "message_primary", None) or str(error.orig)))
    if state == _HELD:
        return Busy("somebody else is changing the same record: nothing was posted, ask again", retry_after=3)
    # The driver itself refuses what PostgreSQL cannot hold (a NUL in a text) and knows no SQLSTATE for it.
    return Invalid(f"a value does not fit: {error.orig}") if isinstance(error, DataError) else None


def _database_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, DBAPIError)
    known = translate(error)
    if known is not None:
        return _lotwise_error(request, known)
    state = getattr(error.orig, "sqlstate", None)
    if isinstance(error, OperationalError) and (state is None or state.startswith(_PASSING)):
        return _away(request, error)
    return _unexpected(request, error)


_PASSING = ("08", "40", "53", "57")
"""SQLSTATE classes of what passes: no connection, deadlock, no room, shutting down. Without one nobody answered."""


def _away(request: Request, error: Exception) -> JSONResponse:
    """The database cannot be had now: nothing was posted, the same may be asked again."""
    log.warning("database away in %s %s: %s", request.method, request.url.path, error)
    return _problem(503, "Unavailable", "the database cannot answer now: ask again", {"Retry-After": "5"})


def _unexpected(request: Request, error: Exception) -> JSONResponse:
    """Says that it was us, and under which id the log has it; never what it was."""
    number = uuid.uuid4().hex
    log.error("error %s in %s %s", number, request.method, request.url.path, exc_info=error)
    return _problem(500, "Internal error", f"something went wrong here; our log has it as {number}", id=number)


def _store_away(_: Request, error: Exception) -> JSONResponse:
    return _problem(503, "Unavailable", f"the series store cannot answer now: {error}", {"Retry-After": "5"})


def install(app: FastAPI) -> None:
    """Makes every error of the app a problem document."""
    app.add_exception_handler(LotwiseError, _lotwise_error)
    app.add_exception_handler(RequestValidationError, _bad_request)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(DBAPIError, _database_error)
    app.add_exception_handler(PoolTimeout, _away)
    app.add_exception_handler(StoreUnavailable, _store_away)
    app.add_exception_handler(Exception, _unexpected)
    describe(app)
