"""The ingest worker: pulls its partitions, folds many batches in one transaction, acknowledges after the commit.

What fails stops its partition and nothing else: never confirmed, never skipped, tried again with back-off.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from core.erp.kernel.events import Events
from core.erp.kernel.gc_pause import gc_paused
from core.erp.kernel.unit import Unit, system, transact
from core.erp.kernel.words import Message
from core.ingest import leases, metrics
from core.ingest.alarms import clear_stopped, raise_stopped
from core.ingest.confirmation import ConsumerState, answer
from core.ingest.lanes import IngestOptions, Lane, Lanes, acknowledge, hand_back
from core.ingest.stream import (
    NatsSettings,
    StreamUnavailable,
    connect,
    ensure_stream,
    floors,
)
from core.ingest.transaction import IngestCounts, IngestTransaction, JudgePort, LeaseLost, StreamMessage
from core.telemetry.batch import BadBatch, ConfirmRequest, decode, encode
from core.telemetry.connection import disconnect_within, without_credentials
from core.telemetry.stream import CONFIRM_WILDCARD

log = logging.getLogger("lotwise.ingest")

ACTOR = system("ingest")


@dataclass(slots=True)
class Totals:
    """What the worker has done since it started, and how often a transaction failed."""

    transactions: int = 0
    failures: int = 0
    folded: IngestCounts = field(default_factory=IngestCounts)

    def add(self, done: IngestCounts) -> None:
        """Adds one transaction."""
        self.transactions += 1
        for name in IngestCounts.__slots__:
            setattr(self.folded, name, getattr(self.folded, name) + getattr(done, name))


class IngestWorker:
    """One worker. Several share the partitions and take over from each other while they run."""

    def __init__(
        self,
        engine: Engine,
        stream: NatsSettings,
        judge: JudgePort,
        name: str,
        *,
        events: Events | None = None,
        live: bool = False,
        options: IngestOptions | None = None,
    ) -> None:
        self.name = name
        self.totals = Totals()
        self._engine = engine
        self._stream = stream
        self._events = events or Events()
        self._options = options or IngestOptions()
        self._transaction = IngestTransaction(judge=judge, live=live, worker=name)
        self._lanes = Lanes(self._options)
        self._consumers = ConsumerState()
        self._was_well = True
        self._stopping = False
        self._folding: asyncio.Task[None] | None = None

    @property
    def partitions(self) -> frozenset[int]:
        """The partitions in hand."""
        return frozenset(self._lanes)

    async def run(self, stop: asyncio.Event) -> None:
        """Works until `stop` is set; then finishes the transaction in hand and gives its partitions back.

        Raises StreamUnavailable if the stream's server cannot be reached at the start; later it waits for it.
        """
        client = await connect(self._stream, self.name)
        try:
            await client.subscribe(CONFIRM_WILDCARD, queue="confirm", cb=self._confirm)
            log.info(
                "worker %s waits for readings on the stream at %s", self.name, without_credentials(self._stream.urls)
            )
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._supervise(client, group)), group.create_task(self._fold_all(client))]
                await stop.wait()
                self._stopping = True
                for task in tasks:
                    task.cancel()
                self._lanes.end()
        finally:
            if self._folding is not None:
                await asyncio.wait([self._folding])
            await disconnect_within(client)
            with contextlib.suppress(OperationalError):
                await asyncio.to_thread(leases.release_all, self._engine, self.name)

    # -- partitions and stream -----------------------------------------------------------------------------------

    async def _supervise(self, client: Client, group: asyncio.TaskGroup) -> None:
        """Keeps leases, the stream and the knowledge of its floors; starts and ends lanes."""
        while not self._stopping:
            try:
                state = await ensure_stream(client, self._stream.stream)
                if state.incarnation != self._consumers.stream and (trouble := state.too_few(self._stream.stream)):
                    log.warning("%s", trouble)
                await self._renew(client, group)
                if state.incarnation != self._consumers.stream and self._consumers.stream:
                    log.warning("stream is another one now, created %s", state.incarnation)
                    self._lanes.restart(client, group)
                self._consumers = ConsumerState(state.incarnation, await floors(client))
                refused = self._lanes.refused()
                self._well(refused[0].refusal if refused else None)
                await self._raise_refused(refused)
            except (StreamUnavailable, OperationalError) as problem:
                self._well(problem)
            await asyncio.sleep(self._options.tick.total_seconds())

    async def _renew(self, client: Client, group: asyncio.TaskGroup) -> None:
        """Holds its share of the partitions. What passes on is put down first, so that the next owner finds it there;
        a transaction in hand is not waited for: it commits before its partitions' next, or finds that they are lost.
        """
        leased = await asyncio.to_thread(leases.renew, self._engine, self.name, self._options.lease)
        await self._lanes.drop(self.partitions - leased.share)
        if leased.surplus:
            await asyncio.to_thread(leases.release, self._engine, self.name, leased.surplus)
        self._lanes.hold(client, group, leased.share)

    def _well(self, problem: Exception | None) -> None:
        if problem is not None and self._was_well:
            log.warning("ingest %s cannot work: %s", self.name, problem)
        elif problem is None and not self._was_well:
            log.warning("ingest %s works again", self.name)
        self._was_well = problem is None

    async def _raise_refused(self, lanes: Sequence[Lane]) -> None:
        """Alarms that partitions cannot be read; the first transaction of each clears it."""
        for lane in lanes:
            if lane.refusal is not None and not lane.reported:
                lane.reported = lane.alarmed = await asyncio.to_thread(
                    self._raise_stopped, lane.partition, lane.refusal
                )

    # -- folding -------------------------------------------------------------------------------------------------

    async def _fold_all(self, client: Client) -> None:
        while not self._stopping:
            await self._lanes.arrived.wait()
            await asyncio.sleep(self._options.linger.total_seconds())
            self._lanes.arrived.clear()
            while taken := self._lanes.take():
                self._folding = asyncio.create_task(self._fold(client, taken))
                await asyncio.shield(self._folding)
                self._lanes.made_room()

    async def _fold(self, client: Client, taken: dict[int, list[Msg]]) -> None:
        """One transaction for all; if it fails, one for each partition; where that fails, one for each batch."""
        problem = await self._attempt(client, taken)
        if isinstance(problem, LeaseLost):
            for partition in problem.partitions:
                await self._lost(client, partition, taken.pop(partition))
            problem = await self._attempt(client, taken) if taken else None
        if problem is not None and not _database_away(problem):
            problem = await self._fold_apart(client, taken)
        if problem is not None:
            self._well(problem)
            for partition, messages in taken.items():
                if not self._lanes.put_back(partition, messages):
                    await hand_back(client, messages)
            await asyncio.sleep(self._options.tick.total_seconds())
            self._lanes.arrived.set()

    async def _fold_apart(self, client: Client, taken: dict[int, list[Msg]]) -> Exception | None:
        """Folds by partition and by batch, and stops what fails; takes from `taken` what has been dealt with. Gives the
        problem where the database is away: what is left is no partition's fault.
        """
        many = len(taken) > 1
        for partition in sorted(taken):
            messages = taken[partition]
            problem = await self._attempt(client, {partition: messages}) if many else None
            if problem is not None and _database_away(problem):
                return problem
            singly = problem is not None or not many
            while messages and singly:
                problem = await self._attempt(client, {partition: messages[:1]})
                if problem is None:
                    del messages[0]
                    continue
                if _database_away(problem):
                    return problem
                await self._stop(client, partition, messages, problem)
                break
            del taken[partition]
        return None

    async def _attempt(self, client: Client, taken: dict[int, list[Msg]]) -> Exception | None:
        carried = [StreamMessage(partition, message.data) for partition, some in taken.items() for message in some]
        try:
            began = time.perf_counter()
            done = await asyncio.to_thread(self._transact, carried, self._alarmed(taken))
        except Exception as problem:  # noqa: BLE001 - whatever it is, it stops its partition and is told in an alarm
            self.totals.failures += 1
            metrics.FAILURES.inc()
            return problem
        self.totals.add(done)
        metrics.count(done, time.perf_counter() - began)
        for partition, messages in taken.items():
            lane = self._lanes.get(partition)
            if lane is not None:
                lane.failures, lane.alarmed = 0, False
            for message in messages:
                await acknowledge(client, message, b"+ACK")
        return None

    def _alarmed(self, taken: dict[int, list[Msg]]) -> list[int]:
        return [partition for partition in taken if (lane := self._lanes.get(partition)) and lane.alarmed]

    def _transact(self, carried: Sequence[StreamMessage], alarmed: Sequence[int]) -> IngestCounts:
        def work(u: Unit) -> IngestCounts:
            done = self._transaction.run(u, carried)
            for partition in alarmed:
                clear_stopped(u, partition)
            return done

        with gc_paused():
            return transact(self._engine, ACTOR, self._events, work)

    async def _stop(self, client: Client, partition: int, messages: Sequence[Msg], problem: Exception) -> None:
        """Stops a partition at the batch that fails, for its back-off, and alarms. What follows waits behind it."""
        lane = self._lanes.get(partition)
        if lane is None or isinstance(problem, LeaseLost):
            await self._lost(client, partition, messages)
            return
        self._lanes.put(lane, messages)
        first, most = self._options.backoff_first.total_seconds(), self._options.backoff_most.total_seconds()
        wait = min(first * 2.0 ** min(lane.failures, 16), most)
        loop = asyncio.get_running_loop()
        lane.stopped_until = loop.time() + wait
        loop.call_later(wait, self._lanes.arrived.set)
        if not lane.failures:
            log.error("partition %d stopped", partition, exc_info=problem)
        lane.failures += 1
        for message in lane.waiting.values():
            await acknowledge(client, message, b"+WPI")
        if lane.failures == 1 or not lane.alarmed:
            lane.alarmed = await asyncio.to_thread(self._raise_stopped, partition, problem)

    async def _lost(self, client: Client, partition: int, messages: Sequence[Msg]) -> None:
        log.info("partition %d is another worker's now", partition)
        await hand_back(client, messages)

    def _raise_stopped(self, partition: int, problem: Exception) -> bool:
        detail = Message("ingest.partition_stopped", error=type(problem).__name__, why=str(problem))
        try:
            transact(self._engine, ACTOR, self._events, lambda u: raise_stopped(u, partition, detail))
        except OperationalError as away:
            log.warning("alarm of partition %d not recorded yet: %s", partition, away)
            return False
        return True

    # -- confirmations -------------------------------------------------------------------------------------------

    async def _confirm(self, message: Msg) -> None:
        standing = self._consumers
        try:
            ask = decode(ConfirmRequest, message.data)
            reply = await asyncio.to_thread(answer, self._engine, ask, standing)
        except BadBatch as problem:
            log.warning("a question on %s is none: %s", message.subject, problem)
            return
        except OperationalError as problem:
            log.debug("cannot answer %s: %s", message.subject, problem)  # the gateway asks again
            return
        with contextlib.suppress(nats.errors.Error, OSError):
            await message.respond(encode(reply))


def _database_away(problem: Exception) -> bool:
    """Whether the database itself is gone: no partition's fault, nothing to stop one for."""
    if not isinstance(problem, OperationalError):
        return False
    state = getattr(problem.orig, "sqlstate", None)
    return problem.connection_invalidated or state is None or state[:2] in {"08", "57"}


async def run_ingest(
    engine: Engine,
    stream: NatsSettings,
    judge: JudgePort,
    stop: asyncio.Event,
    name: str,
    *,
    events: Events | None = None,
    live: bool = False,
    options: IngestOptions | None = None,
) -> None:
    """Runs one worker until `stop`. See IngestWorker.run."""
    await IngestWorker(engine, stream, judge, name, events=events, live=live, options=options).run(stop)
