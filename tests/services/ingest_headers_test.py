"""Headers fold by the hour: a day of empty batches leaves a handful of rows, and whatever is asked of them is known."""

from datetime import timedelta

import pytest
from sqlalchemy import Engine

from core.ingest import headers
from core.ingest.confirmation import ConsumerState, answer
from core.ingest.epochs import epoch_record
from core.ingest.headers import FOLDS_KEPT, REPLAYABLE, delete_old_headers, fold_headers
from core.ingest.lag import ingest_lag
from core.ingest.replaying import Filter
from core.ingest.shipping import prune, ship
from core.ingest.transaction import IngestTransaction, StreamMessage
from core.series.memory import MemoryStore
from core.series.restoring import attach
from core.telemetry.batch import CHAIN_START, Body, ConfirmRequest, chain, encode_body, unpack_header
from tests.services.ingest_after_test import again, rows
from tests.services.ingest_support import AT, PARTITION, Gateway, RecordingJudge, S, add_points, fold, mark, reading

EVERY = 6
"""Seconds between the batches of these tests."""
HOUR = 3600 // EVERY


def ingest_batches(
    engine: Engine, gw: Gateway, count: int, judge: RecordingJudge, readings_every: int = 50
) -> list[StreamMessage]:
    """That many batches, one each EVERY seconds, all but every so-and-so-many-th empty; folded by the hundred."""
    add_points(engine)
    ingest = IngestTransaction(judge=judge, live=False)
    first = gw.numbers.get(PARTITION, 0)
    cut = []
    for n in range(first, first + count):
        gw.now = AT + n * EVERY * S
        cut.append(gw.cut([reading(n * EVERY)] if n % readings_every == 0 else [], [mark(n * EVERY)]))
    for start in range(0, count, 500):
        some = cut[start : start + 500]
        fold(engine, ingest, *some, now=AT + (first + start + len(some)) * EVERY * S)
    return cut


def status(engine: Engine) -> list[tuple[object, ...]]:
    return rows(
        engine,
        "SELECT gateway, site, epochs, batches, readings, landed, duplicates, conflicts, dead, last_cut_at,"
        " last_received_at FROM v_gateway_status",
    )


@pytest.fixture
def judge() -> RecordingJudge:
    return RecordingJudge()


def test_a_long_run_of_empty_batches_leaves_a_row_an_hour(engine: Engine, judge: RecordingJudge) -> None:
    gw = Gateway()
    cut = ingest_batches(engine, gw, 4 * HOUR, judge)
    before, now = status(engine), AT + timedelta(hours=9)
    assert fold_headers(engine, now) == 4 * HOUR - 4 * HOUR // 50
    assert rows(engine, "SELECT count(*) FROM batch WHERE count = 0") == [(0,)]
    assert status(engine) == before
    link, links = CHAIN_START, []
    for n, message in enumerate(cut, start=1):
        link = chain(link, unpack_header(message.data)[0].sha256)
        if n % HOUR == 0:
            links.append(link)
            link = CHAIN_START
    found = rows(engine, "SELECT first_number, last_number, hour, gone, count, chain FROM batch_fold ORDER BY hour")
    empties = HOUR - HOUR // 50
    assert found == [
        (n * HOUR + 1, n * HOUR + HOUR, AT + n * timedelta(hours=1), empties, 0, links[n]) for n in range(4)
    ]
    assert fold_headers(engine, now) == 0


def test_what_just_came_keeps_its_header_and_a_fold_goes_on_where_it_ended(
    engine: Engine, judge: RecordingJudge
) -> None:
    gw = Gateway()
    ingest_batches(engine, gw, 3 * HOUR // 2, judge)
    assert fold_headers(engine, AT + timedelta(hours=1)) == 0
    assert fold_headers(engine, AT + timedelta(hours=3, minutes=10)) > 0
    half = rows(engine, "SELECT last_number FROM batch_fold ORDER BY 1")
    assert half[-1][0] < 3 * HOUR // 2  # type: ignore[operator]  # JSON
    ingest_batches(engine, gw, HOUR, judge)
    fold_headers(engine, AT + timedelta(hours=9))
    whole = rows(engine, "SELECT first_number, last_number, chain FROM batch_fold ORDER BY 1")
    other = Gateway(name="gw-2")
    ingest_batches(engine, other, 5 * HOUR // 2, judge)
    fold_headers(engine, AT + timedelta(hours=9))
    at_once = rows(engine, "SELECT first_number, last_number, chain FROM batch_fold WHERE gateway = 'gw-2' ORDER BY 1")
    assert (
        [row[:2] for row in whole]
        == [row[:2] for row in at_once]
        == [
            (1, HOUR),
            (HOUR + 1, 2 * HOUR),
            (2 * HOUR + 1, 5 * HOUR // 2),
        ]
    )


def test_small_steps_fold_as_one_big_one(
    engine: Engine, judge: RecordingJudge, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest_batches(engine, Gateway(), 2 * HOUR, judge)
    monkeypatch.setattr(headers, "BATCH_SIZE", 70)
    fold_headers(engine, AT + timedelta(hours=9))
    small = rows(engine, "SELECT first_number, last_number, gone FROM batch_fold ORDER BY 1")
    assert small == [(n * HOUR + 1, n * HOUR + HOUR, HOUR - HOUR // 50) for n in range(2)]


def test_a_folded_number_is_confirmed_whoever_asks(engine: Engine, judge: RecordingJudge) -> None:
    gw = Gateway()
    cut = ingest_batches(engine, gw, HOUR, judge)
    lost = gw.cut([reading(1)])
    gw.now = AT + timedelta(hours=1)
    after = gw.cut([], [mark(3700)])
    fold(engine, IngestTransaction(judge=judge, live=False), after, now=AT + timedelta(hours=1))
    fold_headers(engine, AT + timedelta(hours=9))

    # redelivered: nothing new, nothing dead
    marks, read = len(judge.watermarks), len(judge.readings)
    done = fold(engine, IngestTransaction(judge=judge, live=False), *cut[:100], cut[-1], now=AT + timedelta(hours=9))
    assert (done.batches, done.repeated, done.dead) == (0, 101, 0)
    assert (len(judge.watermarks), len(judge.readings)) == (marks, read)

    # asked for: confirmed but for the one that is missing
    ask = ConfirmRequest("gw-1", (("e1", PARTITION, HOUR + 3),))
    (told,) = answer(engine, ask, ConsumerState()).confirmed
    assert (told.through, told.missing) == (HOUR, (HOUR + 1, HOUR + 3))
    with engine.connect() as conn:
        assert epoch_record(conn, "gw-1", "e1")["missing"] == {str(PARTITION): [HOUR + 1]}
    # what came above the hole is not folded: it closes up and counts once the hole is filled
    assert rows(engine, f"SELECT number FROM batch WHERE number > {HOUR}") == [(HOUR + 2,)]
    assert ingest_lag(engine, AT + timedelta(hours=9)).runs_with_holes == 1
    fold(engine, IngestTransaction(judge=judge, live=False), lost, now=AT + timedelta(hours=9))
    assert judge.watermarks[-1] == ("gw-1", mark(3700))
    assert rows(engine, "SELECT through FROM batch_progress") == [(HOUR + 2,)]


def test_a_gateway_that_is_quiet_for_long_is_told_of_by_its_folds(engine: Engine, judge: RecordingJudge) -> None:
    ingest_batches(engine, Gateway(), HOUR, judge, readings_every=10**6)
    quiet = ingest_lag(engine, AT + timedelta(hours=9)).quiet
    fold_headers(engine, AT + timedelta(hours=9))
    assert ingest_lag(engine, AT + timedelta(hours=9)).quiet == quiet == {"gw-1": timedelta(hours=8)}


def test_a_number_used_again_with_other_content_is_kept_apart(engine: Engine, judge: RecordingJudge) -> None:
    gw = Gateway()
    ingest_batches(engine, gw, HOUR, judge)
    fold_headers(engine, AT + timedelta(hours=9))
    forged = gw.carry(PARTITION, 7, encode_body(Body((reading(1, 99.0), reading(2, 5.0)))), [reading(1), reading(2)])
    done = fold(engine, IngestTransaction(judge=judge, live=False), forged, now=AT + timedelta(hours=9))
    assert (done.new, done.dead) == (0, 1)
    assert rows(engine, "SELECT kind, reason FROM dead_letter") == [("message", "after_fold")]
    assert again(engine, judge).landed == 2  # somebody who looked at it lets it land beside
    assert again(engine, judge, Filter()).landed == 0
    # one whose header is still here is found by its hash
    with_reading = gw.carry(PARTITION, 51, encode_body(Body((reading(1, 98.0),))), [reading(1)])
    fold(engine, IngestTransaction(judge=judge, live=False), with_reading, now=AT + timedelta(hours=9))
    assert rows(engine, "SELECT reason FROM dead_letter ORDER BY id") == [("after_fold",), ("batch_mismatch",)]


def test_a_header_lives_as_long_as_its_readings_are_here(engine: Engine, judge: RecordingJudge) -> None:
    gw = Gateway()
    ingest_batches(engine, gw, HOUR, judge)
    gw.now = AT + timedelta(hours=2)
    fold(
        engine,
        IngestTransaction(judge=judge, live=False),
        gw.cut([reading(7300), reading(7301, unit="%")]),
        gw.cut([], kind="tombstone"),
        now=AT + timedelta(hours=2),
    )
    store, later = MemoryStore(), AT + timedelta(days=9)
    fold_headers(engine, AT + timedelta(hours=9))
    before = status(engine)
    there = "SELECT number FROM batch ORDER BY number"
    kept = [(n,) for n in (*range(1, HOUR, 50), HOUR + 1, HOUR + 2)]
    assert rows(engine, there) == kept
    assert delete_old_headers(engine, later) == 0  # not shipped
    ship(engine, store, AT + timedelta(hours=3))
    assert delete_old_headers(engine, later) == 0  # its readings are here
    assert prune(engine, later) == ["reading_20260302"]
    assert delete_old_headers(engine, AT + timedelta(hours=9)) == 0  # the gateway may still send it again
    assert delete_old_headers(engine, AT + timedelta(hours=3) + REPLAYABLE) == HOUR // 50
    # what was refused or lost stays to be seen
    assert rows(engine, there) == [(HOUR + 1,), (HOUR + 2,)]
    assert status(engine) == before
    assert rows(engine, "SELECT gone, count, landed_count FROM batch_fold ORDER BY hour") == [
        (HOUR, HOUR // 50, HOUR // 50),
        (0, 0, 0),
    ]
    assert rows(engine, "SELECT sum(readings) FROM v_gateway_batches") == [(HOUR // 50 + 2,)]


def test_a_batch_that_came_after_its_week_was_dropped_keeps_its_header(engine: Engine, judge: RecordingJudge) -> None:
    gw = Gateway()
    ingest_batches(engine, gw, 100, judge)
    store, later = MemoryStore(), AT + timedelta(days=9)
    attach(engine, store)
    ship(engine, store, AT + timedelta(hours=3))
    assert prune(engine, later)
    gw.now = later
    fold(engine, IngestTransaction(judge=judge, live=False), gw.cut([reading(1)]), now=later)
    ship(engine, store, later)
    fold_headers(engine, later + timedelta(days=3))
    assert delete_old_headers(engine, later + timedelta(days=3)) == 2
    assert rows(engine, "SELECT number FROM batch") == [(101,)]


def test_folds_are_kept_for_a_year(engine: Engine, judge: RecordingJudge) -> None:
    ingest_batches(engine, Gateway(), 2 * HOUR, judge, readings_every=10**6)
    fold_headers(engine, AT + timedelta(hours=9))
    assert rows(engine, "SELECT count(*) FROM batch_fold") == [(2,)]
    fold_headers(engine, AT + FOLDS_KEPT)
    assert rows(engine, "SELECT count(*) FROM batch_fold") == [(2,)]
    fold_headers(engine, AT + FOLDS_KEPT + timedelta(days=2))
    # the last one says how far the run is folded
    assert rows(engine, "SELECT last_number FROM batch_fold") == [(2 * HOUR,)]
