"""Limits how many do something at the same time: who waits, in which order, how many and how long."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from core.erp.kernel.errors import Busy


@dataclass(slots=True)
class ConcurrencyLimiter:
    """`concurrent` at a time; of those who wait, the urgent first. Belongs to one event loop.

    Per key at most `max_per_key` are in, and `max_total` altogether; nobody waits longer than `timeout` seconds.
    """

    concurrent: int
    max_total: int
    max_per_key: int
    timeout: float
    retry_after: int = 5
    _free: int = field(init=False)
    _urgent: deque[asyncio.Future[None]] = field(default_factory=deque, init=False)
    _normal: deque[asyncio.Future[None]] = field(default_factory=deque, init=False)
    _inside: Counter[str] = field(default_factory=Counter, init=False)

    def __post_init__(self) -> None:
        self._free = self.concurrent

    def divided(self, processes: int) -> Self:
        """What one of so many processes lets in, so that all of them together let in no more than this one would; but
        each lets in one at a time.
        """
        total, per_key = -(-self.max_total // processes), -(-self.max_per_key // processes)
        return type(self)(max(1, self.concurrent // processes), total, per_key, self.timeout, self.retry_after)

    @asynccontextmanager
    async def slot(self, key: str, exclusive: asyncio.Lock, *, urgent: bool = False) -> AsyncIterator[None]:
        """A slot, as soon as one is free and the lock `exclusive` is had. Raises Busy at once when too many wait, and
        when it has taken too long.
        """
        if self._inside[key] >= self.max_per_key or self._inside.total() >= self.max_total:
            raise Busy("kernel.too_many_at_once", extra={"retry_after": self.retry_after})
        self._inside[key] += 1
        try:
            async with self._acquired(exclusive, urgent=urgent):
                yield
        finally:
            self._inside[key] -= 1
            if not self._inside[key]:
                del self._inside[key]

    @asynccontextmanager
    async def _acquired(self, exclusive: asyncio.Lock, *, urgent: bool) -> AsyncIterator[None]:
        started = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self.timeout):
                await exclusive.acquire()
        except TimeoutError:
            raise self._timed_out() from None
        try:
            await self._wait(self.timeout - (asyncio.get_running_loop().time() - started), urgent=urgent)
            try:
                yield
            finally:
                self._release()
        finally:
            exclusive.release()

    async def _wait(self, seconds: float, *, urgent: bool) -> None:
        if self._free:
            self._free -= 1
            return
        queue = self._urgent if urgent else self._normal
        mine = asyncio.get_running_loop().create_future()
        queue.append(mine)
        try:
            async with asyncio.timeout(seconds):
                await mine
        except TimeoutError:
            self._leave_queue(queue, mine)
            raise self._timed_out() from None
        except asyncio.CancelledError:
            self._leave_queue(queue, mine)
            raise

    def _timed_out(self) -> Busy:
        return Busy("kernel.turn_took_too_long", extra={"retry_after": self.retry_after})

    def _leave_queue(self, queue: deque[asyncio.Future[None]], mine: asyncio.Future[None]) -> None:
        """Leaves the queue; a slot that was given at the very moment goes to the next."""
        if mine in queue:
            queue.remove(mine)
        elif mine.done() and not mine.cancelled():
            self._release()

    def _release(self) -> None:
        for queue in (self._urgent, self._normal):
            while queue:
                waiting = queue.popleft()
                if not waiting.done():
                    waiting.set_result(None)
                    return
        self._free += 1


class Turns:
    """`at_once` at a time, in the order in which they came: `async with turns.turn():`. Belongs to one event loop.

    For what is short. Threads that all work at once take the interpreter from each other, want as many connections, and
    answer in no order. Who takes longer than `patience` seconds goes on, but the next need not wait for that.
    """

    def __init__(self, at_once: int, patience: float) -> None:
        self.free, self.patience = at_once, patience
        self._waiting: deque[asyncio.Future[None]] = deque()

    def turn(self) -> "_Turn":
        """One turn, to be entered once."""
        return _Turn(self)

    async def begin(self) -> None:
        """Waits for its turn."""
        if self.free:
            self.free -= 1
            return
        mine = asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():  # its turn came at the very moment
                self.end()
            raise

    def end(self) -> None:
        """Gives the turn to the next who still waits."""
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_result(None)
                return
        self.free += 1


class _Turn:
    """Of `Turns`: given back at its end, or when patience with it has ended."""

    __slots__ = ("_late", "_over", "_turns")

    def __init__(self, turns: Turns) -> None:
        self._turns, self._over = turns, False

    async def __aenter__(self) -> None:
        await self._turns.begin()
        self._late = asyncio.get_running_loop().call_later(self._turns.patience, self._end)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del kind, error, trace
        self._late.cancel()
        self._end()

    def _end(self) -> None:
        if not self._over:
            self._over = True
            self._turns.end()
