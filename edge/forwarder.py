"""Sends batches through the stream and learns from the core which of them are done.

The stream's acknowledgement only says *sent*. Sent again is what the core has passed over: because the stream is
another one than the batch went to, or because its consumer stands beyond the batch. Never because the core is slow.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence

from core.telemetry.batch import BadBatch, ConfirmReply, ConfirmRequest, decode, encode, pack
from core.telemetry.stream import confirm_subject
from edge.carrier import Carrier, CarrierDown, CoreSilent, StreamFacts, StreamGone
from edge.spool import SentMark, Spool, SpooledBatch, SpoolFailed
from edge.spool.records import Outstanding
from edge.tasks import end, run_together

log = logging.getLogger("lotwise.edge.forwarder")

STREAM_EVERY = 5.0
"""Seconds between looks at the stream itself."""
REPLAYABLE_EVERY = 60.0
"""Seconds between asking for what was long confirmed: a restored core answers less than it once did."""
ASK_AT_ONCE = 128
"""(epoch, partition) pairs a request asks for."""
BACKOFF_MAX = 15.0
RESEND_AFTER = 30.0
"""Seconds after the start in which a stream or core that is not there yet is no warning."""


class Forwarder:
    """Runs until cancelled. One for each gateway."""

    def __init__(
        self,
        spool: Spool,
        carrier: Carrier,
        gateway: str,
        *,
        window: int = 256,
        confirm_every: float = 1.0,
    ) -> None:
        self._spool = spool
        self._carrier = carrier
        self._gateway = gateway
        self._window = window
        self._confirm_every = confirm_every
        self._in_flight: set[int] = set()
        self._marks: list[SentMark] = []
        self._marked = asyncio.Event()
        self._freed = asyncio.Event()
        self._ready = asyncio.Event()
        self._publishes: set[asyncio.Task[None]] = set()
        self._floors: tuple[str, dict[int, int]] = ("", {})
        self._trouble: dict[str, str] = {}
        self._waited_for = {"stream", "core"}
        self._patient_until = time.monotonic() + RESEND_AFTER
        self.facts: StreamFacts | None = None
        self.core_answers = False
        self.sent = 0
        self.resent = 0
        self.confirmed = 0
        self.taken_back = 0
        self.beyond_replay = 0
        self.closed_epochs: frozenset[str] = frozenset()

    async def run(self) -> None:
        """Forwards until cancelled."""
        try:
            await run_together(
                self._keep_running(part) for part in (self._watch, self._send, self._record_sent, self._confirm)
            )
        finally:
            await end(self._publishes)
            if self._marks:
                with contextlib.suppress(SpoolFailed):  # then they are sent once more, under the same message id
                    await self._spool.mark_sent(self._marks)

    async def _keep_running(self, part: Callable[[], Awaitable[None]]) -> None:
        """Starts a part again while the disk refuses the spool; the spool has said why."""
        while True:
            try:
                await part()
            except SpoolFailed:
                await asyncio.sleep(1.0)

    # -- the stream --------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Knows which incarnation of the stream is there, and sends again what it cannot hold."""
        while True:
            self._carrier.changed.clear()
            try:
                facts = await self._carrier.stream()
            except CarrierDown as error:
                self._log_change("stream", str(error))
                self._ready.clear()
                await _first(self._carrier.changed, 1.0)
                continue
            self._log_change("stream", None)
            lost = await self._spool.lost_with_stream(facts.incarnation, facts.last_sequence, facts.asked_at)
            if lost:
                self.resent += lost
                log.warning("%d batches were in a stream that is no more: sent again", lost)
            self.facts = facts
            self._ready.set()
            await _first(self._carrier.changed, STREAM_EVERY)

    async def drained(self) -> None:
        """Returns once the stream has taken everything that is cut now."""
        while self._in_flight or await self._spool.unsent(1):
            self._freed.clear()
            await _first(self._freed, 0.1)

    # -- sending -----------------------------------------------------------------------------------------------

    async def _send(self) -> None:
        while True:
            await self._ready.wait()
            free = self._window - len(self._in_flight)
            if free <= 0:
                self._freed.clear()
                await self._freed.wait()
                continue
            self._spool.cut.clear()
            batches = await self._spool.unsent(free, frozenset(self._in_flight))
            if not batches:
                await _first(self._spool.cut, 1.0)
                continue
            facts = self.facts
            assert facts is not None
            for batch in batches:
                self._in_flight.add(batch.row)
                task = asyncio.create_task(self._publish(batch, facts.incarnation))
                self._publishes.add(task)
                task.add_done_callback(self._publishes.discard)

    async def _publish(self, batch: SpooledBatch, incarnation: str) -> None:
        header = batch.header
        try:
            sequence = await self._carrier.publish(
                header.subject, f"{header.id}:{batch.attempt}", pack(header, batch.body)
            )
        except CarrierDown as error:
            self._log_change("publish", str(error))
            if isinstance(error, StreamGone):
                self._ready.clear()
                self._carrier.changed.set()
            # in flight until the pause is over, so that it is not tried again at once
            await asyncio.sleep(random.uniform(0.2, 0.6))  # noqa: S311 - jitter
            self._in_flight.discard(batch.row)
            self._freed.set()
            self._spool.cut.set()
            return
        self._log_change("publish", None)
        self.sent += 1
        self._marks.append(SentMark(batch.row, batch.attempt, sequence, incarnation))
        self._marked.set()

    async def _record_sent(self) -> None:
        """Moves the sent cursors, many at a time; until then a batch counts as in flight."""
        while True:
            await self._marked.wait()
            self._marked.clear()
            marks, self._marks = self._marks, []
            try:
                await self._spool.mark_sent(marks)
            except SpoolFailed:
                self._marks = marks + self._marks
                self._marked.set()
                raise
            self._in_flight.difference_update(mark.row for mark in marks)
            self._freed.set()

    # -- confirmation ------------------------------------------------------------------------------------------

    async def _confirm(self) -> None:
        pause = self._confirm_every
        everything_at = 0.0
        while True:
            await asyncio.sleep(pause * random.uniform(0.9, 1.1))  # noqa: S311 - jitter
            asks = await self._spool.outstanding()
            everything = time.monotonic() >= everything_at
            if everything:
                asks = _widest(asks, await self._spool.replayable())
            if not asks:
                continue
            try:
                await self._ask_all(asks, everything=everything)
            except CoreSilent as error:
                self.core_answers = False
                self._log_change("core", str(error))
                pause = min(pause * 2, BACKOFF_MAX)
                everything_at = 0.0
                continue
            self.core_answers = True
            self._log_change("core", None)
            pause = self._confirm_every
            if everything:
                everything_at = time.monotonic() + REPLAYABLE_EVERY

    async def _ask_all(self, asks: list[Outstanding], *, everything: bool) -> None:
        stream, floors = self._floors
        beyond_replay = 0
        for i in range(0, len(asks), ASK_AT_ONCE):
            some = asks[i : i + ASK_AT_ONCE]
            data = await self._carrier.ask(confirm_subject(self._gateway), encode(question(self._gateway, some)))
            try:
                reply = decode(ConfirmReply, data)
            except BadBatch as error:
                raise CoreSilent(f"its answer is not one: {error}") from error
            # a floor counts from the reply after the one that told it: the confirmations beside it may be older
            settled = await self._spool.settle(some, reply, floors if stream == reply.stream else {})
            self.confirmed += settled.confirmed
            self.resent += settled.resend
            beyond_replay += settled.beyond_replay
            self._note(settled.taken_back, settled.resend)
            self._note_closed(frozenset(reply.closed_epochs) & {a.epoch for a in some})
            self._floors = (reply.stream, dict(reply.floors))
            if self.facts is not None and reply.stream != self.facts.incarnation:
                self._carrier.changed.set()
        if everything or beyond_replay > self.beyond_replay:
            self._note_beyond(beyond_replay)

    def _note(self, taken_back: int, resend: int) -> None:
        if taken_back:
            self.taken_back += taken_back
            log.warning("the core no longer has %d batches that it had confirmed: sent again", taken_back)
        if resend:
            log.warning("the core passed over %d batches: sent again", resend)

    def _note_beyond(self, count: int) -> None:
        if count > self.beyond_replay:
            log.error("the core misses up to %d batches whose payloads are past their replay window", count)
        self.beyond_replay = count

    def _note_closed(self, closed: frozenset[str]) -> None:
        for epoch in closed - self.closed_epochs:
            log.warning("the core has closed epoch %s, of which this spool still has unconfirmed batches", epoch)
        self.closed_epochs |= closed

    def _log_change(self, what: str, trouble: str | None) -> None:
        """Logs changes, not conditions. What is not there yet when we start is waited for before it is a warning."""
        before = self._trouble.get(what)
        if trouble is None:
            self._waited_for.discard(what)
            if before is not None:
                del self._trouble[what]
                log.info("%s: all right", what)
        elif what in self._waited_for and time.monotonic() < self._patient_until:
            if before is None:
                self._trouble[what] = trouble
                log.info("waiting for the %s: %s", what, trouble)
        elif before is None or what in self._waited_for:
            self._waited_for.discard(what)
            self._trouble[what] = trouble
            log.warning("%s: %s", what, trouble)

    @property
    def trouble(self) -> dict[str, str]:
        """What does not work now, by part: stream, publish, core."""
        return dict(self._trouble)


def question(gateway: str, asks: Sequence[Outstanding]) -> ConfirmRequest:
    """What the core is asked: how far it has confirmed these, and told beside it how far it once had."""
    return ConfirmRequest(
        gateway,
        tuple((ask.epoch, ask.partition, ask.upto) for ask in asks),
        since=tuple(ask.since for ask in asks),
        confirmed=tuple(ask.confirmed for ask in asks),
    )


def _widest(some: list[Outstanding], others: list[Outstanding]) -> list[Outstanding]:
    """Each (epoch, partition) once. The open ones bound their own answer, so theirs stand."""
    known = {(ask.epoch, ask.partition) for ask in some}
    return some + [ask for ask in others if (ask.epoch, ask.partition) not in known]


async def _first(event: asyncio.Event, seconds: float) -> None:
    """Waits for the event, at most so long."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
