"""The ingest process: worker, judge, timer, shipper and housekeeping, put together."""

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
from core.erp.kernel.forgetting import forget
from core.erp.kernel.unit import Unit, system, transact
from core.ingest.headers import fold_headers, forget_headers
from core.ingest.shipping import prune, run_shipper
from core.ingest.stream import NatsSettings
from core.ingest.worker import run_ingest
from core.series.port import StoreUnavailable
from core.series.restoring import influx_behind
from core.settings import Settings

log = logging.getLogger("lotwise.ingest")

BEAT = 2.0
TIDY_EVERY = 600.0


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
            tasks.append(group.create_task(_tidy(engine, stop, behind=store is not None)))
            if store is not None:
                tasks.append(group.create_task(run_shipper(engine, store, stop)))
            await run_ingest(engine, stream, Judge(), stop, worker, events=events, live=live)
            for task in tasks:
                task.cancel()


async def _timer(engine: Engine, events: Events, stop: asyncio.Event) -> None:
    """The core's own clock: silent gateways, unmeasured zones, profiles that come into force."""
    judge, rules = Judge(), Patience()
    well, before = True, datetime.now(UTC)
    while not stop.is_set():
        now = datetime.now(UTC)

        def beat(u: Unit, since: datetime = before) -> None:
            in_force(u, since)
            tick(u, judge, rules)

        try:
            await asyncio.to_thread(transact, engine, system("timer"), events, beat, now)
            well, before = True, now
        except (OperationalError, StoreUnavailable) as error:
            if well:
                log.warning("the timer cannot judge: %s", error)
            well = False
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), BEAT)


def tidy(engine: Engine, now: datetime, *, behind: bool) -> None:
    """One round of housekeeping: batch headers fold, what is kept for a while is forgotten, and with a series store
    behind the weeks that are shipped and no longer hot are dropped, and then the headers of their batches.
    """
    fold_headers(engine, now)
    forget(engine, now)
    if behind and prune(engine, now):
        forget_headers(engine, now)


async def _tidy(engine: Engine, stop: asyncio.Event, *, behind: bool, every: float = TIDY_EVERY) -> None:
    """Keeps house now and then; several processes that do so do not disturb each other."""
    well = True
    while not stop.is_set():
        try:
            await asyncio.to_thread(tidy, engine, datetime.now(UTC), behind=behind)
            well = True
        except OperationalError as error:
            if well:
                log.warning("the house cannot be kept: %s", error)
            well = False
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), every)
