"""One connection to an MQTT broker, driven by the event loop: one thread, so nothing needs a lock."""

import asyncio
import logging
import ssl
import struct
from collections.abc import Callable, Sequence
from typing import Any

from edge.collectors.mqtt_client import make_client
from edge.collectors.mqtt_config import MqttSource
from edge.collectors.mqtt_frames import Message
from edge.collectors.port import SourceLost, SourceMisconfigured

log = logging.getLogger(__name__)

MAX_PACKETS = 500
"""Packets read before the loop's other work gets its turn."""
TICK = 1.0
REFUSED = 128
"""Reason codes and granted levels from here on are failures (MQTT 5, 2.4; MQTT 3.1.1, 3.9.3)."""
TAKEN_OVER = 142
OPERATORS_FAULT = frozenset({129, 130, 132, 133, 134, 135, 138, 140, TAKEN_OVER, 144, 155})
"""CONNACK and DISCONNECT codes that trying again does not mend: credentials, rights, identifier, version, a session
taken over by another client of the same identifier."""


class BrokerLink:
    """One connection. `arrived` is called on the loop for every message; `changed` when the link is lost."""

    def __init__(self, config: MqttSource, arrived: Callable[[Message], None], changed: Callable[[], None]) -> None:
        self._config = config
        self._arrived = arrived
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._client = make_client(config)
        self._accepted: asyncio.Future[tuple[int, str, bool]] = self._loop.create_future()
        self._granted: asyncio.Future[list[tuple[int, str]]] = self._loop.create_future()
        self._ticker: asyncio.TimerHandle | None = None
        self._reconnect: asyncio.Handle | None = None
        self._on_accepted: Callable[[bool], None] | None = None
        self._paused = False
        self._last_packet_at = self._loop.time()
        self.lost: Exception | None = None
        self.session_present = False
        self.taken_over = False
        """Whether the broker says that another client of our identifier has the session now (MQTT 5)."""
        self.session_expiry: int | None = None
        """Seconds for which the broker keeps our session, where it says that they are others than we asked for."""

    async def open(self, accepted: Callable[[bool], None]) -> None:
        """Connects, resumes the session, subscribes. Raises SourceLost or SourceMisconfigured.

        `accepted` is told at once whether the broker still has the session, before any of its messages arrives.
        """
        self._on_accepted = accepted
        host, port = self._config.address
        connecting = self._loop.run_in_executor(None, self._client.connect_to, self._config)
        try:
            await asyncio.shield(connecting)
        except asyncio.CancelledError:
            connecting.add_done_callback(self._abandon)
            raise
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
            raise SourceLost(f"{host}:{port}: {error}") from error
        except (ssl.SSLError, UnicodeError) as error:
            raise SourceMisconfigured(f"{host}:{port}: {error}") from error
        except OSError as error:
            raise SourceLost(f"{host}:{port}: {error}") from error
        self._attach()
        code, text, self.session_present = await self._answer(self._accepted, "CONNACK")
        if code >= REFUSED:
            kind = SourceMisconfigured if code in OPERATORS_FAULT else SourceLost
            raise kind(f"{host}:{port} refuses the connection: {text}")
        await self._subscribe()

    async def _subscribe(self) -> None:
        filters = self._config.wire_filters()
        self._client.subscribe_to(self._config)
        granted = await self._answer(self._granted, "SUBACK")
        answers = list(zip(filters, granted, strict=False))
        refused = [f"{name} ({text})" for name, (code, text) in answers if code >= REFUSED]
        if refused:
            raise SourceMisconfigured(f"the broker refuses the subscription to {', '.join(refused)}")
        lossy = [name for name, (code, _) in answers if code == 0]
        if lossy:
            log.warning("the broker delivers %s at most once and will not queue it", ", ".join(lossy))

    async def _answer(self, future: "asyncio.Future[Any]", what: str) -> Any:
        try:
            return await asyncio.wait_for(future, self._config.connect_timeout.total_seconds())
        except TimeoutError as error:
            raise SourceLost(f"no {what} within {self._config.connect_timeout}") from error

    def ack(self, messages: Sequence[Message]) -> None:
        """Acknowledges, in the order of receipt."""
        if self.lost is None:
            self._client.ack_all(messages)

    def publish(self, topic: str, payload: bytes) -> None:
        """Sends at most once; used for rebirth requests, which are repeated when they matter."""
        if self.lost is None:
            self._client.publish(topic, payload, qos=0)

    def pause(self) -> None:
        """Stops reading, so that the broker keeps what it has."""
        sock = self._client.socket()
        if not self._paused and sock is not None:
            self._paused = True
            self._loop.remove_reader(sock)

    def resume(self) -> None:
        """Reads again."""
        sock = self._client.socket()
        if self._paused and sock is not None:
            self._paused = False
            self._loop.add_reader(sock, self._readable)
            self._read_on()

    def close(self) -> None:
        """Says good-bye where it still can; the broker keeps the session. Frees every file."""
        for handle in (self._ticker, self._reconnect):
            if handle is not None:
                handle.cancel()
        self._ticker = self._reconnect = None
        self._client.on_disconnect = None
        if self._client.socket() is not None:
            self._client.disconnect()
            self._client.loop_write()
        self._client.free()
        for future in (self._accepted, self._granted):
            future.cancel()

    def _abandon(self, connecting: "asyncio.Future[Any]") -> None:
        if not connecting.cancelled():
            connecting.exception()  # retrieved, so that nobody reports it
        self._client.free()

    def _attach(self) -> None:
        client = self._client
        client.on_connect, client.on_subscribe = self._on_connect, self._on_subscribe
        client.on_disconnect, client.on_publish = self._on_disconnect, self._arrived
        client.on_socket_close = self._on_socket_close
        client.on_socket_register_write = lambda _c, _u, sock: self._loop.add_writer(sock, client.loop_write)
        client.on_socket_unregister_write = lambda _c, _u, sock: self._loop.remove_writer(sock)
        self._loop.add_reader(client.socket(), self._readable)
        self._ticker = self._loop.call_later(TICK, self._tick)

    @property
    def silent_for(self) -> float:
        """Seconds since the broker last sent anything."""
        return self._loop.time() - self._last_packet_at

    def _readable(self) -> None:
        self._last_packet_at = self._loop.time()
        client = self._client
        taken = 0
        while taken < MAX_PACKETS:
            if self._paused or client.socket() is None:
                return
            try:
                if not (more := client.take_publications(MAX_PACKETS)):
                    client.loop_read()
                taken += more or 1
            except (ValueError, IndexError, KeyError, struct.error) as error:
                self._lose(SourceLost(f"the broker sent what is not MQTT: {error!r}"))
                client.free()  # the stream has lost its frame
                return
            if not client.holds_bytes:
                return
        self._read_on()

    def _read_on(self) -> None:
        if self._reconnect is None:
            self._reconnect = self._loop.call_soon(self._continue)

    def _continue(self) -> None:
        self._reconnect = None
        self._readable()

    def _tick(self) -> None:
        self._ticker = self._loop.call_later(TICK, self._tick)
        if self._paused:
            self._client.ping_unanswered()
        else:
            self._client.loop_misc()

    def _on_connect(self, _client: Any, _data: Any, flags: Any, reason: Any, properties: Any) -> None:
        if not self._accepted.done():
            self.session_expiry = getattr(properties, "SessionExpiryInterval", None)
            if reason.value < REFUSED and self._on_accepted is not None:
                self._on_accepted(bool(flags.session_present))
            self._accepted.set_result((reason.value, str(reason), bool(flags.session_present)))

    def _on_subscribe(self, _client: Any, _data: Any, _mid: int, reasons: Any, _properties: Any) -> None:
        if not self._granted.done():
            self._granted.set_result([(reason.value, str(reason)) for reason in reasons])

    def _on_disconnect(self, _client: Any, _data: Any, flags: Any, reason: Any, _properties: Any) -> None:
        by_broker = flags.is_disconnect_packet_from_server
        self.taken_over = by_broker and reason.value == TAKEN_OVER
        kind = SourceMisconfigured if by_broker and reason.value in OPERATORS_FAULT else SourceLost
        if by_broker:
            what = f"the broker disconnects us: {reason}"
        else:  # of a connection that ends without a word the library says that it knows no reason
            what = "the connection broke off" + ("" if reason.value == REFUSED else f": {reason}")
        self._lose(kind(f"{self._config.host}:{self._config.port}: {what}"))

    def _lose(self, why: Exception) -> None:
        if self.lost is None:
            self.lost = why
            for future in (self._accepted, self._granted):
                if not future.done():
                    future.set_exception(why)
                    future.exception()  # whoever does not wait for it must not be told again
            self._changed()

    def _on_socket_close(self, _client: Any, _data: Any, sock: Any) -> None:
        self._loop.remove_reader(sock)
        self._loop.remove_writer(sock)
