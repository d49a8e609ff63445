"""The way to the core: a JetStream stream that carries batches, and a request that the core answers.

The forwarder speaks to `Carrier`; `NatsCarrier` is the one with a server behind it.
"""

import asyncio
import json
import logging
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

import msgspec
import nats
import nats.aio.client
from nats import errors
from nats.aio.client import Client
from nats.aio.transport import TcpTransport

from core.telemetry.connection import closing_within, connect_within, disconnect_within
from core.telemetry.stream import (
    MESSAGE_ID,
    STREAM,
    STREAM_NAME_IN_USE,
    STREAM_NOT_FOUND,
    create_request,
    incarnation,
)
from edge.config import StreamConfig, TlsConfig
from edge.tasks import end, surely

log = logging.getLogger("lotwise.edge.carrier")
nats.aio.client.TcpTransport = closing_within(TcpTransport)

T = TypeVar("T")

TIMEOUT = 5.0
"""Seconds to wait for the stream's acknowledgement or the core's answer."""


class CarrierDown(Exception):
    """No server, no answer in time, or the stream refuses; try the same again later."""


class StreamGone(CarrierDown):
    """There is no stream under the subject: make it again before anything else is sent."""


class CoreSilent(Exception):
    """Nobody answers for the core, or not in time."""


class StreamFacts(msgspec.Struct, frozen=True):
    """The stream as it is now: its incarnation, its last sequence, and when we asked.

    `offset` is the gateway's clock minus the server's, in seconds, as far as a round trip can tell; None where the
    server does not say its time.
    """

    incarnation: str
    last_sequence: int
    asked_at: datetime
    offset: float | None = None


class Carrier(Protocol):
    """What the forwarder needs of a stream."""

    changed: asyncio.Event
    """Set when the connection was made or came back: the stream may be another one."""

    async def stream(self) -> StreamFacts:
        """The stream as it is; made first if there is none. Raises CarrierDown."""

    async def publish(self, subject: str, message_id: str, payload: bytes) -> int:
        """The sequence at which the stream took it. Raises CarrierDown, StreamGone."""

    async def ask(self, subject: str, payload: bytes) -> bytes:
        """The core's answer. Raises CoreSilent."""


class _Ack(msgspec.Struct):
    seq: int = 0
    error: dict[str, Any] | None = None


_decode_ack = msgspec.json.Decoder(_Ack).decode
_decode_reply = msgspec.json.Decoder(dict[str, Any]).decode


class NatsCarrier:
    """A connection to NATS that is made again for ever. Says once that it is lost and once that it is back."""

    def __init__(
        self, config: StreamConfig, name: str, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.changed = asyncio.Event()
        self._config = config
        self._name = name
        self._clock = clock
        self._client: Client | None = None
        self._trouble: str | None = None
        self._forbidden = ""
        self._ending = False
        prefix = f"$JS.{config.domain}.API" if config.domain else "$JS.API"
        self._info = f"{prefix}.STREAM.INFO.{STREAM}"
        self._create = f"{prefix}.STREAM.CREATE.{STREAM}"

    @property
    def connected(self) -> bool:
        """Whether a server is reachable now."""
        return self._client is not None and self._client.is_connected

    async def run(self) -> None:
        """Connects, and again whenever the client gives up, until cancelled."""
        connecting = asyncio.create_task(self._keep_connected())
        try:
            # not awaited directly: the library swallows a cancellation that comes while it connects or closes
            await asyncio.wait([connecting])
            connecting.result()
        finally:
            await surely(self._end(connecting))

    async def _keep_connected(self) -> None:
        while True:
            closed = asyncio.Event()
            try:
                await self._connect(closed)
                await closed.wait()
            except (OSError, errors.Error, TimeoutError) as error:
                self._lost(error)
            await asyncio.sleep(1.0)

    async def _connect(self, closed: asyncio.Event) -> None:
        async def on_close() -> None:
            closed.set()

        config = self._config
        self._client = client = nats.NATS()
        await connect_within(
            client,
            None,
            servers=list(config.urls),
            name=self._name,
            user=config.user,
            password=config.password.get_secret_value() if config.password else None,
            token=config.token.get_secret_value() if config.token else None,
            user_credentials=str(config.credentials) if config.credentials else None,
            tls=_tls(config.tls),
            allow_reconnect=True,
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.5,
            connect_timeout=TIMEOUT,
            ping_interval=10,
            max_outstanding_pings=2,
            error_cb=self._on_error,
            disconnected_cb=self._on_disconnect,
            reconnected_cb=self._on_connect,
            closed_cb=on_close,
        )
        await self._on_connect()

    async def _end(self, connecting: asyncio.Task[None]) -> None:
        self._ending = True
        await end([connecting])
        if self._client is not None:
            await disconnect_within(self._client)

    async def _on_error(self, error: Exception) -> None:
        if not self.connected:
            self._lost(error)
        elif str(error) != self._forbidden:
            # a request that is not permitted is never answered; this is the only word of it
            self._forbidden = str(error)
            log.error("the stream's server says: %s", error)

    async def _on_disconnect(self) -> None:
        self._lost(ConnectionError("connection lost"))

    async def _on_connect(self) -> None:
        if self._trouble is not None:
            log.warning("the stream's server is back")
        self._trouble = None
        self.changed.set()

    def _lost(self, error: BaseException) -> None:
        if self._trouble is None and not self._ending:
            self._trouble = str(error) or type(error).__name__
            log.warning("the stream's server cannot be reached: %s", self._trouble)

    async def stream(self) -> StreamFacts:
        """The stream as it is; made first if there is none. Raises CarrierDown."""
        reply = await self._api(self._info, {})
        if reply.get("error", {}).get("err_code") == STREAM_NOT_FOUND:
            made = await self._api(self._create, create_request(self._config.settings))
            code = made.get("error", {}).get("err_code")
            if code not in {None, STREAM_NAME_IN_USE}:
                raise CarrierDown(f"the stream cannot be made: {made['error'].get('description')}")
            if code is None:
                log.info("there was no stream: made it")
            reply = await self._api(self._info, {})
        if "error" in reply or "created" not in reply:
            raise CarrierDown(f"the stream does not say how it is: {reply.get('error', {}).get('description')}")
        return self._facts(reply)

    def _facts(self, reply: dict[str, Any]) -> StreamFacts:
        asked, answered = reply["asked"], self._clock()
        offset = None
        if "ts" in reply:
            middle = asked + (answered - asked) / 2
            offset = (middle - datetime.fromisoformat(reply["ts"])).total_seconds()
        created = datetime.fromisoformat(reply["created"])
        return StreamFacts(incarnation(created), reply["state"]["last_seq"], asked, offset)

    async def _api(self, subject: str, request: dict[str, Any]) -> dict[str, Any]:
        asked = self._clock()
        try:
            data = await self._request(subject, json.dumps(request).encode() if request else b"")
        except errors.NoRespondersError as error:
            raise CarrierDown("the server has no JetStream, or it is not ready") from error
        return _understood(_decode_reply, data, subject) | {"asked": asked}

    async def publish(self, subject: str, message_id: str, payload: bytes) -> int:
        """The sequence at which the stream took it. Raises CarrierDown, StreamGone."""
        try:
            data = await self._request(subject, payload, {MESSAGE_ID: message_id})
        except errors.NoRespondersError as error:
            raise StreamGone("no stream takes the subject") from error
        ack = _understood(_decode_ack, data, subject)
        if ack.error is not None:
            raise CarrierDown(f"the stream refuses: {ack.error.get('description')}")
        return ack.seq

    async def ask(self, subject: str, payload: bytes) -> bytes:
        """The core's answer. Raises CoreSilent."""
        try:
            return await self._request(subject, payload)
        except (CarrierDown, errors.NoRespondersError) as error:
            raise CoreSilent(str(error) or "nobody answers") from error

    async def _request(self, subject: str, payload: bytes, headers: dict[str, str] | None = None) -> bytes:
        client = self._client
        if client is None or not client.is_connected:
            raise CarrierDown(self._trouble or "not connected")
        try:
            message = await client.request(subject, payload, timeout=TIMEOUT, headers=headers)
        except errors.NoRespondersError:
            raise
        except (TimeoutError, errors.Error, OSError) as error:
            why = f"; the server said: {self._forbidden}" if self._forbidden else ""
            raise CarrierDown(f"{subject}: {error or type(error).__name__}{why}") from error
        data: bytes = message.data
        return data


def _understood(decode: Callable[[bytes], T], data: bytes, subject: str) -> T:
    try:
        return decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CarrierDown(f"{subject}: somebody who is no stream answers there") from error


def _tls(config: TlsConfig | None) -> ssl.SSLContext | None:
    if config is None:
        return None
    context = ssl.create_default_context(cafile=str(config.ca) if config.ca else None)
    if config.cert is not None and config.key is not None:
        context.load_cert_chain(str(config.cert), str(config.key))
    return context
