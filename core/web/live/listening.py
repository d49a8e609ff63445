"""The one LISTEN of a process, which comes back when it was cut off."""

import asyncio
import logging
from collections.abc import Callable, Sequence

import psycopg
from sqlalchemy import URL

from core.erp.kernel.live.telling import CHANNEL

log = logging.getLogger(__name__)

ALIVE_EVERY = 10.0
"""Seconds without a word after which the database is asked whether it is still there."""
AGAIN_AFTER = 1.0
_KEEPALIVE = "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3"


async def listen(url: URL, changed: Callable[[Sequence[str]], None], listening: Callable[[bool], None]) -> None:
    """Calls `changed(topics)` for whatever is told, until cancelled; `listening(True)` whenever it hears (again),
    `listening(False)` when it is cut off: what is told until it hears again is lost.
    """
    conninfo = url.set(drivername="postgresql").render_as_string(hide_password=False)
    away = False
    while True:
        try:
            connecting = psycopg.AsyncConnection.connect(
                conninfo, autocommit=True, application_name="lotwise live", options=_KEEPALIVE, connect_timeout=5
            )
            async with await connecting as conn:
                await conn.execute(f"LISTEN {CHANNEL}")
                away = False
                listening(True)
                await _hear(conn, changed)
        except psycopg.Error as error:
            if not away:
                log.warning("open pages are not told of changes: %s", str(error).partition("\n")[0])
            away = True
            listening(False)
            await asyncio.sleep(AGAIN_AFTER)


async def _hear(conn: psycopg.AsyncConnection, changed: Callable[[Sequence[str]], None]) -> None:
    while True:
        async for notice in conn.notifies(timeout=ALIVE_EVERY):
            changed(notice.payload.split())
        await conn.execute("SELECT 1")
