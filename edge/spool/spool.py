"""The spool as the gateway uses it: awaitable, safe from any number of tasks of one event loop."""

import asyncio
import fcntl
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Self, TypeVar

from core.telemetry.batch import Announced, ConfirmReply, Gap, Watermark
from core.telemetry.reading import Reading
from edge.spool import cursors, retention, sending
from edge.spool.cutting import partitions_of_gap, split_watermarks
from edge.spool.epochs import begin_epoch
from edge.spool.records import (
    Depth,
    Outstanding,
    SentMark,
    Settled,
    SpooledBatch,
    SpoolInUse,
    SpoolOptions,
)
from edge.spool.schema import open_spool
from edge.spool.store import Rows
from edge.spool.writer import KeepRequest, Task, When, Writer

T = TypeVar("T")

KINDS_OF_ASIDES = 100
"""Reasons told apart by the counter of payloads put aside; what a hostile device makes up beyond counts as other."""
_VARIES = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|\d+")
"""Parts of a reason that each payload has its own of: what it quotes, and numbers."""


def kind_of(reason: str) -> str:
    """A reason without what each payload has its own of, by which reasons are counted."""
    return _VARIES.sub("…", reason).split(":", 1)[0][:80]


def _now() -> datetime:
    return datetime.now(UTC)


class Spool:
    """Keeps readings on disk, cuts them into numbered batches and moves the batches' cursors.

    `clock` says when batches are cut, sent and confirmed; readings carry their own times.
    """

    def __init__(self, writer: Writer, lock: int, clock: Callable[[], datetime]) -> None:
        self._writer = writer
        self._clock = clock
        self._lock = lock
        self._loop = asyncio.get_running_loop()
        self._asides: Counter[str] = Counter()
        self.last_depth = Depth()
        self.cut = asyncio.Event()
        """Set whenever there may be batches to send."""
        self.cut.set()
        writer.on_cut = self.cut.set

    @classmethod
    async def open(
        cls,
        folder: Path,
        gateway: str,
        site: str,
        options: SpoolOptions | None = None,
        clock: Callable[[], datetime] = _now,
        announced: Announced | None = None,
    ) -> Self:
        """Opens the folder's spool and begins a new epoch, in which each partition's first batch says `announced`.

        Raises SpoolInUse, SpoolMismatch, or sqlite3.Error or OSError if the disk does not let it.
        """
        lock = await asyncio.to_thread(_lock, folder)
        try:
            rows = await asyncio.to_thread(_open, folder, (gateway, site, announced), options or SpoolOptions(), clock)
        except BaseException:
            os.close(lock)
            raise
        writer = Writer(rows, asyncio.get_running_loop(), clock)
        spool = cls(writer, lock, clock)
        writer.start()
        return spool

    async def close(self) -> None:
        """Writes what is queued, cuts everything kept, and closes the file."""
        self._writer.stop()
        await asyncio.to_thread(self._writer.join)
        os.close(self._lock)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.close()

    # -- what collectors use -----------------------------------------------------------------------------------

    async def keep(self, readings: Sequence[Reading]) -> None:
        """Returns when the readings are on disk. Raises SpoolFull when the byte bound or the disk refuses them."""
        if readings:
            await self._put(readings, ())

    async def gap(self, gap: Gap, zones: Iterable[str] = ()) -> None:
        """Records a gap; one of a whole source travels with each of its `zones`. Raises BadAddress, SpoolFailed."""
        await self._put((), [(partition, gap) for partition in sorted(partitions_of_gap(gap, zones))])

    async def aside(self, origin: str, payload: bytes, reason: str) -> None:
        """Counts a payload that could not be decoded and keeps it. Raises SpoolFailed."""
        kind = kind_of(reason)
        self._asides[kind if kind in self._asides or len(self._asides) < KINDS_OF_ASIDES else "other"] += 1
        now = self._clock()
        await self._do(lambda rows: rows.aside(origin, payload, reason, now))

    def last_kept(self) -> Mapping[str, datetime]:
        """The latest `at` kept of each point, this run or earlier ones: where a backfill begins."""
        return self._writer.rows.last_kept.copy()

    # -- what the gateway uses ---------------------------------------------------------------------------------

    async def watermarks(self, marks: Sequence[Watermark], partitions: Iterable[int] = ()) -> None:
        """Cuts what is kept and gives each partition concerned a batch with its watermarks, empty if need be.

        What was handed to `keep` before is in these batches or earlier ones. `partitions` get a batch even without a
        mark. A partition whose newest batch the stream has not even taken gets none: the next mark will say more.
        """
        now = self._clock()
        split: dict[int, list[Watermark]] = {partition: [] for partition in partitions}
        split.update(split_watermarks(marks))
        await self._do(lambda rows: rows.cut(rows.moved_watermarks(split), now))

    async def save_state(self, key: str, value: str) -> None:
        """Writes down a word of the gateway's own, for its next start. Raises SpoolFailed."""
        await self._do(lambda rows: rows.save_state(key, value))

    async def load_state(self, key: str) -> str | None:
        """What an earlier start, or this one, wrote down under the key. Raises SpoolFailed."""
        return await self._do(lambda rows: rows.load_state(key))

    async def flush(self) -> None:
        """Cuts everything kept now."""
        await self.watermarks(())

    # -- what the forwarder uses -------------------------------------------------------------------------------

    async def unsent(self, limit: int, except_ids: frozenset[int] = frozenset()) -> list[SpooledBatch]:
        """The oldest batches the stream has not taken, without the rows in `besides`."""
        now = self._clock()
        return await self._do(lambda rows: sending.unsent(rows, limit, except_ids, now), When.APART)

    async def mark_sent(self, marks: Sequence[SentMark]) -> None:
        """The stream has taken these."""
        now = self._clock()
        await self._do(lambda rows: sending.mark_sent(rows, marks, now), When.ALONG)

    async def outstanding(self) -> list[Outstanding]:
        """What to ask the core: (epoch, partition) with batches sent and not confirmed."""
        return await self._do(cursors.outstanding, When.APART)

    async def replayable(self) -> list[Outstanding]:
        """What to ask the core now and then: (epoch, partition) with confirmed payloads still here."""
        return await self._do(cursors.replayable, When.APART)

    async def settle(self, asked: Sequence[Outstanding], reply: ConfirmReply, floors: Mapping[int, int]) -> Settled:
        """Moves cursors by the core's answer; see `cursors.settle`."""
        now = self._clock()
        settled = await self._do(lambda rows: cursors.settle(rows, asked, reply, floors, now), When.ALONG)
        if settled.resend or settled.taken_back:
            self.cut.set()
        return settled

    async def lost_with_stream(self, incarnation: str, last_sequence: int, asked_at: datetime) -> int:
        """Sends again what the present stream cannot hold; see `cursors.lost_with_stream`."""
        lost = await self._do(lambda rows: cursors.lost_with_stream(rows, incarnation, last_sequence, asked_at))
        if lost:
            self.cut.set()
        return lost

    async def prune(self) -> None:
        """Forgets what is past its time; see `retention`."""
        now = self._clock()
        more = True
        while more:
            more = await self._do(lambda rows: retention.prune(rows, now))

    # -- figures -----------------------------------------------------------------------------------------------

    async def depth(self) -> Depth:
        """How much is not yet confirmed, and since when. Raises SpoolFailed; `last_depth` is the latest known."""
        self.last_depth = await self._do(lambda rows: rows.depth(), When.APART)
        return self.last_depth

    @property
    def epoch(self) -> str:
        """The epoch that this start began."""
        return self._writer.rows.epoch

    @property
    def error(self) -> str | None:
        """Why the disk refuses to be written, while it does."""
        return self._writer.error

    @property
    def asides(self) -> Mapping[str, int]:
        """How many payloads were put aside since start, by reason; what the disk gave back changed is among them."""
        return self._asides + self._writer.rows.damaged.copy()

    @property
    def dropped_readings(self) -> int:
        """Readings that the byte bound turned into tombstones since start."""
        return self._writer.dropped_readings

    @property
    def commits(self) -> int:
        """Transactions since start."""
        return self._writer.commits

    # ----------------------------------------------------------------------------------------------------------

    async def _put(self, readings: Sequence[Reading], gaps: Sequence[tuple[int, Gap]]) -> None:
        done: asyncio.Future[None] = self._loop.create_future()
        self._writer.submit(KeepRequest(readings, gaps, done))
        await done

    async def _do(self, run: Callable[[Rows], T], when: When = When.NOW) -> T:
        done: asyncio.Future[T] = self._loop.create_future()
        self._writer.submit(Task(run, done, when))
        return await done


def _open(
    folder: Path, whose: tuple[str, str, Announced | None], options: SpoolOptions, clock: Callable[[], datetime]
) -> Rows:
    now = clock()
    gateway, site, announced = whose
    connection = open_spool(folder, now)
    rows = Rows(connection, gateway, site, options)
    try:
        connection.execute("BEGIN IMMEDIATE")
        begin_epoch(rows, now, announced)
        connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    return rows


def _lock(folder: Path) -> int:
    """An exclusive lock that ends with the process, however it ends."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise SpoolInUse(f"{folder} is in use by another gateway process") from error
    return handle
