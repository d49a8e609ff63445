"""One transaction of the ingest: batches, dead letters, landing, judge, watermarks, confirmation. All or nothing.

A crash anywhere before the commit repeats the same work with the same result; after it, the batches are there and a
redelivery finds them.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import Connection, insert, text

from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message
from core.ingest.batches import BatchKey, correct_counts, insert_batches
from core.ingest.chain import Key, record_sources
from core.ingest.decoding import Arrival, BadPart, arrival
from core.ingest.model import DeadLetter, IngestAlarm
from core.ingest.progress import Confirmed, advance
from core.ingest.validation import PointUnits, Refusal, check, check_watermarks, partition_of_point
from core.ingest.wording import stored
from core.series.landing import Landed, land
from core.telemetry.address import partition_now
from core.telemetry.batch import BadBatch, Gap, Watermark, encode
from core.telemetry.reading import Reading

ALARM_INTERVAL = timedelta(hours=1)
"""How long nobody is told again of dead letters of one reason."""
PARTS_MAX = 1_000
"""Parts of a batch that are dead letters of their own; of one with more that cannot be decoded, all of it is one."""


IDLE_TIMEOUT = timedelta(seconds=30)
"""How long a transaction that holds partitions may say nothing; its successor waits for it no longer."""
_HOLD = text(
    "SELECT set_config('idle_in_transaction_session_timeout', :idle, true), pg_advisory_xact_lock(1281852233, p)"
    " FROM unnest(cast(:p AS int[])) p"
)


class JudgePort(Protocol):
    """What judges. Given only what is new, and conflicts; it locks what it needs itself."""

    def fold(
        self,
        u: Unit,
        readings: Sequence[Reading],
        conflicts: Sequence[tuple[Reading, Reading]],
        watermarks: Sequence[tuple[str, Watermark]],
        gaps: Sequence[tuple[str, Gap]],
    ) -> None:
        """Judges in the caller's transaction. Any error undoes all of it and stops the partition."""


@dataclass(frozen=True, slots=True)
class StreamMessage:
    """A message as it came out of the stream."""

    partition: int
    data: bytes


@dataclass(slots=True)
class IngestCounts:
    """What a transaction did, in numbers."""

    batches: int = 0
    repeated: int = 0
    readings: int = 0
    new: int = 0
    duplicates: int = 0
    conflicts: int = 0
    dead: int = 0


@dataclass(slots=True)
class _Gathered:
    """What is gathered while a transaction goes on."""

    arrivals: dict[BatchKey, Arrival] = field(default_factory=dict)
    marks: dict[BatchKey, tuple[Watermark, ...]] = field(default_factory=dict)
    dead: list[dict[str, Any]] = field(default_factory=list)
    alarms: list[dict[str, Any]] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    owners: list[BatchKey] = field(default_factory=list)
    """Of each reading: its batch."""
    dead_of: dict[BatchKey, list[dict[str, Any]]] = field(default_factory=dict)
    """By batch: the dead letters of its parts."""
    dead_readings: dict[BatchKey, int] = field(default_factory=dict)
    """By batch: how many of its readings are dead."""


class LeaseLost(Exception):
    """Another worker has taken these partitions over; give back what is in hand, it will see it."""

    def __init__(self, worker: str, partitions: frozenset[int]) -> None:
        super().__init__(f"{worker} does not hold partitions {sorted(partitions)} any more")
        self.partitions = partitions


@dataclass(slots=True)
class IngestTransaction:
    """Folds messages into the database. `live` instances refuse simulated readings; `worker` must hold the leases."""

    judge: JudgePort
    live: bool
    worker: str | None = None
    points: PointUnits = field(default_factory=PointUnits)

    def run(self, u: Unit, messages: Sequence[StreamMessage]) -> IngestCounts:
        """Does all of it in the caller's transaction. Raises LeaseLost, and whatever the database or judge raise."""
        self._hold_partitions(u.conn, {message.partition for message in messages})
        work, done = _Gathered(), IngestCounts()
        for message in messages:
            _sort_message(work, done, message, u.now)
        _drop_repeated(u.conn, work, done, u.now)
        self._validate(u, work)
        landed = _land(u, work)
        conflicts = [(first, second) for _, first, second in landed.conflicts]
        _write_dead_letters(u, work)
        watermarks = advance(u, [_confirmed(found, work.marks[key]) for key, found in work.arrivals.items()])
        for found in work.arrivals.values():
            if found.body.announced is not None:
                record_sources(u.conn, _key(found), found.body.announced)
        gaps = [(found.header.gateway, gap) for found in work.arrivals.values() for gap in found.body.gaps]
        new = [work.readings[seq] for seq in landed.new]
        if new or conflicts or watermarks or gaps:
            self.judge.fold(u, new, conflicts, watermarks, gaps)
        done.batches += len(work.arrivals)
        done.readings, done.new = len(work.readings), len(new)
        done.duplicates, done.conflicts, done.dead = len(landed.duplicates), len(conflicts), len(work.dead)
        return done

    def _hold_partitions(self, conn: Connection, partitions: Iterable[int]) -> None:
        ordered = hold_partitions(conn, partitions)
        if self.worker is None:
            return
        held = conn.execute(
            text("SELECT partition FROM ingest_lease WHERE partition = ANY(:p) AND worker = :w AND until > now()"),
            {"p": ordered, "w": self.worker},
        ).scalars()
        if lost := frozenset(ordered) - frozenset(held):
            raise LeaseLost(self.worker, lost)

    def _validate(self, u: Unit, work: _Gathered) -> None:
        wanted = {reading.point for found in work.arrivals.values() for reading in found.body.readings}
        units = self.points.units(u.conn, wanted, u.now)
        for key, found in work.arrivals.items():
            gateway, partition = found.header.gateway, found.header.partition
            work.marks[key], bad = check_watermarks(found.body, partition, u.now)
            good, refused = check(found.body.readings, units, partition, u.now, live=self.live)
            work.readings.extend(good)
            work.owners.extend([key] * len(good))
            work.dead_readings[key] = len(refused) + sum(part.readings for part in found.bad)
            work.dead_of[key] = [dead_reading_letter(u.now, gateway, None, *pair) for pair in refused] + [
                _dead_letter(u.now, "part", "undecodable", part.detail, part.raw, gateway=gateway, partition=partition)
                for part in _bounded_parts((*found.bad, *bad), found.message)
            ]


def _bounded_parts(parts: Sequence[BadPart], message: bytes) -> Sequence[BadPart]:
    """The parts; in place of very many the whole message, once."""
    if len(parts) <= PARTS_MAX:
        return parts
    return (BadPart(message, Message("ingest.many_bad_parts", count=len(parts), first=parts[0].detail)),)


def _land(u: Unit, work: _Gathered) -> Landed:
    """Writes the batches and lands their readings; what of them is dead now says which batch it was in."""
    ids = insert_batches(u.conn, work.arrivals, Counter(work.owners), work.dead_readings, u.now)
    for key, letters in work.dead_of.items():
        work.dead += [{**letter, "batch_id": ids[key]} for letter in letters]
    batch_ids = [ids[key] for key in work.owners]
    landed = land(u.conn, work.readings, batch_ids, u.now)
    correct_counts(u.conn, batch_ids, landed)
    return landed


def hold_partitions(conn: Connection, partitions: Iterable[int]) -> list[int]:
    """Locks partitions until the transaction ends, ascending: only one transaction folds a partition at a time.

    Whoever is frozen in the middle of it, or whose machine is gone without a word, loses the transaction after
    IDLE_TIMEOUT.
    """
    ordered = sorted({partition_now(partition) for partition in partitions})
    conn.execute(_HOLD, {"p": ordered, "idle": str(int(IDLE_TIMEOUT.total_seconds() * 1000))})
    return ordered


def _dead_letter(at: datetime, kind: str, reason: str, detail: Message, raw: bytes, **more: Any) -> dict[str, Any]:
    return {
        "at": at,
        "kind": kind,
        "reason": reason,
        **stored(detail),
        "raw": raw,
        "batch_id": None,
        "gateway": None,
        "partition": None,
        "point": None,
        "reading_at": None,
        **more,
    }


def dead_reading_letter(
    at: datetime,
    gateway: str | None,
    batch_id: int | None,
    reading: Reading,
    refusal: Refusal,
    *,
    kind: str = "reading",
) -> dict[str, Any]:
    """A dead letter's row for one decoded reading."""
    return _dead_letter(
        at,
        kind,
        refusal.reason,
        refusal.detail,
        encode(reading),
        gateway=gateway,
        batch_id=batch_id,
        point=reading.point,
        reading_at=reading.at,
        partition=partition_of_point(reading.point),
    )


def _sort_message(work: _Gathered, done: IngestCounts, message: StreamMessage, now: datetime) -> None:
    """Sorts a message: a batch, one that is in hand already, or a dead letter."""
    try:
        found = arrival(message.data)
    except BadBatch as error:
        work.dead.append(
            _dead_letter(
                now,
                "message",
                "not_a_batch",
                Message("ingest.undecodable", why=str(error)),
                message.data,
                partition=message.partition,
            )
        )
        return
    header = found.header
    if partition_now(header.partition) != partition_now(message.partition):
        detail = Message("ingest.wrong_subject", batch=str(header.id), partition=message.partition)
        work.dead.append(
            _dead_letter(now, "message", "wrong_subject", detail, message.data, partition=message.partition)
        )
        return
    key = (header.gateway, header.epoch, header.partition, header.number)
    other = work.arrivals.get(key)
    if other is None:
        work.arrivals[key] = found
        return
    done.repeated += 1
    if other.header.sha256 != header.sha256:
        _mismatch(work, found, other.header.kind, now)


def _mismatch(work: _Gathered, found: Arrival, standing: str, now: datetime) -> None:
    """A batch of a number that stands with other content.

    A tombstone after its readings is nothing new: the gateway gave up what had arrived. All else is kept apart, whole.
    """
    header = found.header
    if header.kind == "tombstone" and standing == "readings":
        return
    detail = Message("ingest.batch_mismatch", batch=str(header.id), hash=header.sha256.hex())
    reason = "after_tombstone" if standing == "tombstone" else "batch_mismatch"
    work.dead.append(
        _dead_letter(now, "message", reason, detail, found.message, gateway=header.gateway, partition=header.partition)
    )
    work.alarms.append(
        {"at": now, "kind": reason, "gateway": header.gateway, "partition": header.partition, **stored(detail)}
    )


def _drop_repeated(conn: Connection, work: _Gathered, done: IngestCounts, now: datetime) -> None:
    if not work.arrivals:
        return
    keys = list(work.arrivals)
    known = conn.execute(
        text(
            "SELECT k.g, k.e, k.p, k.n, b.sha256, b.kind FROM "
            "unnest(cast(:g AS text[]), cast(:e AS text[]), cast(:p AS int[]), cast(:n AS bigint[])) k(g, e, p, n) "
            "LEFT JOIN batch b ON b.gateway = k.g AND b.epoch = k.e AND b.partition = k.p AND b.number = k.n "
            "LEFT JOIN batch_progress r ON r.gateway = k.g AND r.epoch = k.e AND r.partition = k.p "
            "WHERE b.id IS NOT NULL OR k.n <= r.through"
        ),
        dict(zip("gepn", ([key[i] for key in keys] for i in range(4)), strict=True)),
    )
    for gateway, epoch, partition, number, sha256, kind in known.all():
        found = work.arrivals.pop((gateway, epoch, partition, number))
        done.repeated += 1
        if sha256 is None:
            _repeated_after_fold(work, found, now)
        elif bytes(sha256) != found.header.sha256:
            _mismatch(work, found, kind, now)


def _repeated_after_fold(work: _Gathered, found: Arrival, now: datetime) -> None:
    """A batch whose header is folded (core.ingest.headers): confirmed, but whether this is the same is not known."""
    header = found.header
    if found.body.readings:
        detail = Message("ingest.after_fold", batch=str(header.id))
        whose = {"gateway": header.gateway, "partition": header.partition}
        work.dead.append(_dead_letter(now, "message", "after_fold", detail, found.message, **whose))


def _key(found: Arrival) -> Key:
    return Key(found.header.gateway, found.header.epoch, found.header.partition)


def _confirmed(found: Arrival, marks: tuple[Watermark, ...]) -> Confirmed:
    return Confirmed(_key(found), found.header.number, marks, found.body.previous)


def _write_dead_letters(u: Unit, work: _Gathered) -> None:
    if work.dead:
        fresh = _first_reasons(u, {letter["reason"] for letter in work.dead})
        u.conn.execute(insert(DeadLetter), work.dead)
        for reason in sorted(fresh):
            letter = next(each for each in work.dead if each["reason"] == reason)
            u.outbox(
                "ingest.dead_letters",
                reason,
                {"reason": reason, "gateway": letter["gateway"], "detail": letter["detail"]},
            )
    if work.alarms:
        u.conn.execute(insert(IngestAlarm), work.alarms)
        for alarm in work.alarms:
            u.outbox("ingest.alarm", alarm["gateway"], {"kind": alarm["kind"], "detail": alarm["detail"]})


def _first_reasons(u: Unit, reasons: set[str]) -> set[str]:
    """Those for which there was no open dead letter within ALARM_INTERVAL: a device that is wrong every second is told
    once.
    """
    latest = u.conn.execute(
        text(
            "SELECT k.r FROM unnest(cast(:reasons AS text[])) k(r) JOIN LATERAL (SELECT at FROM dead_letter d "
            "WHERE d.reason = k.r AND d.replayed_at IS NULL ORDER BY id DESC LIMIT 1) d ON d.at > :since"
        ),
        {"reasons": sorted(reasons), "since": u.now - ALARM_INTERVAL},
    )
    return reasons - set(latest.scalars())
