"""Whatever a gateway, or somebody who is none, puts into the stream: a dead letter with its reason, and nobody stops.

The judge is the real one, with goods in the room: what gets that far must be something that can be judged.
"""

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from sqlalchemy import Engine

from core.erp.kernel.unit import system, transact
from core.ingest import confirmation
from core.ingest.confirmation import ConsumerState, answer
from core.ingest.decoding import arrival
from core.ingest.transaction import IngestCounts, IngestTransaction, StreamMessage
from core.telemetry.address import PARTITIONS, partition_of
from core.telemetry.batch import (
    MISSING_MAX,
    BadBatch,
    Body,
    ConfirmRequest,
    Gap,
    Header,
    PreviousEpoch,
    Watermark,
    decode,
    digest,
    encode,
    encode_body,
    pack,
    unpack_header,
)
from core.telemetry.quality import Quality
from core.telemetry.reading import Reading
from core.wiring import build_events
from tests.services.ingest_after_test import rows
from tests.services.ingest_support import Gateway, RecordingJudge, add_points, fold
from tests.world import OVER_8_FOR_60, World, at, every

ROOM = "s1/a/room"
POINT = f"{ROOM}/p1/temperature"
PARTITION = partition_of(ROOM)
FIRST, LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
DEEP = b"\x91" * 100_000 + b"\xc0"


def reading_at(clock: str, value: float | str = 5.0, point: str = POINT) -> Reading:
    return Reading(point, at(clock), value, "Cel", at(clock))


class Core:
    """The ingest with the real judge; each message in a transaction of its own."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.world = World(engine, build_events())
        self.sublot = self.world.sublot(self.world.item(OVER_8_FOR_60), self.world.zone("room"), at("01:00"))
        self.ingest = IngestTransaction(judge=self.world.judge, live=False)
        self.gateway = Gateway()

    def take(self, *messages: bytes) -> IngestCounts:
        carried = [StreamMessage(PARTITION, message) for message in messages]
        return transact(
            self.engine, system("ingest"), self.world.events, lambda u: self.ingest.run(u, carried), at("06:00")
        )

    def cut(self, *readings: Reading, marks: tuple[Watermark, ...] = (), gaps: tuple[Gap, ...] = ()) -> bytes:
        return self.gateway.cut(readings, marks, gaps, partition=PARTITION).data

    def dead(self) -> list[tuple[object, ...]]:
        return rows(self.engine, "SELECT kind, reason FROM dead_letter ORDER BY id")

    def goes_on(self) -> None:
        """Who comes next is judged as ever: an hour at 9 °C holds the goods."""
        warm = every(5, at("02:00"), at("03:05"), 9.0)
        fresh = Gateway(name="gw-after")
        readings = [Reading(POINT, when, value, "Cel", when) for when, value in warm]
        message = fresh.cut(readings, [Watermark("probes", at("03:05"), (ROOM,))], partition=PARTITION)
        self.take(message.data)
        assert self.world.holds(self.sublot)


@pytest.fixture
def core(engine: Engine) -> Core:
    return Core(engine)


def header(**changes: Any) -> bytes:
    """A sound body under a header that is not."""
    raw = encode_body(Body((reading_at("02:00"),)))
    sound = Header(
        gateway="gw-1",
        site="s1",
        epoch="e1",
        partition=PARTITION,
        number=1,
        kind="readings",
        sha256=digest(raw),
        count=1,
        first_at=at("02:00"),
        last_at=at("02:00"),
        cut_at=at("02:01"),
    )
    return pack(msgspec.structs.replace(sound, **changes), raw)


SOUND = header()
NO_BATCH = {
    "nothing": b"",
    "JSON": b'{"gateway": "gw-1", "readings": [{"point": "x", "value": 4.0}]}',
    "protobuf": bytes.fromhex("0a0467772d31120208011a0b0a0378797a15000080401801"),
    "a page of HTML": b"<html><body>502 Bad Gateway</body></html>",
    "MessagePack of something else": msgspec.msgpack.encode({"gateway": "gw-1", "values": [1, 2, 3]}),
    "a list too short": msgspec.msgpack.encode([1]),
    "arrays within each other": DEEP,
    "arrays behind the body": b"\x93" + SOUND[1:] + DEEP,
    "a length that lies": b"\x92\xdd\xff\xff\xff\xff",
    "bytes of no text": SOUND.replace(b"gw-1", b"gw\xff\xfe"),
    "zeros": bytes(4096),
}
BAD_HEADERS: dict[str, dict[str, Any]] = {
    "number 0": {"number": 0},
    "number below": {"number": -5},
    "number beyond": {"number": 2**63},
    "partition beyond": {"partition": 64},
    "partition below": {"partition": -1},
    "no name": {"gateway": ""},
    "a long name": {"epoch": "e" * 10_000},
    "a name with a NUL": {"gateway": "gw\0"},
    "a name of lines": {"site": "a\nb"},
    "count below": {"count": -1},
    "count beyond": {"count": 2**40},
    "another hash": {"sha256": bytes(32)},
    "no hash": {"sha256": b""},
}


def test_what_is_no_batch_is_kept_with_its_reason(core: Core) -> None:
    for name, message in NO_BATCH.items():
        done = core.take(message)
        assert (done.batches, done.new, done.dead) == (0, 0, 1), name
    assert set(core.dead()) == {("message", "not_a_batch")}
    assert rows(core.engine, "SELECT raw FROM dead_letter ORDER BY id") == [(message,) for message in NO_BATCH.values()]
    assert rows(core.engine, "SELECT count(*) FROM dead_letter WHERE detail = ''") == [(0,)]
    core.goes_on()


def test_a_header_that_cannot_be_is_no_batch(core: Core) -> None:
    for name, changes in BAD_HEADERS.items():
        assert core.take(header(**changes)).batches == 0, name
    assert core.dead() == [("message", "not_a_batch")] * len(BAD_HEADERS)
    core.goes_on()


def test_another_partitions_batch_is_kept_apart(core: Core) -> None:
    core.take(header(partition=(PARTITION + 1) % PARTITIONS))
    assert core.dead() == [("message", "wrong_subject")]
    core.goes_on()


def test_every_truncation_is_a_dead_letter_and_never_confirmed(core: Core) -> None:
    cuts = [SOUND[:length] for length in range(0, len(SOUND), 7)]
    core.take(*cuts)
    assert set(core.dead()) == {("message", "not_a_batch")}
    assert len(core.dead()) == len(cuts)
    assert rows(core.engine, "SELECT count(*) FROM batch") == [(0,)]
    assert core.take(SOUND).new == 1
    core.goes_on()


ABSURD = (FIRST, datetime(1970, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC), LAST)


def test_a_gateway_with_an_absurd_clock_is_heard(core: Core) -> None:
    for number, when in enumerate(ABSURD, start=1):
        assert core.take(header(number=number, cut_at=when, first_at=when, last_at=when)).batches == 1
    core.goes_on()


def test_readings_of_an_absurd_time_are_kept_apart_and_cost_no_other(core: Core) -> None:
    for minute, when in enumerate(ABSURD):
        absurd = Reading(POINT, when, 50.0, "Cel", when)
        # judged by its own time, all the same
        stamped = Reading(POINT, at(f"02:1{minute}"), 5.0, "Cel", when, source_at=when)
        done = core.take(core.cut(reading_at(f"02:2{minute}"), absurd, stamped, reading_at(f"02:3{minute}")))
        assert (done.new, done.dead) == (3, 1)
    assert core.dead() == [("reading", "absurd_time")] * len(ABSURD)
    core.goes_on()


def test_a_watermark_of_an_absurd_time_says_nothing(core: Core) -> None:
    for when in ABSURD:
        core.take(core.cut(reading_at("02:00"), marks=(Watermark("probes", when, (ROOM,)),)))
    assert core.dead() == [("part", "undecodable")] * len(ABSURD)
    assert rows(core.engine, "SELECT count(*) FROM source_watermark") == [(0,)]
    core.goes_on()


GAPS = (
    Gap(ROOM, FIRST, LAST, "for ever"),
    Gap(POINT, LAST, LAST, "at the end of time"),
    Gap("source:probes", FIRST, FIRST, "at its beginning"),
    Gap(ROOM, at("03:00"), at("02:00"), "backwards"),
    Gap("", at("02:00"), at("03:00"), "of nobody"),
    Gap("no/such/zone", at("02:00"), at("03:00"), "of a zone that is not"),
    Gap("\0", at("02:00"), at("03:00"), "NUL"),
    Gap(ROOM, at("02:00"), at("03:00"), "\0"),
)


def test_a_gap_that_cannot_be_stops_nobody(core: Core) -> None:
    for minute, gap in enumerate(GAPS):
        assert core.take(core.cut(reading_at(f"02:0{minute}"), gaps=(gap,))).new == 1, gap
    assert set(core.dead()) == {("part", "undecodable")}
    core.goes_on()


MEANINGLESS = (
    (Reading(POINT, at("02:00"), "\0", "Cel", at("02:00")), "unstorable_text"),
    (Reading(POINT, at("02:00"), 4.0, "parsec", at("02:00")), "wrong_unit"),
    (Reading(POINT, at("02:00"), 4.0, "x" * 10_000, at("02:00")), "wrong_unit"),
    (Reading("no/such/room/p1/temperature", at("02:00"), 4.0, "Cel", at("02:00")), "unknown_point"),
    (Reading(POINT, at("02:00"), 2**62, "Cel", at("02:00")), ""),
    (Reading(POINT, at("02:00"), 1e308, "[degF]", at("02:00")), "absurd_value"),
    (Reading(POINT, at("02:00"), 1e308, "Cel", at("02:00")), "absurd_value"),
    (Reading(POINT, at("02:00"), -1e308, "Cel", at("02:00")), "absurd_value"),
    (Reading(POINT, at("02:00"), "warm", "Cel", at("02:00")), ""),
    (Reading(POINT, at("02:00"), True, "Cel", at("02:00")), ""),
    (Reading(POINT, at("02:00"), None, "Cel", at("02:00"), None, Quality.BAD, "x" * 100_000), ""),
)


def test_a_reading_that_means_nothing_costs_no_other(core: Core) -> None:
    for reading, reason in MEANINGLESS:
        before = len(core.dead())
        done = core.take(core.cut(reading_at("01:55"), reading, reading_at("02:05")))
        assert done.readings + done.dead == 3
        assert [why for _, why in core.dead()[before:]] == ([reason] if reason else []), reading
    core.goes_on()


def test_a_batch_full_of_nonsense_is_one_dead_letter(core: Core) -> None:
    """A million nothings fit into one message: a letter for each would take minutes, and the worker's memory."""
    nothings = msgspec.msgpack.encode([[None] * 300_000])
    core.take(core.gateway.carry(PARTITION, 1, nothings, [reading_at("02:00")] * 7).data)
    core.take(core.gateway.carry(PARTITION, 2, msgspec.msgpack.encode([[reading_at("02:00"), *[None] * 1500]])).data)
    assert core.dead() == [("part", "undecodable")] * 2
    assert rows(core.engine, "SELECT landed_count, dead_count FROM batch ORDER BY number") == [(0, 7), (1, 1500)]
    core.goes_on()


def test_very_many_watermarks_and_gaps_with_a_bad_one_take_no_time(core: Core) -> None:
    core.gateway.numbers[PARTITION] = 0
    marks = tuple(Watermark(f"s{n}", at("02:00"), ()) for n in range(20_000))
    nonsense = Watermark("", at("02:00"), ())
    message = core.cut(reading_at("02:00"), marks=(*marks, nonsense), gaps=())
    begun = time.process_time()
    assert len(arrival(message).bad) == 1
    assert time.process_time() - begun < 5  # each laid beside each would be half a minute
    core.take(message)
    core.goes_on()


def test_what_is_no_reading_is_not_counted_as_one(core: Core) -> None:
    """Delivery is proved by `count` = landed + duplicates + conflicts + dead."""
    core.take(
        core.cut(
            reading_at("02:00"),
            reading_at("02:05", point=f"{ROOM}/p9/temperature"),
            marks=(Watermark("probes", LAST, (ROOM,)), Watermark("", at("02:00"), ())),
        )
    )
    assert core.dead() == [("reading", "unknown_point"), ("part", "undecodable"), ("part", "undecodable")]
    assert rows(core.engine, "SELECT count, landed_count, dead_count FROM batch") == [(2, 1, 1)]


def test_an_epoch_that_names_itself_or_nonsense_before_it_waits_for_nothing_else(core: Core) -> None:
    for previous in (
        PreviousEpoch("e1", {PARTITION: 5}),
        PreviousEpoch("\0", {1: 1}),
        PreviousEpoch("e0", {-7: 2**62}),
    ):
        core.gateway = Gateway(epoch="e1", previous=previous)
        core.take(core.cut(reading_at("02:00"), marks=(Watermark("probes", at("02:00"), (ROOM,)),)))
    core.goes_on()


def test_a_question_that_is_none_has_no_answer(engine: Engine) -> None:
    for data in (b"", b"\xc1", DEEP, b"\x81\xa1a" * 100_000, b"\x83\xa7gateway\xa2\xff\xfe"):
        with pytest.raises(BadBatch):
            decode(ConfirmRequest, data)
    strange = (("e1", -1, -1), ("e1", 10**6, 2**62), ("", 0, 0), ("e1", 3, 2**62), ("e1", 4, 2**63 - 1))
    for ask in (ConfirmRequest("", ()), ConfirmRequest("gw-1", strange, (-5, 2**62, 3, 4, 2**63 - 1))):
        told_back = answer(engine, ask, ConsumerState()).confirmed
        assert all(len(one.missing) <= MISSING_MAX for one in told_back)
    with pytest.raises(BadBatch, match="5000 runs"):
        answer(engine, ConfirmRequest("gw-1", (("e1", 3, 1),) * 5000), ConsumerState())


def test_what_misses_in_every_partition_at_once_fits_into_one_message(engine: Engine) -> None:
    """A core restored from an older copy misses thousands of batches of each: an answer too large is never sent."""
    asked = tuple((epoch, partition, 80_000) for epoch in ("e1", "e2") for partition in range(64))
    ask = ConfirmRequest("gw-1", asked, (70_000,) * len(asked))
    reply = answer(engine, ask, ConsumerState("s", dict.fromkeys(range(64), 9)))
    assert len(encode(reply)) < 2**20
    for one in reply.confirmed:
        assert one.missing == tuple(range(70_001, 70_001 + len(one.missing)))
        assert one.upto == one.missing[-1]  # and speaks of no more than it lists


def test_an_answer_speaks_of_so_many_numbers_at_most(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confirmation, "NUMBERS_MAX", 10)
    add_points(engine, (POINT,))
    gateway = Gateway()
    for _ in range(30):
        gateway.cut(partition=PARTITION)
    fold(
        engine,
        IngestTransaction(judge=RecordingJudge(), live=False),
        *(gateway.cut(partition=PARTITION) for _ in range(5)),
    )
    for since, missing, upto in ((0, range(1, 11), 10), (25, range(26, 31), 35), (33, range(36, 37), None)):
        (one,) = answer(engine, ConfirmRequest("gw-1", (("e1", PARTITION, 36),), (since,)), ConsumerState()).confirmed
        assert (one.through, list(one.missing), one.upto) == (0, list(missing), upto)


def mutations(data: bytes, count: int, seal: Callable[[bytes], bytes]) -> list[bytes]:
    """The bytes with a few of them changed, taken out or put in."""
    rng = random.Random(20260302)
    out = []
    for _ in range(count):
        some = bytearray(data)
        for _ in range(rng.choice((1, 1, 2, 3))):
            place = rng.randrange(len(some))
            kind = rng.randrange(3)
            if kind == 0:
                some[place] = rng.randrange(256)
            elif kind == 1:
                del some[place : place + rng.randrange(1, 6)]
            else:
                some[place:place] = rng.randbytes(rng.randrange(1, 4))
        out.append(seal(bytes(some)))
    return out


def test_a_message_damaged_anywhere_never_stops_the_partition(core: Core) -> None:
    missing = Reading(POINT, at("02:10"), None, "Cel", at("02:10"), None, Quality.BAD, "x")
    body = Body(
        (reading_at("02:00"), reading_at("02:05", 6.0), missing),
        (Watermark("probes", at("02:10"), (ROOM,)),),
        (Gap(ROOM, at("02:00"), at("02:01"), "door"),),
        PreviousEpoch("e0", {}),
    )
    sound = Gateway().carry(PARTITION, 1, encode_body(body), body.readings)
    whole = unpack_header(sound.data)[0]
    numbers = iter(range(2, 10**6))

    def sealed(raw: bytes) -> bytes:
        return pack(msgspec.structs.replace(whole, number=next(numbers), sha256=digest(raw)), raw)

    for message in mutations(sound.data, 4000, bytes):
        try:
            arrival(message)
        except BadBatch:
            continue
    damaged = mutations(encode_body(body), 300, sealed)
    for first in range(0, len(damaged), 30):
        core.take(*damaged[first : first + 30])
    core.take(*mutations(sound.data, 100, bytes))
    assert {kind for kind, _ in core.dead()} == {"message", "part", "reading"}
    core.goes_on()


def test_a_flood_of_nonsense_is_told_once(core: Core) -> None:
    core.take(*(b"nonsense %d" % n for n in range(500)))
    assert rows(core.engine, "SELECT count(*) FROM dead_letter") == [(500,)]
    assert rows(core.engine, "SELECT count(*) FROM outbox WHERE topic = 'ingest.dead_letters'") == [(1,)]
