"""The MQTT collector: a persistent session whose messages are acknowledged only once their readings are on disk.

It does not reconnect by itself: it raises SourceLost once and the supervisor starts it again. What it has received and
not yet kept, and what it has kept and perhaps not acknowledged, is remembered beside its configuration.

What is old is never taken as new:
- A retained message with a device stamp is kept under that stamp; without one it goes aside.
- What the broker had queued while we were away is judged by its device stamp, however old; without one it is kept as
  uncertain (`queued_by_broker`), since its receipt says nothing of when it was so. The queue counts as delivered when
  nothing has come for `quiet`, when a stamp is fresh, or after `catch_up_limit`; until then there is no watermark.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta

from core.telemetry.batch import Gap
from core.telemetry.reading import Reading
from edge.collectors.mqtt_config import MqttSource, PointRule, Subscription, Tls
from edge.collectors.mqtt_frames import Message
from edge.collectors.mqtt_link import BrokerLink
from edge.collectors.mqtt_state import BEGINNING, MqttState
from edge.collectors.port import Keeper, SpoolFull

__all__ = ["MqttCollector", "MqttSource", "PointRule", "Subscription", "Tls"]

log = logging.getLogger(__name__)

CHUNK = 1000
MAX_PENDING_BYTES = 32 * 1024 * 1024
ASIDE_BYTES = 65_536
FIRST_WAIT, LONGEST_WAIT = 0.1, 5.0
INSTANT = timedelta(microseconds=1)
IDENTITIES = "identities"
NTP_STEP = timedelta(seconds=1)
SESSION_LOST = "session_lost"
NOT_QUEUED = "not_queued_while_disconnected"
TAKEN_OVER = "session_taken_over"
"""Another client had our session, and with it whatever the broker delivered meanwhile."""


def _now() -> datetime:
    return datetime.now(UTC)


async def _put_aside(keeper: Keeper, asides: list[tuple[str, bytes, str]]) -> None:
    """Puts all aside at once, so that they share a commit, and removes from the list what is. Raises SpoolFull."""
    results = await asyncio.gather(*(keeper.aside(*one) for one in asides), return_exceptions=True)
    asides[:] = [one for one, result in zip(asides, results, strict=True) if result is not None]
    for result in results:
        if result is not None:
            raise result


class MqttCollector:
    """One broker session. `counts` tells what came and what became of it, for the gateway's metrics.

    `last_kept` gives, per point, the time of its last kept reading.
    """

    def __init__(
        self,
        config: MqttSource,
        clock: Callable[[], datetime] = _now,
        last_kept: Mapping[str, datetime] | None = None,
    ) -> None:
        self.name = config.name
        self._config = config
        self._clock = clock
        self._state = MqttState.of(config)
        self._reader = self._state.reader
        self._reader.begin_after(last_kept or {})
        self._redeliveries = self._state.redeliveries
        self._pending = self._state.pending
        self._pending_bytes = sum(len(message.payload) for message in self._pending)
        self._working: list[Message] = []
        self._link: BrokerLink | None = None
        self._wake = asyncio.Event()
        self._catching_up = False
        self._catch_up_until = BEGINNING

    @property
    def counts(self) -> Counter[str]:
        """Messages received, repeated, kept, put aside; readings; fields without a point; and so on."""
        return self._reader.counts

    @property
    def zones(self) -> frozenset[str]:
        """Zones of the fixed points, and of those that templates have made so far."""
        return self._reader.zones

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted us and the connection stands."""
        return self._link is not None and self._link.lost is None

    @property
    def behind(self) -> timedelta:
        """The tolerance, where a device's clock judges."""
        return self._config.clock_allowance + INSTANT

    def live_upto(self, now: datetime) -> datetime | None:
        """Behind the oldest message not yet kept and, where a device's clock judges, behind by its tolerance.

        None while disconnected and while the broker still delivers what it queued.
        """
        if not self.connected or self._catching_up:
            return None
        oldest = self._working[0] if self._working else self._pending[0] if self._pending else None
        upto = now if oldest is None or oldest.received_at is None else min(now, oldest.received_at)
        return upto - self.behind

    async def run(self, keeper: Keeper) -> None:
        """Connects and keeps what comes until cancelled. Raises SourceLost, SourceMisconfigured."""
        self._wake = asyncio.Event()
        self._state.connections += 1
        link = BrokerLink(self._config, self._arrived, self._wake.set)
        try:
            await self._load_state(keeper)
            await link.open(self._resumed)
            await self._begin(link, keeper)
            await self._work(link, keeper)
        finally:
            if self._link is not None:
                self._link = None
                self._state.alive_at = self._clock() - timedelta(seconds=link.silent_for)
            self._state.taken_over |= link.taken_over
            link.close()

    async def _load_state(self, keeper: Keeper) -> None:
        """Takes up, once a process, which sensors stood where."""
        if not self._state.recalled:

            async def recall() -> None:
                self._reader.identities.load(await keeper.load_state(IDENTITIES) or "{}")

            await self._until_kept(recall)
            self._state.recalled = True

    def _resumed(self, session_present: bool) -> None:
        """Called at the broker's word that it accepts us, before anything it queued is read."""
        self._catching_up = session_present
        self._reader.saw_fresh = False
        self._catch_up_until = self._clock() + self._config.catch_up_limit
        if not session_present:
            self._redeliveries.new_session()

    async def _begin(self, link: BrokerLink, keeper: Keeper) -> None:
        now = self._clock()
        self._link = link
        log.info("%s: connected, session %s", self.name, "resumed" if link.session_present else "new")
        self._note_expiry(link.session_expiry)
        known = self._state
        kept = TAKEN_OVER if known.taken_over else NOT_QUEUED if known.saw_unqueued else ""
        gap = kept if link.session_present else SESSION_LOST
        if gap and self._state.alive_at is not None and self._state.alive_at < now:
            record = Gap(f"source:{self.name}", self._state.alive_at, now, gap)
            await self._until_kept(lambda: keeper.gap(record))
        known.taken_over = False

    def _note_expiry(self, seconds: int | None) -> None:
        """Says once that the broker will forget what it queued for us sooner than asked."""
        if seconds is not None and seconds != self._state.session_expiry:
            if timedelta(seconds=seconds) < self._config.session_expiry:
                log.warning("%s: while we are away the broker keeps messages for %d s only", self.name, seconds)
            self._state.session_expiry = seconds

    def _arrived(self, message: Message) -> None:
        counts = self._reader.counts
        counts["received"] += 1
        message.session = self._state.connections
        # what comes again waited at the broker as well: its old stamp is the truth, its receipt is not
        message.queued = message.qos > 0 and (self._catching_up or message.dup)
        if message.qos:
            if self._redeliveries.kept(message):
                counts["repeated"] += 1
                message.payload = b""  # goes through the queue for its acknowledgement only, in order
                message.topic = ""
            elif (same := self._redeliveries.waiting(message)) is not None:
                counts["repeated"] += 1
                same.session = self._state.connections
                return
            else:
                self._redeliveries.expect(message)
        elif not message.retained:
            self._state.saw_unqueued = True
        message.received_at = self._stamp()
        self._pending.append(message)
        self._pending_bytes += len(message.payload)
        self._wake.set()
        if self._link is not None and self._is_backlogged():
            self._link.pause()

    def _stamp(self) -> datetime:
        """Receipt times that never repeat, so that two values never share one; a clock that steps is followed."""
        now = self._clock()
        if now <= self._state.last_receipt < now + NTP_STEP:
            now = self._state.last_receipt + INSTANT
        self._state.last_receipt = now
        return now

    def _is_backlogged(self) -> bool:
        return len(self._pending) > 2 * self._config.receive_maximum or self._pending_bytes > MAX_PENDING_BYTES

    async def _work(self, link: BrokerLink, keeper: Keeper) -> None:
        while True:
            if self._pending:
                await self._chunk(link, keeper)
                if not self._is_backlogged():
                    link.resume()
                continue
            if link.lost is not None:
                raise link.lost
            await self._wait()

    async def _wait(self) -> None:
        """Until something has come, or, while catching up, nothing has for `quiet`."""
        self._wake.clear()
        if not self._catching_up:
            await self._wake.wait()
            return
        try:
            await asyncio.wait_for(self._wake.wait(), self._config.quiet.total_seconds())
        except TimeoutError:
            self._caught_up("quiet")

    def _caught_up(self, why: str) -> None:
        if self._catching_up:
            self._catching_up = False
            log.info("%s: caught up (%s)", self.name, why)

    async def _chunk(self, link: BrokerLink, keeper: Keeper) -> None:
        chunk = [self._pending.popleft() for _ in range(min(CHUNK, len(self._pending)))]
        self._pending_bytes -= sum(len(message.payload) for message in chunk)
        self._working = chunk
        try:
            readings, asides = self._read(chunk)
            if self._reader.identities.changed:
                met = self._reader.identities.dump()
                await self._until_kept(lambda: keeper.save_state(IDENTITIES, met))
            if readings:
                await self._until_kept(lambda: keeper.keep(readings))
            if asides:
                self._reader.counts["aside"] += len(asides)
                await self._until_kept(lambda: _put_aside(keeper, asides))
        except BaseException:
            # cancelled, or the keeper failed: nothing of this chunk is acknowledged, all of it is read again
            self._pending.extendleft(reversed(chunk))
            self._pending_bytes += sum(len(message.payload) for message in chunk)
            self._reader.forget()
            raise
        finally:
            self._working = []
        self._done(chunk, link, len(readings))

    def _read(self, chunk: list[Message]) -> tuple[list[Reading], list[tuple[str, bytes, str]]]:
        readings: list[Reading] = []
        asides: list[tuple[str, bytes, str]] = []
        for message in chunk:
            if not message.topic:
                continue  # kept before
            assert message.received_at is not None
            read = self._reader.read(
                message.topic,
                message.payload,
                message.received_at,
                retained=message.retained,
                queued=message.queued,
            )
            readings.extend(read.readings)
            if read.problems:
                asides.append((message.topic, message.payload[:ASIDE_BYTES], "; ".join(read.problems)[:1000]))
        return readings, asides

    async def _until_kept(self, call: Callable[[], Awaitable[None]]) -> None:
        """Repeats the call while the spool is full. Nothing is acknowledged meanwhile, so the broker keeps the rest."""
        wait = FIRST_WAIT
        full = False
        while True:
            try:
                await call()
            except SpoolFull as error:
                if not full:
                    log.warning("%s: %s; waiting, nothing is acknowledged", self.name, error)
                full = True
                self._reader.counts["spool_full"] += 1
                await asyncio.sleep(wait)
                wait = min(2 * wait, LONGEST_WAIT)
                self._catch_up_until = self._clock() + self._config.catch_up_limit
            else:
                if full:
                    log.warning("%s: the spool takes readings again", self.name)
                return

    def _done(self, chunk: list[Message], link: BrokerLink, readings: int) -> None:
        counts = self._reader.counts
        counts["kept"] += len(chunk)
        counts["readings"] += readings
        for message in chunk:
            if message.qos and message.topic:
                self._redeliveries.keep(message)
        link.ack([message for message in chunk if message.qos and message.session == self._state.connections])
        for topic, payload in self._reader.take_requests():
            counts["requests"] += 1
            link.publish(topic, payload)
        if self._catching_up:
            if self._reader.saw_fresh:
                self._caught_up("fresh")
            elif self._clock() >= self._catch_up_until:
                self._caught_up("limit")
