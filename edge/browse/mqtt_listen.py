"""Listens to a broker for a while, as a guest: a session that is forgotten, nothing published, nothing acknowledged."""

import asyncio
import secrets
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from pydantic import ValidationError

from edge.browse.found import CannotBrowse
from edge.collectors.mqtt_client import tls_context
from edge.collectors.mqtt_config import MqttSource
from edge.collectors.port import SourceLost, SourceMisconfigured

MAX_TOPICS = 5000
KEPT = 8
"""Messages kept of each topic: the latest."""
LARGEST = 65_536
_TURN = 0.2
_REFUSED = 128
_WRONG_VERSION = frozenset({1, 132})
"""CONNACK codes of a broker that does not speak the version: of MQTT 3.1.1 and of 5."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it came. A retained one may be of any age."""

    payload: bytes
    received_at: datetime
    retained: bool


@dataclass(slots=True)
class Topic:
    """What came on one topic."""

    name: str
    count: int = 0
    kept: deque[Message] = field(default_factory=lambda: deque(maxlen=KEPT))

    @property
    def last(self) -> Message:
        """The latest message."""
        return self.kept[-1]


@dataclass(slots=True)
class Capture:
    """What came, by topic, the protocol version that the broker speaks, and how many messages there was no room for."""

    topics: dict[str, Topic] = field(default_factory=dict)
    version: str = "5"
    left_out: int = 0

    def add(self, name: str, message: Message) -> None:
        """Keeps a message."""
        if name not in self.topics and len(self.topics) >= MAX_TOPICS:
            self.left_out += 1
            return
        topic = self.topics.setdefault(name, Topic(name))
        topic.count += 1
        if len(message.payload) <= LARGEST:
            topic.kept.append(message)
        else:
            self.left_out += 1


def guest_source(broker: Mapping[str, Any], filters: Sequence[str], version: str) -> MqttSource:
    """The broker as a source, by which it is reached. Raises CannotBrowse for what no source can be."""
    subscriptions = [{"topic": one, "decoder": "number", "points": []} for one in filters]
    try:
        return MqttSource.model_validate(
            {
                **broker,
                "name": "browse",
                "protocol": "mqtt",
                "version": version,
                "subscriptions": subscriptions,
                "client_id": f"lotwise-browse-{secrets.token_hex(4)}",
            }
        )
    except ValidationError as error:
        raise CannotBrowse("; ".join(each["msg"].removeprefix("Value error, ") for each in error.errors())) from error


async def listen(
    broker: Mapping[str, Any],
    filters: Sequence[str],
    seconds: float,
    stop: asyncio.Event,
    progress: Callable[[str], None] = lambda _text: None,
) -> Capture:
    """Listens for so long, or until `stop`. A broker that does not speak MQTT 5 is met in 3.1.1.

    `progress` gets a line of progress now and then. Raises SourceLost, SourceMisconfigured, CannotBrowse.
    """
    given = str(broker.get("version", ""))
    for version in [given] if given else ["5", "3.1.1"]:
        config = guest_source(broker, filters, version)
        capture = Capture(version=version)
        ending = threading.Event()
        listening = asyncio.create_task(asyncio.to_thread(_Listener(config, capture, progress).run, seconds, ending))
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([listening, stopping], return_when=asyncio.FIRST_COMPLETED)
            ending.set()
            await listening
        except _OtherVersion as error:
            if given or version == "3.1.1":
                raise SourceLost(f"{config.host}: {error}") from error
        else:
            return capture
        finally:
            ending.set()
            stopping.cancel()
    raise AssertionError


class _OtherVersion(Exception):
    """The broker does not answer in this version of the protocol."""


class _Listener:
    """One connection, read in a thread of its own."""

    def __init__(self, config: MqttSource, capture: Capture, progress: Callable[[str], None]) -> None:
        self._config = config
        self._heard = capture
        self._told = progress
        self._failure: Exception | None = None
        self._answered = False

    def run(self, seconds: float, ending: threading.Event) -> None:
        """Listens until the time is over or `ending`. Raises SourceLost, SourceMisconfigured, _OtherVersion."""
        client = self._client()
        host, port = self._config.address
        try:
            client.connect(host, port, self._config.keepalive)
        except ssl.SSLError as error:
            raise SourceMisconfigured(f"{host}:{port}: {error}") from error
        except (OSError, UnicodeError) as error:
            raise SourceLost(f"{host}:{port}: {error}") from error
        try:
            self._loop(client, seconds, ending)
        finally:
            client.disconnect()
            client.loop_write()
            client._reset_sockets()  # noqa: SLF001 - as edge.collectors.mqtt_client: frees every file

    def _loop(self, client: paho.Client, seconds: float, ending: threading.Event) -> None:
        begun = time.monotonic()
        patience = self._config.connect_timeout.total_seconds()
        next_told = begun + 5
        while not ending.is_set() and time.monotonic() - begun < seconds:
            gone = client.loop(_TURN) != paho.MQTT_ERR_SUCCESS
            if self._failure is not None:
                raise self._failure
            if not self._answered and (gone or time.monotonic() - begun > patience):
                raise _OtherVersion(f"closes the connection, or does not answer, in MQTT {self._config.version}")
            if gone:
                raise SourceLost(f"{self._config.host}: the broker closed the connection")
            if time.monotonic() > next_told:
                next_told += 5
                left = max(0.0, seconds - (time.monotonic() - begun))
                self._told(f"{len(self._heard.topics)} topics so far, {left:.0f} s to go")

    def _client(self) -> paho.Client:
        five = self._config.version == "5"
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._config.session,
            protocol=paho.MQTTv5 if five else paho.MQTTv311,
            clean_session=None if five else True,
            reconnect_on_failure=False,
        )
        client.connect_timeout = self._config.connect_timeout.total_seconds()
        if self._config.username is not None:
            password = self._config.password.get_secret_value() if self._config.password else None
            client.username_pw_set(self._config.username, password)
        if self._config.tls is not None:
            client.tls_set_context(tls_context(self._config))
        client.on_connect, client.on_subscribe, client.on_message = self._connected, self._subscribed, self._message
        return client

    def _connected(self, client: paho.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self._answered = True
        if reason.value in _WRONG_VERSION:
            self._failure = _OtherVersion(f"does not speak MQTT {self._config.version}")
        elif reason.is_failure:
            self._failure = SourceMisconfigured(f"{self._config.host} refuses the connection: {reason}")
        else:
            client.subscribe([(one, 0) for one in self._config.wire_filters()])

    def _subscribed(self, _client: Any, _data: Any, _mid: int, reasons: Any, _properties: Any) -> None:
        refused = [
            f"{name} ({reason})"
            for name, reason in zip(self._config.wire_filters(), reasons, strict=False)
            if reason.value >= _REFUSED
        ]
        if refused:
            self._failure = SourceMisconfigured(
                f"the broker does not let this user hear {', '.join(refused)}: name others with --topic"
            )

    def _message(self, _client: Any, _data: Any, message: Any) -> None:
        self._heard.add(message.topic, Message(message.payload, datetime.now(UTC), bool(message.retain)))
