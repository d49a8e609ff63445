"""The spool's one writer: a thread that gathers what is asked of it into few transactions.

Waiting a moment for company makes a commit carry many readings, and a commit is what costs. But a source that keeps
only a few messages in flight falls silent while it waits for us, and every moment we wait is lost to it. Which of the
two it is shows in what a wait brings (`GroupWait`).
"""

import logging
import sqlite3
import threading
import time
from asyncio import AbstractEventLoop, Future
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from enum import Enum, auto
from typing import Any

import msgspec

from core.telemetry.batch import Gap
from core.telemetry.reading import BadReading, Reading
from edge.spool.cursors import drop_confirmed, drop_oldest
from edge.spool.records import DropPolicy, RawRow, SpoolFailed, SpoolFull
from edge.spool.store import Rows

log = logging.getLogger("lotwise.edge.spool")

_encode = msgspec.msgpack.Encoder().encode
_QUIET = 0.001
_STEP = 0.005
_PROBE_FIRST, _PROBE_MOST = 0.05, 1.0

Clock = Callable[[], datetime]


class KeepRequest(msgspec.Struct):
    """Readings and gaps to be kept; the future ends once they are on disk."""

    readings: Sequence[Reading]
    gaps: Sequence[tuple[int, Gap]]
    done: "Future[None]"


class When(Enum):
    """How a task stands to the readings that are gathered when it comes."""

    NOW = auto()
    """After all that was handed in before it, which is committed with it at once."""
    APART = auto()
    """At once, in a transaction of its own: what is gathered goes on being gathered."""
    ALONG = auto()
    """With the next commit of readings; at once where none are gathered."""


class Task(msgspec.Struct):
    """Something to do to the rows inside a transaction; the future carries its result once that is committed."""

    run: Callable[[Rows], Any]
    done: "Future[Any]"
    when: When = When.NOW


class GroupWait:
    """How long a commit waits for company. Sources that go on speaking unasked are waited for, since each wait brings
    readings; where one brings none, nobody speaks before we answer, and the next waits end after a millisecond of
    quiet. A longer one is then tried now and then, ever more rarely: at most one in a second, which costs little.
    """

    def __init__(self, sleep: Callable[[float], object], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._sleep = sleep
        self._monotonic = monotonic
        self._worthwhile = False
        self._try_at = 0.0
        self._try_after = _PROBE_FIRST

    def gather(self, count: Callable[[], int], enough: int, until: float) -> None:
        """Returns when `count` is `enough`, at the instant `until` (monotonic), or when waiting on brings nothing."""
        begun = seen = count()
        while seen < enough and (left := until - self._monotonic()) > 0:
            self._sleep(min(_STEP if self._worthwhile else _QUIET, left))
            now = count()
            if now > seen or self._worthwhile:
                seen = now
            elif not self._try(count, seen, until):
                return
        if self._worthwhile and seen == begun:
            self._stop_waiting()

    def _try(self, count: Callable[[], int], seen: int, until: float) -> bool:
        """Whether it pays to wait on after a quiet moment, tried if it is time to."""
        now = self._monotonic()
        if now < self._try_at:
            return False
        self._sleep(max(0.0, min(2 * _STEP, until - now)))
        if count() > seen:
            self._worthwhile, self._try_after = True, _PROBE_FIRST
        else:
            self._stop_waiting()
        return self._worthwhile

    def _stop_waiting(self) -> None:
        self._worthwhile = False
        self._try_at = self._monotonic() + self._try_after
        self._try_after = min(2 * self._try_after, _PROBE_MOST)


class Writer(threading.Thread):
    """Owns the connection from start to stop. `submit` from the event loop; futures end on that loop."""

    def __init__(self, rows: Rows, loop: AbstractEventLoop, clock: Clock) -> None:
        super().__init__(name="spool-writer", daemon=True)
        self.rows = rows
        self.error: str | None = None
        self.dropped_readings = 0
        self.dropped_bytes = 0
        self.commits = 0
        self.on_cut: Callable[[], None] = lambda: None
        self._loop = loop
        self._clock = clock
        self._queue: deque[KeepRequest | Task] = deque()
        self._exclusive: deque[KeepRequest | Task] = deque()
        self._wake = threading.Event()
        self._asked = threading.Event()
        """Set when there may be something in `_apart`."""
        self._stopping = False
        self._last_cut = time.monotonic()
        self._wait = GroupWait(self._sleep)
        self._stale = False

    def submit(self, item: KeepRequest | Task) -> None:
        """Queues work; never blocks."""
        if isinstance(item, Task) and item.when is When.APART:
            self._exclusive.append(item)
            self._asked.set()
        else:
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
            if not stopping and any(isinstance(item, KeepRequest) for item in list(self._queue)):
                self._gather()
            self._transact([*_drain(self._exclusive), *_drain(self._queue)], due=stopping or self._is_due())
            if stopping and not self._queue and not self._exclusive:
                break
        self.rows.db.close()

    def _gather(self) -> None:
        """Lets a commit's worth of readings come together; until the cut, where one is due about then."""
        options = self.rows.options
        wait = options.group_wait.total_seconds()
        now = time.monotonic()
        cut = self._last_cut + options.cut_every.total_seconds()
        until = cut if now < cut < now + 1.5 * wait else now + wait
        self._wait.gather(lambda: self._queued(options.group_readings), options.group_readings, until)

    def _queued(self, enough: int) -> int:
        """Readings that wait to be kept; `enough` where nobody may wait any longer."""
        items = list(self._queue)
        if self._stopping or any(isinstance(item, Task) and item.when is When.NOW for item in items):
            return enough
        return sum(len(item.readings) for item in items if isinstance(item, KeepRequest))

    def _sleep(self, seconds: float) -> None:
        """Sleeps; what is asked for apart is done meanwhile."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self._asked.wait(left):
                self._asked.clear()
                if items := _drain(self._exclusive):
                    self._transact(items, due=False)

    def _is_due(self) -> bool:
        return time.monotonic() - self._last_cut >= self.rows.options.cut_every.total_seconds()

    def _transact(self, items: list[KeepRequest | Task], *, due: bool) -> None:
        """One transaction for all of it: either everything is on disk, or everybody is told that nothing is."""
        changes = self.rows.db.total_changes
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

    def _work(self, items: list[KeepRequest | Task], *, due: bool) -> tuple[list[tuple["Future[Any]", Any]], int]:
        rows = self.rows
        keeps = [item for item in items if isinstance(item, KeepRequest)]
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
            rows.add_raw(raw, len(body))
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
        freed = drop_confirmed(rows, over)
        self.dropped_bytes += freed
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

    def _failed(self, items: list[KeepRequest | Task], error: sqlite3.Error) -> None:
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


def _drain(queue: deque[KeepRequest | Task]) -> list[KeepRequest | Task]:
    items = []
    while queue:
        items.append(queue.popleft())
    return items


def _gathered(keeps: list[KeepRequest], results: list[tuple["Future[Any]", Any]]) -> tuple[RawRow, bytes]:
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
