"""The stream from the core's side: connecting, making what is missing, pulling, and where the consumers stand.

Requests go to JetStream's own API as JSON. The library's pull subscription is not used: it stays dead after the
stream is made again; a plain request into an inbox of ours has no state to die.
"""

import asyncio
import contextlib
import json
import logging
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import nats.aio.client
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.transport import TcpTransport

from core.telemetry.address import PARTITIONS, partitions_named
from core.telemetry.connection import closing_within, connect_within, end_subscription, without_credentials
from core.telemetry.stream import (
    STREAM,
    STREAM_NAME_IN_USE,
    STREAM_NOT_FOUND,
    StreamSettings,
    create_request,
    incarnation,
    partition_filters,
)

log = logging.getLogger("lotwise.ingest")
nats.aio.client.TcpTransport = closing_within(TcpTransport)

CONSUMER_NOT_FOUND = 10014
_API = "$JS.API"
_CONSUMERS = f"ingest-{PARTITIONS}-"
_PAGE = 256


class StreamUnavailable(Exception):
    """The stream's server cannot be reached, or refuses: try again."""


class ConsumerRefused(StreamUnavailable):
    """The stream is there and does not let a partition be read: its account's limits or permissions must be mended."""


@dataclass(frozen=True, slots=True)
class NatsSettings:
    """Where the stream is, and as whom. `credentials` is a .creds file; `ca`, `certificate` and `key` are PEM files."""

    urls: tuple[str, ...] = ("nats://127.0.0.1:4222",)
    user: str | None = None
    password: str | None = None
    token: str | None = None
    credentials: Path | None = None
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    stream: StreamSettings = field(default_factory=StreamSettings)

    def tls(self) -> ssl.SSLContext | None:
        """The TLS context, or None where neither a scheme nor a file asks for one."""
        if not (self.ca or self.certificate or any(url.startswith("tls://") for url in self.urls)):
            return None
        context = ssl.create_default_context(cafile=str(self.ca) if self.ca else None)
        if self.certificate:
            context.load_cert_chain(str(self.certificate), str(self.key) if self.key else None)
        return context

    def options(self) -> dict[str, Any]:
        """The client library's options."""
        given = {
            "user": self.user,
            "password": self.password,
            "token": self.token,
            "user_credentials": str(self.credentials) if self.credentials else None,
            "tls": self.tls(),
        }
        return {"servers": list(self.urls), **{name: value for name, value in given.items() if value is not None}}


class _Lasting(Client):  # type: ignore[misc] # the library's client is not typed
    """A client that connects again after whatever the server says: the library's own closes for good where it is told
    of credentials that have expired, and would not come back when they are renewed.
    """

    async def _process_err(self, err_msg: str) -> None:
        if not self.is_connected or "permissions violation" in err_msg.lower():
            await super()._process_err(err_msg)
            return
        problem = nats.errors.Error(f"nats: {err_msg.strip(chr(39))}")
        await self._error_cb(problem)
        await self._process_op_err(problem)


async def connect(settings: NatsSettings, name: str, *, within: float = 10.0) -> Client:
    """A connection that reconnects for ever, to be ended by `disconnect_within`. Raises StreamUnavailable if there is
    none within so many seconds.
    """
    up = [True]
    errors: list[Exception] = []

    async def lost() -> None:
        if up[0] and not client.is_closed:
            up[0] = False
            log.warning("stream server lost")

    async def back() -> None:
        up[0] = True
        log.warning("stream server back")

    async def error(problem: Exception) -> None:
        # the last word of a server that refuses, such as wrong credentials; that it then hangs up tells nobody anything
        if not errors or isinstance(problem, nats.errors.Error) or not isinstance(errors[0], nats.errors.Error):
            errors[:] = [problem]
        log.debug("stream: %s", problem)

    client = _Lasting()
    try:
        await connect_within(
            client,
            within,
            **settings.options(),
            name=name,
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.25,
            disconnected_cb=lost,
            reconnected_cb=back,
            error_cb=error,
        )
    except (OSError, TimeoutError, nats.errors.Error) as problem:
        raise StreamUnavailable(
            f"stream at {without_credentials(settings.urls)}: {errors[0] if errors else repr(problem)}"
        ) from problem
    return client


async def api(
    client: Client, subject: str, request: Mapping[str, Any] | None = None, timeout: float = 5.0
) -> dict[str, Any]:
    """A JetStream API call. Gives the answer, errors included (`error.err_code`). Raises StreamUnavailable."""
    try:
        answer = await client.request(
            f"{_API}.{subject}", json.dumps(request).encode() if request is not None else b"", timeout=timeout
        )
    except (OSError, TimeoutError, nats.errors.Error) as problem:
        raise StreamUnavailable(f"{subject}: {problem!r}") from problem
    parsed: dict[str, Any] = json.loads(answer.data)
    return parsed


def _error(answer: Mapping[str, Any]) -> int | None:
    error = answer.get("error")
    return int(error.get("err_code", error.get("code", -1))) if error else None


@dataclass(frozen=True, slots=True)
class StreamState:
    """The stream's incarnation (its creation, as text), the last sequence it holds, and on how many nodes it lives."""

    incarnation: str
    last_sequence: int
    messages: int
    replicas: int = 1

    def too_few(self, settings: StreamSettings) -> str | None:
        """What to do about a stream that lives on fewer nodes than it is meant to; None if it does not."""
        if self.replicas >= settings.replicas:
            return None
        return (
            f"stream {STREAM} lives on {self.replicas} node(s), LOTWISE_NATS_REPLICAS says {settings.replicas}: one"
            " that is there is never changed. Delete it in NATS: it is made anew, and gateways send again what is not"
            " confirmed"
        )


async def stream_exists(client: Client) -> StreamState | None:
    """The stream's state; None if there is none. Raises StreamUnavailable."""
    answer = await api(client, f"STREAM.INFO.{STREAM}")
    return None if _error(answer) == STREAM_NOT_FOUND else _state(answer)


async def ensure_stream(client: Client, settings: StreamSettings) -> StreamState:
    """The stream's state, made first if there is none. Raises StreamUnavailable."""
    answer = await api(client, f"STREAM.INFO.{STREAM}")
    if _error(answer) == STREAM_NOT_FOUND:
        log.info("stream %s is not there: making it", STREAM)  # that another one is gone is told by who knew it
        answer = await api(client, f"STREAM.CREATE.{STREAM}", create_request(settings))
        if _error(answer) == STREAM_NAME_IN_USE:
            answer = await api(client, f"STREAM.INFO.{STREAM}")
    return _state(answer)


def _state(answer: Mapping[str, Any]) -> StreamState:
    if "error" in answer:
        raise StreamUnavailable(f"stream {STREAM}: {answer['error']}")
    state = answer["state"]
    return StreamState(
        incarnation(_moment(answer["created"])),
        int(state["last_seq"]),
        int(state["messages"]),
        int(answer["config"].get("num_replicas", 1)),
    )


def _moment(text: str) -> datetime:
    """An RFC 3339 time with nanoseconds, cut to the microsecond."""
    head, _, fraction = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{head}.{fraction[:6]:0<6}+00:00")


def consumer_name(partition: int) -> str:
    """The durable consumer of a partition: one of so many, since what it filters depends on how many there are."""
    return f"{_CONSUMERS}{partition}"


async def ensure_consumer(client: Client, partition: int, ack_wait: timedelta, max_ack_pending: int) -> None:
    """Makes the partition's durable consumer if it is not there. Raises StreamUnavailable, ConsumerRefused."""
    name = consumer_name(partition)
    request = {
        "stream_name": STREAM,
        "config": {
            "durable_name": name,
            "name": name,
            "filter_subjects": partition_filters(partition),
            "deliver_policy": "all",
            "ack_policy": "explicit",
            "ack_wait": int(ack_wait.total_seconds() * 1e9),
            "max_deliver": -1,
            "max_ack_pending": max_ack_pending,
            "max_waiting": 64,
            "replay_policy": "instant",
        },
    }
    answer = await api(client, f"CONSUMER.DURABLE.CREATE.{STREAM}.{name}", request)
    if _error(answer) == STREAM_NOT_FOUND:
        raise StreamUnavailable(f"consumer {name}: there is no stream")
    if "error" in answer:
        raise ConsumerRefused(f"consumer {name}: {answer['error'].get('description', answer['error'])}")


async def floors(client: Client) -> dict[int, int]:
    """By partition, under every name it may have in a batch: the stream sequence through which all is acknowledged.

    Raises StreamUnavailable.
    """
    found: dict[int, int] = {}
    offset = 0
    while True:
        answer = await api(client, f"CONSUMER.LIST.{STREAM}", {"offset": offset})
        if "error" in answer:
            raise StreamUnavailable(f"consumers: {answer['error']}")
        consumers = answer.get("consumers") or []
        for info in consumers:
            name = info["name"]
            if name.startswith(_CONSUMERS):
                floor = int(info["ack_floor"]["stream_seq"])
                found.update(dict.fromkeys(partitions_named(int(name.removeprefix(_CONSUMERS))), floor))
        offset += _PAGE
        if offset >= int(answer.get("total", 0)) or not consumers:
            return found


class Inbox:
    """Where a partition's messages are delivered: asked for by request, as many as there is room for."""

    def __init__(self, client: Client, partition: int) -> None:
        self._client = client
        self._partition = partition
        self._subject = client.new_inbox()
        self._queue: asyncio.Queue[Msg] = asyncio.Queue()
        self._subscription: Any = None

    async def open(self) -> None:
        """Subscribes."""

        async def deliver(message: Msg) -> None:
            self._queue.put_nowait(message)

        self._subscription = await self._client.subscribe(
            self._subject, cb=deliver, pending_msgs_limit=-1, pending_bytes_limit=-1
        )

    async def close(self) -> list[Msg]:
        """Unsubscribes. Gives what was delivered and not taken, with what was on its way when the server was told."""
        if self._subscription is not None:
            with contextlib.suppress(nats.errors.Error, OSError, TimeoutError):
                await end_subscription(self._client, self._subscription)
            self._subscription = None
        left = [self._queue.get_nowait() for _ in range(self._queue.qsize())]
        return [message for message in left if _status(message) is None]

    async def pull(self, batch: int, expires: timedelta) -> AsyncIterator[Msg]:
        """Up to `batch` messages, one by one as they come, until the request expires.

        Raises StreamUnavailable when the consumer is gone or nobody answers.
        """
        request = {"batch": batch, "expires": int(expires.total_seconds() * 1e9), "idle_heartbeat": 1_000_000_000}
        name = consumer_name(self._partition)
        await self._client.publish(
            f"{_API}.CONSUMER.MSG.NEXT.{STREAM}.{name}", json.dumps(request).encode(), reply=self._subject
        )
        taken = 0
        while taken < batch:
            try:
                # the server beats every second: silence means that the request died with its server
                async with asyncio.timeout(3.5):
                    message = await self._queue.get()
            except TimeoutError as silence:
                raise StreamUnavailable(f"consumer {name} is silent") from silence
            status = _status(message)
            if status is None:
                taken += 1
                yield message
            elif status == "100":
                continue
            elif status in {"404", "408"}:
                return
            else:
                raise StreamUnavailable(f"consumer {name}: {status} {(message.headers or {}).get('Description', '')}")


def _status(message: Msg) -> str | None:
    """What the server says in place of a message; None where it is one."""
    return (message.headers or {}).get("Status") if not message.data else None
