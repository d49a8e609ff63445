"""`prove` over hours and weeks that either side has folded or dropped: what stays is still compared."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import Engine, text

from core.ingest.confirmation import ConsumerState, answer
from core.ingest.headers import delete_old_headers, fold_headers
from core.ingest.shipping import prune, ship
from core.ingest.transaction import IngestTransaction, StreamMessage
from core.series.memory import MemoryStore
from core.telemetry.batch import ConfirmRequest, pack
from edge.spool import DropPolicy, SentMark, Spool, SpoolOptions
from edge.spool.records import RawRow
from edge.spool.store import Rows
from lotwise.prove import Report, prove
from tests.services.ingest_support import AT, PARTITION, POINT, RecordingJudge, add_points, fold, mark, reading

OTHER = POINT.replace("probe_1", "probe_2")
OPTIONS = SpoolOptions(cut_every=timedelta(hours=9))
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@dataclass
class Line:
    """A gateway's spool and the core it tells, on one clock that goes when it is told to."""

    folder: Path
    engine: Engine
    options: SpoolOptions = OPTIONS
    now: datetime = AT
    store: MemoryStore = field(default_factory=MemoryStore)
    ingest: IngestTransaction = field(default_factory=lambda: IngestTransaction(judge=RecordingJudge(), live=False))

    def play(self, work: Callable[[Spool], Awaitable[None]]) -> None:
        """Does something with the spool open."""

        async def main() -> None:
            async with await Spool.open(self.folder, "gw-1", "north", self.options, lambda: self.now) as spool:
                await work(spool)

        asyncio.run(main())

    async def deliver(self, spool: Spool) -> None:
        """All that is cut goes to the core, and is confirmed."""
        while batches := await spool.unsent(500):
            fold(
                self.engine,
                self.ingest,
                *[StreamMessage(b.header.partition, pack(b.header, b.body)) for b in batches],
                now=self.now,
            )
            await spool.mark_sent([SentMark(b.row, b.attempt, b.row, "s1") for b in batches])
            asks = await spool.outstanding()
            ask = ConfirmRequest(
                "gw-1", tuple((a.epoch, a.partition, a.upto) for a in asks), tuple(a.since for a in asks)
            )
            await spool.settle(asks, answer(self.engine, ask, ConsumerState("s1")), {})

    def run(self, minutes: int) -> None:
        """A batch a minute, every fifth with readings, two sensors."""

        def cut(rows: Rows) -> None:
            for _ in range(minutes):
                seconds = (self.now - AT).total_seconds()
                told = [reading(seconds, 4.0 + seconds / 7), reading(seconds, point=OTHER)]
                rows.cut({PARTITION: [mark(seconds)]}, self.now, RawRow([] if seconds % 300 else told))
                self.now += MINUTE

        async def work(spool: Spool) -> None:
            await spool._do(cut)  # all in one transaction, as if the stream had taken each before the next was cut
            await self.deliver(spool)

        self.play(work)

    def fold_spool(self) -> None:
        """The gateway forgets what is past its time."""
        self.play(lambda spool: spool.prune())

    def prove(self, start: datetime = AT - HOUR, stop: datetime | None = None, *, store: bool = True) -> Report:
        """What prove says."""
        behind = self.store if store else None
        return prove("gw-1", start, stop or self.now, self.folder, self.engine, behind)


@pytest.fixture
def line(engine: Engine, tmp_path: Path) -> Line:
    """Three hours and a half were told: 210 batches, 84 readings."""
    add_points(engine, [POINT, OTHER])
    made = Line(tmp_path / "gw", engine)
    made.run(210)
    ship(engine, made.store, made.now)
    return made


def agreed(report: Report) -> tuple[int, int, int]:
    assert report.ok, report.differences
    return report.spool.readings, report.core.readings, report.series.readings


def kinds(report: Report) -> set[str]:
    assert not report.ok
    return {difference.kind for difference in report.differences}


def execute(engine: Engine, statement: str) -> None:
    with engine.begin() as conn:
        conn.execute(text(statement))


def test_whoever_folds_first_delivery_stays_proved(line: Line) -> None:
    assert agreed(line.prove()) == (84, 84, 84)
    batches = (line.prove().spool.batches, line.prove().core.batches)
    assert batches == (210, 210)
    fold_headers(line.engine, AT + 4 * HOUR)  # a part of the last hours stays
    assert agreed(line.prove()) == (84, 84, 84)
    fold_headers(line.engine, AT + DAY)
    assert agreed(line.prove()) == (84, 84, 84)
    line.now = AT + 49 * HOUR  # the last batches are not past their time yet
    line.fold_spool()
    assert agreed(line.prove()) == (84, 84, 84)
    line.now = AT + 5 * DAY
    line.fold_spool()
    report = line.prove()
    assert agreed(report) == (84, 84, 84)
    assert (report.spool.batches, report.core.batches) == (210, 210)


def test_a_spool_that_folds_before_the_core_does(line: Line) -> None:
    line.now = AT + 5 * DAY
    line.fold_spool()
    assert agreed(line.prove()) == (84, 84, 84)
    fold_headers(line.engine, line.now)
    assert agreed(line.prove()) == (84, 84, 84)


@pytest.mark.parametrize("start", [0, 10, 70, 125])
def test_a_span_may_begin_and_end_within_folded_hours(line: Line, start: int) -> None:
    fold_headers(line.engine, AT + DAY)
    report = line.prove(AT + start * MINUTE, AT + (start + 47) * MINUTE)
    assert agreed(report)[0] == agreed(report)[1] > 0
    assert report.spool.batches == report.core.batches == 47


def test_what_was_cut_while_the_core_was_away_for_hours(line: Line) -> None:
    line.play(lambda spool: spool.watermarks([mark(210 * 60)]))  # a new epoch; one batch that nobody has yet
    fold_headers(line.engine, AT + DAY)
    report = line.prove(AT, line.now + MINUTE)
    assert kinds(report) == {"missing"}
    line.play(line.deliver)
    fold_headers(line.engine, AT + 3 * DAY)
    assert agreed(line.prove(AT, line.now + MINUTE)) == (84, 84, 84)


def tamper(line: Line, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(line.folder / "spool.sqlite")) as db:
        db.execute(statement)
        db.commit()


def test_a_folded_hour_that_differs_is_found(line: Line) -> None:
    fold_headers(line.engine, AT + DAY)
    tamper(line, "UPDATE batch SET sha256 = zeroblob(32) WHERE number = 77")  # an empty one, folded in the core
    found = line.prove()
    assert kinds(found) == {"hash"}
    assert [(d.partition, d.number) for d in found.differences] == [(d.partition, 61) for d in found.differences]
    assert line.prove(AT + 2 * HOUR).ok


def test_a_batch_that_the_core_has_folded_and_the_spool_never_cut_is_found(line: Line) -> None:
    fold_headers(line.engine, AT + DAY)
    tamper(line, "DELETE FROM batch WHERE number = 77")
    assert kinds(line.prove()) == {"hole", "stranger"}


def test_a_fold_that_the_core_has_lost_is_found(line: Line) -> None:
    fold_headers(line.engine, AT + DAY)
    execute(line.engine, "DELETE FROM batch_fold WHERE first_number = 61")
    assert kinds(line.prove()) == {"missing"}
    line.now = AT + 5 * DAY
    line.fold_spool()
    assert kinds(line.prove()) == {"missing"}


def test_a_folds_figures_must_add_up(line: Line) -> None:
    fold_headers(line.engine, AT + DAY)
    execute(line.engine, "UPDATE batch_fold SET count = count + 3 WHERE first_number = 61")
    assert kinds(line.prove()) == {"count"}


# -- weeks that PostgreSQL has dropped --------------------------------------------------------------------------------


@pytest.fixture
def dropped(line: Line) -> Line:
    """Nine days later all of it is only in the store behind."""
    fold_headers(line.engine, AT + DAY)
    line.now = AT + 9 * DAY
    assert prune(line.engine, line.now) == ["reading_20260302"]
    return line


def test_dropped_weeks_are_read_from_the_series_store(dropped: Line) -> None:
    report = dropped.prove()
    assert agreed(report) == (84, 84, 84)
    assert report.series.more["shipped and dropped from PostgreSQL"] == 84
    assert report.series.more["equal by fingerprint in the series store"] == 84
    assert report.series.more["point days compared by fingerprint"] == 2
    # the headers too are folded now, on both sides
    assert delete_old_headers(dropped.engine, dropped.now) > 0
    dropped.fold_spool()
    report = dropped.prove()
    assert agreed(report) == (84, 84, 84)
    assert (report.spool.batches, report.core.batches) == (210, 210)
    assert dropped.prove(AT + 70 * MINUTE, AT + 100 * MINUTE).ok


def test_a_reading_missing_from_a_dropped_week_is_found(dropped: Line) -> None:
    del dropped.store._points[POINT][17]
    report = dropped.prove()
    assert kinds(report) == {"absent"}
    assert report.differences[0].detail == (f"{POINT} on 2026-03-02: 42 readings were shipped, the series store has 41")
    delete_old_headers(dropped.engine, dropped.now)
    assert kinds(dropped.prove()) == {"absent"}


@pytest.mark.parametrize("field", ["value", "unit", "edge_at", "simulated"])
def test_a_reading_changed_in_a_dropped_week_is_found(dropped: Line, field: str) -> None:
    kept = dropped.store._points[POINT]
    other = {"value": 4.25, "unit": "K", "edge_at": AT, "simulated": True}
    kept[17] = msgspec.structs.replace(kept[17], **{field: other[field]})
    report = dropped.prove()
    assert kinds(report) == {"unlike"}
    assert "other values" in report.differences[0].detail


def test_a_reading_too_many_in_a_dropped_week_is_found(dropped: Line) -> None:
    dropped.store.write([reading(4000.5)])
    assert kinds(dropped.prove()) == {"foreign"}


def test_a_dropped_week_without_a_store_to_ask_proves_nothing(dropped: Line) -> None:
    report = dropped.prove(store=False)
    assert kinds(report) == {"count"}
    assert "LOTWISE_INFLUX_URL" in report.differences[0].detail


def test_late_readings_of_a_dropped_week_are_compared_too(dropped: Line) -> None:
    from core.series.restoring import attach

    attach(dropped.engine, dropped.store)

    async def late(spool: Spool) -> None:
        await spool.keep([reading(4000.5), reading(600, 4.0 + 600 / 7)])  # one new, one heard again
        await spool.flush()
        dropped.now += MINUTE
        await dropped.deliver(spool)

    dropped.play(late)
    report = dropped.prove()
    assert agreed(report) == (86, 86, 85)
    assert report.series.more["waiting to be shipped"] == 1
    ship(dropped.engine, dropped.store, dropped.now)
    assert agreed(dropped.prove()) == (86, 86, 85)
    dropped.now += 3 * DAY
    assert prune(dropped.engine, dropped.now) == ["reading_20260302"]
    report = dropped.prove()
    assert agreed(report) == (86, 86, 85)
    assert report.series.more["equal by fingerprint in the series store"] == 85


# -- readings that the byte bound dropped ------------------------------------------------------------------------------


@pytest.mark.parametrize("arrived", [True, False])
def test_a_tombstone_and_what_it_stands_for_are_both_known(engine: Engine, tmp_path: Path, arrived: bool) -> None:
    add_points(engine)
    small = SpoolOptions(max_bytes=6_500, policy=DropPolicy.DROP_OLDEST, cut_every=timedelta(hours=9))
    line = Line(tmp_path / "gw", engine, small)

    async def work(spool: Spool) -> None:
        await spool.keep([reading(n) for n in range(50)])
        await spool.flush()
        if arrived:  # it reached the core, and nobody told the gateway
            (batch,) = await spool.unsent(9)
            fold(
                engine, line.ingest, StreamMessage(batch.header.partition, pack(batch.header, batch.body)), now=line.now
            )
        await spool.keep([reading(n) for n in range(50, 100)])
        await spool.flush()
        assert spool.dropped_readings == 50
        await line.deliver(spool)

    line.play(work)
    line.now += MINUTE
    assert line.prove(store=False).ok
    fold_headers(engine, AT + DAY)
    assert line.prove(store=False).ok
    ship(engine, line.store, line.now)
    line.now = AT + 9 * DAY
    prune(engine, line.now)
    delete_old_headers(engine, line.now)
    assert line.prove().ok
    line.fold_spool()
    assert line.prove().ok
