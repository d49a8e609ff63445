"""Many open pages: what they cost while nothing happens, while values change, and how soon a hold is on them."""

import asyncio
import contextlib
import functools
import gzip
import os
import random
import re
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from sqlalchemy import Engine, text

from core.erp.kernel.access.users import create_user
from core.erp.kernel.audit_keys import open_engine
from core.erp.kernel.auth import now_utc
from core.erp.kernel.permits import Role
from core.erp.kernel.sessions.cookies import PLAIN_COOKIE, UNASKED
from core.erp.kernel.sessions.service import begin
from core.erp.kernel.unit import system, transact
from core.erp.lots import service as lots
from core.erp.migrations import upgrade
from core.wiring import build_events
from lotwise.bench.core_server import core
from lotwise.bench.figures import busy_of, figure
from lotwise.bench.plant import BENCH_KEYS, Plant, build
from lotwise.bench.volume import measure
from lotwise.embedded.postgres import EmbeddedPostgres

ZONES, SUBLOTS, REGION = 100, 2_000, "/plant/tiles"
SETTLE = 5.0
"""Seconds after the sessions were opened before they are looked at, at most: never longer than that looking takes."""
PASSWORD = "four words of a bench"  # noqa: S105 - of a user in the benchmark's own database
JITTER, VALUES, CHANGES = (0.1, 0.35), 1.0, 0.25
"""As live.js: seconds from an event to the request, and between two requests for new values, and for all else."""
HELD = re.compile(rb"<b>(\d+)</b> held")
"""On a zone's tile."""
METHOD = (
    "the core with its background work as a process of its own (`lotwise serve`) on embedded PostgreSQL"
    " (fsync on); {sessions} sessions, each with a stream of its own; "
)


@dataclass
class Watched:
    """When a region first showed so many holds: by the hold's number, over all viewers."""

    seen: dict[int, list[float]] = field(default_factory=dict)
    answers: int = 0


class Viewer:
    """A browser: its stream, and a region that it reads anew when it is told to. Plain sockets, to cost little."""

    def __init__(self, port: int, cookie: str, watched: Watched | None) -> None:
        self._port, self._watched, self._shown = port, watched, 0
        self._head = (
            f"Host: 127.0.0.1:{port}\r\nCookie: {PLAIN_COOKIE}={cookie}\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n"
        )
        self._due: float | None = None
        self._told = "0"
        self._wake = asyncio.Event()

    async def run(self, opened: asyncio.Semaphore) -> None:
        """Until cancelled. Raises ConnectionError where the stream is refused."""
        async with opened:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            writer.write(f"GET /live?since={int(time.time() * 1000)} HTTP/1.1\r\n{self._head}\r\n".encode())
            status = await reader.readline()
            if b" 200 " not in status:
                raise ConnectionError(status.decode())
        reading = asyncio.create_task(self._read()) if self._watched is not None else None
        try:
            await self._listen(reader)
        finally:
            writer.close()
            if reading is not None:
                reading.cancel()

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        name, read = b"", 0.0
        while line := await reader.readline():
            if line.startswith(b"event: "):
                name = line[7:].strip()
            elif line.startswith(b"id: "):
                self._told = line[4:].strip().decode()
            elif line.startswith(b"data: ") and name in {b"changed", b"resync"}:
                only_values = all(topic.startswith(b"zone") for topic in line[6:].split())
                now = time.monotonic()
                due = max(now + random.uniform(*JITTER), read + (VALUES if only_values else CHANGES))  # noqa: S311 - no secret
                if self._due is None or due < self._due:
                    self._due, read = due, due
                    self._wake.set()
        raise ConnectionError("the stream has ended")

    async def _read(self) -> None:
        assert self._watched is not None
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            while True:
                await self._due_now()
                writer.write(f"GET {REGION} HTTP/1.1\r\n{self._head}{UNASKED}: {self._told}\r\n\r\n".encode())
                self._show(await _body(reader))
        finally:
            writer.close()

    async def _due_now(self) -> None:
        await self._wake.wait()
        self._wake.clear()
        while self._due is not None and (wait := self._due - time.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), wait)
            self._wake.clear()
        self._due = None

    def _show(self, body: bytes) -> None:
        assert self._watched is not None
        self._watched.answers += 1
        found = HELD.findall(gzip.decompress(body))
        if not found:
            raise ConnectionError(gzip.decompress(body)[:200].decode())
        held = sum(map(int, found))
        for hold in range(self._shown + 1, held + 1):
            self._watched.seen.setdefault(hold, []).append(time.time())
        self._shown = max(self._shown, held)


async def _body(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    return await reader.readexactly(int(length[1])) if length is not None else b""


@dataclass(frozen=True)
class Served:
    """The core, its database, and whose sessions there are."""

    engine: Engine
    plant: Plant
    port: int
    cookies: list[str]
    core: int
    database: int


@contextmanager
def _served(sessions: int) -> Iterator[Served]:
    with tempfile.TemporaryDirectory(prefix="lotwise-bench-") as name, ExitStack() as stack:
        postgres = EmbeddedPostgres(Path(name) / "postgres")
        postgres.start()
        stack.callback(postgres.stop)
        engine = open_engine(postgres.url(), BENCH_KEYS)
        stack.callback(engine.dispose)
        upgrade(engine)
        now = datetime.now(UTC)
        plant = build(engine, now - timedelta(hours=1), zones=ZONES, profiles=1, sublots=SUBLOTS)
        with engine.begin() as conn:
            conn.execute(_BEGIN)
            measure(conn, now - timedelta(days=1), now)  # what tiles draw
        server, port = core(stack, Path(name), postgres.url())
        assert server.pid is not None
        assert postgres.pid is not None
        yield Served(engine, plant, port, _signed_in(engine, sessions), server.pid, postgres.pid)


_BEGIN = text("INSERT INTO zone_judged (zone_id, last_value, version) SELECT id, 5, 1 FROM zone ON CONFLICT DO NOTHING")
_VALUES = text("UPDATE zone_judged SET last_value = 4 + random(), last_good_at = now(), version = version + 1")


def _signed_in(engine: Engine, count: int) -> list[str]:
    made = functools.partial(create_user, login="viewer", name="Viewer", password=PASSWORD, roles=[Role.QA])
    user = transact(engine, system("bench"), build_events(), made)
    return [begin(engine, user, now_utc(), "127.0.0.1") for _ in range(count)]


@contextlib.asynccontextmanager
async def _open(served: Served, cookies: list[str], watched: Watched | None, settle: float) -> AsyncIterator[None]:
    opened = asyncio.Semaphore(20)
    tasks = [asyncio.create_task(Viewer(served.port, cookie, watched).run(opened)) for cookie in cookies]
    try:
        await asyncio.sleep(settle)
        yield
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _busy(served: Served, seconds: float) -> tuple[float, float]:
    """Per cent of a core that the core and its database take."""
    began, before = time.monotonic(), (busy_of([served.core]), busy_of([served.database]))
    await asyncio.sleep(seconds)
    took = time.monotonic() - began
    after = busy_of([served.core]), busy_of([served.database])
    return (after[0] - before[0]) / took * 100, (after[1] - before[1]) / took * 100


@contextlib.asynccontextmanager
async def _changing(engine: Engine) -> AsyncIterator[None]:
    """Every zone has a new value every second."""

    def change() -> None:
        with engine.begin() as conn:
            conn.execute(_VALUES)

    async def again() -> None:
        while True:
            await asyncio.to_thread(change)
            await asyncio.sleep(1.0)

    task = asyncio.create_task(again())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _holds(served: Served, watched: Watched, count: int, viewers: int) -> list[float]:
    """Milliseconds from each hold's commit until each viewer's page shows it."""
    events, found = build_events(), []
    for number in range(1, count + 1):
        await asyncio.sleep(random.uniform(0.6, 1.6))  # noqa: S311 - no secret
        place = functools.partial(
            lots.place_hold, sublot_id=served.plant.sublots[number], kind="manual", reason="bench", since_at=now_utc()
        )
        await asyncio.to_thread(transact, served.engine, system("bench"), events, place)
        committed = time.time()
        deadline = time.monotonic() + 30
        while len(watched.seen.get(number, ())) < viewers and time.monotonic() < deadline:  # noqa: ASYNC110 - a list
            await asyncio.sleep(0.02)
        found += [(at - committed) * 1000 for at in watched.seen.get(number, ())]
    return found


async def _measure(served: Served, viewers: int, seconds: float, holds: int) -> None:
    method = METHOD.format(sessions=len(served.cookies))
    settle = min(SETTLE, seconds)
    core, database = await _busy(served, seconds)
    figure("live", "alone_core_pct", core, "%", 1, method + "none open, for comparison")
    async with _open(served, served.cookies, None, settle):
        core, database = await _busy(served, seconds)
    figure("live", "idle_core_pct", core, "%", len(served.cookies), method + "nothing happens")
    figure("live", "idle_database_pct", database, "%", len(served.cookies), method + "nothing happens")
    watched, watching = Watched(), served.cookies[:viewers]
    changing = (
        f"{METHOD.format(sessions=viewers)}each reads the plant's {ZONES} tiles anew when it is told to, as live.js"
        " does; every zone has a new value every second, written as the judge does"
    )
    async with _changing(served.engine), _open(served, watching, watched, settle):
        before = watched.answers
        core, database = await _busy(served, seconds)
        changing += f"; {(watched.answers - before) / seconds:.0f} regions/s, load average {os.getloadavg()[0]:.1f}"
        figure("live", "busy_core_pct", core, "%", viewers, changing)
        figure("live", "busy_database_pct", database, "%", viewers, changing)
        took = await _holds(served, watched, holds, viewers)
    shown = f"{changing}; from a hold's commit until a viewer's region shows it, {holds} holds"
    figure("live", "p50_ms", float(np.percentile(took, 50)), "ms", len(took), shown)
    figure("live", "p99_ms", float(np.percentile(took, 99)), "ms", len(took), shown)
    figure("live", "missed", holds * viewers - len(took), "1", holds * viewers, "of those, not shown within 30 s")


def run(sessions: int, viewers: int, seconds: float, holds: int) -> None:
    """Prints the figures. Raises ServerFailed, ConnectionError."""
    with _served(max(sessions, viewers)) as served:
        asyncio.run(_measure(served, viewers, seconds, holds))
