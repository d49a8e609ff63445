"""The ingest process: worker, judge, timer and shipper, put together."""

import asyncio
import contextlib
import logging
import os
import socket
from datetime import UTC, datetime

from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from core.app import build_events
from core.erp.exposure.judge import Judge
from core.erp.exposure.timer import Patience, in_force, tick
from core.erp.kernel.events import Events
from core.erp.kernel.unit import Unit, system, transact
from core.ingest.shipping import prune, run_shipper
from core.ingest.stream import NatsSettings
from core.ingest.worker import run_ingest
from core.series.port import StoreUnavailable
from core.series.restoring import influx_behind
from core.settings import Settings

log = logging.getLogger("lotwise.ingest")

BEAT = 2.0
PRUNE_EVERY = 3600.0


async def ingest(
    settings: Settings, engine: Engine, stream: NatsSettings, stop: asyncio.Event, *, name: str | None = None
) -> None:
    """Runs one ingest worker until `stop`. Several may run at once, here and elsewhere; they share the partitions."""
    events = build_events()
    worker = name or f"{socket.gethostname()}-{os.getpid()}"
    live = settings.instance == "live"
    with influx_behind(engine, *settings.store_behind()) as store:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_timer(engine, events, stop))]
            if store is not None:
                tasks.append(group.create_task(run_shipper(engine, store, stop)))
                tasks.append(group.create_task(_prune(engine, stop)))
            await run_ingest(engine, stream, Judge(), stop, worker, events=events, live=live)
            for task in tasks:
                task.cancel()


async def _timer(engine: Engine, events: Events, stop: asyncio.Event) -> None:
    """The core's own clock: silent gateways, unmeasured zones, profiles that come into force."""
    judge, rules, silent = Judge(), Patience(), set[int]()
    well, before = True, datetime.now(UTC)
    while not stop.is_set():
        now = datetime.now(UTC)

        def beat(u: Unit, known: frozenset[int] = frozenset(silent), since: datetime = before) -> set[int]:
            in_force(u, since)
            return tick(u, judge, rules, set(known))

        try:
            silent = await asyncio.to_thread(transact, engine, system("timer"), events, beat, now)
            well, before = True, now
        except (OperationalError, StoreUnavailable) as error:
            if well:
                log.warning("the timer cannot judge: %s", error)
            well = False
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), BEAT)


async def _prune(engine: Engine, stop: asyncio.Event, every: float = PRUNE_EVERY) -> None:
    """Drops what is shipped and no longer hot, now and then; only ever run with a series store behind."""
    well = True
    while not stop.is_set():
        try:
            await asyncio.to_thread(prune, engine, datetime.now(UTC))
            well = True
        except OperationalError as error:
            if well:
                log.warning("nothing can be dropped: %s", error)
            well = False
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), every)
