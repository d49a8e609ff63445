"""What runs, and how each is broken and started again: processes of ours, embedded servers, devices."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, TypeVar

from lotwise.embedded.lease import ask_status
from lotwise.embedded.nats import EmbeddedNats
from lotwise.embedded.process import ServerFailed, ServerProcess

T = TypeVar("T")
COMMAND = "from lotwise.cli import main; main()"
STARTING = 60.0
"""Seconds that a process may take to be ready on a busy machine."""


class WorkerThreads:
    """One thread that starts and ends all processes: the kernel ends a child with the thread that started it."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="hands")

    async def do(self, work: Callable[[], T]) -> T:
        """Runs the work there."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        """Ends the thread, and with it whatever it has started and not stopped."""
        self._pool.shutdown()


class Actor(Protocol):
    """Something that can be broken. `faults` are the words that `inject` understands; the first is the usual one."""

    name: str
    faults: tuple[str, ...]

    async def start(self) -> None:
        """Starts it, or starts it again. Raises ServerFailed."""

    async def inject(self, way: str) -> None:
        """Breaks it in one of its ways."""


class Server(Protocol):
    """What can be started, stopped and killed, with blocking calls."""

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""

    def start(self) -> None:
        """Starts it, on the same port as before. Raises ServerFailed."""

    def stop(self) -> None:
        """Stops it in order."""


class Command:
    """A `lotwise` command as a process of its own, which waits for what it needs or is started again."""

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        log: Path,
        env: Callable[[], dict[str, str]],
    ) -> None:
        self._name = name
        self._arguments = list(arguments)
        self._log = log
        self._env = env
        self._process: ServerProcess | None = None

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Starts it. Raises ServerFailed."""
        process = ServerProcess(
            self._name, [sys.executable, "-c", COMMAND, *self._arguments], self._log, env=self._env()
        )
        process.start(lambda: True)  # not waited for: what it needs may be down
        self._process = process

    def stop(self) -> None:
        """Stops it in order."""
        if self._process is not None:
            self._process.stop()
            self._process = None


class KillableServer:
    """A server or a command as an actor: kill -9, stop in order, freeze and thaw; `wipes` is what a wipe deletes."""

    def __init__(
        self, name: str, server: Server, hands: WorkerThreads, *, freezes: bool = False, wipes: Path | None = None
    ) -> None:
        self.name = name
        self.faults = ("kill", "stop", *(["freeze"] if freezes else []), *(["wipe"] if wipes else []))
        self._server = server
        self._hands = hands
        self._folders_to_wipe = wipes
        self._frozen: int | None = None
        self._lock = asyncio.Lock()
        self._wanted = False
        self.ended_by_itself = 0

    async def start(self) -> None:
        """Starts it; thaws it where it was frozen. Raises ServerFailed."""
        async with self._lock:
            await self._start()

    async def _start(self) -> None:
        if self._frozen is not None:
            frozen, self._frozen = self._frozen, None
            with contextlib.suppress(ProcessLookupError):
                os.kill(frozen, signal.SIGCONT)
            return
        self._wanted = True
        # what a killed server leaves behind (shared memory, a port) may take a moment to go
        deadline = time.monotonic() + STARTING
        while True:
            try:
                await self._hands.do(self._server.start)
            except ServerFailed:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.2)
            else:
                return

    async def look_after(self) -> None:
        """Starts it again where it has ended by itself, as whoever runs services does."""
        async with self._lock:
            if self._wanted and self._frozen is None and self._server.pid is None:
                self.ended_by_itself += 1
                await self._start()

    async def inject(self, way: str) -> None:
        """Kills, stops, freezes or wipes it; nothing happens to one that does not run."""
        async with self._lock:
            await self._inject(way)

    async def _inject(self, way: str) -> None:
        pid = self._server.pid
        if way == "freeze":
            if pid is not None:
                os.kill(pid, signal.SIGSTOP)
                self._frozen = pid
            return
        self._wanted = False
        if pid is None or way == "stop":
            await self._hands.do(self._server.stop)
        else:
            os.kill(pid, signal.SIGKILL)
            await self._hands.do(self._server.stop)  # takes its leave
            if way == "wipe" and self._folders_to_wipe is not None:
                shutil.rmtree(self._folders_to_wipe, ignore_errors=True)

    async def end(self) -> None:
        """Stops it for good."""
        if self._frozen is not None:
            await self.start()
        self._wanted = False
        await self._hands.do(self._server.stop)


class Supervised:
    """One of the embedded servers of a data folder, or their supervisor: whoever dies is started again by the product.

    Only what a person or the kernel could do is done here: signals, and deleted files.
    """

    def __init__(self, name: str, data_dir: Path, server: str | None, wipes: Path | None = None) -> None:
        self.name = name
        self.faults = ("kill", *(["stop"] if server else []), *(["wipe"] if wipes else []))
        self._data_dir = data_dir
        self._server = server
        self._folders_to_wipe = wipes
        self._before: int | None = None

    async def start(self) -> None:
        """Waits until it is there again, as another process. Raises ServerFailed."""
        deadline = time.monotonic() + STARTING
        while (pid := await asyncio.to_thread(self._pid)) is None or pid == self._before:
            if time.monotonic() > deadline:
                raise ServerFailed(f"{self.name} was not started again within {STARTING:.0f} s")
            await asyncio.sleep(0.2)

    async def inject(self, way: str) -> None:
        """Kills it, stops it, or deletes its files under it and kills it."""
        self._before = pid = await asyncio.to_thread(self._pid)
        if pid is None:
            return
        if way == "wipe" and self._folders_to_wipe is not None:
            shutil.rmtree(self._folders_to_wipe, ignore_errors=True)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM if way == "stop" else signal.SIGKILL)

    def _pid(self) -> int | None:
        try:
            status = ask_status(self._data_dir)
        except ServerFailed:
            return None
        if status is None:
            return None
        if self._server is None:
            return int(status["supervisor"]["pid"])
        found = status["servers"][self._server]
        return int(found["pid"]) if found["state"] == "up" and found["pid"] else None


class Switched:
    """A device that is switched off and on again."""

    def __init__(self, name: str, on: Callable[[], Awaitable[None]], off: Callable[[], Awaitable[None]]) -> None:
        self.name = name
        self.faults: tuple[str, ...] = ("off",)
        self._on = on
        self._off = off

    async def start(self) -> None:
        """Switches it on."""
        await self._on()

    async def inject(self, way: str) -> None:
        """Switches it off."""
        del way
        await self._off()


def cluster(folder: Path, ports: Sequence[tuple[int, int]]) -> list[EmbeddedNats]:
    """The nodes of one NATS cluster, one for each (port for clients, port for the other nodes)."""
    routes = [f"nats://127.0.0.1:{route}" for _, route in ports]
    return [_Node(folder / f"nats-{n}", port, route, routes) for n, (port, route) in enumerate(ports, start=1)]


class _Node(EmbeddedNats):
    """One node; its configuration is docker/nats/cluster.conf's, with other ports and folders and without users."""

    def __init__(self, folder: Path, port: int, route: int, routes: Sequence[str]) -> None:
        super().__init__(folder, port=port)
        self._route = route
        self._routes = routes

    def _config(self) -> str:
        others = [route for route in self._routes if not route.endswith(f":{self._route}")]
        return super()._config() + (
            f'cluster {{\n  name: "lotwise"\n  listen: 127.0.0.1:{self._route}\n  routes: [{", ".join(others)}]\n}}\n'
        )
