"""The ingest's transaction: what lands, what is confirmed, what dies, and what the judge is given."""

import msgspec
import pytest
from sqlalchemy import Engine, text

from core.ingest.transaction import IngestTransaction, StreamMessage
from core.telemetry.batch import Body, Gap, encode_body
from tests.services.ingest_support import (
    AT,
    PARTITION,
    POINT,
    ZONE,
    Gateway,
    RecordingJudge,
    S,
    add_points,
    fold,
    mark,
    reading,
)


def rows(engine: Engine, query: str) -> list[tuple[object, ...]]:
    with engine.connect() as conn:
        return [tuple(row) for row in conn.execute(text(query))]


def folder() -> tuple[IngestTransaction, RecordingJudge]:
    judge = RecordingJudge()
    return IngestTransaction(judge=judge, live=False), judge


def test_a_batch_lands_is_judged_and_confirmed_at_once(engine: Engine) -> None:
    add_points(engine)
    ingest, judge = folder()
    gw = Gateway()
    readings = [reading(n, 4.0 + n) for n in range(10)]
    done = fold(engine, ingest, gw.cut(readings, [mark(9)], [Gap(POINT, AT, AT + S, "test")]))
    assert (done.batches, done.new, done.dead) == (1, 10, 0)
    assert judge.readings == readings
    assert judge.watermarks == [("gw-1", mark(9))]
    assert [gap.reason for _, gap in judge.gaps] == ["test"]
    assert rows(engine, "SELECT gateway, epoch, number, count, landed_count FROM batch") == [("gw-1", "e1", 1, 10, 10)]
    assert rows(engine, "SELECT through, follows FROM batch_progress") == [(1, True)]


def test_a_redelivered_batch_changes_nothing(engine: Engine) -> None:
    add_points(engine)
    ingest, judge = folder()
    batch = Gateway().cut([reading(n) for n in range(5)], [mark(4)])
    fold(engine, ingest, batch)
    again = fold(engine, ingest, batch, batch)
    assert (again.batches, again.repeated, again.new) == (0, 2, 0)
    assert len(judge.readings) == 5
    assert len(judge.watermarks) == 1


def test_equal_is_duplicate_and_different_is_conflict(engine: Engine) -> None:
    add_points(engine)
    ingest, judge = folder()
    gw = Gateway()
    fold(engine, ingest, gw.cut([reading(0, 4.0), reading(1, 5.0)]))
    done = fold(engine, ingest, gw.cut([reading(0, 4.0), reading(1, 9.5), reading(2, 6.0), reading(2, 7.0)]))
    assert (done.new, done.duplicates, done.conflicts) == (1, 1, 2)
    assert {(one.value, two.value) for one, two in judge.conflicts} == {(5.0, 9.5), (6.0, 7.0)}
    assert rows(engine, "SELECT num FROM reading ORDER BY at") == [(4.0,), (5.0,), (6.0,)]
    assert rows(engine, "SELECT num, batch_id FROM reading_conflict ORDER BY num") == [(7.0, 2), (9.5, 2)]
    assert rows(engine, "SELECT landed_count, duplicate_count, conflict_count FROM batch ORDER BY id") == [
        (2, 0, 0),
        (1, 1, 2),
    ]


def test_what_may_not_be_judged_goes_to_the_dead_letters_and_its_batch_is_confirmed(engine: Engine) -> None:
    add_points(engine)
    add_points(engine, [f"{ZONE}/probe_1/humidity"], "%")
    ingest, judge = folder()
    bad = [
        reading(1, point=f"{ZONE}/nobody/temperature"),
        reading(2, unit="%"),
        reading(-(10**9)),
        reading(3 * 86400),
        reading(3, "a\0b"),
    ]
    done = fold(engine, ingest, Gateway().cut([reading(0), *bad, reading(4, 41.0, unit="[degF]")]))
    assert (done.new, done.dead) == (2, 5)
    assert [(r.value, r.unit) for r in judge.readings] == [(4.0, "Cel"), (5.0, "Cel")]
    assert [r[0] for r in rows(engine, "SELECT reason FROM dead_letter ORDER BY id")] == [
        "unknown_point",
        "wrong_unit",
        "absurd_time",
        "absurd_time",
        "unstorable_text",
    ]
    assert rows(engine, "SELECT landed_count, dead_count, count FROM batch") == [(2, 5, 7)]
    assert rows(engine, "SELECT through FROM batch_progress") == [(1,)]


def test_a_live_instance_takes_nothing_simulated(engine: Engine) -> None:
    add_points(engine)
    judge = RecordingJudge()
    fake = msgspec.structs.replace(reading(0), simulated=True)
    fold(engine, IngestTransaction(judge=judge, live=True), Gateway().cut([fake, reading(1)]))
    assert judge.readings == [reading(1)]
    assert rows(engine, "SELECT reason FROM dead_letter") == [("simulated",)]


def test_one_reading_that_cannot_be_decoded_costs_no_other(engine: Engine) -> None:
    add_points(engine)
    ingest, judge = folder()
    raw = bytearray(encode_body(Body((reading(0), reading(1), reading(2)))))
    place = raw.find(b"temperature", raw.find(b"temperature") + 1)
    raw[place - 1 : place] = b" "  # the second reading's address is none
    done = fold(engine, ingest, Gateway().carry(PARTITION, 1, bytes(raw), [reading(n) for n in range(3)]))
    assert (done.batches, done.new, done.dead) == (1, 2, 1)
    assert judge.readings == [reading(0), reading(2)]
    assert rows(engine, "SELECT kind, reason FROM dead_letter") == [("part", "undecodable")]


def test_a_message_that_is_no_batch_or_not_what_was_hashed_is_never_confirmed(engine: Engine) -> None:
    add_points(engine)
    ingest, judge = folder()
    good = Gateway().cut([reading(0)])
    flipped = bytearray(good.data)
    flipped[-3] ^= 1
    done = fold(engine, ingest, StreamMessage(PARTITION, b"\xc1garbage"), StreamMessage(PARTITION, bytes(flipped)))
    assert (done.batches, done.dead) == (0, 2)
    assert rows(engine, "SELECT count(*) FROM batch") == [(0,)]
    assert fold(engine, ingest, good).new == 1
    assert judge.readings == [reading(0)]


def test_the_same_number_with_other_content_alarms(engine: Engine) -> None:
    add_points(engine)
    ingest, judge = folder()
    gw = Gateway()
    fold(engine, ingest, gw.cut([reading(0)]))
    fold(engine, ingest, gw.carry(PARTITION, 1, encode_body(Body((reading(5, 99.0),)))))
    assert judge.readings == [reading(0)]
    assert rows(engine, "SELECT kind, gateway FROM ingest_alarm") == [("batch_mismatch", "gw-1")]
    assert rows(engine, "SELECT kind, reason FROM dead_letter") == [("message", "batch_mismatch")]


def test_a_tombstone_after_its_readings_is_nothing_new(engine: Engine) -> None:
    add_points(engine)
    ingest, judge = folder()
    gw = Gateway()
    fold(engine, ingest, gw.cut([reading(0)]))
    gap = Gap(POINT, AT, AT + S, "dropped")
    fold(engine, ingest, gw.carry(PARTITION, 1, encode_body(Body((), (), (gap,))), kind="tombstone"))
    assert judge.gaps == []
    assert rows(engine, "SELECT kind FROM ingest_alarm") == []


def test_a_watermark_waits_for_lower_numbers(engine: Engine) -> None:
    add_points(engine)
    ingest, judge = folder()
    gw = Gateway()
    one, two, three = (gw.cut([reading(n)], [mark(n)]) for n in range(3))
    fold(engine, ingest, three)
    fold(engine, ingest, two)
    assert judge.watermarks == []
    assert rows(engine, "SELECT through FROM batch_progress") == [(0,)]
    fold(engine, ingest, one)
    assert judge.watermarks == [("gw-1", mark(2))]
    assert rows(engine, "SELECT through FROM batch_progress") == [(3,)]
    assert rows(engine, "SELECT count(*) FROM pending_watermark") == [(0,)]


def test_a_watermark_waits_for_earlier_epochs(engine: Engine) -> None:
    add_points(engine)
    ingest, judge = folder()
    first = Gateway()
    old = [first.cut([reading(n)], [mark(n)]) for n in range(2)]
    second = first.restart("e2")
    new = [second.cut([reading(10 + n)], [mark(10 + n)]) for n in range(2)]
    third = second.restart("e3")
    newest = third.cut([reading(20)], [mark(20)])
    fold(engine, ingest, newest)
    fold(engine, ingest, *new)
    fold(engine, ingest, old[0])
    assert judge.watermarks == [("gw-1", mark(0))]
    fold(engine, ingest, old[1])
    assert max(m.upto for _, m in judge.watermarks) == AT + 20 * S
    assert rows(engine, "SELECT count(*) FROM pending_watermark") == [(0,)]
    assert len(judge.readings) == 5


def test_an_epoch_without_batches_in_a_partition_is_no_obstacle(engine: Engine) -> None:
    other = "north/cold/elsewhere/p/temperature"
    add_points(engine, [POINT, other])
    ingest, judge = folder()
    first = Gateway()
    a = first.cut([reading(0)], [mark(0)])
    second = first.restart("e2")
    b = second.cut([reading(1, point=other)])
    third = second.restart("e3")
    c = third.cut([reading(2)], [mark(2)])
    fold(engine, ingest, c)
    fold(engine, ingest, a)
    assert ("gw-1", mark(2)) not in judge.watermarks  # the epoch between has not been heard of
    fold(engine, ingest, b)
    later = third.cut([], [mark(3)])
    fold(engine, ingest, later)
    assert judge.watermarks[-1] == ("gw-1", mark(3))
    assert rows(engine, "SELECT count(*) FROM pending_watermark") == [(0,)]


def test_a_lost_spool_holds_watermarks_back_until_its_epoch_is_closed(engine: Engine) -> None:
    add_points(engine)
    ingest, judge = folder()
    fold(engine, ingest, Gateway().cut([reading(0)], [mark(0)]))
    fresh = Gateway(epoch="f1")
    fold(engine, ingest, fresh.cut([reading(10)], [mark(10)]), fresh.cut([reading(11)], [mark(11)]))
    assert judge.watermarks == [("gw-1", mark(0))]
    assert len(judge.readings) == 3


def test_nothing_is_kept_of_a_transaction_that_fails(engine: Engine) -> None:
    add_points(engine)
    judge = RecordingJudge(poison=frozenset({POINT}))
    with pytest.raises(ZeroDivisionError):
        fold(engine, IngestTransaction(judge=judge, live=False), Gateway().cut([reading(0)]))
    for name in ("batch", "reading", "batch_progress", "gateway_epoch", "dead_letter"):
        assert rows(engine, f"SELECT count(*) FROM {name}") == [(0,)], name
