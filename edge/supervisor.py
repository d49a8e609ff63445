"""Runs the collectors: restarts what is lost with a back-off, leaves down what only the operator can mend."""

import asyncio
import contextlib
import itertools
import logging
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from core.telemetry.address import partition_of
from core.telemetry.batch import Gap, Watermark
from core.telemetry.reading import Reading
from edge.collectors.port import Collector, Counting, SourceLost, SourceMisconfigured, SpoolFull
from edge.spool import Spool, SpoolFailed, kind_of
from edge.tasks import run_together

log = logging.getLogger("lotwise.edge.supervisor")

TOPICS_COUNTED = 50
TOPIC_SHOWN = 128
OTHER = "other"
ASIDES_LOGGED = 1000
"""Topics and reasons of which the log tells; whatever a hostile device makes up beyond is counted only."""
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
MISCONFIGURED_PAUSE = 600.0
"""Seconds after which a misconfigured source is tried again, in case somebody mended the other end."""


class SourceState(StrEnum):
    """What a source is doing."""

    STARTING = "starting"
    RUNNING = "running"
    LOST = "lost"
    MISCONFIGURED = "misconfigured"


class Source:
    """One collector, its keeper, and what is known of it. Implements `edge.collectors.port.Keeper`.

    The watermark never passes a reading that the collector has handed over and that is not yet on disk.
    """

    def __init__(
        self,
        make: Callable[[], Collector],
        spool: Spool,
        clock: Callable[[], datetime],
        identity: str = "",
        group: str = "",
    ) -> None:
        self.group = group
        self._make = make
        self._spool = spool
        self._clock = clock
        self._identity = identity
        self._zones_noted: frozenset[str] = frozenset()
        self._keeping: dict[int, datetime] = {}
        self._keep_id = 0
        self.collector = make()
        self.name = self.collector.name
        self.state = SourceState.STARTING
        self.since = clock()
        self.trouble: str | None = None
        self.last_reading: datetime | None = None
        self.readings = 0
        self.restarts = 0
        self.asides = 0
        self.asides_by_topic: Counter[str] = Counter()
        """How many were put aside, by topic, node or register; beyond TOPICS_COUNTED as "other"."""
        self._asides_told: set[tuple[str, str]] = set()
        self.zones_seen: frozenset[str] = frozenset()

    # -- Keeper ------------------------------------------------------------------------------------------------

    async def keep(self, readings: Sequence[Reading]) -> None:
        """Returns when the readings are on disk. Raises SpoolFull."""
        if not readings:
            return
        self._keep_id = mine = self._keep_id + 1
        self._keeping[mine] = min(reading.at for reading in readings)
        try:
            await self._spool.keep(readings)
        finally:
            del self._keeping[mine]
        self.readings += len(readings)
        last = readings[-1].at
        if self.last_reading is None or last > self.last_reading:
            self.last_reading = last

    async def gap(self, gap: Gap) -> None:
        """Records a gap; one of the whole source travels with each of its zones."""
        await self._spool.gap(gap, self.zones)

    async def aside(self, origin: str, payload: bytes, reason: str) -> None:
        """Counts a payload that could not be decoded and keeps it; says so once for each origin and kind of reason."""
        self.asides += 1
        topic = origin[:TOPIC_SHOWN]
        known = topic in self.asides_by_topic or len(self.asides_by_topic) < TOPICS_COUNTED
        self.asides_by_topic[topic if known else OTHER] += 1
        once = (topic, kind_of(reason))
        if once not in self._asides_told and len(self._asides_told) < ASIDES_LOGGED:
            self._asides_told.add(once)
            log.warning(
                "source %s: put aside what came by %s: %s (said once; `lotwise edge aside FILE` lists all)",
                self.name,
                topic,
                reason[:300],
            )
        await self._spool.aside(f"{self.name}: {origin}", payload, reason)

    async def save_state(self, key: str, value: str) -> None:
        """Writes down a word of the source's own. Raises SpoolFull."""
        await self._spool.save_state(f"{key} of {self.name}", value)

    async def load_state(self, key: str) -> str | None:
        """What was written down under the key. Raises SpoolFull."""
        return await self._spool.load_state(f"{key} of {self.name}")

    # -- what the gateway asks ---------------------------------------------------------------------------------

    @property
    def zones(self) -> frozenset[str]:
        """Every zone it speaks for, also of collectors before a restart."""
        if not self.collector.zones <= self.zones_seen:
            self.zones_seen |= self.collector.zones
        return self.zones_seen

    @property
    def counts(self) -> dict[str, int]:
        """What its collector counts besides."""
        return dict(self.collector.counts) if isinstance(self.collector, Counting) else {}

    @property
    def connected(self) -> bool:
        """Whether the source is reachable now."""
        return self.state is SourceState.RUNNING and self.collector.connected

    def watermark(self, now: datetime) -> Watermark | None:
        """Its word that all it will have live is in, or None while that cannot be said."""
        if self.state is not SourceState.RUNNING or not self.zones:
            return None
        upto = self.collector.live_upto(now)
        if upto is None:
            return None
        held = min(self._keeping.values(), default=None)
        if held is not None and held <= upto:
            upto = held - timedelta(microseconds=1)
        return Watermark(self.name, upto, tuple(sorted(self.zones)), self.collector.behind, self.group)

    async def recall_zones(self) -> None:
        """Takes up the zones that it spoke for before the gateway was started again, under the same configuration.

        A source with wildcards learns its zones from what comes. Without this, a sensor that fell silent before a
        restart would take its zone's watermarks with it, and its silence would look like the gateway's.
        """
        noted = await self._spool.load_state(f"zones of {self.name}")
        if noted is not None and self._identity:
            identity, *zones = noted.split(" ")
            if identity == self._identity:
                self._zones_noted = frozenset(zones)
                self.zones_seen |= self._zones_noted

    @property
    def has_new_zones(self) -> bool:
        """Whether it speaks for zones that are not written down."""
        return bool(self._identity) and self.zones != self._zones_noted

    async def save_zones(self) -> None:
        """Writes down which zones it speaks for, when there are new ones."""
        zones = self.zones
        if self.has_new_zones:
            await self._spool.save_state(f"zones of {self.name}", " ".join([self._identity, *sorted(zones)]))
            self._zones_noted = zones

    # -- life --------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Runs the collector until cancelled, whatever happens to its source."""
        pause = FIRST_PAUSE
        while True:
            began = self._clock()
            self._set_state(SourceState.RUNNING, None)
            try:
                await self.collector.run(self)
                self._set_state(SourceState.LOST, "the collector ended by itself")
            except SourceMisconfigured as error:
                self._set_state(SourceState.MISCONFIGURED, str(error))
                pause = MISCONFIGURED_PAUSE
            except SourceLost as error:
                # a source that was there for a while starts its back-off anew
                if (self._clock() - began).total_seconds() > LONGEST_PAUSE:
                    pause = FIRST_PAUSE
                self._set_state(SourceState.LOST, str(error))
            except SpoolFull as error:
                self._set_state(SourceState.LOST, f"not kept: {error}")
            except Exception as error:
                # a fault of ours in one collector costs no other source; it is loud, and restarted like a loss
                log.exception("source %s: the collector failed", self.name)
                self._set_state(SourceState.LOST, f"{type(error).__name__}: {error}")
            await asyncio.sleep(pause * random.uniform(0.75, 1.25))  # noqa: S311 - jitter
            pause = FIRST_PAUSE if pause == MISCONFIGURED_PAUSE else min(pause * 2, LONGEST_PAUSE)
            self.restarts += 1
            self.zones_seen |= self.collector.zones
            self.collector = self._make()

    def _set_state(self, state: SourceState, trouble: str | None) -> None:
        if state is SourceState.MISCONFIGURED and self.trouble != trouble:
            log.error("source %s cannot be read until the operator mends it: %s", self.name, trouble)
        elif state is SourceState.LOST and self.trouble is None:
            log.warning("source %s lost: %s", self.name, trouble)
        if state is not self.state and state is not SourceState.RUNNING:
            self.since = self._clock()
        self.state = state
        self.trouble = trouble if state is not SourceState.RUNNING else self.trouble
        if state is SourceState.RUNNING and self.collector.connected:
            self.trouble = None


class Supervisor:
    """All sources of a gateway."""

    def __init__(
        self,
        makers: Iterable[Callable[[], Collector]],
        spool: Spool,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        identities: Sequence[str] = (),
        group: str = "",
    ) -> None:
        self._clock = clock
        self._spool = spool
        self._connected: dict[str, bool] = {}
        self._marked = False
        self.sources = [
            Source(make, spool, clock, identity, group)
            for make, identity in itertools.zip_longest(makers, identities, fillvalue="")
            if not isinstance(make, str)
        ]

    async def run(self) -> None:
        """Runs every source until cancelled."""
        with contextlib.suppress(SpoolFailed):  # the spool has said why; what comes tells the zones again
            await asyncio.gather(*(source.recall_zones() for source in self.sources))
        idle = asyncio.Event()
        await run_together([idle.wait(), *(source.run() for source in self.sources)])

    async def mark(self) -> None:
        """Cuts a batch of watermarks for every partition that the gateway serves.

        The first is cut even if no source knows a zone yet, in partition 0: the core hears which sources there are.
        """
        now = self._clock()
        self._note_connections(now)
        if learned := [source for source in self.sources if source.has_new_zones]:
            await asyncio.gather(*(source.save_zones() for source in learned))
        marks = [mark for source in self.sources if (mark := source.watermark(now)) is not None]
        partitions = {partition_of(zone) for source in self.sources for zone in source.zones}
        await self._spool.watermarks(marks, partitions if partitions or self._marked else {0})
        self._marked = True

    def _note_connections(self, now: datetime) -> None:
        for source in self.sources:
            up = source.connected
            if self._connected.get(source.name) is not up:
                source.since = now
                self._connected[source.name] = up
                if up and source.trouble is not None:
                    log.warning("source %s is back", source.name)
            if up:
                source.trouble = None
