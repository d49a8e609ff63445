"""A spool written when there were 64 partitions (recorded by the code of then) is taken to the end."""

import asyncio
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from core.ingest.confirmation import ConsumerState, answer
from core.ingest.transaction import IngestTransaction, StreamMessage
from core.telemetry.address import NAMED_PARTITIONS, PARTITIONS, partition_now, partition_of, partitions_named
from core.telemetry.batch import ConfirmRequest, Watermark, pack
from core.telemetry.reading import Reading
from edge.spool import SentMark, Spool, SpooledBatch, SpoolOptions
from tests.services.ingest_support import AT, RecordingJudge, add_points, fold

RECORDED = Path(__file__).parent / "recorded" / "spool_64_partitions.sql"
"""Gateway gw-old, 12 zones, two starts: three cuts each, and after each what was kept and not cut."""
ZONES = [f"north/cold/room-{n}" for n in range(1, 13)]
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def read(number: float, zone: str) -> Reading:
    at = AT + timedelta(seconds=number)
    return Reading(f"{zone}/probe/temperature", at, 4.0 + number / 10, "Cel", at, at)


def kept_then() -> list[Reading]:
    """What the recorded spool was handed."""
    begins = [start * 100 + cut * 10 for start in range(2) for cut in (0, 1, 2, 5)]
    return [read(begin + index, zone) for begin in begins for index, zone in enumerate(ZONES)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with sqlite3.connect(tmp_path / "spool.sqlite") as old:
        old.executescript(RECORDED.read_text())
        old.execute("PRAGMA user_version = 1")
    old.close()
    return tmp_path


def carried(batches: Sequence[SpooledBatch]) -> list[StreamMessage]:
    """As the partitions' consumers hand them over."""
    return [StreamMessage(partition_now(batch.header.partition), pack(batch.header, batch.body)) for batch in batches]


def test_what_was_cut_into_more_partitions_lands_is_confirmed_and_goes_before_what_is_cut_now(
    engine: Engine, folder: Path
) -> None:
    add_points(engine, [read(0, zone).point for zone in ZONES])
    judge = RecordingJudge()
    folder_of_core = IngestTransaction(judge=judge, live=False)
    fresh = [read(300 + index, zone) for index, zone in enumerate(ZONES)]
    marked = AT + timedelta(seconds=400)

    async def story() -> None:
        async with await Spool.open(
            folder, "gw-old", "north", SpoolOptions(cut_every=timedelta(hours=1)), lambda: NOW
        ) as spool:
            await spool.lost_with_stream("the stream of now", 0, NOW)
            await spool.keep(fresh)
            await spool.watermarks([Watermark("probes", marked, tuple(ZONES))])
            batches = await spool.unsent(1000)
            new = [batch for batch in batches if batch.header.epoch == spool.epoch]
            old = [batch for batch in batches if batch.header.epoch != spool.epoch]
            assert {b.header.partition for b in new} == {partition_of(zone) for zone in ZONES} < set(range(PARTITIONS))
            assert max(b.header.partition for b in old) >= PARTITIONS
            assert fold(engine, folder_of_core, *carried(new)).dead == 0
            assert judge.watermarks == []  # what is cut now waits for all that went before, whatever it was named
            some = [b for b in old if b.header.partition in partitions_named(partition_of(ZONES[0]))]
            assert len({b.header.partition for b in some}) > 1
            await spool.mark_sent([SentMark(b.row, b.attempt, b.row, "s1") for b in batches])
            for batch in some:
                assert not any(mark.upto == marked and ZONES[0] in mark.zones for _, mark in judge.watermarks)
                assert fold(engine, folder_of_core, *carried([batch])).dead == 0
            assert any(mark.upto == marked and ZONES[0] in mark.zones for _, mark in judge.watermarks)
            assert fold(engine, folder_of_core, *carried([b for b in old if b not in some])).dead == 0
            told = {zone for _, mark in judge.watermarks for zone in mark.zones if mark.upto == marked}
            assert told == set(ZONES)
            asks = await spool.outstanding()
            ask = ConfirmRequest("gw-old", tuple((a.epoch, a.partition, a.upto) for a in asks))
            await spool.settle(asks, answer(engine, ask, ConsumerState("s1", {})), {})
            assert (await spool.depth()).batches == 0

    asyncio.run(story())
    both = [*kept_then(), *fresh]
    assert sorted((r.point, r.at, r.value) for r in judge.readings) == sorted((r.point, r.at, r.value) for r in both)
    with engine.connect() as conn:
        assert conn.execute(text("SELECT count(*) FROM reading")).scalar_one() == len(both)
        assert conn.execute(text("SELECT count(*) FROM dead_letter")).scalar_one() == 0
        assert conn.execute(text("SELECT count(*) FROM pending_watermark")).scalar_one() == 0


def test_every_old_partition_is_part_of_one_of_today() -> None:
    parts = [named for partition in range(PARTITIONS) for named in partitions_named(partition)]
    assert sorted(parts) == list(range(NAMED_PARTITIONS))
    assert all(
        partition_now(named) == partition for partition in range(PARTITIONS) for named in partitions_named(partition)
    )
    # the zones above, as they were assigned when there were 64
    then = (48, 58, 35, 2, 2, 61, 45, 26, 28, 22, 14, 6)
    assert sorted(map(partition_now, then)) == sorted(map(partition_of, ZONES))
