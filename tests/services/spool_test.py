"""What the spool promises, one promise a test."""

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.telemetry.address import partition_of, zone_of
from core.telemetry.batch import CHAIN_START, Confirmed, ConfirmReply, Gap, Watermark, chain, decode_body
from core.telemetry.reading import BadReading
from edge.collectors.port import SpoolFull
from edge.spool import (
    DropPolicy,
    SentMark,
    Spool,
    SpoolFailed,
    SpoolMismatch,
    SpoolOptions,
    spool_headers,
)
from edge.spool.records import Outstanding
from edge.spool.spool import KINDS_OF_ASIDES
from tests.services.edge_readings import numbers, reading

SLOW = SpoolOptions(cut_every=timedelta(hours=1))
"""Cuts only when told to."""
ZONE = zone_of(reading(0, zones=1).point)
PARTITION = partition_of(ZONE)
ALWAYS = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2090, 1, 1, tzinfo=UTC))


class Hand:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def play(story: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await story()

    asyncio.run(main())


async def confirm_all(spool: Spool) -> None:
    batches = await spool.unsent(1_000_000)
    await spool.mark_sent([SentMark(b.row, b.attempt, b.row, "s1") for b in batches])
    await settle(spool)


async def settle(spool: Spool, *, stream: str = "s1", floors: dict[int, int] | None = None) -> None:
    asks = await spool.outstanding()
    reply = ConfirmReply(tuple(Confirmed(a.epoch, a.partition, a.upto, ()) for a in asks), stream, {})
    await spool.settle(asks, reply, floors or {})


@contextlib.contextmanager
def reopened(folder: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(folder / "spool.sqlite")
    yield connection
    connection.commit()
    connection.close()


def test_what_is_kept_is_on_disk_before_it_is_cut(tmp_path: Path) -> None:
    async def story() -> None:
        async with await Spool.open(tmp_path, "gw", "plant", SLOW) as spool:
            await spool.keep([reading(n) for n in range(10)])
            with contextlib.closing(sqlite3.connect(tmp_path / "spool.sqlite")) as other:
                assert other.execute("SELECT count(*) FROM raw").fetchone() == (1,)
            depth = await spool.depth()
            assert (depth.batches, depth.readings, depth.uncut) == (0, 10, 10)
            await spool.flush()
            depth = await spool.depth()
            assert (depth.readings, depth.uncut) == (10, 0)

    play(story)


def test_batches_are_cut_per_partition_in_order_and_bounded(tmp_path: Path) -> None:
    async def story() -> None:
        async with await Spool.open(tmp_path, "gw", "plant", SLOW) as spool:
            await spool.keep([reading(n, zones=1) for n in range(1200)])
            await spool.flush()
            batches = await spool.unsent(10)
            assert [b.header.number for b in batches] == [1, 2, 3]
            assert [b.header.count for b in batches] == [500, 500, 200]
            assert [n for b in batches for n in numbers(decode_body(b.body))] == list(range(1200))
            header = batches[1].header
            assert (header.first_at, header.last_at) == (reading(500).at, reading(999).at)
            assert header.subject == f"readings.{PARTITION}.plant"

    play(story)


def test_long_texts_make_smaller_batches(tmp_path: Path) -> None:
    async def story() -> None:
        async with await Spool.open(tmp_path, "gw", "plant", SLOW) as spool:
            await spool.keep([reading(n, zones=1, text="x" * 4096) for n in range(400)])
            await spool.flush()
            batches = await spool.unsent(100)
            assert sum(b.header.count for b in batches) == 400
            assert all(len(b.body) <= 512 * 1024 for b in batches)

    play(story)


def test_a_new_epoch_names_the_one_before_and_finishes_it_first(tmp_path: Path) -> None:
    async def story() -> None:
        async with await Spool.open(tmp_path, "gw", "plant", SLOW) as spool:
            first = spool.epoch
            await spool.keep([reading(1, zones=1)])
            await spool.flush()
            await spool.keep([reading(2, zones=1)])
            spool._writer.rows.cut = lambda *_a, **_k: 0  # type: ignore[method-assign] # killed before its last cut
        async with await Spool.open(tmp_path, "gw", "plant", SLOW) as spool:
            await spool.keep([reading(3, zones=1)])
            await spool.flush()
            batches = await spool.unsent(10)
            bodies = [decode_body(b.body) for b in batches]
            assert [(b.header.epoch, b.header.number) for b in batches] == [(first, 1), (first, 2), (spool.epoch, 1)]
            assert [numbers(body) for body in bodies] == [[1], [2], [3]]
            previous = bodies[2].previous
            assert previous is not None
            assert (previous.epoch, previous.last_numbers) == (first, {PARTITION: 2})

    play(story)


def test_an_epoch_without_batches_is_never_named(tmp_path: Path) -> None:
    async def story() -> None:
        async with await Spool.open(tmp_path, "gw", "plant", SLOW) as spool:
            first = spool.epoch
            await spool.keep([reading(1, zones=1)])
        for _ in range(3):
            async with await Spool.open(tmp_path, "gw", "plant", SLOW):
                pass
        async with await Spool.open(tmp_path, "gw", "plant", SLOW) as spool:
            await spool.keep([reading(2, zones=1)])
            await spool.flush()
            previous = decode_body((await spool.unsent(10))[-1].body).previous
            assert previous is not None
            assert previous.epoch == first

    play(story)


def test_watermarks_come_with_or_after_what_was_kept_before_them(tmp_path: Path) -> None:
    async def story() -> None:
        async with await Spool.open(tmp_path, "gw", "plant", SLOW) as spool:
            keeps = asyncio.gather(*(spool.keep([reading(n, zones=1)]) for n in range(50)))
            await asyncio.sleep(0)
            mark = Watermark("a", reading(49).at, (ZONE, "plant/cold/other"))
            await spool.watermarks([mark])
            bodies = [decode_body(b.body) for b in await spool.unsent(10) if b.header.partition == PARTITION]
            assert [n for body in bodies for n in numbers(body)] == list(range(50))
            assert bodies[-1].watermarks == (Watermark("a", mark.upto, (ZONE,)),)
            await keeps

    play(story)


def test_empty_batches_do_not_queue_up_while_the_stream_is_away(tmp_path: Path) -> None:
    async def story() -> None:
        async with await Spool.open(tmp_path, "gw", "plant", SLOW) as spool:
            for _ in range(10):
                await spool.watermarks([Watermark("a", reading(1).at, (ZONE,))])
            assert len(await spool.unsent(100)) == 1
            await confirm_all(spool)
            await spool.watermarks([Watermark("a", reading(2).at, (ZONE,))])
            assert [b.header.number for b in await spool.unsent(100)] == [2]

    play(story)


def test_a_gap_of_a_whole_source_travels_with_each_of_its_zones(tmp_path: Path) -> None:
    async def story() -> None:
        async with await Spool.open(tmp_path, "gw", "plant", SLOW) as spool:
            gap = Gap("source:a", reading(1).at, reading(2).at, "no history")
            zones = [f"plant/cold/zone{n}" for n in range(5)]
            await spool.gap(gap, zones)
            await spool.gap(Gap(reading(0, zones=1).point, reading(3).at, reading(4).at, "down"))
            await spool.flush()
            told = {(b.header.partition, g.scope) for b in await spool.unsent(100) for g in decode_body(b.body).gaps}
            assert told == {(partition_of(zone), "source:a") for zone in zones} | {
                (PARTITION, reading(0, zones=1).point)
            }

    play(story)


def test_refuse_keeps_what_is_there_and_takes_more_once_there_is_room(tmp_path: Path) -> None:
    async def story() -> None:
        options = SpoolOptions(max_bytes=20_000, cut_every=timedelta(milliseconds=1))
        async with await Spool.open(tmp_path, "gw", "plant", options) as spool:
            kept = 0
            refused = False
            while not refused:
                try:
                    await spool.keep([reading(n) for n in range(kept, kept + 10)])
                    kept += 10
                except SpoolFull:
                    refused = True
            assert kept > 0
            await spool.flush()
            assert (await spool.depth()).readings == kept
            await confirm_all(spool)
            await spool.keep([reading(n) for n in range(kept, kept + 10)])
            await spool.flush()
            arrived = [n for b in await spool.unsent(100) for n in numbers(decode_body(b.body))]
            assert sorted(arrived) == list(range(kept, kept + 10))

    play(story)


@pytest.mark.parametrize("policy", DropPolicy)
def test_what_is_larger_than_the_bound_waits_for_an_empty_spool_and_not_for_ever(
    tmp_path: Path, policy: DropPolicy
) -> None:
    async def story() -> None:
        options = SpoolOptions(max_bytes=2000, policy=policy, cut_every=timedelta(hours=1))
        large = [reading(n, zones=1) for n in range(100)]
        async with await Spool.open(tmp_path, "gw", "plant", options) as spool:
            for _ in range(2):
                await spool.keep(large)
                with pytest.raises(SpoolFull):
                    await spool.keep(large)
                await spool.flush()
                await confirm_all(spool)

    play(story)


def test_confirmed_payloads_go_before_anything_is_refused(tmp_path: Path) -> None:
    async def story() -> None:
        options = SpoolOptions(max_bytes=20_000, cut_every=timedelta(milliseconds=1))
        async with await Spool.open(tmp_path, "gw", "plant", options) as spool:
            for n in range(0, 2000, 20):
                await spool.keep([reading(i) for i in range(n, n + 20)])
                await spool.flush()
                await confirm_all(spool)
            assert (await spool.depth()).kept_bytes <= 20_500  # cutting adds a few bytes a batch

    play(story)


def test_a_full_disk_is_loud_and_nothing_is_acknowledged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        async with await Spool.open(tmp_path, "gw", "plant", SLOW) as spool:
            await spool.keep([reading(1)])
            db = spool._writer.rows.db
            pages = db.execute("PRAGMA page_count").fetchone()[0]
            db.execute(f"PRAGMA max_page_count = {pages}")
            with pytest.raises(SpoolFailed, match="full"):
                await spool.keep([reading(n, text="x" * 4000) for n in range(100)])
            assert (await spool.depth()).readings == 1  # reading goes well on a full disk, and says nothing of it
            assert await spool.unsent(100) == []
            assert "full" in str(spool.error)
            db.execute("PRAGMA max_page_count = 1000000")
            await spool.keep([reading(2)])
            assert str(spool.error) == "None"
            await spool.flush()
            arrived = [n for b in await spool.unsent(100) for n in numbers(decode_body(b.body))]
            assert sorted(arrived) == [1, 2]

    with caplog.at_level(logging.WARNING):
        play(story)
    assert [r.levelname for r in caplog.records] == ["ERROR", "WARNING"]


def test_text_that_is_not_unicode_fails_alone(tmp_path: Path) -> None:
    async def story() -> None:
        async with await Spool.open(tmp_path, "gw", "plant", SLOW) as spool:
            hostile = reading(1, text="\ud800")
            outcome = await asyncio.gather(
                spool.keep([reading(2)]), spool.keep([hostile]), spool.keep([reading(3)]), return_exceptions=True
            )
            assert [type(one) for one in outcome] == [type(None), BadReading, type(None)]
            await spool.aside("topic/\ud800", b"\xff", "bad text: \udfff")
            await spool.flush()
            arrived = [n for b in await spool.unsent(100) for n in numbers(decode_body(b.body))]
            assert sorted(arrived) == [2, 3]

    play(story)


def test_what_payloads_make_up_does_not_grow_the_count_of_reasons(tmp_path: Path) -> None:
    async def story() -> None:
        async with await Spool.open(tmp_path, "gw", "plant", SLOW) as spool:
            for n in range(20):
                await spool.aside("topic", b"", f"'{n}: x' of {n} bytes is no number")
            assert spool.asides["… of … bytes is no number"] == 20
            for n in range(200):
                await spool.aside("topic", b"", f"made up {chr(0x4E00 + n)}")
            assert len(spool.asides) == KINDS_OF_ASIDES + 1
            assert spool.asides["other"] > 50

    play(story)


def test_payloads_put_aside_are_counted_kept_and_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.spool.store.ASIDE_ROWS", 5)

    async def story() -> None:
        async with await Spool.open(tmp_path, "gw", "plant", SLOW) as spool:
            for n in range(20):
                await spool.aside(f"topic/{n}", bytes([n]) * 100_000, f"bad json: at {n}")
            assert spool.asides == {"bad json": 20}

    play(story)
    with reopened(tmp_path) as db:
        rows = db.execute("SELECT origin, size, length(payload) FROM aside ORDER BY id").fetchall()
    assert rows == [(f"topic/{n}", 100_000, 65536) for n in range(15, 20)]


def test_a_damaged_file_is_moved_aside_loudly(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def fill() -> None:
        async with await Spool.open(tmp_path, "gw", "plant", SLOW) as spool:
            await spool.keep([reading(n) for n in range(2000)])
            await spool.flush()

    async def again() -> None:
        async with await Spool.open(tmp_path, "gw", "plant", SLOW) as spool:
            assert await spool.unsent(10) == []
            await spool.keep([reading(1, zones=1)])
            await spool.flush()
            assert decode_body((await spool.unsent(1))[0].body).previous is None

    asyncio.run(fill())
    file = tmp_path / "spool.sqlite"
    content = bytearray(file.read_bytes())
    content[8192:40960] = b"\x55" * (40960 - 8192)
    file.write_bytes(content)
    with caplog.at_level(logging.ERROR):
        asyncio.run(again())
    assert "damaged" in caplog.text
    assert len([path for path in tmp_path.iterdir() if "damaged" in path.name and not path.name.endswith("m")]) >= 1


def test_something_that_is_no_database_is_moved_aside(tmp_path: Path) -> None:
    (tmp_path / "spool.sqlite").write_bytes(b"not a database at all" * 1000)

    async def story() -> None:
        async with await Spool.open(tmp_path, "gw", "plant", SLOW) as spool:
            await spool.keep([reading(1)])

    play(story)
    assert any("damaged" in path.name for path in tmp_path.iterdir())


def test_a_spool_of_another_gateway_is_refused(tmp_path: Path) -> None:
    async def story() -> None:
        async with await Spool.open(tmp_path, "gw", "plant", SLOW):
            pass
        with pytest.raises(SpoolMismatch):
            await Spool.open(tmp_path, "other", "plant", SLOW)
        async with await Spool.open(tmp_path, "gw", "plant", SLOW):
            pass

    play(story)


def test_the_last_kept_time_of_each_point_survives(tmp_path: Path) -> None:
    expected = {reading(n).point: reading(n).at for n in range(16)}

    async def story() -> None:
        async with await Spool.open(tmp_path, "gw", "plant", SLOW) as spool:
            await spool.keep([reading(n) for n in range(12)])
            await spool.flush()
            await spool.keep([reading(n) for n in range(15, 11, -1)])
            assert spool.last_kept() == expected
        async with await Spool.open(tmp_path, "gw", "plant", SLOW) as spool:
            assert spool.last_kept() == expected
            await confirm_all(spool)

    play(story)
    play(story)


def test_a_floor_moves_only_what_went_to_that_stream_at_or_below_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with await Spool.open(tmp_path, "gw", "plant", SLOW) as spool:
            for n in range(4):
                await spool.keep([reading(n, zones=1)])
                await spool.flush()
            first, second, third, fourth = await spool.unsent(10)
            await spool.mark_sent(
                [
                    SentMark(first.row, 1, 10, "s1"),
                    SentMark(second.row, 1, 11, "s1"),
                    SentMark(third.row, 1, 12, "s1"),
                    SentMark(fourth.row, 1, 5, "s2"),
                ]
            )
            asks = [Outstanding(spool.epoch, PARTITION, 4)]
            nothing = ConfirmReply((Confirmed(spool.epoch, PARTITION, 1, (2, 3, 4)),), "s1", {})
            settled = await spool.settle(asks, nothing, {PARTITION: 11})
            assert (settled.confirmed, settled.resend) == (1, 1)
            assert [(b.header.number, b.attempt) for b in await spool.unsent(10)] == [(2, 2)]

    play(story)


def test_a_cut_short_answer_says_nothing_of_what_lies_beyond(tmp_path: Path) -> None:
    async def story() -> None:
        async with await Spool.open(tmp_path, "gw", "plant", SLOW) as spool:
            for n in range(4):
                await spool.keep([reading(n, zones=1)])
                await spool.flush()
            await confirm_all(spool)
            asks = [Outstanding(spool.epoch, PARTITION, 4)]
            reply = ConfirmReply((Confirmed(spool.epoch, PARTITION, 0, (1, 2), 2),), "s1", {})
            settled = await spool.settle(asks, reply, {})
            assert settled.taken_back == 2
            assert [(b.header.number, b.attempt) for b in await spool.unsent(10)] == [(1, 2), (2, 2)]

    play(story)


def test_headers_fold_after_the_replay_window_and_can_be_proved(tmp_path: Path) -> None:
    clock = Hand()

    async def story() -> None:
        async with await Spool.open(tmp_path, "gw", "plant", SLOW, clock) as spool:
            for n in range(6):
                await spool.keep([reading(n, zones=1)])
                await spool.flush()
                clock.now += timedelta(minutes=15)
            headers = spool_headers(tmp_path, *ALWAYS).batches
            assert [header.number for header in headers] == [1, 2, 3, 4, 5, 6]
            batches = await spool.unsent(5)
            await spool.mark_sent([SentMark(b.row, b.attempt, b.row, "s1") for b in batches])
            await settle(spool)
            clock.now += timedelta(hours=49)
            await spool.prune()
            found = spool_headers(tmp_path, *ALWAYS)
            assert [header.number for header in found.batches] == [6]
            assert [(f.first_number, f.last_number, f.batches, f.count) for f in found.folds] == [
                (1, 4, 4, 4),
                (5, 5, 1, 1),
            ]
            link = CHAIN_START
            for header in headers[:4]:
                link = chain(link, header.sha256)
            assert found.folds[0].chain == link
            assert (await spool.depth()).batches == 1
            missing = ConfirmReply((Confirmed(spool.epoch, PARTITION, 0, (1, 2, 3, 4, 5, 6)),), "s1", {})
            await spool.mark_sent([SentMark(b.row, b.attempt, 9, "s1") for b in await spool.unsent(9)])
            asks = await spool.outstanding()
            assert asks == [Outstanding(spool.epoch, PARTITION, 6, 5, 5)]
            settled = await spool.settle(asks, missing, {})
            assert (settled.taken_back, settled.beyond_replay) == (0, 5)
            # a core that need not list what is gone still confirms what is there
            settled = await spool.settle(asks, ConfirmReply((Confirmed(spool.epoch, PARTITION, 0, ()),), "s1", {}), {})
            assert (settled.confirmed, settled.beyond_replay) == (1, 5)
            clock.now += timedelta(days=400)
            await spool.prune()
            assert spool_headers(tmp_path, *ALWAYS).folds == ()

    play(story)


def test_headers_of_a_span_and_of_no_spool(tmp_path: Path) -> None:
    clock = Hand()

    async def story() -> None:
        async with await Spool.open(tmp_path / "gw", "gw", "plant", SLOW, clock) as spool:
            for n in range(3):
                await spool.keep([reading(n, zones=1)])
                await spool.flush()
                clock.now += timedelta(hours=1)
            start = clock() - timedelta(hours=2)
            assert [h.number for h in spool_headers(tmp_path / "gw", start, clock()).batches] == [2, 3]
        assert [h.number for h in spool_headers(tmp_path / "gw", start, clock()).batches] == [2, 3]

    play(story)
    with pytest.raises(FileNotFoundError):
        spool_headers(tmp_path / "none", *ALWAYS)


def test_a_tombstone_keeps_what_else_its_batch_carried(tmp_path: Path) -> None:
    async def story() -> None:
        options = SpoolOptions(max_bytes=6_500, policy=DropPolicy.DROP_OLDEST, cut_every=timedelta(hours=1))
        async with await Spool.open(tmp_path, "gw", "plant", options) as spool:
            mark = Watermark("a", reading(99).at, (ZONE,))
            await spool.keep([reading(n, zones=1) for n in range(50)])
            await spool.gap(Gap(ZONE, reading(1).at, reading(2).at, "door"))
            await spool.watermarks([mark])
            await spool.keep([reading(n, zones=1) for n in range(50, 100)])
            await spool.flush()
            stone = (await spool.unsent(1))[0]
            body = decode_body(stone.body)
            assert (stone.header.kind, stone.header.number, stone.header.count) == ("tombstone", 1, 0)
            assert body.readings == ()
            assert body.watermarks == (mark,)
            assert [(gap.scope, gap.reason) for gap in body.gaps] == [
                (ZONE, "door"),
                (reading(0, zones=1).point, "spool_full"),
            ]
            assert (body.gaps[1].start, body.gaps[1].stop) == (
                reading(0).at,
                reading(49).at + timedelta(microseconds=1),
            )
            header = spool_headers(tmp_path, *ALWAYS).batches[0]
            assert (header.dropped, header.replaced is not None, header.sha256) == (50, True, stone.header.sha256)
            assert spool.dropped_readings == 50

    play(story)
