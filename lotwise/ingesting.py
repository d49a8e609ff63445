"""The ingest process: worker, judge, timer, shipper and housekeeping, put together."""

import asyncio
import contextlib
import gc
import logging
import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import configure_mappers

from core.erp.exposure.judge.judge import Judge
from core.erp.exposure.judge.timer import (
    NextLook,
    SilenceLimits,
    advance_silent_zones,
    judge_new_profiles,
    judge_unmonitored,
    update_silent_gateways,
)
from core.erp.kernel.events import Events
from core.erp.kernel.retention import delete_expired
from core.erp.kernel.unit import Unit, system, transact
from core.ingest import metrics
from core.ingest.headers import delete_old_headers, fold_headers
from core.ingest.shipping import prune, run_shipper
from core.ingest.sources import retire_unnamed
from core.ingest.standby import update_standby_alarms
from core.ingest.stream import NatsSettings
from core.ingest.worker import run_ingest
from core.metrics import told
from core.series.port import StoreUnavailable
from core.series.restoring import influx_attached
from core.settings import Settings
from core.wiring import build_events

log = logging.getLogger("lotwise.ingest")

TICK_EVERY = 2.0
HOUSEKEEPING_EVERY = 600.0
SETTLING = timedelta(minutes=10)
AT_ONCE = 50
"""Silent zones that are judged in one transaction: whoever speaks up again waits for no more."""


async def ingest(
    settings: Settings, engine: Engine, stream: NatsSettings, stop: asyncio.Event, *, name: str | None = None
) -> None:
    """Runs one ingest worker until `stop`. Several may run at once, here and elsewhere; they share the partitions."""
    events = build_events()
    _keep_what_is_loaded()
    worker = name or f"{socket.gethostname()}-{os.getpid()}"
    live = settings.instance == "live"
    figures = told(settings.metrics_host, settings.ingest_metrics_port, metrics.OUT_OF)
    with influx_attached(engine, *settings.store_behind()) as store, figures:
        async with asyncio.TaskGroup() as group:
            tick, housekeeping = (
                _Timer(engine, events).tick_if_due,
                partial(run_housekeeping, engine, behind=store is not None),
            )
            tasks = [
                group.create_task(_repeat(stop, TICK_EVERY, "the timer cannot judge", tick)),
                group.create_task(_repeat(stop, HOUSEKEEPING_EVERY, "housekeeping failed", housekeeping)),
            ]
            if store is not None:
                tasks.append(group.create_task(run_shipper(engine, store, stop)))
            await run_ingest(engine, stream, Judge(), stop, worker, events=events, live=live)
            for task in tasks:
                task.cancel()


def _keep_what_is_loaded() -> None:
    """Says that modules and mappers stay for good. The collector would walk all of them every few dozen transactions,
    and readings would wait for it: 150 ms each time instead of 20 (measured).
    """
    configure_mappers()
    gc.collect()
    gc.freeze()


class _Timer:
    """The core's own clock: silent gateways, unmeasured zones, profiles that come into force, sources that are gone.

    Of several processes' timers one works at a time. Where the core itself was away it first hears what gateways and
    the stream kept: for SETTLING after its start it takes nobody's silence for more than an alarm.
    """

    def __init__(self, engine: Engine, events: Events) -> None:
        self._engine = engine
        self._events = events
        self._judge = Judge()
        self._before: datetime | None = None
        self._later: NextLook = {}
        self._began: datetime | None = None

    def tick_if_due(self, now: datetime) -> None:
        """One tick."""
        self._began = self._began or now
        act = partial(transact, self._engine, system("timer"), self._events)
        waited = act(self._tick)
        self._before = now
        if now - self._began >= SETTLING:
            for first in range(0, len(waited), AT_ONCE):
                act(partial(self._advance_silent_zones, zones=waited[first : first + AT_ONCE]))
        transact(
            self._engine,
            system("timer"),
            self._events,
            partial(update_standby_alarms, overdue=SilenceLimits().overdue),
            now,
        )
        retire_unnamed(self._engine, self._judge, self._events)

    def _tick(self, u: Unit) -> list[int]:
        if not _alone(u):
            return []
        judge_new_profiles(u, self._before)
        waited = update_silent_gateways(u, SilenceLimits())
        self._later = judge_unmonitored(u, self._later)
        return waited

    def _advance_silent_zones(self, u: Unit, zones: list[int]) -> None:
        if _alone(u):
            advance_silent_zones(u, self._judge, SilenceLimits(), zones)


def _alone(u: Unit) -> bool:
    """Whether no other process's timer works now; others wait for nothing."""
    return bool(u.conn.scalar(text("SELECT pg_try_advisory_xact_lock(hashtext('lotwise.timer'))")))


def run_housekeeping(engine: Engine, now: datetime, *, behind: bool) -> None:
    """One round of housekeeping: batch headers fold, what is kept for a while is forgotten, and with a series store
    behind the weeks that are shipped and no longer hot are dropped, and then the headers of their batches.
    """
    fold_headers(engine, now)
    delete_expired(engine, now)
    if behind and prune(engine, now):
        delete_old_headers(engine, now)


async def _repeat(stop: asyncio.Event, every: float, trouble: str, work: Callable[[datetime], None]) -> None:
    """Works again and again until `stop`, in a thread. A server that is away is waited for, told of once."""
    well = True
    while not stop.is_set():
        try:
            await asyncio.to_thread(work, datetime.now(UTC))
            well = True
        except (OperationalError, StoreUnavailable) as error:
            if well:
                log.warning("%s: %s", trouble, error)
            well = False
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), every)
