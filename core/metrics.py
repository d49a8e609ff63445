"""What the core tells Prometheus: requests as they are answered, and what the database says when it is asked.

Told on a port of its own (`LOTWISE_METRICS_PORT`), never beside the pages: whoever may see pages need not see this. Of
several workers each writes its counts into a folder that they share, and the process above them tells the sum.
"""

import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, multiprocess, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Engine, NullPool, create_engine, text
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""Prometheus' own name of the folder that workers share; it is looked for when its library is imported."""
PATIENCE_MS = 2000
"""What the questions to the database may take; an answer that comes later is told as none."""
OUT_OF = CollectorRegistry()
"""What this process counts."""
_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
REQUESTS = Counter(
    "lotwise_core_requests",
    "Requests answered, by kind and by the class of their status.",
    ["kind", "status"],
    registry=OUT_OF,
)
SECONDS = Histogram(
    "lotwise_core_request_seconds",
    "From a request to the last byte of its answer; event streams left out.",
    ["kind"],
    registry=OUT_OF,
    buckets=_BUCKETS,
)
_API, _STATIC, _LIVE = "/api/", ("/static/", "/echarts/"), "/live"
_ASKED = text("""
    SELECT (SELECT count(*) FROM hold WHERE lifted_at IS NULL) AS holds,
        (SELECT count(*) FROM excursion WHERE state IN ('open', 'ended', 'assessed')) AS excursions,
        (SELECT count(*) FROM zone_alarm WHERE state <> 'normal' AND returned_at IS NULL) AS zone_alarms,
        (SELECT count(*) FROM outbox_task WHERE done_at IS NULL) AS outbox,
        (SELECT coalesce(extract(epoch FROM now() - min(o.at)), 0)
            FROM outbox_task t JOIN outbox o ON o.id = t.outbox_id WHERE t.done_at IS NULL) AS outbox_age,
        (SELECT coalesce(max(extract(epoch FROM watermark - judged_to)), 0) FROM zone_judged) AS judge,
        (SELECT coalesce(max(extract(epoch FROM now() - heard)), 0) FROM (
            SELECT max(received_at) AS heard FROM source_watermark WHERE retired_at IS NULL GROUP BY gateway
        ) g) AS gateway,
        (SELECT count(*) FROM heartbeat WHERE at + due_within < now()) AS overdue,
        (SELECT count(*) FROM dead_letter WHERE replayed_at IS NULL) AS dead,
        (SELECT count(*) FROM alert_message WHERE state = 'queued') AS messages,
        pg_database_size(current_database()) AS size,
        (SELECT coalesce(extract(epoch FROM last_archived_time), 0) FROM pg_stat_archiver) AS archived
""")
FIGURES = {
    "holds": ("lotwise_core_holds", "Holds in force."),
    "excursions": ("lotwise_core_excursions", "Excursions that wait for a decision."),
    "zone_alarms": ("lotwise_core_zone_alarms", "Zone alarms that stand."),
    "outbox": ("lotwise_core_outbox_waiting", "Committed and not yet told to others."),
    "outbox_age": ("lotwise_core_outbox_age_seconds", "Age of the oldest of them."),
    "judge": ("lotwise_core_judge_behind_seconds", "Between what a zone's sources told and up to when it is judged."),
    "gateway": ("lotwise_core_gateway_silence_seconds", "Since the gateway that was silent longest was heard."),
    "overdue": ("lotwise_core_parts_overdue", "Parts of the background work that have not come round in time."),
    "dead": ("lotwise_core_dead_letters", "Readings not understood and not tried again."),
    "messages": ("lotwise_core_messages_queued", "Messages to people that no channel has taken yet."),
    "size": ("lotwise_core_database_bytes", "Size of the database."),
    "archived": ("lotwise_core_archived_timestamp_seconds", "When the database's log was last archived; 0: never."),
}
"""By column: the metric's name and meaning."""


class Counted:
    """The outermost part of the app: counts what is answered, by kind (page, api, static)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        kind, began, status = kind_of(scope["path"]), time.perf_counter(), 500

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, told)
        finally:
            REQUESTS.labels(kind, f"{status // 100}xx").inc()
            if not scope["path"].startswith(_LIVE):
                SECONDS.labels(kind).observe(time.perf_counter() - began)


def kind_of(path: str) -> str:
    """What a request is counted as."""
    if path.startswith(_API):
        return "api"
    return "static" if path.startswith(_STATIC) else "page"


class FromDatabase(Collector):
    """Asks the database at each look; `lotwise_core_up` is 0 where it does not answer."""

    def __init__(self, url: str) -> None:
        options = f"-c statement_timeout={PATIENCE_MS} -c default_transaction_read_only=on"
        self._engine: Engine = create_engine(
            url, poolclass=NullPool, connect_args={"connect_timeout": 2, "options": options}
        )

    def describe(self) -> Iterable[Metric]:
        """Nothing is asked at registration."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """The figures, as far as there is an answer."""
        found: Any = None
        try:
            with self._engine.connect() as conn:
                found = conn.execute(_ASKED).mappings().one()
        except SQLAlchemyError:  # that is what `up` says
            found = None
        yield GaugeMetricFamily("lotwise_core_up", "1 while the database answers.", value=0 if found is None else 1)
        for column, (name, meaning) in FIGURES.items():
            if found is not None:
                yield GaugeMetricFamily(name, meaning, value=float(found[column]))


@contextmanager
def told(host: str, port: int | None, registry: CollectorRegistry) -> Iterator[None]:
    """Tells the registry's figures at the port while the block goes on; nothing where there is none.

    Raises SystemExit naming the port where it is taken.
    """
    if port is None:
        yield
        return
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise SystemExit(f"cannot tell metrics on {host}, port {port}: {error.strerror}") from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def core_metrics(host: str, port: int | None, database_url: str, processes: int) -> Iterator[None]:
    """Tells the core's figures while the block serves: of one process its own, of several the sum of theirs."""
    if port is None:
        yield
        return
    registry = CollectorRegistry()
    registry.register(FromDatabase(database_url))
    if processes == 1:
        registry.register(_Own())
        with told(host, port, registry):
            yield
        return
    with tempfile.TemporaryDirectory(prefix="lotwise-metrics-") as folder:
        before = os.environ.get(SHARED)
        os.environ[SHARED] = folder  # the workers are started with it
        multiprocess.MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call]  # the library has it so
        try:
            with told(host, port, registry):
                yield
        finally:
            os.environ.pop(SHARED)
            if before is not None:
                os.environ[SHARED] = before


class _Own(Collector):
    """What this process counts, within a registry that tells more."""

    def describe(self) -> Iterable[Metric]:
        """Nothing is asked at registration."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """All of it."""
        return OUT_OF.collect()
