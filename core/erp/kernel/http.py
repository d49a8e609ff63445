"""The door: one transaction a request, idempotency keys, pages, and errors as RFC 9457 problems."""

import base64
import binascii
import hashlib
import logging
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from http import HTTPStatus
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends, FastAPI, Header, Path, Query, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import OAuth2PasswordBearer
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer
from sqlalchemy import ColumnElement, Engine, Row, Select, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import DataError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from core.erp.kernel.auth import now_utc
from core.erp.kernel.errors import Conflict, Invalid, LotwiseError, NotFound, Refused, Unauthenticated
from core.erp.kernel.events import Events
from core.erp.kernel.model import IdempotencyKey
from core.erp.kernel.openapi import PROBLEM, describe
from core.erp.kernel.tables import table
from core.erp.kernel.tokens import actor_of
from core.erp.kernel.unit import Actor, Unit, transact
from core.series.port import StoreUnavailable

log = logging.getLogger(__name__)

T = TypeVar("T")
BIGGEST_ID = 2**63 - 1
PAGE_MOST = 500


def _said(value: Decimal) -> str:
    return format(value.normalize(), "f")


Id = Annotated[int, Path(ge=1, le=BIGGEST_ID)]
"""An id in a path."""
Ref = Annotated[int, Field(ge=1, le=BIGGEST_ID)]
"""An id in a body or answer."""
Amount = Annotated[Decimal, Field(gt=0, max_digits=18, decimal_places=6), PlainSerializer(_said, return_type=str)]
"""A quantity more than nothing, at most 6 decimals; text in answers, so that no digit is lost."""
Quantity = Annotated[Decimal, PlainSerializer(_said, return_type=str)]
"""A quantity in an answer."""


def _days(value: timedelta) -> str:
    """ISO 8601 in days, hours, minutes and seconds: a year or a month has no length that everybody agrees on."""
    seconds, sign = abs(value).seconds, "-" if value < timedelta(0) else ""
    parts = ((seconds // 3600, "H"), (seconds // 60 % 60, "M"))
    time = "".join(f"{count}{name}" for count, name in parts if count)
    rest = Decimal(seconds % 60) + Decimal(abs(value).microseconds) / 1_000_000
    time += f"{rest.normalize():f}S" if rest or not (time or abs(value).days) else ""
    return f"{sign}P{f'{abs(value).days}D' if abs(value).days else ''}{'T' if time else ''}{time}"


Length = Annotated[
    timedelta,
    PlainSerializer(_days, return_type=str, when_used="json"),
    Field(json_schema_extra={"format": "duration"}),
]
"""A length of time in an answer: PT30M, P730D."""
Text = Annotated[str, Field(min_length=1, max_length=2000, pattern=r"\S")]
"""Words that must be there."""


class Body(BaseModel):
    """A request's body: unknown fields are an error, not a shrug."""

    model_config = ConfigDict(extra="forbid")


class Answer(BaseModel):
    """An answer's body, made from rows."""

    model_config = ConfigDict(from_attributes=True)


class Page(BaseModel, Generic[T]):
    """Some items and, if there are more, the cursor that asks for the next."""

    items: list[T]
    next: str | None = None


class Problem(BaseModel):
    """An error (RFC 9457). Refusals of stock also carry `obstacles`."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [{
                "type": "urn:lotwise:refused", "title": "Refused", "status": 409,
                "detail": "sublot S-1 may not be taken for sale: held (held since 2026-03-02 03:00:00Z: warm)",
                "obstacles": [{"kind": "held", "detail": "held since 2026-03-02 03:00:00Z: warm", "hold_id": 7}],
            }]
        },
    )  # fmt: skip
    type: str
    title: str
    status: int
    detail: str


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": HTTPStatus(status).phrase}
    for status in (400, 401, 403, 404, 409, 422, 429, 503)
}
"""`responses=` of every route: 400 for a body that is no text at all, 429 for too many tries at a password, 503 where
readings are needed that the series store behind cannot give now.
"""


def problem_body(status: int, title: str, detail: str, **extra: Any) -> dict[str, Any]:
    """The problem document."""
    kind = title.lower().replace(" ", "-")
    return {"type": f"urn:lotwise:{kind}", "title": title, "status": status, "detail": detail,
            **jsonable_encoder(extra)}  # fmt: skip


def _problem(status: int, title: str, detail: str, headers: dict[str, str] | None = None, **extra: Any) -> JSONResponse:
    return JSONResponse(problem_body(status, title, detail, **extra), status, headers, media_type=PROBLEM)


def _error_body(error: LotwiseError) -> dict[str, Any]:
    return problem_body(error.status, error.title, error.detail, **error.extra)


def _lotwise_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, LotwiseError)
    headers = {"WWW-Authenticate": "Bearer"} if isinstance(error, Unauthenticated) else {}
    if "retry_after" in error.extra:
        headers["Retry-After"] = str(error.extra["retry_after"])
    return JSONResponse(_error_body(error), error.status, headers, media_type=PROBLEM)


def _bad_request(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    faults = [{"where": "/".join(str(part) for part in fault["loc"]), "what": fault["msg"]} for fault in error.errors()]
    detail = "; ".join(f"{fault['where']}: {fault['what']}" for fault in faults)
    return _problem(422, "Invalid", detail, errors=faults)


def _http_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers) if error.headers else None
    return _problem(error.status_code, HTTPStatus(error.status_code).phrase, str(error.detail), headers)


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


bearer = OAuth2PasswordBearer(tokenUrl="/api/v1/token", auto_error=False)


def signed_in(request: Request, token: Annotated[str | None, Depends(bearer)]) -> Actor:
    """Who asks. Raises Unauthenticated."""
    if token is None:
        raise Unauthenticated("sign in first: POST /api/v1/token")
    return actor_of(request.app.state.engine, token, request.app.state.signing_key)


@dataclass(frozen=True, slots=True)
class DoorKeeper:
    """Opens the one transaction of a request."""

    engine: Engine
    events: Events
    actor: Actor
    key: str | None
    request_hash: bytes

    def read(self, work: Callable[[Unit], T], *, permit: str = "read") -> T:
        """Runs `work` in a transaction that writes nothing anybody keeps."""

        def run(u: Unit) -> T:
            u.need(permit)
            return work(u)

        return transact(self.engine, self.actor, self.events, run, now_utc())

    def post(
        self, work: Callable[[Unit], BaseModel | Sequence[BaseModel]], *, permit: str | None = None, status: int = 201
    ) -> JSONResponse:
        """Runs `work` in a transaction and answers what it returns.

        With an Idempotency-Key the answer is kept in the same transaction, refusals too: the same key and body get
        the same answer and nothing is posted twice, whoever comes first. Raises Invalid for the key with another body.
        """

        def run(u: Unit) -> JSONResponse:
            if permit is not None:
                u.need(permit)
            if self.key is None:
                return JSONResponse(jsonable_encoder(work(u)), status)
            return self._once(u, work, status)

        return transact(self.engine, self.actor, self.events, run, now_utc())

    def _once(self, u: Unit, work: Callable[[Unit], BaseModel | Sequence[BaseModel]], status: int) -> JSONResponse:
        keys = table(IdempotencyKey)
        mine = {"key": self.key, "actor": self.actor.login}
        claim = upsert(IdempotencyKey).values(**mine, request_hash=self.request_hash, status=0, response=None, at=u.now)
        # A second request with the key waits here until the first has committed or given up.
        if u.conn.execute(claim.on_conflict_do_nothing().returning(keys.c.key)).scalar() is None:
            return self._again(u)
        savepoint = u.conn.begin_nested()
        try:
            body, answered = jsonable_encoder(work(u)), status
            u.flush()
            savepoint.commit()
        except (Refused, Invalid, NotFound, Conflict) as error:
            savepoint.rollback()
            u.discard()
            body, answered = _error_body(error), error.status
        where = (keys.c.key == self.key, keys.c.actor == self.actor.login)
        u.conn.execute(update(keys).where(*where).values(status=answered, response=body))
        return _answer(body, answered)

    def _again(self, u: Unit) -> JSONResponse:
        keys = table(IdempotencyKey)
        row = u.conn.execute(select(keys).where(keys.c.key == self.key, keys.c.actor == self.actor.login)).one()
        if row.request_hash != self.request_hash:
            raise Invalid("this Idempotency-Key was used for another request", key=self.key)
        return _answer(row.response, row.status, {"Idempotency-Replayed": "true"})


def _answer(body: Any, status: int, headers: dict[str, str] | None = None) -> JSONResponse:
    kind = PROBLEM if status >= HTTPStatus.BAD_REQUEST else "application/json"
    return JSONResponse(body, status, headers, media_type=kind)


async def _open(
    request: Request,
    actor: Annotated[Actor, Depends(signed_in)],
    idempotency_key: Annotated[
        str | None,
        Header(min_length=1, max_length=200, description="The same key and body post once.",
               examples=["0b6f6a0e-2f0e-4a9e-8a57-2f0f2b9b9d0a"]),
    ] = None,
) -> DoorKeeper:  # fmt: skip
    body = await request.body()
    said = f"{request.method} {request.url.path}?{request.url.query}\n".encode() + body
    state = request.app.state
    return DoorKeeper(state.engine, state.events, actor, idempotency_key, hashlib.sha256(said).digest())


Door = Annotated[DoorKeeper, Depends(_open)]
"""The parameter of every route: `def route(body: X, door: Door) -> JSONResponse: return door.post(work, permit=…)`."""

Cursor = Annotated[str | None, Query(max_length=200, description="`next` of the page before")]
Limit = Annotated[int, Query(ge=1, le=PAGE_MOST)]


def encode_cursor(value: int) -> str:
    """An id as an opaque cursor."""
    return base64.urlsafe_b64encode(f"id:{value}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> int:
    """The id in a cursor. Raises Invalid."""
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        kind, _, number = text.partition(":")
        value = int(number)
    except (ValueError, binascii.Error) as error:
        raise Invalid("not a cursor of ours") from error
    if kind != "id" or not 0 <= value <= BIGGEST_ID:
        raise Invalid("not a cursor of ours")
    return value


def paged(
    u: Unit,
    statement: Select[Any],
    by: ColumnElement[Any],
    cursor: str | None,
    limit: int,
    *,
    newest_first: bool = False,
) -> tuple[list[Row[Any]], str | None]:
    """(rows of one page, cursor of the next or None), in order of the id column `by`. Raises Invalid."""
    if cursor is not None:
        after = decode_cursor(cursor)
        statement = statement.where(by < after if newest_first else by > after)
    rows = list(u.conn.execute(statement.order_by(by.desc() if newest_first else by).limit(limit + 1)))
    if len(rows) <= limit:
        return rows, None
    last = rows[limit - 1]._mapping[by]  # noqa: SLF001 - SQLAlchemy's public way to a row's dict
    return rows[:limit], encode_cursor(last)


def not_future(at: datetime | None, u: Unit) -> datetime:
    """The time given, or now. Raises Invalid for a time to come."""
    if at is not None and at > u.now:
        raise Invalid(f"{at.isoformat()} has not happened yet")
    return at or u.now
