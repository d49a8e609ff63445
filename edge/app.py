"""The gateway process: sources, spool, forwarder and health put together, and its two commands."""

import asyncio
import contextlib
import functools
import gc
import hashlib
import logging
import signal
import socket
import sqlite3
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from core.telemetry.batch import Announced
from core.telemetry.connection import without_credentials
from core.telemetry.located import ConfigErrors
from edge.carrier import NatsCarrier
from edge.clock_watch import ClockWatch
from edge.collectors.port import Collector
from edge.config import GatewayConfig, load
from edge.forwarder import Forwarder
from edge.health import Health, SourceHealth, SpoolHealth, StreamHealth, listen, serve_health
from edge.point_watch import PointWatch
from edge.points import points_of
from edge.sources import PROTOCOLS, SourceKind
from edge.spool import Spool, SpoolFailed, SpoolInUse, SpoolMismatch
from edge.supervisor import Source, Supervisor
from edge.tasks import end

log = logging.getLogger("lotwise.edge")

SHUTDOWN_TIMEOUT = 2.0
"""Seconds that a gateway asked to stop gives its last batches to reach the stream; the spool keeps the rest."""
WATERMARK_EVERY_OFFLINE = 15.0
"""Seconds between watermarks while no core answers: nobody is waiting for them, and each is a batch to send later."""
PRUNE_EVERY = 60.0
Started = Callable[[str, str, int], None]
UNKNOWN_NAMED = 100
"""Points that /healthz names of those that the core's catalog lacks."""


def _now() -> datetime:
    return datetime.now(UTC)


class Gateway:
    """All parts of one running gateway."""

    def __init__(self, config: GatewayConfig, spool: Spool, protocols: Mapping[str, SourceKind]) -> None:
        self.config = config
        self.spool = spool
        self.carrier = NatsCarrier(config.stream, f"edge {config.gateway}")
        self.forwarder = Forwarder(
            spool,
            self.carrier,
            config.gateway,
            window=config.forwarder.window,
            confirm_every=config.forwarder.confirm_every.total_seconds(),
        )
        self.supervisor = Supervisor(
            _makers(config, spool, protocols),
            spool,
            identities=_identities(config),
            group=config.redundancy_group or "",
        )
        self.points = PointWatch(self.carrier, config.gateway, self._points)
        self._kept_before = spool.last_kept()
        self._named = frozenset(point.address for source in config.sources for point in points_of(source))
        self.clock = ClockWatch(config.clock.max_offset.total_seconds())

    async def run(self, stop: asyncio.Event, listener: socket.socket) -> None:
        """Runs until `stop`; then ends the sources, writes everything down and gives the last batches a moment."""
        sources = asyncio.create_task(self.supervisor.run())
        others = [
            asyncio.create_task(part)
            for part in (
                self.carrier.run(),
                self.forwarder.run(),
                self._watermarks(),
                self._prune(),
                self.points.run(),
                serve_health(self.health, listener),
            )
        ]
        stopping = asyncio.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait([sources, *others, stopping], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()  # a part that fails ends the gateway, loudly; whoever runs it starts it again
            log.info("stopping")
            await end([sources])
            await self._drain()
        finally:
            await end([sources, *others, stopping])

    def _points(self) -> frozenset[str]:
        """Every point that the configuration names, and those that devices have spoken for since the start."""
        before = self._kept_before
        return self._named | {point for point, at in self.spool.last_kept().items() if before.get(point) != at}

    async def _drain(self) -> None:
        with contextlib.suppress(SpoolFailed, TimeoutError):
            async with asyncio.timeout(SHUTDOWN_TIMEOUT):
                await self.spool.flush()
                await self.forwarder.drained()

    async def _watermarks(self) -> None:
        every = self.config.forwarder.watermark_every.total_seconds()
        cut_off_since = time.monotonic()
        marked = 0.0
        while True:
            await asyncio.sleep(every)
            now = time.monotonic()
            self.clock.tick(_now(), now)
            if self.forwarder.core_answers:
                cut_off_since = now
            if now - cut_off_since > WATERMARK_EVERY_OFFLINE and now - marked < WATERMARK_EVERY_OFFLINE:
                continue
            marked = now
            with contextlib.suppress(SpoolFailed):  # the spool has said why; the mark after it will tell more
                await self.supervisor.mark()

    async def _prune(self) -> None:
        while True:
            with contextlib.suppress(SpoolFailed):
                await self.spool.prune()
            await asyncio.sleep(PRUNE_EVERY)

    async def health(self) -> Health:
        """Everything that /healthz and /metrics tell."""
        now = _now()
        spool = await self._spool_health(now)
        facts = self.forwarder.facts
        clock = self.clock.judge(facts.offset if facts else None)
        stream = StreamHealth(
            connected=self.carrier.connected,
            incarnation=facts.incarnation if facts else None,
            core_answers=self.forwarder.core_answers,
            trouble=self.forwarder.trouble,
            sent=self.forwarder.sent,
            resent=self.forwarder.resent,
            confirmed=self.forwarder.confirmed,
            taken_back=self.forwarder.taken_back,
            beyond_replay=self.forwarder.beyond_replay,
            unknown_points=len(self.points.unknown),
            unknown=self.points.unknown[:UNKNOWN_NAMED],
        )
        sources = tuple(_source_health(source, now) for source in self.supervisor.sources)
        ok = (
            all(source.connected for source in sources)
            and spool.error is None
            and stream.connected
            and not stream.trouble
            and stream.core_answers
            and clock.ok
        )
        config = self.config
        return Health(ok, config.gateway, config.site, config.instance, now, sources, spool, stream, clock)

    async def _spool_health(self, now: datetime) -> SpoolHealth:
        spool = self.spool
        error = spool.error
        try:
            depth = await spool.depth()
        except SpoolFailed as failed:
            error = str(failed)
            depth = spool.last_depth
        return SpoolHealth(
            epoch=spool.epoch,
            batches=depth.batches,
            readings=depth.readings,
            bytes=depth.bytes,
            kept_bytes=depth.kept_bytes,
            max_bytes=self.config.spool.max_bytes,
            oldest_unconfirmed=depth.oldest,
            age_seconds=max(0.0, (now - depth.oldest).total_seconds()) if depth.oldest else 0.0,
            error=error,
            dropped_readings=spool.dropped_readings,
            asides=dict(spool.asides),
        )


def _identities(config: GatewayConfig) -> list[str]:
    return [hashlib.sha256(source.model_dump_json().encode()).hexdigest() for source in config.sources]


def announced(config: GatewayConfig) -> Announced:
    """What the gateway tells the core of its sources: one that a later start no longer names is waited for no more."""
    whole = hashlib.sha256("\n".join(_identities(config)).encode()).hexdigest()
    return Announced(whole, tuple(sorted(source.name for source in config.sources)))


def _makers(config: GatewayConfig, spool: Spool, protocols: Mapping[str, SourceKind]) -> list[Callable[[], Collector]]:
    kinds = {kind.config: kind for kind in protocols.values()}
    return [functools.partial(kinds[type(source)].make, source, spool.last_kept) for source in config.sources]


def _source_health(source: Source, now: datetime) -> SourceHealth:
    mark = source.watermark(now)
    return SourceHealth(
        name=source.name,
        state=source.state,
        connected=source.connected,
        since=source.since,
        trouble=source.trouble,
        last_reading=source.last_reading,
        watermark=mark.upto if mark else None,
        readings=source.readings,
        restarts=source.restarts,
        asides=source.asides,
        counts=source.counts,
        zones=len(source.zones),
        asides_by_topic=dict(source.asides_by_topic),
    )


async def run_gateway(
    config: GatewayConfig,
    *,
    stop: asyncio.Event,
    protocols: Mapping[str, SourceKind] = PROTOCOLS,
    started: Started = lambda *_: None,
) -> None:
    """Runs a gateway until `stop` is set. `started` is told the gateway's name, and where health is served.

    Raises OSError (health's port is taken, the folder cannot be used), SpoolInUse, SpoolMismatch.
    """
    listener = listen(config.health.host, config.health.port)
    try:
        spool = await Spool.open(
            config.data_dir, config.gateway, config.site, config.spool.options, announced=announced(config)
        )
    except BaseException:
        listener.close()
        raise
    async with spool:
        port = listener.getsockname()[1]
        log.info("gateway %s, epoch %s, spool in %s", config.gateway, spool.epoch, config.data_dir)
        streams = without_credentials(config.stream.urls)
        log.info("health on http://%s:%s/healthz, stream at %s", config.health.host, port, streams)
        started(config.gateway, config.health.host, port)
        await Gateway(config, spool, protocols).run(stop, listener)


def main(path: Path, started: Started = lambda *_: None) -> int:
    """`lotwise edge FILE`: runs the gateway until SIGTERM or SIGINT. 0 after an orderly end, 1 if it cannot start.
    `started` is told as `run_gateway` says.
    """
    try:
        config = load(path)
    except ConfigErrors as errors:
        print(errors)
        return 1
    # the configuration stands as long as the process: nobody need ever look through it for garbage again
    gc.freeze()
    try:
        asyncio.run(_until_signalled(config, started))
    except (OSError, SpoolInUse, SpoolMismatch, sqlite3.Error) as error:
        log.error("the gateway cannot run: %s", error)  # noqa: TRY400 - the message is for the operator
        return 1
    return 0


async def _until_signalled(config: GatewayConfig, started: Started) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await run_gateway(config, stop=stop, started=started)
