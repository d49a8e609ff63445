"""The unit of work: one transaction, opened at the door, handed to services that never commit.

`Unit` carries the connection, the session, the actor and the clock; it locks rows, writes audit and outbox rows and
runs in-transaction events. `transact` retries the whole transaction on deadlock or serialization failure.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, Engine, Executable, Row, text
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, SQLModel

from core.erp.kernel.access.effective_permits import permits_now
from core.erp.kernel.audit_keys import keys_of, message, nonce
from core.erp.kernel.connections import begin_waiting, bound_statements, end_transaction
from core.erp.kernel.errors import Forbidden
from core.erp.kernel.events import Event, Events
from core.erp.kernel.permits import OUTSIDE, of_all_sites, permits_of
from core.erp.kernel.words import ENGLISH, Message, kept, plain_number
from core.series.dropped_ranges import DroppedRangeNeeded
from core.series.restoring import restore_range

T = TypeVar("T")
M = TypeVar("M", bound=SQLModel)

Clock = Callable[[], datetime]
"""Tells the time, with its zone."""
When = datetime | Clock | None
"""The time of a unit: an instant (a clock that stands), a clock, or None for this machine's."""

MAX_RETRIES = 8
MAX_RESTORE_ROUNDS = 50
"""How many older ranges one piece of work may ask for, one after another."""
REASON_MESSAGE = "reason_message"
"""Where an audit row has the id and parameters of a reason that the system gave."""
_DEADLOCK, _SERIALIZATION = "40P01", "40001"


_OF_THE_ROLES = frozenset({"those of the roles"})


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: a user, as their row said when the request came, or a part of the system (`system:judge`)."""

    login: str
    roles: frozenset[str] = frozenset()
    user_id: int | None = None
    system: bool = False
    session: str | None = None
    """The signed-in session: a token's id, or a browser session's name. None for the system and the command line."""
    one_time: bool = False
    """Signed in with a password that somebody else gave: may choose their own, and nothing else."""
    permits: frozenset[str] = _OF_THE_ROLES
    """What the actor may; by default what the default roles carry. Empty with a one-time password."""
    sites: frozenset[int] | None = None
    """Ids of the sites the actor belongs to; None: all of them."""
    partner_id: int | None = None
    """The partner whose person this is: outside people have one, inside people none."""
    language: str = ""
    """The language chosen (`en`, `zh`); empty: the browser's."""
    withheld: frozenset[str] = frozenset()
    """What the actor's roles permit, and counts only for whoever belongs to all sites."""

    def __post_init__(self) -> None:
        if self.permits is _OF_THE_ROLES:
            object.__setattr__(self, "permits", permits_of(self.roles))
        if self.one_time:
            object.__setattr__(self, "permits", frozenset())
        if self.sites is not None:
            object.__setattr__(self, "withheld", self.permits & of_all_sites())
            object.__setattr__(self, "permits", self.permits - self.withheld)

    @property
    def viewpoint(self) -> "Actor":
        """The same for whatever depends on who it is, in every session and language: what statements are kept by."""
        return replace(self, session=None, language="")

    def may(self, permit: str) -> bool:
        """Whether the actor holds the permit; the system holds all but those that need a signature."""
        return self.system or permit in self.permits

    def need(self, *permits: str) -> None:
        """Raises Forbidden unless the actor holds one of the permits: as it was when the request came."""
        if not any(self.may(permit) for permit in permits):
            raise lacking(self, *permits)

    @property
    def scoped(self) -> bool:
        """Whether there may be records that this actor does not see."""
        return not self.system and (self.sites is not None or self.outside)

    @property
    def outside(self) -> bool:
        """Whether this is somebody of another firm: a partner's person, or one whose roles are all outside ones."""
        return self.partner_id is not None or (bool(self.roles) and self.roles <= OUTSIDE)


def lacking(actor: Actor, *permits: str) -> Forbidden:
    """The refusal of who holds none of the permits, of which one would do."""
    names, extra = [Message(f"permit.{permit}") for permit in permits], {"permit": permits[0], "permits": [*permits]}
    if withheld := sorted(actor.withheld.intersection(permits)):
        name = Message(f"permit.{withheld[0]}")
        return Forbidden("kernel.permit_of_all_sites", login=actor.login, name=name, extra=extra)
    if len(permits) == 1:
        return Forbidden("kernel.permit_lacking", login=actor.login, permit=permits[0], name=names[0], extra=extra)
    return Forbidden("kernel.permits_lacking", login=actor.login, permits=[*permits], names=names, extra=extra)


def system(name: str) -> Actor:
    """The actor for a part of the system that acts by itself."""
    return Actor(login=f"system:{name}", system=True)


def _json_number(value: float) -> float | int | str:
    """A float as JSON and JSONB agree on it: whole numbers without a fraction, what is no number as text."""
    if not math.isfinite(value):
        return str(value)
    return int(value) if value.is_integer() else value


_CONVERTERS: tuple[tuple[type | tuple[type, ...], Callable[[Any], Any]], ...] = (
    (datetime, lambda value: value.astimezone(UTC).isoformat()),
    (date, lambda value: value.isoformat()),
    (timedelta, lambda value: _json_number(value.total_seconds())),
    (Enum, lambda value: json_value(value.value)),
    (Decimal, lambda value: plain_number(value) if value.is_finite() else str(value)),
    (float, _json_number),
    (bytes, lambda value: value.hex()),
    (Mapping, lambda value: {str(key): json_value(item) for key, item in value.items()}),
    ((list, tuple, set, frozenset), lambda value: [json_value(item) for item in value]),
)


_JSON_TYPES = frozenset({str, int, bool, type(None)})


def json_value(value: Any) -> Any:
    """The value as JSON can carry it: times as ISO 8601 UTC, lengths of time as seconds,
    decimals as text, bytes as hex.
    """
    if type(value) in _JSON_TYPES:
        return value
    for kind, convert in _CONVERTERS:
        if isinstance(value, kind):
            return convert(value)
    return value


def canonical(record: Mapping[str, Any]) -> bytes:
    """The record as bytes that do not depend on key order or spacing: what hashes are taken over."""
    return json.dumps(json_value(record), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def record_hash(record: Mapping[str, Any]) -> bytes:
    """SHA-256 over the canonical form of a record, 32 bytes."""
    return hashlib.sha256(canonical(record)).digest()


# one value carries all rows: row by row, each would be parsed, planned and told to the triggers by itself
_WRITTEN = text("""
    WITH told AS (
        INSERT INTO outbox (at, topic, key, payload)
        SELECT r.at, r.topic, r.key, r.payload FROM jsonb_to_recordset(CAST(:outbox AS jsonb))
            AS r(at timestamptz, topic text, key text, payload jsonb)
    )
    INSERT INTO audit (at, actor, action, entity, entity_id, before, after, reason, nonce, key_id, hash)
    SELECT r.at, r.actor, r.action, r.entity, r.entity_id, r.before, r.after, r.reason, r.nonce, r.key_id,
        decode(r.hash, 'hex')
    FROM jsonb_to_recordset(CAST(:audit AS jsonb)) AS r(at timestamptz, actor text, action text, entity text,
        entity_id text, before jsonb, after jsonb, reason text, nonce bigint, key_id text, hash text)
""")


def _as_json(rows: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps([json_value(row) for row in rows])


def system_clock() -> datetime:
    """The time of the machine it runs on."""
    return datetime.now(UTC)


def clock_of(when: When) -> Clock:
    """The clock that is meant."""
    if when is None:
        return system_clock
    return (lambda: when) if isinstance(when, datetime) else when


@dataclass(slots=True)
class Unit:
    """A transaction in progress.

    `now` moves on, never back, with every lock that `lock`, `get` and `get_one` have waited for: of two transactions
    that meet on a row, the one that commits later carries the later time, and an auditor who sorts by time sees the
    order of the commits. Read it after the locks. Without a `clock` it stands.
    """

    conn: Connection
    actor: Actor
    now: datetime
    events: Events
    clock: Clock | None = None
    _session: Session | None = None
    _audits: list[dict[str, Any]] = field(default_factory=list)
    _outbox: list[dict[str, Any]] = field(default_factory=list)
    _held: tuple[datetime, frozenset[str]] | None = None
    """When the actor's permits were read last, and what they were."""
    _needed: list[tuple[str, ...]] | None = None
    """What was needed so far, of each one: asked at the end. None: each is asked at once."""

    @property
    def session(self) -> Session:
        """The session on the unit's connection."""
        if self._session is None:
            # It only ever joins our transaction: with the default mode a session first used inside a savepoint would
            # open one of its own and undo it when it is closed.
            self._session = Session(
                bind=self.conn, autoflush=True, expire_on_commit=False, join_transaction_mode="rollback_only"
            )
        return self._session

    @session.setter
    def session(self, session: Session) -> None:
        self._session = session

    @property
    def language(self) -> str:
        """The language of whoever asks: what is answered is said in it."""
        return self.actor.language or ENGLISH

    def lock(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> Sequence[Row[Any]]:
        """Runs a statement that locks rows, gives them, and moves `now` behind the wait."""
        rows = self.conn.execute(statement, parameters or {}).all()
        self.locked()
        return rows

    def get(self, model: type[M], key: object, *, lock: bool = False) -> M | None:
        """The row as it stands, None without one; with `lock` it is locked and `now` moves behind the wait."""
        found = self.session.get(model, key, populate_existing=True, with_for_update=True if lock else None)
        if lock:
            self.locked()
        return found

    def get_one(self, model: type[M], key: object, *, lock: bool = False) -> M:
        """As `get`, for a row that is there. Raises SQLAlchemy's NoResultFound."""
        found = self.session.get_one(model, key, populate_existing=True, with_for_update=True if lock else None)
        if lock:
            self.locked()
        return found

    def locked(self) -> None:
        """Moves `now` behind a lock that was waited for."""
        if self.clock is not None:
            self.now = max(self.now, self.clock())

    def need(self, *permits: str) -> None:
        """Raises Forbidden unless the actor holds the permit, or one of several: when the request came, and still.

        What a person's row and roles say is read again behind every lock that was waited for; or once, at the end
        (`ask_at_the_end`).
        """
        self.actor.need(*permits)
        if self.actor.session is None or self.actor.user_id is None:
            return
        if self._needed is not None:
            self._needed.append(permits)
            return
        self._require_held(permits)

    def ask_at_the_end(self) -> None:
        """From here on what is needed is asked by `ask_needed`: once, behind every lock, whoever needs it."""
        self._needed = []

    def ask_needed(self) -> None:
        """Raises Forbidden for the first of what was needed that the actor does not hold any more."""
        needed, self._needed = self._needed or [], None
        for permits in dict.fromkeys(needed):
            self._require_held(permits)

    @property
    def needed(self) -> tuple[tuple[str, ...], ...]:
        """What was needed so far and is not asked yet."""
        return tuple(dict.fromkeys(self._needed or ()))

    def _require_held(self, permits: tuple[str, ...]) -> None:
        assert self.actor.user_id is not None
        if self._held is None or self._held[0] != self.now:
            self._held = self.now, permits_now(self.conn, self.actor.user_id)
        if not self._held[1].intersection(permits):
            raise lacking(self.actor, *permits)

    def audit(
        self,
        action: str,
        entity: str,
        entity_id: object,
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
        reason: str | Message | None = None,
    ) -> None:
        """Writes an audit row with this transaction: at its end, in one statement, with the time of its last lock.

        A reason of the system's own is kept in English, and beside it in `after`, which the row's hash covers, by id.
        """
        text_, message = (None, None) if reason is None else kept(reason)
        if message is not None:
            after = {**(after or {}), REASON_MESSAGE: message}
        row: dict[str, Any] = {
            "actor": self.actor.login,
            "action": action,
            "entity": entity,
            "entity_id": str(entity_id),
            "before": json_value(before) if before is not None else None,
            "after": json_value(after) if after is not None else None,
            "reason": text_,
        }
        self._audits.append(row)

    def audited(self, entity: str, *, by: str | None = None) -> set[str]:
        """Ids of the entity's records that this transaction has written audit rows of (in that actor's name), since it
        last sent any.
        """
        return {row["entity_id"] for row in self._audits if row["entity"] == entity and by in {None, row["actor"]}}

    def outbox(self, topic: str, key: object, payload: Mapping[str, Any]) -> None:
        """Queues something to tell others after the commit."""
        self._outbox.append({"topic": topic, "key": str(key), "payload": json_value(payload)})

    def emit(self, event: Event) -> None:
        """Runs the event's handlers now, in this transaction; their refusal is the caller's refusal."""
        self.events.run(self, event)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._session is not None:
            self._session.close()

    def discard(self) -> None:
        """Forgets what was not yet sent, after a savepoint was rolled back."""
        if self._session is not None:
            self._session.expunge_all()
        self._audits.clear()
        self._outbox.clear()

    def flush(self) -> None:
        """Sends what is pending to the database; called by `unit` before the commit."""
        if self._session is not None:
            self._session.flush()
        for row in (*self._audits, *self._outbox):
            row["at"] = self.now
        if self._audits:
            keys = keys_of(self.conn)
            for row in self._audits:
                row |= {"nonce": nonce(), "key_id": keys.current}
                row["hash"] = keys.sign(message(row))
        if self._audits or self._outbox:
            self.conn.execute(_WRITTEN, {"audit": _as_json(self._audits), "outbox": _as_json(self._outbox)})
            self._audits.clear()
            self._outbox.clear()


@contextmanager
def unit(
    engine: Engine, actor: Actor, events: Events, now: When = None, *, lock_timeout: timedelta | None = None
) -> Iterator[Unit]:
    """One transaction: commits when the block ends, rolls back when it raises.

    `lock_timeout` is how long it waits for a lock (SQLSTATE 55P03 after that); without it, as long as it takes.
    """
    clock = clock_of(now)
    with engine.begin() as conn:
        if lock_timeout is not None:
            begin_waiting(conn, lock_timeout)
        work = Unit(conn=conn, actor=actor, now=clock(), events=events, clock=clock)
        with work:
            yield work
            work.flush()


@contextmanager
def reading(
    readers: Engine, actor: Actor, events: Events, now: When = None, *, longest: timedelta | None = None
) -> Iterator[Unit]:
    """A unit that only reads, on one of the connections of `connections.read_only`: each statement sees what is
    committed when it begins, and may take `longest`.
    """
    clock = clock_of(now)
    with readers.connect() as conn, Unit(conn=conn, actor=actor, now=clock(), events=events, clock=clock) as work:
        bound_statements(conn, longest)
        yield work
        end_transaction(conn)


def read(
    engine: Engine,
    readers: Engine,
    actor: Actor,
    events: Events,
    work: Callable[[Unit], T],
    now: When = None,
    *,
    longest: timedelta | None = None,
) -> T:
    """Runs `work` in a unit that only reads; what it needs of readings that PostgreSQL no longer has is put back first,
    as in `transact`.
    """

    def attempt() -> T:
        with reading(readers, actor, events, now, longest=longest) as u:
            return work(u)

    return _with_readings(engine, attempt, now)


def _with_readings(engine: Engine, attempt: Callable[[], T], now: When) -> T:
    rounds = 0
    while True:
        try:
            return attempt()
        except DroppedRangeNeeded as need:
            rounds += 1
            if rounds > MAX_RESTORE_ROUNDS:
                raise
            restore_range(engine, need, clock_of(now)())


def transact(
    engine: Engine,
    actor: Actor,
    events: Events,
    work: Callable[[Unit], T],
    now: When = None,
    *,
    lock_timeout: timedelta | None = None,
) -> T:
    """Runs `work` in a unit and retries the whole of it on deadlock or serialization failure, up to MAX_RETRIES times.

    Where it needs readings that PostgreSQL no longer has, it is undone, they are put back while nothing is locked, and
    it begins anew. Raises StoreUnavailable where they cannot be had now.
    """
    failures = 0

    def attempt() -> T:
        with unit(engine, actor, events, now, lock_timeout=lock_timeout) as u:
            return work(u)

    while True:
        try:
            return _with_readings(engine, attempt, now)
        except OperationalError as error:
            failures += 1
            state = getattr(error.orig, "sqlstate", None)
            if state not in (_DEADLOCK, _SERIALIZATION) or failures == MAX_RETRIES:
                raise
            time.sleep(0.01 * 2 ** (failures - 1))
