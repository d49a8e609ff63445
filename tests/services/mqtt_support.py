"""A real Mosquitto, a publisher, a keeper that remembers, and a collector run in the background."""

import asyncio
import contextlib
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho

from core.telemetry.batch import Gap
from core.telemetry.reading import Reading
from edge.collectors.mqtt import MqttCollector, MqttSource
from edge.collectors.port import SpoolFull
from edge.tasks import end
from tests.servers import accepts, free_port, need_mosquitto

PATIENCE = 15.0


class Mosquitto:
    """A broker of the test's own; `kill` and `start` keep port and, with persistence, its queues."""

    def __init__(self, folder: Path, lines: Sequence[str] = (), listener: Sequence[str] = ()) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        anonymous = [] if any("password_file" in line for line in lines) else ["allow_anonymous true"]
        config = [
            *lines,
            *anonymous,
            "max_queued_messages 0",
            "persistence true",
            f"persistence_location {folder}/",
            "user root",
            f"listener {self.port} 127.0.0.1",
            *listener,
        ]
        (folder / "mosquitto.conf").write_text("\n".join(config) + "\n")

    def start(self) -> None:
        self._process = subprocess.Popen(
            [need_mosquitto(), "-c", str(self.folder / "mosquitto.conf")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + PATIENCE
        while not accepts(self.port):
            assert time.monotonic() < deadline, "mosquitto does not start"
            time.sleep(0.02)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(PATIENCE)
            self._process = None


@contextlib.contextmanager
def mosquitto(folder: Path, lines: Sequence[str] = (), listener: Sequence[str] = ()) -> Iterator[Mosquitto]:
    broker = Mosquitto(folder, lines, listener)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


class MemoryKeeper:
    """Remembers what it was given. `full` refuses; `block` holds every keep until it is set again."""

    def __init__(self) -> None:
        self.readings: list[Reading] = []
        self.gaps: list[Gap] = []
        self.notes: dict[str, str] = {}
        self.asides: list[tuple[str, bytes, str]] = []
        self.full = False
        self.refusals = 0
        self.calls = 0
        self.open = asyncio.Event()
        self.open.set()

    async def keep(self, readings: Sequence[Reading]) -> None:
        self.calls += 1
        await self.open.wait()
        self._refuse()
        self.readings.extend(readings)

    async def gap(self, gap: Gap) -> None:
        self._refuse()
        self.gaps.append(gap)

    async def aside(self, origin: str, payload: bytes, reason: str) -> None:
        self._refuse()
        self.asides.append((origin, payload, reason))

    async def save_state(self, key: str, value: str) -> None:
        self.notes[key] = value

    async def load_state(self, key: str) -> str | None:
        return self.notes.get(key)

    def _refuse(self) -> None:
        if self.full:
            self.refusals += 1
            raise SpoolFull("byte bound reached")

    @property
    def values(self) -> list[Any]:
        return [reading.value for reading in self.readings]


def publish(
    port: int,
    messages: Sequence[tuple[str, object]],
    *,
    retain: bool = False,
    qos: int = 1,
    tls: Mapping[str, str] | None = None,
) -> None:
    """Publishes all and returns when the broker has acknowledged them."""
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    if tls is not None:
        client.tls_set(tls["ca"], tls["cert"], tls["key"])
    client.max_inflight_messages_set(1000)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        for info in [client.publish(topic, str(payload), qos=qos, retain=retain) for topic, payload in messages]:
            info.wait_for_publish(PATIENCE)
            assert info.is_published()
    finally:
        client.disconnect()
        client.loop_stop()
        client._reset_sockets()


def source(port: int, **more: object) -> MqttSource:
    settings: dict[str, object] = {
        "name": "plant",
        "protocol": "mqtt",
        "host": "127.0.0.1",
        "port": port,
        "clock": "gateway",
        "quiet": 0.2,
        "subscriptions": [
            {
                "topic": "plant/{zone}/{device}/temperature",
                "decoder": "number",
                "point": "site/area/{zone}/{device}/temperature",
                "unit": "Cel",
            }
        ],
    }
    return MqttSource.model_validate(settings | more)


@contextlib.asynccontextmanager
async def peer(serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[int]:
    """A listener whose connections are served by `serve`, and closed for certain before this ends. Gives its port."""
    serving: set[asyncio.Task[Any]] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await serve(reader, writer)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.sleep(0.01)  # what was accepted is being served by now
        await end(serving)
        await server.wait_closed()


async def until(condition: Callable[[], object], patience: float = PATIENCE) -> None:
    """Waits for a condition. Fails after `patience` seconds."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def running(collector: MqttCollector, keeper: MemoryKeeper) -> AsyncIterator["asyncio.Task[None]"]:
    """The collector connected and running; cancelled at the end."""
    task = asyncio.create_task(collector.run(keeper))
    try:
        await until(lambda: collector.connected or task.done())
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await task


async def open_session(config: MqttSource) -> None:
    """Makes the persistent session and leaves it."""
    async with running(MqttCollector(config), MemoryKeeper()):
        pass
