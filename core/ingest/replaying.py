"""Replaying dead letters: what was refused for a reason that has been mended is judged after all."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Engine, select, text

from core.erp.kernel.events import Events
from core.erp.kernel.scope import Scope, everything, scoped
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Actor, Unit, transact
from core.ingest.core_batches import land_core_batch
from core.ingest.decoding import arrival
from core.ingest.model import DeadLetter
from core.ingest.transaction import IngestTransaction, JudgePort, StreamMessage, hold_partitions
from core.ingest.validation import PointUnits, check, partition_of_point
from core.telemetry.batch import UNDECODABLE, BadBatch
from core.telemetry.reading import Reading

CHUNK = 500
ORIGIN = "replay"
_CONFIRMED = text(
    "SELECT EXISTS (SELECT FROM batch WHERE gateway = :g AND epoch = :e AND partition = :p AND number = :n)"
    " OR EXISTS (SELECT FROM batch_progress WHERE gateway = :g AND epoch = :e AND partition = :p AND through >= :n)"
)
_letters = table(DeadLetter)
_decode_reading = msgspec.msgpack.Decoder(Reading).decode


@dataclass(frozen=True, slots=True)
class Filter:
    """Which open dead letters. Empty fields do not narrow."""

    reason: str | None = None
    point: str | None = None
    gateway: str | None = None
    ids: Sequence[int] | None = None
    scope: Scope = everything
    """Of those, which the actor sees: what they ask for by no id is theirs too."""

    def conditions(self) -> list[ColumnElement[bool]]:
        """What is asked of a letter, whoever asks."""
        named = {"reason": self.reason, "point": self.point, "gateway": self.gateway}
        found = [_letters.c[name] == value for name, value in named.items() if value is not None]
        return found if self.ids is None else [*found, _letters.c.id.in_(self.ids)]


@dataclass(slots=True)
class Replayed:
    """What came of it. `still` counts letters that are refused as before and stay; they are left as they were."""

    landed: int = 0
    duplicates: int = 0
    conflicts: int = 0
    batches: int = 0
    remaining: dict[str, int] = field(default_factory=dict)

    def refuse(self, reason: str) -> None:
        """Counts one that stays."""
        self.remaining[reason] = self.remaining.get(reason, 0) + 1


@dataclass(slots=True)
class _Found:
    readings: list[Reading] = field(default_factory=list)
    letters: list[int] = field(default_factory=list)


def replay(
    engine: Engine, judge: JudgePort, events: Events, actor: Actor, only: Filter, *, live: bool, now: datetime
) -> Replayed:
    """Tries open dead letters again, oldest first, CHUNK a transaction; each that succeeds is marked. Its batch goes
    on saying what became of its readings when it came. Raises Forbidden without the permit `ingest.manage`.
    """
    total, after = Replayed(), 0
    replayer = _Replayer(judge, live)
    while True:
        last, done = transact(engine, actor, events, partial(replayer.chunk, only=only, after=after), now)
        _add(total, done)
        if last is None:
            return total
        after = last


def replay_in(u: Unit, judge: JudgePort, only: Filter, *, live: bool) -> Replayed:
    """As `replay`, all in the caller's transaction. Raises Forbidden without the permit `ingest.manage`."""
    total, replayer, after = Replayed(), _Replayer(judge, live), 0
    while True:
        last, done = replayer.chunk(u, only, after)
        _add(total, done)
        if last is None:
            return total
        after = last


@dataclass(slots=True)
class _Replayer:
    judge: JudgePort
    live: bool
    book: PointUnits = field(default_factory=PointUnits)

    def chunk(self, u: Unit, only: Filter, after: int) -> tuple[int | None, Replayed]:
        """Replays the next letters after an id, and gives the last id it looked at, None when there was none."""
        letters = _open_letters(u, only, after)
        done, found = Replayed(), _Found()
        for letter in letters:
            if letter.kind == "message":
                self._message(u, letter, done)
            elif letter.kind == "unstored":
                _mark_unshipped(u, letter)
                done.batches += 1
            else:
                _collect(found, letter, done)
        self._land(u, found, done)
        return (letters[-1].id if letters else None), done

    def _message(self, u: Unit, letter: Any, done: Replayed) -> None:
        """A whole message: folded if its number is free by now; if it stands with other content, its readings land
        beside what stands, where a difference becomes a conflict that both the record and the judge see.
        """
        try:
            batch = arrival(bytes(letter.raw))
        except BadBatch:
            done.refuse(letter.reason)
            return
        header = batch.header
        confirmed = u.conn.execute(
            _CONFIRMED, {"g": header.gateway, "e": header.epoch, "p": header.partition, "n": header.number}
        ).scalar_one()
        if not confirmed:
            IngestTransaction(judge=self.judge, live=self.live).run(
                u, [StreamMessage(header.partition, bytes(letter.raw))]
            )
            done.batches += 1
            _set_outcome(u, [letter.id], "folded")
            return
        readings = list(batch.body.readings)
        hold_partitions(u.conn, {header.partition})
        units = self.book.units(u.conn, {r.point for r in readings}, u.now)
        good, refused = check(readings, units, header.partition, u.now, live=self.live)
        if refused:
            done.refuse(letter.reason)
            return
        self._land_good(u, good, done)
        _set_outcome(u, [letter.id], "landed beside")

    def _land(self, u: Unit, found: _Found, done: Replayed) -> None:
        if not found.readings:
            return
        hold_partitions(u.conn, {partition_of_point(r.point) for r in found.readings})
        units = self.book.units(u.conn, {r.point for r in found.readings}, u.now)
        good: list[Reading] = []
        letters: list[int] = []
        for reading, letter in zip(found.readings, found.letters, strict=True):
            passed, refused = check([reading], units, partition_of_point(reading.point), u.now, live=self.live)
            good += passed
            if passed:
                letters.append(letter)
            for _, refusal in refused:
                done.refuse(refusal.reason)
        self._land_good(u, good, done)
        _set_outcome(u, letters, "landed")

    def _land_good(self, u: Unit, good: Sequence[Reading], done: Replayed) -> None:
        landed = land_core_batch(u, ORIGIN, good)
        done.landed += len(landed.new)
        done.duplicates += len(landed.duplicates)
        done.conflicts += len(landed.conflicts)
        pairs = [(first, second) for _, first, second in landed.conflicts]
        new_readings = [good[seq] for seq in landed.new]
        if new_readings or pairs:
            self.judge.fold(u, new_readings, pairs, [], [])


def _open_letters(u: Unit, only: Filter, after: int) -> Sequence[Any]:
    u.need("ingest.manage")
    c = _letters.c
    waiting = select(c.id, c.batch_id, c.kind, c.reason, c.raw).where(
        c.replayed_at.is_(None), c.id > after, *only.conditions()
    )
    return u.conn.execute(scoped(waiting, only.scope, u.actor).order_by(c.id).limit(CHUNK)).all()


def _add(total: Replayed, done: Replayed) -> None:
    total.landed += done.landed
    total.duplicates += done.duplicates
    total.conflicts += done.conflicts
    total.batches += done.batches
    for reason, count in done.remaining.items():
        total.remaining[reason] = total.remaining.get(reason, 0) + count


def _collect(found: _Found, letter: Any, done: Replayed) -> None:
    try:
        reading = _decode_reading(letter.raw)
    except UNDECODABLE:
        done.refuse(letter.reason)
        return
    found.readings.append(reading)
    found.letters.append(letter.id)


def _mark_unshipped(u: Unit, letter: Any) -> None:
    """The shipper takes the batch once more; what the store refuses again becomes a dead letter again."""
    u.conn.execute(text("UPDATE batch SET status = 'landed' WHERE id = :id"), {"id": letter.batch_id})
    _set_outcome(u, [letter.id], "shipped again")


def _set_outcome(u: Unit, letters: Sequence[int], outcome: str) -> None:
    if letters:
        u.conn.execute(
            text(
                "UPDATE dead_letter SET replayed_at = :at, replayed_by = :by, outcome = :outcome WHERE id = ANY(:ids)"
            ),
            {"at": u.now, "by": u.actor.login, "outcome": outcome, "ids": list(letters)},
        )
        u.audit("dead_letter.replay", "dead_letter", letters[0], after={"letters": list(letters), "outcome": outcome})
