"""The outbox's runner: each row, each handler, once; row by row (never by a cursor over ids).

A trigger makes one task per subscribed handler with the outbox row itself, so nothing can be passed over. Two kinds
of handlers: *internal* ones run in the task's own transaction, exactly once; *external* ones (another server) run under
a lease and no lock, at least once, and are marked when done.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, Select, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from core.erp.kernel.events import Events
from core.erp.kernel.model import OutboxRow, OutboxSubscription, OutboxTask
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit, When, clock_of, system, unit

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)
FIRST_WAIT = timedelta(seconds=1)
LONGEST_WAIT = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """An outbox row as handlers see it."""

    id: int
    at: datetime
    topic: str
    key: str
    payload: Mapping[str, Any]


class RetryLater(Exception):
    """An external handler could not do it now (a server is away); it is tried again, later and later."""


InternalHandler = Callable[[Unit, OutboxMessage], None]
ManyHandler = Callable[[Unit, Sequence[OutboxMessage]], None]
ExternalHandler = Callable[[OutboxMessage], None]
Carrier = Callable[[Engine, Events, OutboxMessage, When], None]
"""An external handler that reads what it tells from our database, and writes there what came of it: at that time."""
AT_ONCE = 500
"""Tasks of one handler that are done in one transaction, where it takes many."""


class Outbox:
    """Who is told what, after the commit. Built once by the app, then run by one or many runners."""

    def __init__(self) -> None:
        self._internal: dict[str, InternalHandler] = {}
        self._many: dict[str, ManyHandler] = {}
        self._external: dict[str, Carrier] = {}
        self._urgent: set[str] = set()
        self._patterns: dict[str, str] = {}

    def on_internal(self, pattern: str, name: str, handler: InternalHandler) -> None:
        """Registers a handler that writes to our own database, for topics like the pattern (`hold.%`)."""
        self._add(pattern, name)
        self._internal[name] = handler

    def on_external(self, pattern: str, name: str, handler: ExternalHandler) -> None:
        """Registers a handler that calls another server; raises RetryLater when it should be repeated."""
        self._add(pattern, name)
        self._external[name] = lambda *given: handler(given[2])

    def on_internal_many(self, pattern: str, name: str, handler: ManyHandler) -> None:
        """As `on_internal`, for a handler that takes many rows at once, in order: a flood costs few transactions. Where
        they fail together, each is handled by itself.
        """
        self._add(pattern, name)
        self._many[name] = handler
        self._internal[name] = lambda u, message: handler(u, [message])

    def on_carrier(self, pattern: str, name: str, handler: Carrier, *, urgent: bool = False) -> None:
        """As `on_external`, for a handler that reads what it tells, and notes what came of it, in transactions of its
        own. What is urgent is done before all else of its lane.
        """
        self._add(pattern, name)
        self._external[name] = handler
        if urgent:
            self._urgent.add(name)

    def _add(self, pattern: str, name: str) -> None:
        if name in self._patterns:
            raise ValueError(f"two outbox handlers are called {name}")
        self._patterns[name] = pattern

    @property
    def patterns(self) -> dict[str, str]:
        """Every handler's name, and the topics it wants (a LIKE pattern)."""
        return dict(sorted(self._patterns.items()))

    @property
    def names(self) -> list[str]:
        """Names of all handlers."""
        return sorted(self._patterns)

    def subscribe(self, engine: Engine) -> None:
        """Writes the subscriptions down: from now on every outbox row gets its tasks with it."""
        with engine.begin() as conn:
            for name, pattern in sorted(self._patterns.items()):
                row = {"pattern": pattern, "external": name in self._external}
                statement = upsert(OutboxSubscription).values(handler=name, **row)
                conn.execute(statement.on_conflict_do_update(index_elements=["handler"], set_=row))

    @property
    def internal_names(self) -> list[str]:
        """Names of the handlers that write to our own database."""
        return sorted(self._internal)

    @property
    def external_names(self) -> list[str]:
        """Names of the handlers that call other servers, and so may be slow."""
        return sorted(self._external)

    @property
    def lanes(self) -> dict[str, list[str]]:
        """The same by whom they call, which a name begins with (`grafana:hold.placed`): none waits for another's."""
        found: dict[str, list[str]] = {}
        for name in self.external_names:
            found.setdefault(name.partition(":")[0].partition(" ")[0], []).append(name)
        return found

    def run(
        self, engine: Engine, events: Events, now: When = None, *, names: Sequence[str] | None = None, most: int = 1000
    ) -> int:
        """Does the tasks of these handlers (all) that are due, oldest first, each in its own time: in a flood about
        `most`, then it is somebody else's turn.

        Returns how many were tried.
        """
        wanted, tried = self.names if names is None else names, 0
        many = [name for name in self._many if name in wanted]  # in the order in which they were registered
        while tried < most:
            done = sum(self._run_many(engine, events, now, name) for name in self._ready(engine, many, now))
            if not done:  # nothing is due, or another runner has it in hand
                break
            tried += done
        singly = [name for name in wanted if name not in many]
        while singly and tried < most and self._run_next(engine, events, now, singly):
            tried += 1
        return tried

    def due(self, engine: Engine, names: Sequence[str], most: int, now: When = None) -> int:
        """How many tasks of these handlers are due and in nobody's hands; of more than `most` it says so many."""
        with engine.connect() as conn:
            some = _due(names, clock_of(now)()).with_only_columns(table(OutboxTask).c.id).limit(most).subquery()
            return conn.scalar(select(func.count()).select_from(some)) or 0

    def _ready(self, engine: Engine, names: Sequence[str], when: When) -> list[str]:
        """Those that have something to do."""
        handler = table(OutboxTask).c.handler
        with engine.connect() as conn:
            there = set(conn.scalars(_due(names, clock_of(when)()).with_only_columns(handler).distinct()))
        return [name for name in names if name in there]

    def _run_many(self, engine: Engine, events: Events, when: When, name: str) -> int:
        """Those due of a handler that takes many, in one transaction; where they fail together, each by itself."""
        tasks, rows, now = table(OutboxTask), table(OutboxRow), clock_of(when)()
        due = (
            _due([name], now)
            .with_only_columns(tasks.c.id, rows, maintain_column_froms=True)
            .join(rows, rows.c.id == tasks.c.outbox_id)
            .order_by(tasks.c.id)
            .limit(AT_ONCE)
            .with_for_update(skip_locked=True, of=tasks)
        )
        found: Sequence[Any] = ()
        try:
            with unit(engine, system("outbox"), events, when) as u:
                found = u.conn.execute(due).all()
                if not found:
                    return 0
                self._many[name](u, [OutboxMessage(*row[1:]) for row in found])
                mine = tasks.c.id == func.any(bindparam("ids", [row[0] for row in found]))
                values = {"done_at": now, "last_error": None, "attempts": tasks.c.attempts + 1}
                u.conn.execute(update(tasks).where(mine).values(**values))
        except Exception:  # which of them it is, and its back-off, is found one by one
            if not found:
                raise
            if len(found) > 1:
                log.exception("outbox handler %s failed on many rows at once", name)
            return sum(self._run_next(engine, events, when, [name]) for _ in found)
        return len(found)

    def _run_next(self, engine: Engine, events: Events, when: When, names: Sequence[str]) -> bool:
        tasks, now = table(OutboxTask), clock_of(when)()
        urgent = sorted(self._urgent.intersection(names))
        first = [tasks.c.handler.in_(urgent).desc()] if urgent else []
        due = _due(names, now).order_by(*first, tasks.c.id).limit(1).with_for_update(skip_locked=True)
        task = None
        try:
            with unit(engine, system("outbox"), events, when) as u:
                task = u.conn.execute(due).first()
                if task is None:
                    return False
                message = _message(u, task.outbox_id)
                inside = self._internal.get(task.handler)
                if inside is not None:
                    inside(u, message)
                values = {"done_at": now, "last_error": None} if inside is not None else {"next_at": now + LEASE}
                mine = update(tasks).where(tasks.c.id == task.id)
                u.conn.execute(mine.values(attempts=task.attempts + 1, **values))
        except Exception as error:  # a handler's fault costs no other: it is written down and tried again
            if task is None:
                raise
            log.exception("outbox handler %s failed on row %s", task.handler, task.outbox_id)
            self._settle(engine, task, _backoff(task, error, now))
            return True
        if inside is None:
            self._run_external(engine, events, task, message, when)
        return True

    def _run_external(self, engine: Engine, events: Events, task: Any, message: OutboxMessage, when: When) -> None:
        now = clock_of(when)()
        values: dict[str, Any] = {"done_at": now, "last_error": None}
        try:
            self._external[task.handler](engine, events, message, when)
        except RetryLater as error:
            values = _backoff(task, error, now)
        except Exception as error:  # a handler's fault costs no other; it is kept and tried again
            log.exception("outbox handler %s failed on %s", task.handler, message.id)
            values = _backoff(task, error, now)
        self._settle(engine, task, values)

    def _settle(self, engine: Engine, task: Any, values: dict[str, Any]) -> None:
        tasks = table(OutboxTask)
        with engine.begin() as conn:
            conn.execute(update(tasks).where(tasks.c.id == task.id, tasks.c.done_at.is_(None)).values(**values))


def _due(names: Sequence[str], now: datetime) -> Select[Any]:
    tasks = table(OutboxTask)
    return select(tasks).where(tasks.c.handler.in_(names), tasks.c.done_at.is_(None), tasks.c.next_at <= now)


def _message(u: Unit, outbox_id: int) -> OutboxMessage:
    rows = table(OutboxRow)
    row = u.conn.execute(select(rows).where(rows.c.id == outbox_id)).one()
    return OutboxMessage(row.id, row.at, row.topic, row.key, row.payload)


def _backoff(task: Any, error: BaseException, now: datetime) -> dict[str, Any]:
    wait = min(FIRST_WAIT * 2 ** min(task.attempts, 16), LONGEST_WAIT)
    return {"attempts": task.attempts + 1, "next_at": now + wait, "last_error": f"{type(error).__name__}: {error}"}
