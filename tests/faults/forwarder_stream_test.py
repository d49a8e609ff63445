"""The stream is a carrier, not a witness: what it loses is sent again, what it merely has not delivered is not."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import nats

from core.telemetry.address import partition_of, zone_of
from core.telemetry.connection import disconnect_within
from core.telemetry.stream import STREAM
from edge.carrier import NatsCarrier
from edge.config import StreamConfig
from edge.forwarder import Forwarder
from edge.spool import DropPolicy, Spool, SpoolOptions
from edge.tasks import end
from lotwise.embedded.nats import EmbeddedNats
from tests.services.edge_stage import SmallCore, eventually, reading

SMALL = SpoolOptions(batch_readings=5, cut_every=timedelta(milliseconds=20))


@contextlib.asynccontextmanager
async def forwarding(spool: Spool, url: str) -> AsyncIterator[Forwarder]:
    carrier = NatsCarrier(StreamConfig(urls=(url,)), "test")
    forwarder = Forwarder(spool, carrier, "gw", confirm_every=0.05)
    tasks = [asyncio.create_task(carrier.run()), asyncio.create_task(forwarder.run())]
    try:
        yield forwarder
    finally:
        for task in reversed(tasks):
            await end([task])


async def fill(spool: Spool, start: int, stop: int) -> None:
    for i in range(start, stop, 50):
        await spool.keep([reading(n) for n in range(i, min(i + 50, stop))])
    await spool.flush()


async def until_sent(spool: Spool, forwarder: Forwarder) -> None:
    async with asyncio.timeout(30):
        await forwarder.drained()
    assert await spool.unsent(1) == []


async def until_confirmed(spool: Spool) -> None:
    async with asyncio.timeout(20):
        while (await spool.depth()).batches:  # noqa: ASYNC110 - the cursor sets no event
            await asyncio.sleep(0.05)


def test_a_stream_deleted_with_a_thousand_batches_unconfirmed_loses_nothing(
    tmp_path: Path, nats_server: EmbeddedNats
) -> None:
    async def story() -> None:
        async with (
            await Spool.open(tmp_path / "gw", "gw", "plant", SMALL) as spool,
            forwarding(spool, nats_server.url) as forwarder,
        ):
            await fill(spool, 0, 8000)
            await until_sent(spool, forwarder)
            assert (await spool.depth()).batches >= 1000
            assert forwarder.sent >= 1000

            shutil.rmtree(nats_server.store_dir)
            await fill(spool, 8000, 8200)  # a live server goes on acknowledging
            await asyncio.to_thread(nats_server.kill)
            await fill(spool, 8200, 8400)
            await asyncio.to_thread(nats_server.start)

            async with SmallCore(nats_server.url) as core:
                await eventually(lambda: core.numbers() == list(range(8400)), 60)
                await until_confirmed(spool)
            assert forwarder.resent >= 1000

    asyncio.run(story())


def test_a_stream_deleted_by_name_under_a_live_server_loses_nothing(tmp_path: Path, nats_server: EmbeddedNats) -> None:
    async def story() -> None:
        async with (
            await Spool.open(tmp_path / "gw", "gw", "plant", SMALL) as spool,
            forwarding(spool, nats_server.url) as forwarder,
        ):
            await fill(spool, 0, 500)
            await until_sent(spool, forwarder)
            client = await nats.connect(nats_server.url)
            await client.jetstream().delete_stream(STREAM)
            await disconnect_within(client)
            await fill(spool, 500, 600)  # found out by this publish
            async with SmallCore(nats_server.url) as core:
                await eventually(lambda: core.numbers() == list(range(600)))

    asyncio.run(story())


def test_a_core_that_is_down_or_slow_causes_no_resend(tmp_path: Path, nats_server: EmbeddedNats) -> None:
    async def story() -> None:
        async with (
            await Spool.open(tmp_path / "gw", "gw", "plant", SMALL) as spool,
            forwarding(spool, nats_server.url) as forwarder,
        ):
            await fill(spool, 0, 500)
            await until_sent(spool, forwarder)
            await asyncio.sleep(1.0)  # down
            core = SmallCore(nats_server.url)
            core.paused = True  # answers, and consumes nothing
            async with core:
                await eventually(lambda: core.asked > 10)
                await fill(spool, 500, 600)
                await until_sent(spool, forwarder)
                await asyncio.to_thread(nats_server.stop)  # the stream's files stay
                await fill(spool, 600, 700)
                await asyncio.to_thread(nats_server.start)
                await until_sent(spool, forwarder)
                core.paused = False
                await eventually(lambda: core.numbers() == list(range(700)))
                await until_confirmed(spool)
            assert forwarder.resent == 0
            assert set(core.deliveries.values()) == {1}

    asyncio.run(story())


def test_what_the_core_passed_over_is_sent_again(tmp_path: Path, nats_server: EmbeddedNats) -> None:
    async def story() -> None:
        partition = partition_of(zone_of(reading(0, zones=1).point))
        async with (
            SmallCore(nats_server.url) as core,
            await Spool.open(tmp_path / "gw", "gw", "plant", SMALL) as spool,
            forwarding(spool, nats_server.url) as forwarder,
        ):
            refused = (spool.epoch, partition, 2)
            core.refuses = {refused}
            for n in range(4):
                await spool.keep([reading(n, zones=1)])
                await spool.flush()
            await eventually(lambda: core.deliveries[refused] >= 2)
            core.refuses.clear()
            await eventually(lambda: core.numbers() == [0, 1, 2, 3])
            assert core.deliveries[spool.epoch, partition, 1] == 1
            assert core.deliveries[spool.epoch, partition, 3] == 1
            assert forwarder.resent >= 1

    asyncio.run(story())


def test_a_core_restored_from_a_backup_is_told_again(tmp_path: Path, nats_server: EmbeddedNats) -> None:
    async def story() -> None:
        async with (
            SmallCore(nats_server.url) as core,
            await Spool.open(tmp_path / "gw", "gw", "plant", SMALL) as spool,
            forwarding(spool, nats_server.url) as forwarder,
        ):
            await fill(spool, 0, 300)
            await eventually(lambda: core.numbers() == list(range(300)))
            await until_confirmed(spool)
            core.batches = dict(list(core.batches.items())[: len(core.batches) // 2])
            await fill(spool, 300, 400)  # something outstanding in every partition
            await eventually(lambda: core.numbers() == list(range(400)))
            assert forwarder.taken_back > 0

    asyncio.run(story())


def test_a_dropped_batch_travels_as_a_tombstone_under_its_number(tmp_path: Path, nats_server: EmbeddedNats) -> None:
    options = SpoolOptions(
        max_bytes=20_000, policy=DropPolicy.DROP_OLDEST, batch_readings=50, cut_every=timedelta(milliseconds=20)
    )

    async def story() -> SmallCore:
        async with await Spool.open(tmp_path / "gw", "gw", "plant", options) as spool:
            await fill(spool, 0, 1000)
            assert spool.dropped_readings > 0
            async with SmallCore(nats_server.url) as core, forwarding(spool, nats_server.url):
                await until_confirmed(spool)
            assert len(core.numbers()) == 1000 - spool.dropped_readings
            return core

    core = asyncio.run(story())
    gaps = [gap for header, body in core.bodies() if header.kind == "tombstone" for gap in body.gaps]
    for number in set(range(1000)) - set(core.numbers()):
        lost = reading(number)
        assert any(gap.scope == lost.point and gap.start <= lost.at < gap.stop for gap in gaps), number
    for header, _ in core.bodies():
        below = [k for k in core.batches if k[:2] == (header.epoch, header.partition)]
        assert sorted(k[2] for k in below) == list(range(1, len(below) + 1))
