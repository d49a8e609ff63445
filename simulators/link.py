"""A device's connection to an MQTT broker, which knows what the broker has acknowledged.

paho's network thread does the transport; everything here is called from one event loop. Acknowledgements cross over
by an append-only queue, because paho holds its own lock while it reports them.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from typing import Literal

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
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


_VERSIONS = {"3.1.1": MQTTProtocolVersion.MQTTv311, "5": MQTTProtocolVersion.MQTTv5}


class MqttLink:
    """One connection, QoS 1. What is published while it is down waits and is sent when it is up again."""

    def __init__(self, broker: Broker, client_id: str, *, will: tuple[str, bytes] | None = None) -> None:
        self.broker = broker
        self.acknowledged = 0
        self._acks: deque[int] = deque()
        self._waiting: dict[int, Callable[[], None]] = {}
        self._connected: asyncio.Future[str] | None = None
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
        if will is not None:
            self._client.will_set(will[0], will[1], qos=1, retain=True)

    async def connect(self, wait: float = 10.0) -> None:
        """Connects and returns when the broker has let it in. Raises BrokerUnreachable."""
        loop = asyncio.get_running_loop()
        connected: asyncio.Future[str] = loop.create_future()

        def tell(said: str) -> None:
            if not connected.done():
                connected.set_result(said)

        def on_connect(
            _client: paho.Client, _data: object, _flags: object, code: object, _properties: Properties | None
        ) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(tell, str(code))

        def on_publish(
            _client: paho.Client, _data: object, mid: int, _code: object, _properties: Properties | None
        ) -> None:
            self._acks.append(mid)

        self._client.on_connect = on_connect
        self._client.on_publish = on_publish
        where = f"{self.broker.host}:{self.broker.port}"
        try:
            await asyncio.to_thread(self._client.connect, self.broker.host, self.broker.port, 30)
            self._client.loop_start()
            said = await asyncio.wait_for(connected, wait)
        except (OSError, TimeoutError) as error:
            await self.close()
            raise BrokerUnreachable(f"broker {where}: {error or 'no answer'}") from error
        if said != "Success":
            await self.close()
            raise BrokerUnreachable(f"broker {where} refuses: {said}")

    def publish(
        self, topic: str, payload: bytes, *, on_ack: Callable[[], None] | None = None, retain: bool = False
    ) -> None:
        """Hands a message over, QoS 1; `on_ack` is called, at a later `settle`, once the broker has acknowledged."""
        self.settle()
        info = self._client.publish(topic, payload, qos=1, retain=retain)
        self._waiting[info.mid] = on_ack or _nothing

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
        while (waiting := self.settle()) and loop.time() < end:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        return waiting

    async def cut(self) -> None:
        """Breaks the connection as a pulled cable would (no goodbye), until `mend`."""
        await asyncio.to_thread(self._client.loop_stop)
        carrier = self._client.socket()
        if isinstance(carrier, socket.socket):
            carrier.shutdown(socket.SHUT_RDWR)
        # loop_start makes a new pair to wake its thread and forgets the old one, open (paho 2.2.0, pinned)
        self._client._reset_sockets(sockpair_only=True)  # noqa: SLF001

    async def mend(self) -> None:
        """Connects again; what waited is sent. Raises BrokerUnreachable."""
        try:
            await asyncio.to_thread(self._client.reconnect)
        except OSError as error:
            raise BrokerUnreachable(f"broker {self.broker.host}:{self.broker.port}: {error}") from error
        self._client.loop_start()

    async def close(self) -> None:
        """Says goodbye and ends the network thread. What was not acknowledged stays so."""
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)
        self.settle()


def _nothing() -> None:
    """For messages whose acknowledgement nobody waits for."""
