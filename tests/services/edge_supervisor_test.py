"""Sources fail each for itself; watermarks never run ahead of the disk; a clock that is set is noticed."""

import asyncio
import contextlib
import functools
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.telemetry.batch import decode_body
from core.telemetry.reading import Reading
from edge import supervisor
from edge.clock_watch import ClockWatch
from edge.collectors.port import Collector, SourceLost, SourceMisconfigured
from edge.spool import Spool
from edge.supervisor import SourceState, Supervisor
from edge.tasks import end
from tests.services.edge_readings import numbers, reading
from tests.services.edge_stage import FedCollector, eventually


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(supervisor, "LONGEST_PAUSE", 0.1)
    monkeypatch.setattr(supervisor, "MISCONFIGURED_PAUSE", 0.3)


@contextlib.asynccontextmanager
async def supervised(folder: Path, *makers: Callable[[], Collector]) -> AsyncIterator[tuple[Supervisor, Spool]]:
    async with await Spool.open(folder, "gw", "plant") as spool:
        boss = Supervisor(makers, spool)
        task = asyncio.create_task(boss.run())
        try:
            yield boss, spool
        finally:
            await end([task])


async def arrived(spool: Spool) -> list[int]:
    await spool.flush()
    return sorted(n for b in await spool.unsent(1000) for n in numbers(decode_body(b.body)))


class Broken(FedCollector):
    """Fails as it is told, each time it is started."""

    def __init__(self, error: Exception) -> None:
        super().__init__("broken")
        self.error = error
        self.starts = 0

    async def run(self, keeper: object) -> None:  # noqa: ARG002 - it never comes to keep
        self.starts += 1
        raise self.error


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (SourceLost("gone"), SourceState.LOST),
        (SourceMisconfigured("bad password"), SourceState.MISCONFIGURED),
        (ZeroDivisionError("ours"), SourceState.LOST),
    ],
)
def test_one_broken_source_costs_no_other(
    tmp_path: Path, error: Exception, state: SourceState, caplog: pytest.LogCaptureFixture
) -> None:
    broken, sound = Broken(error), FedCollector("sound")

    async def story() -> None:
        async with supervised(tmp_path, lambda: broken, lambda: sound) as (boss, spool):
            for n in range(20):
                sound.box.put_nowait([reading(n)])
            await eventually(lambda: boss.sources[1].readings == 20)
            await eventually(lambda: broken.starts >= 3)
            assert boss.sources[0].state in {state, SourceState.RUNNING}
            assert str(error) in str(boss.sources[0].trouble)
            assert not boss.sources[0].connected
            assert await arrived(spool) == list(range(20))

    with caplog.at_level(logging.WARNING):
        asyncio.run(story())
    told = [r for r in caplog.records if r.levelno >= logging.WARNING and "broken" in r.message and not r.exc_info]
    assert len(told) == 1, "a change is told once, a condition is not"


def test_the_misconfigured_are_tried_rarely(tmp_path: Path) -> None:
    lost, misconfigured = Broken(SourceLost("gone")), Broken(SourceMisconfigured("bad password"))

    async def story() -> None:
        async with supervised(tmp_path, lambda: lost, lambda: misconfigured):
            await eventually(lambda: lost.starts >= 6)
            assert misconfigured.starts <= 2

    asyncio.run(story())


class Slow:
    """A spool whose disk takes its time."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self.may = asyncio.Event()

    async def load_state(self, key: str) -> str | None:
        return await self.spool.load_state(key)

    async def keep(self, readings: Sequence[Reading]) -> None:
        await self.may.wait()
        await self.spool.keep(readings)


def test_a_watermark_stays_behind_what_is_not_yet_on_disk(tmp_path: Path) -> None:
    collector = FedCollector()
    collector.upto = reading(1000).at

    async def story() -> None:
        async with supervised(tmp_path, lambda: collector) as (boss, spool):
            source = boss.sources[0]
            slow = Slow(spool)
            source._spool = slow  # type: ignore[assignment]  # a spool that is slow
            collector.box.put_nowait([reading(500), reading(501)])
            await eventually(lambda: bool(source._keeping))
            mark = source.watermark(datetime.now(UTC))
            assert mark is not None
            assert mark.upto == reading(500).at - timedelta(microseconds=1)
            slow.may.set()
            await eventually(lambda: source.readings == 2)
            mark = source.watermark(datetime.now(UTC))
            assert mark is not None
            assert mark.upto == reading(1000).at

    asyncio.run(story())


def test_a_source_that_is_not_there_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "FIRST_PAUSE", 30.0)
    collector = FedCollector()
    collector.upto = reading(1000).at

    async def story() -> None:
        async with supervised(tmp_path, lambda: collector) as (boss, spool):
            collector.box.put_nowait([reading(1)])
            await eventually(lambda: boss.sources[0].readings == 1)
            collector.upto = None
            await boss.mark()
            collector.upto = reading(1000).at
            collector.box.put_nowait(SourceLost("gone"))
            await eventually(lambda: boss.sources[0].state is SourceState.LOST)
            await boss.mark()
            assert not [m for b in await spool.unsent(100) for m in decode_body(b.body).watermarks]

    asyncio.run(story())


@pytest.mark.parametrize(("identity", "zones"), [("same", 8), ("other", 1)])
def test_the_zones_of_a_source_outlive_a_restart_but_not_a_new_configuration(
    tmp_path: Path, identity: str, zones: int
) -> None:
    async def once(folder: Path, identity: str, count: int) -> Supervisor:
        collector = FedCollector()
        collector.upto = reading(1000).at
        async with await Spool.open(folder, "gw", "plant") as spool:
            boss = Supervisor([lambda: collector], spool, identities=[identity])
            task = asyncio.create_task(boss.run())
            collector.box.put_nowait([reading(n) for n in range(count)])
            await eventually(lambda: boss.sources[0].readings == count)
            await boss.mark()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        return boss

    async def story() -> None:
        await once(tmp_path, "same", 8)
        boss = await once(tmp_path, identity, 1)
        assert len(boss.sources[0].zones) == zones

    asyncio.run(story())


def test_a_clock_that_is_set_or_off_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    watch = ClockWatch(2.0)
    wall = datetime(2026, 3, 1, tzinfo=UTC)
    with caplog.at_level(logging.WARNING):
        watch.tick(wall, 100.0)
        watch.tick(wall + timedelta(seconds=2), 102.0)
        assert watch.steps == 0
        watch.tick(wall - timedelta(minutes=5), 104.0)
        assert watch.steps == 1
        assert watch.judge(None).ok
        assert watch.judge(1.9).ok
        for _ in range(3):
            assert not watch.judge(-2.1).ok
        assert watch.judge(0.0).ok
    assert [record.message for record in caplog.records] == [
        "the clock was set by -304.0 s",
        "the clock: -2.100 s from the stream server's clock, allowed 2.0 s",
        "the clock: within its tolerance again",
    ]


def test_hundreds_of_sources_start_and_are_marked_without_a_commit_for_each(tmp_path: Path) -> None:
    async def story() -> None:
        async with await Spool.open(tmp_path, "gw", "plant") as spool:
            names = [f"s{number}" for number in range(200)]
            boss = Supervisor([functools.partial(FedCollector, name) for name in names], spool, identities=names)
            task = asyncio.create_task(boss.run())
            try:
                await eventually(lambda: all(source.connected for source in boss.sources))
                for number, source in enumerate(boss.sources):
                    assert isinstance(source.collector, FedCollector)
                    source.collector.seen = {f"plant/store/z{number}"}
                await boss.mark()
                assert spool.commits < 20
                noted = [await spool.load_state(f"zones of {name}") for name in names]
                assert noted == [f"{name} plant/store/z{number}" for number, name in enumerate(names)]
                assert not any(source.has_new_zones for source in boss.sources)
            finally:
                await end([task])

    asyncio.run(story())


def test_a_gateway_imports_the_libraries_of_no_protocol_that_it_does_not_speak() -> None:
    code = "import sys, edge.app; print({'asyncua', 'pymodbus', 'paho'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
