"""A device's connection to an MQTT broker, which knows what the broker has acknowledged.

paho's network thread does the transport; everything else happens in one event loop. Acknowledgements cross over by an
append-only queue, because paho holds its own lock while it reports them.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Literal

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from pydantic import BaseModel, ConfigDict, Field, SecretStr


class Broker(BaseModel):
    """Where a broker is and how it lets devices in."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    port: int = Field(default=1883, ge=1, le=65535)
    username: str | None = None
    password: SecretStr | None = None
    ca_file: str | None = None
    """Trusted certificates (PEM); TLS is used if it is given."""
    protocol: Literal["3.1.1", "5"] = "3.1.1"


class BrokerUnreachable(Exception):
    """The broker cannot be reached, or does not let the device in; the text says which."""


_IN = "Success"
"""What a broker says that lets a device in."""
_VERSIONS = {"3.1.1": MQTTProtocolVersion.MQTTv311, "5": MQTTProtocolVersion.MQTTv5}


class MqttLink:
    """One connection, QoS 1. What is published while it is down waits and is sent when it is up again.

    `will` is asked for the last message (topic, payload; QoS 1) at every connection, also where one that broke is made
    again by itself. `topics` are listened to; `on_message` gets each message's topic and payload, and `on_up` is
    called each time the broker has let the device in and taken its subscriptions. `up` says whether it stands.
    """

    def __init__(
        self,
        broker: Broker,
        client_id: str,
        *,
        will: Callable[[], tuple[str, bytes]] | None = None,
        topics: Sequence[str] = (),
        on_message: Callable[[str, bytes], None] | None = None,
        on_up: Callable[[], None] | None = None,
    ) -> None:
        self.broker = broker
        self.acknowledged = 0
        self.up = False
        self._acks: deque[int] = deque()
        self._waiting: dict[int, Callable[[], None]] = {}
        self._answered: asyncio.Future[str] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._topics = [(topic, 1) for topic in topics]
        self._on_message = on_message or _nothing
        self._on_up = on_up or _nothing
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id, protocol=_VERSIONS[broker.protocol], reconnect_on_failure=True
        )
        self._client.reconnect_delay_set(min_delay=1, max_delay=5)
        self._client.max_inflight_messages_set(1000)
        self._client.max_queued_messages_set(0)
        if broker.username is not None:
            self._client.username_pw_set(
                broker.username, broker.password.get_secret_value() if broker.password else None
            )
        if broker.ca_file is not None:
            self._client.tls_set(ca_certs=broker.ca_file)
        self._listen(will)

    def _listen(self, will: Callable[[], tuple[str, bytes]] | None) -> None:
        """Paho's callbacks, all but one called from its thread: what they have to say is handed to the loop."""
        client = self._client

        def connected(
            _client: paho.Client, _data: object, _flags: object, code: ReasonCode, _properties: Properties | None
        ) -> None:
            if self._topics and not code.is_failure:
                client.subscribe(self._topics)
            else:
                self._post(self._answer, str(code))

        def lost(*_: object) -> None:
            self.up = False

        def set_will(*_: object) -> None:
            if will is not None:
                client.will_set(*will(), qos=1)

        client.on_connect = connected
        client.on_disconnect = lost
        client.on_pre_connect = set_will
        client.on_subscribe = lambda *_: self._post(self._answer, _IN)
        client.on_publish = lambda _client, _data, mid, *_: self._acks.append(mid)
        client.on_message = lambda _client, _data, message: self._post(self._on_message, message.topic, message.payload)

    def _post(self, call: Callable[..., None], *arguments: object) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call, *arguments)

    def _answer(self, text: str) -> None:
        if text == _IN:
            self.up = True
            self._on_up()
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(text)

    async def connect(self, wait: float = 10.0) -> None:
        """Connects and returns when the broker has let it in. Raises BrokerUnreachable."""
        await self._dial(lambda: self._client.connect(self.broker.host, self.broker.port, 30), wait)

    async def reconnect(self, wait: float = 10.0) -> None:
        """Connects again; what waited is sent. Raises BrokerUnreachable."""
        await self._dial(self._client.reconnect, wait)

    async def _dial(self, call: Callable[[], object], wait: float) -> None:
        where = f"broker {self.broker.host}:{self.broker.port}"
        self._loop = asyncio.get_running_loop()
        self._answered = self._loop.create_future()
        try:
            await asyncio.to_thread(call)
            self._client.loop_start()
            async with asyncio.timeout(wait):
                answer = await self._answered
        except (OSError, TimeoutError) as error:
            await self.close()
            raise BrokerUnreachable(f"{where}: {error or 'no answer'}") from error
        if answer != _IN:
            await self.close()
            raise BrokerUnreachable(f"{where} refuses: {answer}")

    def publish(self, topic: str, payload: bytes, *, on_ack: Callable[[], None] | None = None) -> None:
        """Hands a message over, QoS 1; `on_ack` is called, at a later `settle`, once the broker has acknowledged."""
        self.settle()
        info = self._client.publish(topic, payload, qos=1)
        self._waiting[info.mid] = on_ack or _nothing

    def publish_now(self, topic: str, payload: bytes) -> None:
        """Sends a message, QoS 0: nobody will say whether it came, and it is lost if the connection is down."""
        self._client.publish(topic, payload, qos=0)

    def settle(self) -> int:
        """Books the acknowledgements that have come in; how many messages still wait for theirs."""
        while self._acks:
            done = self._waiting.pop(self._acks.popleft(), None)
            if done is not None:
                self.acknowledged += 1
                done()
        return len(self._waiting)

    async def drain(self, timeout: float = 10.0) -> int:
        """Waits until everything is acknowledged, or so many seconds; how many messages were not."""
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout
        # acknowledgements come from paho's thread; an event for each would cost more than looking
        while (waiting := self.settle()) and loop.time() < end:  # noqa: ASYNC110 - the library tells of progress by no event
            await asyncio.sleep(0.005)
        return waiting

    async def abort(self) -> None:
        """Breaks the connection as a pulled cable would (no goodbye), until `mend`."""
        self.up = False
        stopping = asyncio.create_task(asyncio.to_thread(self._client.loop_stop))
        while not stopping.done():  # paho's thread looks once a second whether it is to end, unless it is woken
            self._client._sockpairW.send(b"0")  # noqa: SLF001 - the only way to wake it; tested, the version is locked
            await asyncio.sleep(0.005)
        carrier = self._client.socket()
        if isinstance(carrier, socket.socket):
            carrier.shutdown(socket.SHUT_RDWR)
        self._forget_pair()

    async def close(self) -> None:
        """Says goodbye and ends the network thread. What was not acknowledged stays so."""
        self.up = False
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)
        self._forget_pair()
        self.settle()

    def _forget_pair(self) -> None:
        """Closes the pair that wakes paho's thread; paho leaves it open (2.2.0, pinned), and makes a new one."""
        self._client._reset_sockets(sockpair_only=True)  # noqa: SLF001 - nothing public closes it


def _nothing(*_: object) -> None:
    """For what nobody waits for."""
