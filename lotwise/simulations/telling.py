"""Open pages are told when a run has changed: a row in the queue that the core tells them from."""

import asyncio
import contextlib
from collections.abc import Callable

import psycopg
from sqlalchemy import make_url

EVERY = 1.0
TOPIC = "simulation"


class Telling:
    """Looks once a second, while something runs (`going`), whether what is `shown` has changed."""

    def __init__(self, database_url: str | None, going: Callable[[], bool], shown: Callable[[], object]) -> None:
        self._url, self._going, self._shown = database_url, going, shown
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """From now on, until nothing runs and that is told."""
        if self._url is not None and (self._task is None or self._task.done()):
            url = make_url(self._url).set(drivername="postgresql").render_as_string(hide_password=False)
            self._task = asyncio.create_task(self._run(url), name="telling of runs")

    async def close(self) -> None:
        """Tells nobody any more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, url: str) -> None:
        before: object = None
        while (now := self._shown()) != before or self._going():
            if now != before and await _told(url):
                before = now
            await asyncio.sleep(EVERY)


async def _told(url: str) -> bool:
    """Whether it could be told; while the database is away, pages say so by themselves."""
    with contextlib.suppress(psycopg.Error):
        async with await psycopg.AsyncConnection.connect(url, autocommit=True, connect_timeout=5) as conn:
            await conn.execute("INSERT INTO live_change (topic) VALUES (%s)", [TOPIC])
        return True
    return False
