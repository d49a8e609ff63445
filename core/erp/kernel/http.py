"""The door: one transaction a request, idempotency keys, pages. The wire's common shapes are in `shapes`."""

import base64
import binascii
import hmac
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Header, Path, Query, Request, Response
from fastapi.dependencies.utils import request_params_to_args
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import OAuth2PasswordBearer
from pydantic import BaseModel
from sqlalchemy import ColumnElement, Engine, Row, Select, bindparam, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import InternalError
from starlette.concurrency import run_in_threadpool

from core.erp.kernel.auth import now_utc
from core.erp.kernel.connections import NEEDS_TRANSACTION
from core.erp.kernel.door import DoorRoute, Wants, in_one_turn, post_slot
from core.erp.kernel.errors import Conflict, Forbidden, Invalid, LotwiseError, NotFound, Refused
from core.erp.kernel.events import Events
from core.erp.kernel.masking import mask, masking
from core.erp.kernel.model import IdempotencyKey
from core.erp.kernel.named import Named, require_visible
from core.erp.kernel.openapi import PROBLEM
from core.erp.kernel.password_checks import PasswordChecks
from core.erp.kernel.problems import error_body
from core.erp.kernel.shapes import (
    BIGGEST_ID,
    EARLIEST,
    LATEST,
    Amount,
    Answer,
    Body,
    Duration,
    Figure,
    Moment,
    Page,
    Problem,
    Quantity,
    Ref,
    Sentence,
    SignIn,
    Text,
)
from core.erp.kernel.signatures import Signing
from core.erp.kernel.strict import OnlyDigits
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Actor, Unit, read, reading, transact
from core.erp.kernel.words import ENGLISH

__all__ = [
    "BIGGEST_ID",
    "EARLIEST",
    "LATEST",
    "LOCK_TIMEOUT",
    "MAX_PAGE_SIZE",
    "Amount",
    "Answer",
    "Body",
    "Cursor",
    "Door",
    "DoorKeeper",
    "Duration",
    "Figure",
    "FilterId",
    "Id",
    "Limit",
    "Moment",
    "Page",
    "Problem",
    "Quantity",
    "Ref",
    "Sentence",
    "SignIn",
    "Text",
    "bearer",
    "decode_cursor",
    "encode_cursor",
    "not_future",
    "paginate",
    "signed_in",
]

T = TypeVar("T")
MAX_PAGE_SIZE = 500
LOCK_TIMEOUT = timedelta(seconds=3)
"""How long a person's request waits for a lock before it is told that somebody else holds the record (503)."""

Id = Annotated[int, OnlyDigits, Path(ge=1, le=BIGGEST_ID)]
"""An id in a path."""
FilterId = Annotated[int | None, OnlyDigits, Query(ge=1, le=BIGGEST_ID)]
"""An id that a list is filtered by."""


bearer = OAuth2PasswordBearer(tokenUrl="/api/v1/token", auto_error=False)


async def signed_in(request: Request, _: Annotated[str | None, Depends(bearer)]) -> Actor:
    """Who asks, as the route's door has found. A coroutine: what is none takes a turn of a thread."""
    actor: Actor = request.state.actor
    return actor


@dataclass(frozen=True, slots=True)
class DoorKeeper:
    """Opens the one transaction of a request."""

    engine: Engine
    readers: Engine
    events: Events
    checks: PasswordChecks
    actor: Actor
    post_slot: Callable[[], AbstractAsyncContextManager[None]]
    key: str | None
    request_hash: bytes
    permits: tuple[str, ...] = ()
    """Of which the route has asked for one: what writes asks again within its transaction."""
    named: tuple[Named, ...] = ()
    """What the request names, for an actor who does not see everything: it is looked for before the work is done."""

    def look(self, work: Callable[[Unit], T]) -> T:
        """As `read`, in one transaction: for what locks rows to look at them, has a cursor, or keeps what it finds."""
        with masking(self.engine, self.actor):
            return transact(self.engine, self.actor, self.events, self._seen(work), now_utc, lock_timeout=LOCK_TIMEOUT)

    def read(self, work: Callable[[Unit], T], *, longest: timedelta | None = None) -> T:
        """Runs `work`, which only reads; each of its statements may take `longest`. The route has asked for its permit.

        What keeps something that it works out on the way (summaries of hours that nobody has asked for yet), or locks
        what it looks at, is begun anew in a transaction, as `look`.
        """
        seen = self._seen(work)
        try:
            with masking(self.engine, self.actor):
                return read(self.engine, self.readers, self.actor, self.events, seen, now_utc, longest=longest)
        except InternalError as error:
            if getattr(error.orig, "sqlstate", None) not in NEEDS_TRANSACTION:
                raise
        return self.look(work)

    def _seen(self, work: Callable[[Unit], T]) -> Callable[[Unit], T]:
        """The work, once what the request names has been looked for under the actor's scope."""

        def run(u: Unit) -> T:
            require_visible(u, self.named)
            return work(u)

        return run

    def post(self, work: Callable[[Unit], BaseModel | Sequence[BaseModel]], *, status: int = 201) -> JSONResponse:
        """Runs `work` in a transaction and answers what it returns.

        With an Idempotency-Key the answer is kept in the same transaction, a refusal in one of its own behind what it
        undid: the same key and body get the same answer and nothing is posted twice, whoever comes first. Raises
        Invalid for the key with another body, Forbidden where the permit was withdrawn since the request came.
        """
        with masking(self.engine, self.actor):
            try:
                return self._transact(partial(self._posted, work, status))
            except _KeptRefusal as refusal:
                error = mask(self.engine, self.actor, refusal.error)
                body = error_body(error, self.actor.language or ENGLISH)
                return self._transact(partial(self._keep_refusal, body, error.status))

    def _transact(self, work: Callable[[Unit], T]) -> T:
        """In a transaction, at whose end the actor still holds what route and services needed: asked once, behind every
        lock that was waited for. Where it was withdrawn meanwhile, nothing is done, and no refusal of the work's is
        told either.
        """

        def run(u: Unit) -> T:
            u.ask_at_the_end()
            self._need(u)
            made = work(u)
            needed = u.needed
            try:
                u.ask_needed()
            except Forbidden:  # it may be this very act that has taken it away: of oneself
                self._need_still(needed)
            return made

        try:
            return transact(self.engine, self.actor, self.events, run, now_utc, lock_timeout=LOCK_TIMEOUT)
        except (LotwiseError, _KeptRefusal):
            self._need_still((self.permits,))
            raise

    def _need(self, u: Unit) -> None:
        if self.permits:
            u.need(*self.permits)

    def _need_still(self, needed: Iterable[tuple[str, ...]]) -> None:
        """Raises Forbidden where others have taken a permit away: as all but this transaction see it."""
        with reading(self.readers, self.actor, self.events) as u:
            for permits in filter(None, needed):
                u.need(*permits)

    def _posted(self, work: Callable[[Unit], BaseModel | Sequence[BaseModel]], status: int, u: Unit) -> JSONResponse:
        require_visible(u, self.named)
        if self.key is None:
            return JSONResponse(jsonable_encoder(work(u)), status)
        # a second request with the key waits here until the first has committed or given up
        if not self._claim(u):
            return self._replayed(u)
        try:
            body = jsonable_encoder(work(u))
        except (Refused, Invalid, NotFound, Conflict) as error:
            raise _KeptRefusal(error) from error
        u.conn.execute(_ANSWERED, {**self._mine, "answered": status, "answer": body})
        return _answer(body, status)

    async def sign(
        self,
        signing: Signing[T],
        by: SignIn,
        answer: Callable[[Unit, T], BaseModel | Sequence[BaseModel]],
        *,
        status: int = 201,
    ) -> JSONResponse:
        """Does what is signed, as `post`, after the signer's password was checked; while it is, nothing is locked.

        Raises Forbidden (permit, password), Invalid (first signing of a session without login), Busy.
        """
        self.actor.need(signing.permit)
        proof = await self.checks.prove(self.actor, signing.act, by.password.get_secret_value(), by.login)

        def work(u: Unit) -> BaseModel | Sequence[BaseModel]:
            return answer(u, signing.work(u, proof))

        try:
            return await replace(self, permits=(signing.permit,)).post_async(work, status=status)
        finally:
            proof.spent = True

    async def post_async(
        self, work: Callable[[Unit], BaseModel | Sequence[BaseModel]], *, status: int = 201
    ) -> JSONResponse:
        """As `post`, from a coroutine: in its turn, in a thread. Raises Busy besides."""
        async with self.post_slot():
            return await run_in_threadpool(self.post, work, status=status)

    def for_content(self, what: bytes) -> "DoorKeeper":
        """For a body that the door has not read: what an Idempotency-Key stands for is this."""
        return replace(self, request_hash=hmac.digest(self.request_hash, what, "sha256"))

    def _keep_refusal(self, body: dict[str, Any], status: int, u: Unit) -> JSONResponse:
        """What was refused is kept under its key, unless somebody with the same key was answered meanwhile."""
        return _answer(body, status) if self._claim(u, status, body) else self._replayed(u)

    @property
    def _mine(self) -> dict[str, Any]:
        return {"mine": self.key, "me": self.actor.login}

    def _claim(self, u: Unit, status: int = 0, body: dict[str, Any] | None = None) -> bool:
        """Whether the key is this request's; with its answer, where that is known."""
        row = {"request_hash": self.request_hash, "status": status, "response": body, "at": u.now}
        claimed = u.conn.execute(_CLAIM, {"key": self.key, "actor": self.actor.login, **row})
        return claimed.first() is not None

    def _replayed(self, u: Unit) -> JSONResponse:
        row = u.conn.execute(_KEPT, self._mine).one()
        if row.request_hash != self.request_hash:
            raise Invalid("kernel.key_of_another_request", extra={"key": self.key})
        return _answer(row.response, row.status, {"Idempotency-Replayed": "true"})


class _KeptRefusal(Exception):
    """A refusal that is the answer to an idempotency key: the way out of the transaction that is undone."""

    def __init__(self, error: LotwiseError) -> None:
        super().__init__(error)
        self.error = error


_KEYS = table(IdempotencyKey)
_IS_MINE = (_KEYS.c.key == bindparam("mine"), _KEYS.c.actor == bindparam("me"))
# built once: every posting asks them
_CLAIM = upsert(_KEYS).on_conflict_do_nothing().returning(_KEYS.c.key)
_ANSWERED = (
    update(_KEYS)
    .where(*_IS_MINE)
    .values(status=bindparam("answered"), response=bindparam("answer", type_=_KEYS.c.response.type))
)
_KEPT = select(_KEYS).where(*_IS_MINE)


def _answer(body: Any, status: int, headers: dict[str, str] | None = None) -> JSONResponse:
    kind = PROBLEM if status >= HTTPStatus.BAD_REQUEST else "application/json"
    return JSONResponse(body, status, headers, media_type=kind)


def _require_known_parameters(request: Request) -> None:
    """Raises Invalid for a query parameter that the route does not have: a misspelt filter would show everything."""
    route: DoorRoute = request.scope["route"]
    unknown = sorted(set(request.query_params) - route.parameter_names)
    if unknown:
        raise Invalid("kernel.unknown_in_query", unknown=unknown)


async def _open(
    request: Request,
    actor: Annotated[Actor, Depends(signed_in)],
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=200,
            description="The same key and body post once.",
            examples=["0b6f6a0e-2f0e-4a9e-8a57-2f0f2b9b9d0a"],
        ),
    ] = None,
) -> DoorKeeper:
    streamed = request.headers.get("content-type", "").startswith("multipart/")
    body = b"" if streamed else await request.body()
    return _keeper(request, actor, idempotency_key, body)


def _keeper(request: Request, actor: Actor, idempotency_key: str | None, body: bytes) -> DoorKeeper:
    _require_known_parameters(request)
    content = f"{request.method} {request.url.path}?{request.url.query}\n".encode() + body
    state = request.app.state
    # keyed, since a body may hold a password: whoever reads the table cannot try which one it was
    asked = hmac.digest(state.signing_key.encode(), content, "sha256")
    turn = partial(post_slot, request)
    wants: Wants = request.state.wants
    return DoorKeeper(
        state.engine, state.readers, state.events, state.checks, actor, turn, idempotency_key, asked, wants.permits
    )


def at_once(endpoint: Callable[..., Response]) -> Callable[..., Response]:
    """Marks a route that only reads, with parameters of the path and the query: it is answered in one turn of a
    thread. The framework takes three, and as long for the parameters as the database for the rows.
    """

    def answer(request: Request, route: DoorRoute) -> Response:
        door = _keeper(request, request.state.actor, None, b"")
        given, faults = request_params_to_args(route.dependant.path_params, request.path_params)
        asked, more = request_params_to_args(route.dependant.query_params, request.query_params)
        if faults or more:
            raise RequestValidationError([*faults, *more])
        answered: Response = route.endpoint(door=door, **given, **asked)
        return answered

    return in_one_turn(endpoint, answer)


Door = Annotated[DoorKeeper, Depends(_open)]
"""The parameter of every route: `def route(body: X, door: Door) -> JSONResponse: return door.post(work)`."""

Cursor = Annotated[str | None, Query(max_length=200, description="`next` of the page before")]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE_SIZE)]


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
        raise Invalid("kernel.cursor_invalid") from error
    if kind != "id" or not 0 <= value <= BIGGEST_ID:
        raise Invalid("kernel.cursor_invalid")
    return value


def paginate(
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
        raise Invalid("kernel.not_yet", at=at)
    return at or u.now
