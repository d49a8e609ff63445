"""The devices' broker for benchmarks: Mosquitto where there is one, else the embedded NATS broker."""

import getpass
import shutil
import time
from pathlib import Path
from typing import Protocol

import paho.mqtt.client as paho

from core.ingest.stream import NatsSettings, api, connect
from core.telemetry.connection import disconnect_within
from lotwise.embedded.nats import EmbeddedNats
from lotwise.embedded.process import ServerProcess, accepts, free_port

SETTLE_TIMEOUT = 600.0
"""Seconds for a broker to take what is published to it, at most."""
WINDOW = 1000
"""Publications in flight while a queue is filled."""


class Broker(Protocol):
    """A broker on 127.0.0.1. `version` is the MQTT version its gateway speaks, `keeps` where its queues are."""

    name: str
    keeps: str
    port: int
    version: str

    def start(self) -> None:
        """Starts it. Raises ServerFailed."""

    def stop(self) -> None:
        """Stops it."""

    async def unacknowledged(self) -> int:
        """Messages it keeps that no session brings again at once when it is opened; 0 where there are none such."""


def find_mosquitto() -> str | None:
    """Path of a mosquitto: on the PATH, or where Debian puts it."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


class Mosquitto:
    """A Mosquitto that queues without bound and keeps up to 4 000 messages in flight. Its queues are in memory."""

    version = "5"
    keeps = "in memory"

    def __init__(self, folder: Path, binary: str) -> None:
        self.port = free_port()
        self.name = "Mosquitto"
        self._folder = folder
        self._binary = binary
        self._server: ServerProcess | None = None

    def start(self) -> None:
        """Starts it. Raises ServerFailed."""
        self._folder.mkdir(parents=True, exist_ok=True)
        config = self._folder / "mosquitto.conf"
        config.write_text(
            "allow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 4000\npersistence false\n"
            # another user would lose the signal that ends it with its parent
            f"user {getpass.getuser()}\nlistener {self.port} 127.0.0.1\n"
        )
        server = ServerProcess("mosquitto", [self._binary, "-c", str(config)], self._folder / "mosquitto.log")
        server.start(lambda: accepts(self.port))
        self._server = server

    def stop(self) -> None:
        """Stops it."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    async def unacknowledged(self) -> int:
        """None: a session that is opened again is sent all of it at once."""
        return 0


class NatsBroker:
    """The embedded broker: MQTT 3.1.1, every message on disk."""

    name = "the embedded NATS broker"
    version = "3.1.1"
    keeps = "on disk"

    def __init__(self, folder: Path) -> None:
        self._server = EmbeddedNats(folder, mqtt=True)
        assert self._server.mqtt_port is not None
        self.port = self._server.mqtt_port

    def start(self) -> None:
        """Starts it. Raises ServerFailed."""
        self._server.start()

    def stop(self) -> None:
        """Stops it."""
        self._server.stop()

    async def unacknowledged(self) -> int:
        """By the stream's own count: what is not acknowledged comes again only after ten seconds."""
        client = await connect(NatsSettings((self._server.url,)), "bench")
        try:
            listed = await api(client, "CONSUMER.LIST.$MQTT_msgs")
        finally:
            await disconnect_within(client)
        return sum(consumer["num_pending"] + consumer["num_ack_pending"] for consumer in listed["consumers"])


def broker(folder: Path, *, embedded: bool = False) -> Broker:
    """Mosquitto if it can be found, else (or with `embedded`) the NATS broker; not yet started."""
    found = None if embedded else find_mosquitto()
    return NatsBroker(folder) if found is None else Mosquitto(folder, found)


def publisher(port: int) -> paho.Client:
    """A connected publisher with its own thread; end it with `farewell`."""
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    client.max_inflight_messages_set(WINDOW)
    client.max_queued_messages_set(0)
    client.connect("127.0.0.1", port)
    client.loop_start()
    return client


def settle(done: list[int], count: int) -> None:
    """Waits until `done` has `count` entries. Raises TimeoutError."""
    deadline = time.monotonic() + SETTLE_TIMEOUT
    while len(done) < count:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the broker took {len(done)} of {count} messages")
        time.sleep(0.005)


def disconnect(client: paho.Client) -> None:
    """Disconnects and frees the sockets."""
    client.disconnect()
    client.loop_stop()
    client._reset_sockets()
