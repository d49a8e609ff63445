"""Password checks, bounded: as many at once as there are cores, on connections of their own.

A check costs 20 ms of a core and 19 MiB. Whoever signs goes before whoever signs in; what is too much is told at once
(503 with Retry-After). Requests that need no password do not notice: other threads, another pool.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TypeVar
from weakref import WeakValueDictionary

from sqlalchemy import Engine, create_engine

from core.erp.kernel import auth, signatures
from core.erp.kernel.concurrency import ConcurrencyLimiter
from core.erp.kernel.model import User
from core.erp.kernel.signatures import Act, Proof
from core.erp.kernel.unit import Actor

T = TypeVar("T")

MAX_QUEUED, MAX_QUEUED_PER_KEY, QUEUE_TIMEOUT = 256, 96, 15.0
"""How many may be in the queue, altogether and of one address or session, and how many seconds one may stay there."""
Clock = Callable[[], datetime]


class PasswordChecks:
    """Where the core's doors (API and pages) have passwords checked. `close` when the app stops."""

    def __init__(self, engine: Engine, clock: Clock = auth.now_utc, *, processes: int = 1) -> None:
        """`processes` serve together: as many checks at once as there are cores, in all of them."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        limiter = ConcurrencyLimiter(cores, MAX_QUEUED, MAX_QUEUED_PER_KEY, QUEUE_TIMEOUT).divided(processes)
        self._engine = create_engine(
            engine.url,
            pool_size=limiter.concurrent,
            max_overflow=0,
            pool_pre_ping=True,
            hide_parameters=True,
            execution_options=dict(engine.get_execution_options()),  # the audit keys among them
        )
        self._clock = clock
        self._limiter = limiter
        self._threads = ThreadPoolExecutor(limiter.concurrent, "password")
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def sign_in(self, login: str, password: str, address: str) -> User:
        """As `auth.check_password`. Raises Busy besides."""
        check = partial(auth.check_password, self._engine, login, password, address)
        return await self._check(f"in:{login}:{address}", address, check)

    async def prove(self, actor: Actor, act: Act, password: str, login: str | None) -> Proof:
        """As `signatures.prove`. Raises Busy besides."""
        signatures.may_sign(actor, act)
        session = actor.session or ""

        def check(now: datetime) -> Proof:
            return signatures.prove(self._engine, actor, act, password, login=login, now=now)

        return await self._check(f"signing:{session}", f"signing:{session}", check, urgent=True)

    async def prove_each(self, actor: Actor, acts: Sequence[Act], password: str, login: str | None) -> list[Proof]:
        """A proof for each of the acts that somebody signs by one entry of the password. Raises as `prove` does."""
        for act in acts:
            signatures.may_sign(actor, act)
        first = await self.prove(actor, acts[0], password, login)
        return [first, *(replace(first, act=act) for act in acts[1:])]

    async def change_password(self, actor: Actor, password: str, new_password: str) -> None:
        """The signed-in user's password is `new_password` from now on. As `signatures.confirm`; raises Busy besides."""
        session = actor.session or ""

        def check(now: datetime) -> User:
            return signatures.confirm_password(self._engine, actor, password, now, new_password=new_password)

        await self._check(f"signing:{session}", f"signing:{session}", check, urgent=True)

    async def _check(self, key: str, who: str, check: Callable[[datetime], T], *, urgent: bool = False) -> T:
        """One after another for the same login and address, or the same session: no attempt outruns their count."""
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with self._limiter.slot(who, lock, urgent=urgent):
            work = partial(check, self._clock())
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        """Lets go of threads and connections."""
        self._threads.shutdown(cancel_futures=True)
        self._engine.dispose()
