"""The way in of every route: authenticate, ask the permit, bound the body; only then is a byte of the body read.

What a route wants is declared beside it (`needs`, `open_to_all`); `routes()` makes routers whose routes go by it. So a
request without a token costs nothing, whatever it carries, and who lacks the permit learns nothing of what there is.
"""

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute
from starlette.types import Message as Part
from starlette.types import Receive, Scope

from core.erp.kernel.errors import Forbidden, TooLarge, Unauthenticated
from core.erp.kernel.tokens import actor_of
from core.erp.kernel.turns import Turns
from core.erp.kernel.unit import Actor, lacking
from core.erp.kernel.words import Message, render

F = TypeVar("F", bound=Callable[..., Any])
Handler = Callable[[Request], Coroutine[Any, Any, Response]]

KIB, MIB = 1024, 1024 * 1024
MOST = 256 * KIB
"""Bytes of a body, where a route says nothing else: more than any posting needs."""
POSTS_AT_ONCE, POSTS_WAITING, POSTS_EACH, POSTS_LONGEST = 16, 512, 128, 20.0
"""Postings that run at once (the rest of the threads and connections is left to those who read), how many wait,
altogether and of one person, and how many seconds.
"""
SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_WANTS, _BOUND = "_door_wants", "lotwise.bound"


@dataclass(frozen=True, slots=True)
class Wants:
    """What a route asks of who comes: one of these permits (none: signed in is enough), or nothing at all."""

    permits: tuple[str, ...]
    public: bool = False
    most: int = MOST


class NothingAsked(TypeError):
    """A route says neither which permit it wants nor that it is open to all."""


def needs(*permits: str, most: int = MOST) -> Callable[[F], F]:
    """One of these permits, and at most so many bytes of a body."""
    if not permits:
        raise NothingAsked("name a permit, or say `signed_in_only`")
    return _wanting(Wants(permits, most=most))


def signed_in_only(*, most: int = 16 * KIB) -> Callable[[F], F]:
    """Whoever is signed in, also with a one-time password: for what concerns only themselves."""
    return _wanting(Wants((), most=most))


def open_to_all(*, most: int = 16 * KIB) -> Callable[[F], F]:
    """No token: for signing in and out."""
    return _wanting(Wants((), public=True, most=most))


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


class DoorRoute(APIRoute):
    """A route that lets nobody in before it knows who it is, and reads nothing of who may not."""

    def get_route_handler(self) -> Handler:
        """FastAPI's handler behind ours."""
        inner, wants = super().get_route_handler(), wants_of(self.endpoint)
        in_a_thread = not inspect.iscoroutinefunction(self.endpoint)

        async def handler(request: Request) -> Response:
            await _enter(request, wants)
            bound(request.scope, wants.most)
            if request.method in SAFE or wants.public or not in_a_thread:
                return await inner(request)
            await request.body()  # before the turn: nobody holds one who is slow to say what for
            async with posting(request):
                return await inner(request)

        return handler


def routes(**options: Any) -> APIRouter:
    """An APIRouter whose routes are `DoorRoute`s."""
    return APIRouter(route_class=DoorRoute, **options)


async def _enter(request: Request, wants: Wants) -> None:
    """Raises Unauthenticated, or Forbidden where none of the permits is held."""
    if wants.public:
        return
    actor = await run_in_threadpool(_who, request)
    if actor.one_time and wants.permits:
        raise Forbidden("kernel.choose_password_first", extra={"needs": ["password"]})
    if wants.permits and not any(actor.may(permit) for permit in wants.permits):
        raise lacking(actor, *wants.permits)
    request.state.actor, request.state.wants = actor, wants


def _who(request: Request) -> Actor:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("kernel.sign_in_first")
    state = request.app.state
    return actor_of(state.engine, token.strip(), state.signing_key)


def posting(request: Request) -> Any:
    """A turn at posting, as a context. Raises Busy."""
    turns: Turns = request.app.state.posts
    actor: Actor = request.state.actor
    return turns.turn(actor.login, asyncio.Lock())


def posts() -> Turns:
    """The turns at posting of one app."""
    return Turns(POSTS_AT_ONCE, POSTS_WAITING, POSTS_EACH, POSTS_LONGEST, retry_after=3)


def uploads() -> Turns:
    """The turns at handing in files, from the first byte until they are read: each may take a core and its memory."""
    return Turns(at_once=2, most=32, each=16, longest=120.0, retry_after=15)


# --- bodies


class Bound:
    """Counts a body as it is read. `most` may be set until the first byte."""

    def __init__(self, scope: Scope, receive: Receive, most: int) -> None:
        self.most = most
        self._receive, self._so_far = receive, 0
        said = dict(scope["headers"]).get(b"content-length", b"")
        self.declared = int(said) if said.isdigit() else 0

    async def receive(self) -> Part:
        """The next part. Raises BodyTooLarge behind the last byte that is taken."""
        message = await self._receive()
        if message["type"] == "http.request":
            self._so_far += len(message.get("body", b""))
            if self._so_far > self.most:
                raise BodyTooLarge(self.most)
        return message


class BodyTooLarge(HTTPException):
    """More bytes came than are taken; a kind that FastAPI lets through from where it reads the body."""

    def __init__(self, most: int) -> None:
        self.message = too_large(most)
        super().__init__(413, render(self.message))


def too_large(most: int) -> Message:
    """What is told to who sends more."""
    return Message("kernel.body_too_large", limit=f"{most // MIB} MiB" if most >= MIB else f"{most // KIB} KiB")


def bound(scope: Scope, most: int) -> None:
    """The request's body has at most so many bytes. Raises TooLarge if it says that it has more."""
    found: Bound | None = scope.get(_BOUND)
    if found is None:
        return
    found.most = most
    if found.declared > most:
        raise TooLarge(too_large(most), extra={"most": most})


def bounded(scope: Scope, receive: Receive, most: int) -> Receive:
    """The `receive` of a request whose body is counted; a route may still change how much it takes."""
    found = Bound(scope, receive, most)
    scope[_BOUND] = found
    return found.receive
