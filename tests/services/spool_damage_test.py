"""A spool whose disk gives back other bytes than it took, whose clock is set, or that holds two days of batches."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.telemetry.address import zone_of
from core.telemetry.batch import Confirmed, ConfirmReply, decode_body, digest
from core.telemetry.reading import Reading
from edge.spool import DropPolicy, SentMark, Spool, SpoolOptions, cursors, retention
from edge.spool.epochs import begin_epoch
from edge.spool.records import Outstanding
from edge.spool.schema import open_spool
from edge.spool.sending import DAMAGED, LOST
from edge.spool.store import Rows
from tests.services.edge_readings import reading

SLOW = SpoolOptions(cut_every=timedelta(hours=1))
"""Cuts only when told to."""
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def damage(folder: Path, query: str) -> None:
    with sqlite3.connect(folder / "spool.sqlite") as db:
        assert db.execute(query).rowcount == 1
    db.close()


def fill(folder: Path, batches: int) -> list[Reading]:
    readings = [reading(n, zones=1) for n in range(batches)]

    async def story() -> None:
        async with await Spool.open(folder, "gw", "plant", SLOW) as spool:
            for one in readings:
                await spool.keep([one])
                await spool.flush()

    asyncio.run(story())
    return readings


@pytest.mark.parametrize(
    "change",
    ["substr(body, 1, 20)", "x'ff' || substr(body, 2)", "substr(body, 1, 60) || x'00' || substr(body, 62)", "x''"],
)
@pytest.mark.parametrize("number", [1, 2])
def test_a_batch_damaged_on_the_disk_becomes_a_gap_under_its_number(
    tmp_path: Path, change: str, number: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Sent as it is, the core would refuse it for ever, and wait for its number before believing anything after it."""
    readings = fill(tmp_path, 3)
    damage(tmp_path, f"UPDATE payload SET body = CAST({change} AS BLOB) WHERE batch = {number}")

    async def story() -> None:
        async with await Spool.open(tmp_path, "gw", "plant", SLOW) as spool:
            batches = await spool.unsent(10)
            assert [batch.header.number for batch in batches] == [1, 2, 3]
            assert all(digest(batch.body) == batch.header.sha256 for batch in batches)
            lost = batches[number - 1]
            assert (lost.header.kind, lost.header.count) == ("tombstone", 0)
            (gap,) = decode_body(lost.body).gaps
            at = readings[number - 1].at
            assert (gap.scope, gap.reason) == (zone_of(readings[0].point), LOST)
            assert gap.start <= at < gap.stop
            assert spool.asides == {DAMAGED: 1}
            depth = await spool.depth()
            assert (depth.batches, depth.readings) == (3, 2)
            await spool.keep([reading(7, zones=1)])

    asyncio.run(story())
    assert "its 1 readings are lost" in caplog.text


def test_the_byte_bound_drops_a_damaged_batch_too(tmp_path: Path) -> None:
    fill(tmp_path, 3)
    damage(tmp_path, "UPDATE payload SET body = x'00' WHERE batch = 1")
    small = SpoolOptions(max_bytes=1, policy=DropPolicy.DROP_OLDEST, cut_every=timedelta(hours=1))

    async def story() -> None:
        async with await Spool.open(tmp_path, "gw", "plant", small) as spool:
            with pytest.raises(Exception, match="the spool holds"):
                await spool.keep([reading(9, zones=1)])
            assert {batch.header.kind for batch in await spool.unsent(10)} == {"tombstone"}

    asyncio.run(story())


def test_a_damaged_commit_goes_aside_and_the_gateway_starts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(tmp_path, 1)
    with sqlite3.connect(tmp_path / "spool.sqlite") as db:  # as if killed after the commit, before the cut
        db.execute("INSERT INTO raw (body) VALUES (x'93ff00')")
    db.close()

    async def story() -> None:
        async with await Spool.open(tmp_path, "gw", "plant", SLOW) as spool:
            assert spool.asides == {"damaged commit": 1}
            await spool.keep([reading(1, zones=1)])
            await spool.flush()
            assert len(await spool.unsent(10)) == 2

    asyncio.run(story())
    assert "were put aside" in caplog.text
    with sqlite3.connect(tmp_path / "spool.sqlite") as db:
        assert db.execute("SELECT payload FROM aside").fetchall() == [(bytes.fromhex("93ff00"),)]
    db.close()


def test_a_batch_sent_before_the_clock_was_set_back_is_sent_again_when_passed_over(tmp_path: Path) -> None:
    now = [NOW + timedelta(days=3650)]

    async def story() -> None:
        async with await Spool.open(tmp_path, "gw", "plant", SLOW, clock=lambda: now[0]) as spool:
            await spool.keep([reading(1, zones=1)])
            await spool.flush()
            (batch,) = await spool.unsent(10)
            await spool.mark_sent([SentMark(batch.row, 1, 10, "s1")])
            now[0] = NOW
            partition = batch.header.partition
            nothing = ConfirmReply((Confirmed(spool.epoch, partition, 0, (1,)),), "s1", {})
            settled = await spool.settle([Outstanding(spool.epoch, partition, 1)], nothing, {partition: 10})
            assert settled.resend == 1

    asyncio.run(story())


def steps(rows: Rows, what: Callable[[], object]) -> int:
    """Thousands of SQLite's steps that something takes."""
    counted = [0]

    def count() -> int:
        counted[0] += 1
        return 0

    rows.db.set_progress_handler(count, 1000)
    what()
    rows.db.set_progress_handler(None, 0)
    return counted[0]


def test_what_is_done_again_and_again_does_not_walk_two_days_of_batches(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Keeping waits behind it: of 48 h of ten partitions' batches, asking what the core still has took three seconds
    a minute. A walk over these 20 000 takes 60 000 steps and more.
    """
    caplog.set_level(logging.ERROR)
    rows = Rows(open_spool(tmp_path, NOW), "gw", "plant", SpoolOptions())
    rows.db.execute("BEGIN")
    begin_epoch(rows, NOW)
    each = 5000
    for partition in range(4):
        rows.db.executemany(
            "INSERT INTO batch (epoch, partition, number, kind, sha256, count, cut_at, size, sequence, incarnation,"
            " sent_at, confirmed_at) VALUES (?, ?, ?, 'readings', x'', 1, 0, 0, 1, 's', 0, ?)",
            [(rows.epoch_id, partition, n + 1, 2**60 if partition or n < each - 10 else None) for n in range(each)],
        )
        rows.db.execute("INSERT INTO counter VALUES (?, ?, ?)", (rows.epoch_id, partition, each))
    rows.db.execute("INSERT INTO payload SELECT id, x'' FROM batch")
    rows.load(rows.epoch_id, NOW)
    doings: dict[str, Callable[[], object]] = {
        "outstanding": lambda: cursors.outstanding(rows),
        "replayable": lambda: cursors.replayable(rows),
        "depth": rows.depth,
        "prune": lambda: retention.prune(rows, NOW),
        "moving": lambda: rows.moved_watermarks({0: [], 1: []}),
        "lost with the stream": lambda: cursors.lost_with_stream(rows, "s", 2, NOW),
        "oldest": rows.oldest_open,
    }
    assert {name: steps(rows, what) for name, what in doings.items() if steps(rows, what) > 5} == {}
    assert {(one.partition, one.upto) for one in cursors.replayable(rows)} == {
        (0, each - 10),
        (1, each),
        (2, each),
        (3, each),
    }
    rows.db.execute("ROLLBACK")
    rows.db.close()
