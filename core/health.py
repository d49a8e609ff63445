"""Whether the core is well, asked beside its work: in threads and on a connection of its own, in bounded time.

A core whose request pool is used up, whose database is away or whose disk is full still answers, and says which it is.
"""

import asyncio
import logging
import re
import shutil
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from core.erp.kernel.connections import close_for_good
from core.erp.kernel.words import render
from core.log_archive import log_archive
from core.workers import Notice

log = logging.getLogger(__name__)

Probe = Callable[[], str | None]
"""Says what is wrong; None if nothing is."""

OK, WARNING, FAILING = "ok", "warning", "failing"
PROBE_TIMEOUT = 3.0
"""Seconds that a probe may take."""
CACHE_SECONDS = 1.0
"""Seconds that an answer serves everybody: anybody may ask, and asking costs little."""
MIN_FREE_BYTES = 64 * 2**20
"""Bytes: with less room PostgreSQL soon has none for its log of what is committed (segments of 16 MiB)."""
TOLD_ONLY = frozenset({"archive", "heartbeat", "ingest", "gateways", "clock", "filling", "certificate"})
"""Probes whose trouble somebody must mend while the core works as ever: it is not to be taken out of service for it."""
REFUSAL_SHOWN = 60.0
"""Seconds that a refusal for lack of room is told."""


class Health:
    """Probes by name. `check` runs those that are not running still, side by side."""

    def __init__(
        self, probes: Mapping[str, Probe], *, within: float = PROBE_TIMEOUT, fresh: float = CACHE_SECONDS
    ) -> None:
        self._probes, self._timeout, self._fresh = dict(probes), within, fresh
        self._pool = ThreadPoolExecutor(max_workers=len(probes), thread_name_prefix="health")
        self._running: dict[str, Future[str | None]] = {}
        self._one = asyncio.Lock()
        self._last: tuple[float, dict[str, str]] = (-fresh, {})

    async def check(self) -> dict[str, str]:
        """`ok`, or what is wrong, for each probe; at most `within` seconds later."""
        async with self._one:
            at, results = self._last
            if time.monotonic() - at >= self._fresh or not results:
                before, results = results, await self._check()
                self._last = time.monotonic(), results
                self._log_changes(before, results)
            return results

    def _log_changes(self, before: Mapping[str, str], now: Mapping[str, str]) -> None:
        for name, result in now.items():
            if result != OK and before.get(name, OK) == OK:
                log.warning("%s: %s", name, result)
            elif result == OK and before.get(name, OK) != OK:
                log.warning("%s is well again", name)

    async def _check(self) -> dict[str, str]:
        for name, probe in self._probes.items():
            if name not in self._running:
                self._running[name] = self._pool.submit(probe)
        asked = {name: asyncio.wrap_future(future) for name, future in self._running.items()}
        await asyncio.wait(asked.values(), timeout=self._timeout)
        results = {}
        for name, answer in asked.items():
            if answer.done():
                del self._running[name]
                results[name] = answer.result() or OK
            else:
                results[name] = f"no answer within {self._timeout:g} s"
        return results

    def close(self) -> None:
        """Waits for nothing: a probe that hangs ends by its own time-outs."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def verdict(checks: Mapping[str, str]) -> str:
    """`ok`; `warning`, where what is wrong stops nobody's work; or `failing`."""
    wrong = {name for name, result in checks.items() if result != OK}
    return OK if not wrong else WARNING if wrong <= TOLD_ONLY else FAILING


class DatabaseProbe:
    """Asks the database on connections of its own, which are made anew when they broke."""

    def __init__(self, engine: Engine) -> None:
        given = {"connect_timeout": 2, "application_name": "lotwise health", "options": "-c statement_timeout=2000"}
        self._engine = create_engine(
            engine.url,
            pool_size=2,
            max_overflow=0,
            pool_timeout=1,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args=given,
        )

    def __call__(self) -> str | None:
        """None if it answers."""
        try:
            with self._engine.connect() as conn:
                conn.execute(text("SELECT 1"))
        except DBAPIError as error:
            return _without_address(str(error.orig))
        except PoolTimeout:
            return "the question before this one has no answer yet"
        return None

    def connect(self) -> Connection:
        """One of its connections, which asks for no longer than a probe may."""
        return self._engine.connect()

    def archive(self) -> str | None:
        """Whether the log is archived; a database that does not answer is told of by the probe itself."""
        try:
            with self._engine.connect() as conn:
                trouble = log_archive(conn).trouble
        except (DBAPIError, PoolTimeout):
            return None
        return render(trouble) if trouble is not None else None

    def close(self) -> None:
        """Ends its connections, that of a probe which hangs when it is given back."""
        close_for_good(self._engine)


def _without_address(message: str) -> str:
    """What a server or driver said, in one line; anybody may read it, so not where the server is."""
    return re.sub(r".*connection to server at .*? failed: ", "", " ".join(message.split()))


class CapacityProbe:
    """Remembers that PostgreSQL refused something for lack of room, memory or connections (SQLSTATE class 53), to
    whichever of the processes that share the notice.
    """

    def __init__(self, engine: Engine, notice: Notice) -> None:
        self._notice = notice
        event.listen(engine, "handle_error", self._note)

    def _note(self, context: ExceptionContext) -> None:
        error: Any = context.original_exception
        if (getattr(error, "sqlstate", None) or "").startswith("53"):
            self._notice.put(_without_address(str(error)))

    def __call__(self) -> str | None:
        """The refusal, if there was one in the last minute."""
        ago, refusal = self._notice.get()
        return refusal if ago < REFUSAL_SHOWN else None


def disk_probe(folder: Path) -> Probe:
    """Whether the data folder's disk has room."""

    def probe() -> str | None:
        nearest = next(path for path in [folder.absolute(), *folder.absolute().parents] if path.exists())
        try:
            usage = shutil.disk_usage(nearest)
        except OSError as error:
            return str(error)
        if usage.free >= MIN_FREE_BYTES:
            return None
        return f"{usage.free / 2**20:.0f} MiB free of {usage.total / 2**20:.0f} in the data folder"

    return probe
