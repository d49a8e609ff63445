"""Turns at something costly, a few at a time: who waits, in which order, how many and how long."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from core.erp.kernel.errors import Busy


@dataclass(slots=True)
class Turns:
    """`at_once` at a time; of those who wait, the urgent first. Belongs to one event loop.

    Per `who` at most `each` are in, and `most` altogether; nobody waits longer than `longest` seconds.
    """

    at_once: int
    most: int
    each: int
    longest: float
    retry_after: int = 5
    _free: int = field(init=False)
    _urgent: deque[asyncio.Future[None]] = field(default_factory=deque, init=False)
    _others: deque[asyncio.Future[None]] = field(default_factory=deque, init=False)
    _inside: Counter[str] = field(default_factory=Counter, init=False)

    def __post_init__(self) -> None:
        self._free = self.at_once

    @asynccontextmanager
    async def turn(self, who: str, alone: asyncio.Lock, *, urgent: bool = False) -> AsyncIterator[None]:
        """A turn, as soon as there is one and `alone` is free. Raises Busy at once when too many wait, and when it has
        taken too long.
        """
        if self._inside[who] >= self.each or self._inside.total() >= self.most:
            raise Busy("kernel.too_many_at_once", extra={"retry_after": self.retry_after})
        self._inside[who] += 1
        try:
            async with self._given(alone, urgent=urgent):
                yield
        finally:
            self._inside[who] -= 1
            if not self._inside[who]:
                del self._inside[who]

    @asynccontextmanager
    async def _given(self, alone: asyncio.Lock, *, urgent: bool) -> AsyncIterator[None]:
        started = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self.longest):
                await alone.acquire()
        except TimeoutError:
            raise self._too_long() from None
        try:
            await self._wait(self.longest - (asyncio.get_running_loop().time() - started), urgent=urgent)
            try:
                yield
            finally:
                self._next()
        finally:
            alone.release()

    async def _wait(self, seconds: float, *, urgent: bool) -> None:
        if self._free:
            self._free -= 1
            return
        queue = self._urgent if urgent else self._others
        mine = asyncio.get_running_loop().create_future()
        queue.append(mine)
        try:
            async with asyncio.timeout(seconds):
                await mine
        except TimeoutError:
            self._give_up(queue, mine)
            raise self._too_long() from None
        except asyncio.CancelledError:
            self._give_up(queue, mine)
            raise

    def _too_long(self) -> Busy:
        return Busy("kernel.turn_took_too_long", extra={"retry_after": self.retry_after})

    def _give_up(self, queue: deque[asyncio.Future[None]], mine: asyncio.Future[None]) -> None:
        """Leaves the queue; a turn that was given at the very moment goes to the next."""
        if mine in queue:
            queue.remove(mine)
        elif mine.done() and not mine.cancelled():
            self._next()

    def _next(self) -> None:
        for queue in (self._urgent, self._others):
            while queue:
                waiting = queue.popleft()
                if not waiting.done():
                    waiting.set_result(None)
                    return
        self._free += 1
