"""`GET /live`: what changes, as server-sent events; ids only, of kinds that its reader may read."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.concurrency import run_in_threadpool

from core.erp.kernel.auth import now_utc
from core.erp.kernel.digits import whole
from core.erp.kernel.errors import Forbidden, Unauthenticated
from core.erp.kernel.sessions.cookies import cookie_of
from core.erp.kernel.sessions.service import actor_of_session
from core.erp.kernel.unit import Actor
from core.web.live.hub import Hub
from core.web.live.subscriber import Subscriber

BEAT_EVERY = 15.0
"""Seconds after which a stream says that it is still there: browsers and proxies do not notice by themselves."""
CHECK_EVERY = 60.0
"""Seconds after which it is asked whether the session still stands; at once where somebody has changed it."""
MARGIN = 1_000
"""Milliseconds that are told again: clocks of several servers differ, and what is told twice does no harm."""
AFTER = 2_000
"""Milliseconds after which a browser comes back by itself."""

router = APIRouter(include_in_schema=False)


@router.get("/live")
async def live(request: Request, since: Annotated[int, Query(ge=0)] = 0) -> Response:
    """Events: `changed` (topics with spaces between), `resync` (read everything anew), `beat`, `ended` (why).

    `since` is the page's own time, in milliseconds, or the id of the last event that was heard (as `Last-Event-ID`
    says it too): what has happened since is told first. Raises Unauthenticated, Forbidden, TooManyAttempts, Busy.
    """
    again = _asking(request)
    one = Subscriber(await run_in_threadpool(again), again)
    hub: Hub = request.app.state.live
    hub.require_room(one)
    heard = whole(request.headers.get("last-event-id", ""))
    events = _events(hub, one, since if heard is None else heard)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)


@router.get("/live/alive", status_code=204)
def alive(request: Request) -> None:
    """Whether the server is there, and the session. Raises Unauthenticated, Forbidden."""
    _asking(request)()


def _asking(request: Request) -> Callable[[], Actor]:
    cookie = cookie_of(request)
    if cookie is None:
        raise Unauthenticated("kernel.sign_in_first", extra={"why": "first"})
    state = request.app.state

    def ask() -> Actor:
        actor = actor_of_session(state.engine, cookie, now_utc(), state.session_limits, prolong=False)
        if actor.one_time:
            raise Forbidden("kernel.choose_password_first", extra={"needs": ["password"]})
        return actor

    return ask


async def _events(hub: Hub, one: Subscriber, since: int) -> AsyncIterator[str]:
    with hub.joined(one):
        _catch_up(hub, one, since)
        yield f"retry: {AFTER}\n{_event('beat', hub.now(), '-')}"
        beat = check = time.monotonic()
        while not hub.closing.is_set():
            due = min(beat + BEAT_EVERY, check + CHECK_EVERY)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(one.wake.wait(), max(0.0, due - time.monotonic()))
            if one.recheck or time.monotonic() >= check + CHECK_EVERY:
                check = time.monotonic()
                why = await _checked(hub, one)
                if why is not None:
                    yield _event("ended", hub.now(), why)
                    return
            topics, resync, at = one.taken()
            if resync:
                yield _event("resync", at, "-")
            elif topics:
                yield _event("changed", at, " ".join(sorted(topics)))
            elif time.monotonic() >= beat + BEAT_EVERY:
                yield _event("beat", hub.now(), "-")
            else:
                continue
            beat = time.monotonic()


def _event(name: str, at: int, data: str) -> str:
    return f"event: {name}\nid: {at}\ndata: {data}\n\n"


def _catch_up(hub: Hub, one: Subscriber, since: int) -> None:
    changes = hub.since(since - MARGIN)
    if changes is None:
        one.missed(hub.now())
    for change in changes or ():
        one.told(change.topics, change.at)


async def _checked(hub: Hub, one: Subscriber) -> str | None:
    """Why the session has ended; None where it stands. What its reader may is taken over."""
    one.recheck = False
    try:
        actor = await run_in_threadpool(one.again)
    except (Unauthenticated, Forbidden) as error:
        return str(error.extra.get("why", "invalid"))
    except (DBAPIError, PoolTimeout):  # nothing can be read of what is told meanwhile; the hub has said so
        return None
    if (actor.permits, actor.sites, actor.partner_id) != (one.actor.permits, one.actor.sites, one.actor.partner_id):
        one.missed(hub.now())
    one.actor = actor
    return None if actor.permits else "permits"
