"""The way in of every route: authenticate, ask the permit, bound the body; only then is a byte of the body read.

What a route wants is declared beside it (`needs`, `open_to_all`); `routes()` makes routers whose routes go by it. So a
request without a token costs nothing, whatever it carries, and who lacks the permit learns nothing of what there is.
"""

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.dependencies.utils import get_flat_params
from fastapi.routing import iter_route_contexts
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute
from starlette.types import Message as Part
from starlette.types import Receive, Scope

from core.erp.kernel.concurrency import ConcurrencyLimiter, Turns
from core.erp.kernel.digits import whole
from core.erp.kernel.errors import Forbidden, TooLarge, Unauthenticated
from core.erp.kernel.late_route import LateRoute
from core.erp.kernel.named import naming
from core.erp.kernel.openapi import PROBLEMS
from core.erp.kernel.tokens import actor_of
from core.erp.kernel.unit import Actor
from core.erp.kernel.words import Message, accepted, render

F = TypeVar("F", bound=Callable[..., Any])
Handler = Callable[[Request], Coroutine[Any, Any, Response]]

API = "/api/v1/"
KIB, MIB = 1024, 1024 * 1024
MAX_BODY = 256 * KIB
"""Bytes of a body, where a route says nothing else: more than any posting needs."""
POST_CONCURRENCY, POST_MAX_TOTAL, POST_MAX_PER_USER, POST_TIMEOUT = 16, 512, 128, 20.0
"""Postings that run at once (the rest of the threads and connections is left to those who read), how many wait,
altogether and of one person, and how many seconds.
"""
SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_WANTS, _AT_ONCE, _BOUND = "_door_wants", "_door_at_once", "lotwise.bound"


@dataclass(frozen=True, slots=True)
class Wants:
    """What a route asks of who comes: one of these permits (none: signed in is enough), or nothing at all."""

    permits: tuple[str, ...]
    public: bool = False
    max_body: int = MAX_BODY
    one_time: bool = False
    """Whether a password that somebody else gave opens it."""


class NothingAsked(TypeError):
    """A route says neither which permit it wants nor that it is open to all."""


def needs(*permits: str, max_body: int = MAX_BODY) -> Callable[[F], F]:
    """One of these permits, and at most so many bytes of a body."""
    if not permits:
        raise NothingAsked("name a permit, or say `signed_in_only`")
    return _wanting(Wants(permits, max_body=max_body))


def signed_in_only(*, one_time: bool = False, max_body: int = 16 * KIB) -> Callable[[F], F]:
    """Whoever is signed in, `one_time`: also with a password that somebody else gave; for what concerns only them."""
    return _wanting(Wants((), max_body=max_body, one_time=one_time))


def open_to_all(*, max_body: int = 16 * KIB) -> Callable[[F], F]:
    """No token: for signing in and out."""
    return _wanting(Wants((), public=True, max_body=max_body))


def _wanting(wants: Wants) -> Callable[[F], F]:
    def mark(endpoint: F) -> F:
        setattr(endpoint, _WANTS, wants)
        return endpoint

    return mark


def wants_of(endpoint: Callable[..., Any]) -> Wants:
    """What the route of this function wants. Raises NothingAsked where it does not say: none is open by oversight."""
    found: Wants | None = getattr(endpoint, _WANTS, None)
    if found is None:
        raise NothingAsked(f"{endpoint.__module__}.{endpoint.__name__} names no permit")
    return found


def asked_by(routes: Iterable[BaseRoute]) -> frozenset[str]:
    """Every permit that any of the routes asks for, those of included routers too."""
    found: set[str] = set()
    for context in iter_route_contexts(list(routes)):
        route = getattr(context, "original_route", context)
        if isinstance(route, DoorRoute):
            found.update(wants_of(route.endpoint).permits)
    return frozenset(found)


class DoorRoute(LateRoute):
    """A route that lets nobody in before it knows who it is, reads nothing of who may not, and looks for what a request
    names under the actor's scope. Raises NothingAsked for a function that does not say what it wants.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        wants_of(endpoint)
        super().__init__(path, endpoint, **options)

    def served(self, endpoint: Callable[..., Any]) -> Callable[..., Any]:
        """Told what a request names."""
        return naming(endpoint)

    def get_route_handler(self) -> Handler:
        """FastAPI's handler behind ours."""
        inner, wants = super().get_route_handler(), wants_of(self.endpoint)
        in_a_thread = not inspect.iscoroutinefunction(self.endpoint)
        at_once: Callable[[Request, DoorRoute], Response] | None = getattr(self.endpoint, _AT_ONCE, None)
        if at_once is not None:
            return self._handler_at_once(at_once, wants)

        async def handler(request: Request) -> Response:
            await _authorize(request, wants)
            limit_body(request.scope, wants.max_body)
            if wants.public or not in_a_thread:
                return await inner(request)
            if request.method in SAFE:
                async with turns(request).turn():
                    return await inner(request)
            await request.body()  # before the turn: nobody holds one who is slow to say what for
            async with post_slot(request):
                return await inner(request)

        return handler

    def _handler_at_once(self, answer: Callable[[Request, "DoorRoute"], Response], wants: Wants) -> Handler:
        def answered(request: Request) -> Response:
            _admit(request, wants)
            limit_body(request.scope, wants.max_body)
            return answer(request, self)

        async def handler(request: Request) -> Response:
            async with turns(request).turn():
                return await run_in_threadpool(answered, request)

        return handler

    @cached_property
    def parameter_names(self) -> frozenset[str]:
        """What its query, path and headers may name."""
        return frozenset(field.alias for field in get_flat_params(self.dependant))


def in_one_turn(endpoint: F, answer: Callable[[Request, DoorRoute], Response]) -> F:
    """All that a request to the route needs is done by `answer`, in one turn of a thread: for what is asked most."""
    setattr(endpoint, _AT_ONCE, answer)
    return endpoint


def routes(prefix: str = "", **options: Any) -> APIRouter:
    """A router under API whose routes are `DoorRoute`s and may answer PROBLEMS.

    They have their whole path, so that others take them as they are (`other.routes.extend(router.routes)`): a router
    that includes another makes every route anew.
    """
    return APIRouter(route_class=DoorRoute, prefix=f"{API.rstrip('/')}{prefix}", responses=PROBLEMS, **options)


async def _authorize(request: Request, wants: Wants) -> None:
    """Raises Unauthenticated, or Forbidden where none of the permits is held."""
    if not wants.public:
        async with turns(request).turn():
            await run_in_threadpool(_admit, request, wants)


def _admit(request: Request, wants: Wants) -> None:
    actor = _authenticate(request)
    if actor.one_time and not wants.one_time:
        raise Forbidden("kernel.choose_password_first", extra={"needs": ["password"]})
    if wants.permits:
        actor.need(*wants.permits)
    language = actor.language or accepted(request.headers.get("accept-language"))
    request.state.actor, request.state.wants = replace(actor, language=language), wants


def _authenticate(request: Request) -> Actor:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("kernel.sign_in_first")
    state = request.app.state
    return actor_of(state.readers, token.strip(), state.signing_key)


def turns(request: Request) -> Turns:
    """The turns of those who read, in this process."""
    found: Turns = request.app.state.turns
    return found


def post_slot(request: Request) -> Any:
    """A slot for one posting, as a context. Raises Busy."""
    turns: ConcurrencyLimiter = request.app.state.post_limiter
    actor: Actor = request.state.actor
    return turns.slot(actor.login, asyncio.Lock())


def post_limiter() -> ConcurrencyLimiter:
    """Limits the postings of one app."""
    return ConcurrencyLimiter(POST_CONCURRENCY, POST_MAX_TOTAL, POST_MAX_PER_USER, POST_TIMEOUT, retry_after=3)


def upload_limiter() -> ConcurrencyLimiter:
    """Limits the uploads of files, from the first byte until they are read: each may take a core and its memory."""
    return ConcurrencyLimiter(concurrent=2, max_total=32, max_per_key=16, timeout=120.0, retry_after=15)


def export_limiter() -> ConcurrencyLimiter:
    """Limits the exports of one app: each has a connection while it reads, and for XLSX a process."""
    return ConcurrencyLimiter(concurrent=2, max_total=32, max_per_key=4, timeout=120.0, retry_after=15)


def print_limiter() -> ConcurrencyLimiter:
    """Limits the documents that one app sets at once: each takes a core."""
    return ConcurrencyLimiter(concurrent=2, max_total=64, max_per_key=8, timeout=60.0, retry_after=10)


# --- bodies


class BodyLimit:
    """Counts a body as it is read. `most` may be set until the first byte."""

    def __init__(self, scope: Scope, receive: Receive, most: int) -> None:
        self.max_body = most
        self._receive, self._so_far = receive, 0
        self.declared = whole(dict(scope["headers"]).get(b"content-length", b"").decode("latin-1")) or 0

    async def receive(self) -> Part:
        """The next part. Raises BodyTooLarge behind the last byte that is taken."""
        message = await self._receive()
        if message["type"] == "http.request":
            self._so_far += len(message.get("body", b""))
            if self._so_far > self.max_body:
                raise BodyTooLarge(self.max_body)
        return message


class BodyTooLarge(HTTPException):
    """More bytes came than are taken; a kind that FastAPI lets through from where it reads the body."""

    def __init__(self, max_body: int) -> None:
        self.message = too_large(max_body)
        super().__init__(413, render(self.message))


def too_large(max_body: int) -> Message:
    """What is told to who sends more."""
    return Message(
        "kernel.body_too_large", limit=f"{max_body // MIB} MiB" if max_body >= MIB else f"{max_body // KIB} KiB"
    )


def limit_body(scope: Scope, max_body: int) -> None:
    """The request's body has at most so many bytes. Raises TooLarge if it says that it has more."""
    found: BodyLimit | None = scope.get(_BOUND)
    if found is None:
        return
    found.max_body = max_body
    if found.declared > max_body:
        raise TooLarge(too_large(max_body), extra={"most": max_body})


def limited_receive(scope: Scope, receive: Receive, max_body: int) -> Receive:
    """The `receive` of a request whose body is counted; a route may still change how much it takes."""
    found = BodyLimit(scope, receive, max_body)
    scope[_BOUND] = found
    return found.receive
