"""The spool's one writer: a thread that gathers what is asked of it into few transactions.

Waiting a moment for company makes a commit carry many readings, and a commit's fsync is what costs. A source that
keeps only a few messages in flight falls silent while it waits for us; so the wait ends as soon as nothing new has
come for a millisecond.
"""

import logging
import sqlite3
import threading
import time
from asyncio import AbstractEventLoop, Future
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from core.telemetry.batch import Gap
from core.telemetry.reading import BadReading, Reading
from edge.spool.cursors import drop_oldest, forget_confirmed
from edge.spool.records import DropPolicy, RawRow, SpoolFailed, SpoolFull
from edge.spool.store import Rows

log = logging.getLogger("lotwise.edge.spool")

_encode = msgspec.msgpack.Encoder().encode
_QUIET = 0.001

Clock = Callable[[], datetime]


class Keep(msgspec.Struct):
    """Readings and gaps to be kept; the future ends once they are on disk."""

    readings: Sequence[Reading]
    gaps: Sequence[tuple[int, Gap]]
    done: "Future[None]"


class Task(msgspec.Struct):
    """Something to do to the rows inside a transaction; the future carries its result once that is committed."""

    run: Callable[[Rows], Any]
    done: "Future[Any]"


class Writer(threading.Thread):
    """Owns the connection from start to stop. `submit` from the event loop; futures end on that loop."""

    def __init__(self, rows: Rows, loop: AbstractEventLoop, clock: Clock) -> None:
        super().__init__(name="spool-writer", daemon=True)
        self.rows = rows
        self.error: str | None = None
        self.dropped_readings = 0
        self.forgotten_bytes = 0
        self.commits = 0
        self.on_cut: Callable[[], None] = lambda: None
        self._loop = loop
        self._clock = clock
        self._queue: deque[Keep | Task] = deque()
        self._wake = threading.Event()
        self._stopping = False
        self._last_cut = time.monotonic()
        self._stale = False

    def submit(self, item: Keep | Task) -> None:
        """Queues work; never blocks."""
        self._queue.append(item)
        if not self._wake.is_set():
            self._wake.set()

    def stop(self) -> None:
        """Asks it to finish what is queued, cut everything, and end; join it afterwards."""
        self._stopping = True
        self._wake.set()

    def run(self) -> None:
        """The thread's body."""
        cut_every = self.rows.options.cut_every.total_seconds()
        while True:
            waits = self.rows.pending or self.rows.pending_gaps
            self._wake.wait(max(0.0, self._last_cut + cut_every - time.monotonic()) if waits else None)
            self._wake.clear()
            stopping = self._stopping
            if self._queue and not stopping:
                self._gather()
            self._transact(self._drain(), stopping=stopping)
            if stopping and not self._queue:
                break
        self.rows.db.close()

    def _gather(self) -> None:
        """Lets a commit's worth of readings come together."""
        options = self.rows.options
        deadline = time.monotonic() + options.group_wait.total_seconds()
        seen = 0
        while isinstance(self._queue[-1], Keep) and time.monotonic() < deadline:
            count = len(self._queue)
            if count == seen or sum(len(i.readings) for i in list(self._queue) if isinstance(i, Keep)) >= (
                options.group_readings
            ):
                return
            seen = count
            time.sleep(_QUIET)

    def _drain(self) -> list[Keep | Task]:
        items = []
        while self._queue:
            items.append(self._queue.popleft())
        return items

    def _transact(self, items: list[Keep | Task], *, stopping: bool) -> None:
        """One transaction for all of it: either everything is on disk, or everybody is told that nothing is."""
        changes = self.rows.db.total_changes
        due = stopping or time.monotonic() - self._last_cut >= self.rows.options.cut_every.total_seconds()
        try:
            if self._stale:
                self.rows.load(self.rows.epoch_id, self._clock())
                self._stale = False
            results, cut = self._work(items, due=due)
        except sqlite3.Error as error:
            self._failed(items, error)
            return
        except Exception as error:  # noqa: BLE001 - handed to everybody who waits, who must not wait for ever
            self._rollback()
            self._answer([(item.done, error) for item in items])
            return
        # what only reads goes well on a full disk, too
        if self.error is not None and self.rows.db.total_changes > changes:
            log.warning("the spool can be written again")
            self.error = None
        self.commits += 1
        self._answer(results)
        if cut:
            self._loop.call_soon_threadsafe(self.on_cut)

    def _work(self, items: list[Keep | Task], *, due: bool) -> tuple[list[tuple["Future[Any]", Any]], int]:
        rows = self.rows
        keeps = [item for item in items if isinstance(item, Keep)]
        results: list[tuple[Future[Any], Any]] = []
        raw, body = _gathered(keeps, results)
        before = sum(rows.numbers.values())
        rows.db.execute("BEGIN IMMEDIATE")
        refused = self._make_room(len(body)) if raw.readings else None
        if refused is not None:
            raw = RawRow([], raw.gaps)
            body = _encode(raw) if raw.gaps else b""
        direct = due and bool(body)
        if direct:
            rows.cut({}, self._clock(), raw)
        elif body:
            rows.keep_raw(body)
        elif due and (rows.pending or rows.pending_gaps):
            rows.cut({}, self._clock())
        if body and not direct:
            # tasks of this transaction may cut what it keeps; a rollback loads everything again
            rows.remember(raw, len(body))
        results.extend((item.done, item.run(rows)) for item in items if isinstance(item, Task))
        rows.db.execute("COMMIT")
        if due:
            self._last_cut = time.monotonic()
        results.extend((keep.done, refused if keep.readings else None) for keep in keeps)
        return results, sum(rows.numbers.values()) - before

    def _make_room(self, size: int) -> SpoolFull | None:
        """Frees what the byte bound needs: confirmed payloads first, then by policy. The refusal, if it refuses.

        What is larger than the bound is taken by an empty spool, or its source would wait for ever.
        """
        rows = self.rows
        over = rows.kept_bytes + rows.raw_bytes + size - rows.options.max_bytes
        if over <= 0:
            return None
        freed = forget_confirmed(rows, over)
        self.forgotten_bytes += freed
        if freed >= over or not rows.kept_bytes + rows.raw_bytes:
            return None
        if rows.options.policy is DropPolicy.DROP_OLDEST:
            # all that is kept must be in batches, so that whatever is oldest can be dropped
            rows.cut({}, self._clock())
            # a little more than needed, so that not every commit has to drop
            over = rows.kept_bytes + size - rows.options.max_bytes
            freed, dropped = drop_oldest(rows, over + rows.options.max_bytes // 100, self._clock())
            self.dropped_readings += dropped
            if freed >= over:
                return None
        return SpoolFull(f"the spool holds {rows.kept_bytes + rows.raw_bytes} bytes of {rows.options.max_bytes}")

    def _failed(self, items: list[Keep | Task], error: sqlite3.Error) -> None:
        text = f"{type(error).__name__}: {error}"
        if self.error != text:
            log.error("the spool cannot be written, nothing is acknowledged until it can: %s", text)
            self.error = text
        self._rollback()
        # do not turn a full disk into a busy loop
        time.sleep(0.05)
        self._answer([(item.done, SpoolFailed(text)) for item in items])

    def _rollback(self) -> None:
        self._stale = True
        self._last_cut = time.monotonic()
        if self.rows.db.in_transaction:
            try:
                self.rows.db.execute("ROLLBACK")
            except sqlite3.Error as error:
                log.error("the spool cannot even roll back: %s", error)  # noqa: TRY400 - said once, the cause is above

    def _answer(self, results: list[tuple["Future[Any]", Any]]) -> None:
        if results and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(_finish, results)


def _gathered(keeps: list[Keep], results: list[tuple["Future[Any]", Any]]) -> tuple[RawRow, bytes]:
    """All that is to be kept as one row. What cannot be written at all (text that is not Unicode) fails by itself."""
    if not keeps:
        return RawRow(), b""
    raw = RawRow([r for k in keeps for r in k.readings], [g for k in keeps for g in k.gaps])
    try:
        return raw, _encode(raw)
    except UnicodeEncodeError as error:
        if len(keeps) == 1:
            results.append((keeps.pop().done, BadReading(f"text that is not Unicode: {error}")))
            return RawRow(), b""
    sound = [keep for keep in keeps if _gathered([keep], results)[1]]
    keeps[:] = sound
    return _gathered(keeps, results)


def _finish(results: list[tuple["Future[Any]", Any]]) -> None:
    for done, result in results:
        if done.done():
            continue
        if isinstance(result, BaseException):
            done.set_exception(result)
        else:
            done.set_result(result)
