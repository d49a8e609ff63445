"""The partitions in a worker's hands, and their messages: pulled as there is room, taken for one transaction."""

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from core.ingest import leases
from core.ingest.stream import ConsumerRefused, Inbox, StreamUnavailable, ensure_consumer

log = logging.getLogger("lotwise.ingest")

MIN_FETCH = 4
RELEASE_TIMEOUT = 2.0
"""Seconds that a lane may take to give back what it has before its partition passes on all the same."""


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """Bounds and paces. A transaction takes what has come within `linger`, at most about `fold_bytes` (some 20 000
    readings); a partition has at most `lane_messages` in hand, all together `hand_bytes`.
    """

    linger: timedelta = timedelta(milliseconds=10)
    fold_bytes: int = 2_000_000
    lane_messages: int = 256
    hand_bytes: int = 24_000_000
    ack_wait: timedelta = timedelta(seconds=30)
    tick: timedelta = timedelta(seconds=1)
    lease: timedelta = leases.TTL
    backoff_first: timedelta = timedelta(seconds=1)
    backoff_most: timedelta = timedelta(minutes=1)
    pull_expires: timedelta = timedelta(seconds=5)


@dataclass(slots=True)
class Lane:
    """A partition in this worker's hands. `waiting` is by stream sequence: what comes again takes its own place."""

    partition: int
    waiting: dict[int, Msg] = field(default_factory=dict)
    failures: int = 0
    stopped_until: float = 0.0
    alarmed: bool = True  # there may be an alarm from an earlier life: the first success clears it
    refusal: ConsumerRefused | None = None
    reported: bool = False
    """Whether the refusal has been reported."""
    task: asyncio.Task[None] | None = None
    gone: bool = False

    def end(self) -> None:
        """Ends its task. Said twice: a cancellation that meets a request's end can be lost (bpo-37658)."""
        self.gone = True
        if self.task is not None:
            self.task.cancel()


class Lanes:
    """All partitions in hand. `arrived` is set when there may be something to take."""

    def __init__(self, options: IngestOptions) -> None:
        self.arrived = asyncio.Event()
        self._options = options
        self._lanes: dict[int, Lane] = {}
        self._room = asyncio.Event()
        self._hand_bytes = 0
        self._ended = False

    def __iter__(self) -> Iterator[int]:
        return iter(self._lanes)

    def get(self, partition: int) -> Lane | None:
        """The lane of a partition, if it is in hand."""
        return self._lanes.get(partition)

    def refused(self) -> list[Lane]:
        """Those that the stream does not let be read."""
        return [lane for lane in self._lanes.values() if lane.refusal is not None]

    def end(self) -> None:
        """Ends all, for good."""
        self._ended = True
        self.arrived.set()
        for lane in self._lanes.values():
            lane.end()

    def hold(self, client: Client, group: asyncio.TaskGroup, held: frozenset[int]) -> None:
        """Starts the lanes of these that are not in hand yet."""
        for partition in sorted(held - self._lanes.keys()):
            self._start(client, group, partition)

    async def drop(self, partitions: Iterable[int]) -> None:
        """Lets partitions go. What waited here is given back to the stream before this returns (if the stream answers
        within RELEASE_TIMEOUT), so that their next owner, who is told afterwards, has it at once and in order.
        """
        lanes = [self._lanes.pop(partition) for partition in partitions]
        for lane in lanes:
            lane.end()
        if tasks := [lane.task for lane in lanes if lane.task is not None]:
            await asyncio.wait(tasks, timeout=RELEASE_TIMEOUT)

    def _start(self, client: Client, group: asyncio.TaskGroup, partition: int) -> None:
        lane = self._lanes[partition] = Lane(partition, gone=self._ended)
        lane.task = group.create_task(self._work(client, lane))

    def restart(self, client: Client, group: asyncio.TaskGroup) -> None:
        """Begins every lane anew: the stream is another one. What was in hand comes again from the gateways."""
        for lane in list(self._lanes.values()):
            lane.end()
            self._start(client, group, lane.partition)

    def put(self, lane: Lane, messages: Sequence[Msg]) -> None:
        """Puts messages in hand."""
        for message in messages:
            sequence = message.metadata.sequence.stream
            before = lane.waiting.get(sequence)
            self._hand_bytes += len(message.data) - (len(before.data) if before is not None else 0)
            lane.waiting[sequence] = message

    async def _work(self, client: Client, lane: Lane) -> None:
        """Takes a partition's messages in hand for as long as it is ours, then gives back what waits."""
        try:
            await self._pull(client, lane)
        finally:
            waiting = [lane.waiting[sequence] for sequence in sorted(lane.waiting)]
            lane.waiting.clear()
            self._hand_bytes -= sum(len(message.data) for message in waiting)
            await hand_back(client, waiting)

    async def _pull(self, client: Client, lane: Lane) -> None:
        while not lane.gone:
            inbox = Inbox(client, lane.partition)
            try:
                await ensure_consumer(client, lane.partition, self._options.ack_wait, 4 * self._options.lane_messages)
                lane.refusal, lane.reported = None, False
                await inbox.open()
                await self._pull_from(inbox, lane)
            except ConsumerRefused as problem:
                lane.refusal = problem
                await asyncio.sleep(self._options.tick.total_seconds())
            except (StreamUnavailable, nats.errors.Error, OSError) as problem:
                log.debug("partition %d: %s", lane.partition, problem)
                await asyncio.sleep(0.25)
            finally:
                self.put(lane, await inbox.close())

    async def _pull_from(self, inbox: Inbox, lane: Lane) -> None:
        while not lane.gone:
            room = self._options.lane_messages - len(lane.waiting)
            if self._hand_bytes > self._options.hand_bytes:
                # a lane with nothing in hand may always have a little: what a stopped one holds must not stop the rest
                room = 0 if lane.waiting else min(room, MIN_FETCH)
            if room <= 0:
                self._room.clear()
                await self._room.wait()
                continue
            async for message in inbox.pull(room, self._options.pull_expires):
                self.put(lane, [message])
                self.arrived.set()

    def take(self) -> dict[int, list[Msg]]:
        """Messages for one transaction: from each lane that is not stopped, oldest first, up to the bound."""
        now = asyncio.get_running_loop().time()
        taken: dict[int, list[Msg]] = {}
        size = 0
        lanes = [lane for lane in self._lanes.values() if lane.waiting and lane.stopped_until <= now]
        # short lanes first: a long one must not starve the others
        for lane in sorted(lanes, key=lambda each: len(each.waiting)):
            some: list[Msg] = []
            for sequence in sorted(lane.waiting):
                if size >= self._options.fold_bytes:
                    break
                message = lane.waiting.pop(sequence)
                size += len(message.data)
                some.append(message)
            if some:
                taken[lane.partition] = some
        self._hand_bytes -= size
        return taken

    def put_back(self, partition: int, messages: Sequence[Msg]) -> bool:
        """Puts back what was taken. Says whether the partition is still in hand; if not, nothing is put anywhere."""
        lane = self._lanes.get(partition)
        if lane is None or lane.gone:
            return False
        self.put(lane, messages)
        return True

    def made_room(self) -> None:
        """Says that a transaction is done: lanes that were full may pull again."""
        self._room.set()


async def acknowledge(client: Client, message: Msg, word: bytes) -> None:
    """Acknowledges or gives back; if it is lost the message comes again, and is found confirmed."""
    with contextlib.suppress(nats.errors.Error, OSError):
        await client.publish(message.reply, word)


async def hand_back(client: Client, messages: Iterable[Msg]) -> None:
    """Tells the stream that they are for whoever asks next, now and not after `ack_wait`."""
    for message in messages:
        await acknowledge(client, message, b"-NAK")
