"""What the gateway says of itself: /healthz as JSON, /metrics for Prometheus."""

import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

import msgspec
import uvicorn
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

Message = dict[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class SourceHealth(msgspec.Struct, frozen=True):
    """One source: what it is doing, since when, and how far it has come."""

    name: str
    state: str
    connected: bool
    since: datetime
    trouble: str | None
    last_reading: datetime | None
    watermark: datetime | None
    readings: int
    restarts: int
    asides: int
    counts: dict[str, int]
    """What else the collector counts, by name."""
    zones: int
    asides_by_topic: dict[str, int] = {}
    """Payloads put aside since start, by topic, node or register: at most 50 of them, the rest as "other"."""


class SpoolHealth(msgspec.Struct, frozen=True):
    """The spool: what waits for the core's confirmation, and whether the disk takes more."""

    epoch: str
    batches: int
    readings: int
    bytes: int
    kept_bytes: int
    max_bytes: int
    oldest_unconfirmed: datetime | None
    age_seconds: float
    error: str | None
    dropped_readings: int
    asides: dict[str, int]


class StreamHealth(msgspec.Struct, frozen=True):
    """The stream and the core behind it."""

    connected: bool
    incarnation: str | None
    core_answers: bool
    trouble: dict[str, str]
    sent: int
    resent: int
    confirmed: int
    taken_back: int
    beyond_replay: int
    unknown_points: int = 0
    """Points that this gateway reads and the core's catalog lacks; `unknown` names the first of them."""
    unknown: tuple[str, ...] = ()


class ClockHealth(msgspec.Struct, frozen=True):
    """The gateway's clock against the stream server's: seconds ahead, None while unknown."""

    ok: bool
    offset_seconds: float | None
    steps: int
    trouble: str | None


class Health(msgspec.Struct, frozen=True):
    """Everything. `ok` is whether readings are being kept and delivered, and every source is there."""

    ok: bool
    gateway: str
    site: str
    instance: str
    at: datetime
    sources: tuple[SourceHealth, ...]
    spool: SpoolHealth
    stream: StreamHealth
    clock: ClockHealth


Probe = Callable[[], Awaitable[Health]]


_Family = tuple[str, str, type[GaugeMetricFamily | CounterMetricFamily], Callable[[SourceHealth], float | None]]


class _Figures:
    """A Prometheus collector over one state of health."""

    def __init__(self, health: Health) -> None:
        self._health = health

    def collect(self) -> Iterator[Metric]:
        """Every metric family."""
        yield from self._gateway()
        yield from self._sources()

    def _gateway(self) -> Iterator[Metric]:
        h, spool, stream = self._health, self._health.spool, self._health.stream
        offset = h.clock.offset_seconds
        gauges = (
            ("up", "1 while readings are kept and delivered and every source is there.", int(h.ok)),
            ("spool_batches", "Batches not yet confirmed by the core.", spool.batches),
            ("spool_readings", "Readings not yet confirmed by the core.", spool.readings),
            ("spool_bytes", "Bytes not yet confirmed by the core.", spool.bytes),
            ("spool_kept_bytes", "Bytes of all payloads kept, confirmed ones included.", spool.kept_bytes),
            ("spool_max_bytes", "The byte bound.", spool.max_bytes),
            ("spool_age_seconds", "Age of the oldest batch not yet confirmed.", spool.age_seconds),
            ("spool_writable", "1 while the disk takes readings.", int(spool.error is None)),
            ("stream_connected", "1 while the stream's server is reachable.", int(stream.connected)),
            ("core_answers", "1 while the core answers for what it has.", int(stream.core_answers)),
            ("beyond_replay_batches", "Batches the core misses whose payloads are gone.", stream.beyond_replay),
            ("unknown_points", "Points read here that the core's catalog lacks.", stream.unknown_points),
            ("clock_offset_seconds", "Seconds ahead of the stream server.", float("nan") if offset is None else offset),
            ("clock_ok", "1 while the clock is within its tolerance.", int(h.clock.ok)),
        )
        for name, text, value in gauges:
            yield GaugeMetricFamily(f"lotwise_edge_{name}", text, value=value)
        counters = (
            ("batches_sent", "Batches the stream took, attempts counted.", stream.sent),
            ("batches_resent", "Batches sent again.", stream.resent),
            ("batches_confirmed", "Batches the core confirmed.", stream.confirmed),
            ("batches_taken_back", "Confirmed batches that the core lost and was sent again.", stream.taken_back),
            ("readings_dropped", "Readings that the byte bound turned into tombstones.", spool.dropped_readings),
            ("clock_steps", "Times the clock was set.", h.clock.steps),
        )
        for name, text, value in counters:
            yield CounterMetricFamily(f"lotwise_edge_{name}", text, value=value)
        aside = CounterMetricFamily("lotwise_edge_payloads_aside", "Payloads put aside, by reason.", labels=["reason"])
        for reason, count in spool.asides.items():
            aside.add_metric([reason], count)
        yield aside

    def _sources(self) -> Iterator[Metric]:
        h = self._health
        families: tuple[_Family, ...] = (
            ("source_connected", "1 while the source is reachable.", GaugeMetricFamily, lambda s: int(s.connected)),
            ("source_readings", "Readings kept.", CounterMetricFamily, lambda s: s.readings),
            ("source_restarts", "Times the collector was started again.", CounterMetricFamily, lambda s: s.restarts),
            ("source_asides", "Payloads put aside.", CounterMetricFamily, lambda s: s.asides),
            (
                "source_last_reading_timestamp_seconds",
                "The time the latest reading is judged by.",
                GaugeMetricFamily,
                lambda s: s.last_reading.timestamp() if s.last_reading else None,
            ),
            (
                "source_watermark_timestamp_seconds",
                "Up to when everything live is in.",
                GaugeMetricFamily,
                lambda s: s.watermark.timestamp() if s.watermark else None,
            ),
        )
        for name, text, family, figure in families:
            metric = family(f"lotwise_edge_{name}", text, labels=["source"])
            for source in h.sources:
                value = figure(source)
                if value is not None:
                    metric.add_metric([source.name], value)
            yield metric
        events = CounterMetricFamily(
            "lotwise_edge_source_events", "What else the collector counts.", labels=["source", "event"]
        )
        for source in h.sources:
            for name, count in source.counts.items():
                events.add_metric([source.name, name], count)
        yield events
        aside = CounterMetricFamily(
            "lotwise_edge_source_topic_asides",
            "Payloads put aside, by topic; the 51st and later as other.",
            labels=["source", "topic"],
        )
        for source in h.sources:
            for topic, count in source.asides_by_topic.items():
                aside.add_metric([source.name, topic], count)
        yield aside


def metrics(health: Health) -> bytes:
    """The Prometheus text of a state of health."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(health))
    return generate_latest(registry)


def health_app(probe: Probe) -> Callable[[Message, Receive, Send], Awaitable[None]]:
    """An ASGI application: /healthz answers 200 or, while something is wrong, 503 with the same JSON; /metrics 200."""

    async def app(scope: Message, _receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["path"] == "/healthz":
            health = await probe()
            await _respond(send, 200 if health.ok else 503, "application/json", msgspec.json.encode(health))
        elif scope["path"] == "/metrics":
            await _respond(send, 200, CONTENT_TYPE, metrics(await probe()))
        else:
            await _respond(send, 404, "text/plain; charset=utf-8", b"there are /healthz and /metrics here\n")

    return app


async def _respond(send: Send, status: int, kind: str, body: bytes) -> None:
    headers: Iterable[tuple[bytes, bytes]] = [
        (b"content-type", kind.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(64)
    except OSError:
        listener.close()
        raise
    return listener


class _Server(uvicorn.Server):
    """Leaves signals to the gateway."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve_health(probe: Probe, listener: socket.socket) -> None:
    """Serves until cancelled."""
    config = uvicorn.Config(health_app(probe), lifespan="off", log_level="warning", access_log=False)
    server = _Server(config)
    try:
        await server.serve(sockets=[listener])
    finally:
        server.should_exit = True
        if server.started:
            await server.shutdown(sockets=[listener])
        listener.close()
