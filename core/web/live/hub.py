"""What one process knows of changes, and the streams that it tells."""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from core.erp.kernel.errors import Busy, TooManyAttempts
from core.web.live.listening import listen
from core.web.live.subscriber import Subscriber
from core.web.live.ticking import TICK_EVERY, Values, changed_zones, zone_values

log = logging.getLogger(__name__)

REMEMBERED = 60_000
"""Milliseconds for which changes are remembered, for streams that were away."""
LINGER = 30.0
"""Seconds for which it goes on without any stream: from page to page a browser's is closed for a moment."""
MOST_STREAMS, MOST_OF_A_SESSION = 2_000, 4
"""Streams at once, of one process and of one session: a browser opens one for all of its tabs."""


@dataclass(frozen=True, slots=True)
class Change:
    """Topics, and when this process was told of them (milliseconds of its clock, growing)."""

    at: int
    topics: tuple[str, ...]


class Hub:
    """Listens as long as there are streams, remembers the last minute, and wakes whoever may know of a change.

    All of it belongs to one event loop.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._streams: set[Subscriber] = set()
        self._changes: deque[Change] = deque()
        self._whole_since: int | None = None
        """From when on every change is in `_changes`, but for those that are too old; None while it is cut off."""
        self._last = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._leaving: asyncio.TimerHandle | None = None
        self.closing = asyncio.Event()

    # --- streams

    @contextlib.contextmanager
    def joined(self, one: Subscriber) -> Iterator[None]:
        """Tells the stream of changes until the block ends. Raises TooManyAttempts, Busy."""
        self.require_room(one)
        self._streams.add(one)
        self._start()
        try:
            yield
        finally:
            self._streams.discard(one)
            if not self._streams and self._leaving is None and self._tasks:
                self._leaving = asyncio.get_running_loop().call_later(LINGER, self._stop)

    def require_room(self, one: Subscriber) -> None:
        """Raises TooManyAttempts or Busy where there are too many streams already."""
        if sum(other.actor.session == one.actor.session for other in self._streams) >= MOST_OF_A_SESSION:
            raise TooManyAttempts("web.live_too_many", extra={"retry_after": 30})
        if len(self._streams) >= MOST_STREAMS:
            raise Busy("web.live_too_many", extra={"retry_after": 30})

    def since(self, at: int) -> list[Change] | None:
        """What has changed since then; None where that is not known any more."""
        if self._whole_since is None or at < max(self._whole_since, self.now() - REMEMBERED):
            return None
        return [change for change in self._changes if change.at >= at]

    def now(self) -> int:
        """Milliseconds of the clock: later than whatever was told before."""
        return max(int(time.time() * 1000), self._last)

    # --- what happens

    def changed(self, topics: Sequence[str]) -> None:
        """Something has changed."""
        at = self._last = max(int(time.time() * 1000), self._last + 1)
        self._changes.append(Change(at, tuple(topics)))
        while self._changes and self._changes[0].at < at - REMEMBERED:
            self._changes.popleft()
        for one in self._streams:
            one.told(topics, at)
            if one.concerns(topics):
                one.recheck = True
                one.wake.set()

    def _listening(self, hears: bool) -> None:
        self._whole_since = self.now() if hears else None
        self._changes.clear()
        if hears:
            for one in self._streams:
                one.missed(self._whole_since or 0)

    async def _tick(self) -> None:
        before: Values | None = None
        while True:
            started = time.monotonic()
            try:
                values = await asyncio.to_thread(zone_values, self._engine)
            except (DBAPIError, PoolTimeout) as error:
                if before is not None:
                    log.warning("open pages are not told of new values: %s", str(error).partition("\n")[0])
                before = None
            else:
                changes = changed_zones(before, values) if before is not None else ["zone"]
                before = values
                if changes:
                    self.changed(changes)
            await asyncio.sleep(max(0.0, TICK_EVERY - (time.monotonic() - started)))

    # --- being there

    def _start(self) -> None:
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None
        if any(task.done() for task in self._tasks):  # by what nobody foresaw; it has been logged
            self._stop()
        if not self._tasks:
            listening = listen(self._engine.url, self.changed, self._listening)
            self._tasks = [asyncio.create_task(listening), asyncio.create_task(self._tick())]
            for task in self._tasks:
                task.add_done_callback(_log_failure)

    def _stop(self) -> None:
        self._leaving, self._whole_since = None, None
        for task in self._tasks:
            task.cancel()
        self._tasks = []
        self._changes.clear()

    async def close(self) -> None:
        """Ends every stream; browsers come back to whoever serves next."""
        self.closing.set()
        for one in self._streams:
            one.wake.set()
        if self._leaving is not None:
            self._leaving.cancel()
        ended = self._tasks
        self._stop()
        await asyncio.gather(*ended, return_exceptions=True)


def _log_failure(task: asyncio.Task[None]) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        log.error("open pages are told of nothing until the next one is opened", exc_info=error)
