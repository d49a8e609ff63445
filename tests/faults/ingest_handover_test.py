"""Partitions that pass from worker to worker in order: what was in hand is there for the next owner at once."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta

from nats.aio.client import Client
from sqlalchemy import Engine, text

from core.ingest.transaction import StreamMessage, hold_partitions
from core.telemetry.address import PARTITIONS
from lotwise.embedded.nats import EmbeddedNats
from tests.faults.ingest_running import QUICK, count, publish, publisher, until, worker
from tests.services.ingest_support import Gateway, RecordingJudge, add_points, reading, zone_in

ACK_WAIT = timedelta(seconds=30)
"""As a site's worker has it: what is neither acknowledged nor given back comes again only then."""
HANDED_OVER = replace(QUICK, ack_wait=ACK_WAIT)
ONE_BY_ONE = replace(HANDED_OVER, fold_bytes=1)
AT_ONCE = 8.0
"""Seconds in which all must be landed: far below ACK_WAIT, far above what the work takes."""
POINTS = [f"{zone_in(partition)}/p/temperature" for partition in range(PARTITIONS)]


@contextlib.asynccontextmanager
async def nothing_is_folded(engine: Engine) -> AsyncIterator[None]:
    """Holds every partition's lock as a long fold would: what is pulled meanwhile stays in hand."""
    with engine.connect() as conn:
        await asyncio.to_thread(hold_partitions, conn, range(PARTITIONS))
        conn.execute(text("SELECT set_config('idle_in_transaction_session_timeout', '0', true)"))
        yield
        conn.rollback()


def cut(gateway: Gateway, seconds: Sequence[int]) -> list[StreamMessage]:
    """One batch of one reading for every point and second."""
    return [gateway.cut([reading(second, point=point)]) for second in seconds for point in POINTS]


def in_hand(client: Client, loop: asyncio.AbstractEventLoop) -> int:
    """How many messages the stream has delivered that nobody has acknowledged."""
    consumers = asyncio.run_coroutine_threadsafe(client.jetstream().consumers_info("READINGS"), loop).result(10)
    return sum(info.num_ack_pending or 0 for info in consumers)


def landed_once(engine: Engine, judge: RecordingJudge, batches: int) -> None:
    """Nothing lost, nothing doubled: in the tables, and before the judge."""
    assert (count(engine, "batch"), count(engine, "reading")) == (batches, batches)
    assert count(engine, "dead_letter") == count(engine, "reading_conflict") == 0
    assert max(Counter((r.point, r.at) for r in judge.readings).values()) == 1
    assert len(judge.readings) == batches


def test_a_worker_that_joins_waits_for_nothing_the_first_had_in_hand(engine: Engine, nats_server: EmbeddedNats) -> None:
    add_points(engine, POINTS)
    judge, gw = RecordingJudge(), Gateway()
    batches = cut(gw, range(10))

    async def main() -> None:
        url, loop = nats_server.url, asyncio.get_running_loop()
        async with contextlib.AsyncExitStack() as stack, publisher(url) as client:
            one = await stack.enter_async_context(worker(engine, url, judge, "w1", HANDED_OVER))
            await until(lambda: len(one.partitions) == PARTITIONS)
            async with nothing_is_folded(engine):
                await publish(client, *batches)
                await until(lambda: in_hand(client, loop) == len(batches))
                begun = time.monotonic()
                two = await stack.enter_async_context(worker(engine, url, judge, "w2", HANDED_OVER))
                await until(lambda: len(two.partitions) == len(one.partitions) == PARTITIONS // 2)
            await until(lambda: count(engine, "batch") == len(batches), AT_ONCE)
            assert time.monotonic() - begun < ACK_WAIT.total_seconds() / 2
            assert two.totals.folded.new > 0

    asyncio.run(main())
    landed_once(engine, judge, len(batches))


def test_a_worker_that_ends_in_order_gives_back_what_it_had_in_hand(engine: Engine, nats_server: EmbeddedNats) -> None:
    add_points(engine, POINTS)
    judge, gw = RecordingJudge(), Gateway()
    batches = cut(gw, range(10))

    async def main() -> None:
        url, loop = nats_server.url, asyncio.get_running_loop()
        async with publisher(url) as client:
            async with worker(engine, url, judge, "w1", ONE_BY_ONE) as one:
                await until(lambda: len(one.partitions) == PARTITIONS)
                async with nothing_is_folded(engine):
                    await publish(client, *batches)
                    await until(lambda: in_hand(client, loop) == len(batches))
            assert count(engine, "batch") < len(batches)
            async with worker(engine, url, judge, "w2", HANDED_OVER):
                await until(lambda: count(engine, "batch") == len(batches), AT_ONCE)

    asyncio.run(main())
    landed_once(engine, judge, len(batches))


def test_workers_come_and_go_under_load_and_no_reading_waits(engine: Engine, nats_server: EmbeddedNats) -> None:
    add_points(engine, POINTS)
    judge, gw = RecordingJudge(), Gateway()
    published = 0

    async def load(client: Client, stop: asyncio.Event) -> None:
        nonlocal published
        while not stop.is_set():
            some = cut(gw, range(published // len(POINTS), published // len(POINTS) + 2))
            await asyncio.gather(*(publish(client, message) for message in some))
            published += len(some)

    async def main() -> None:
        url, stop = nats_server.url, asyncio.Event()
        async with worker(engine, url, judge, "w1", HANDED_OVER) as one, publisher(url) as client:
            await until(lambda: len(one.partitions) == PARTITIONS)
            loading = asyncio.create_task(load(client, stop))
            for number in range(3):
                async with worker(engine, url, judge, f"other{number}", HANDED_OVER) as other:
                    await until(lambda each=other: len(each.partitions) == PARTITIONS // 2)  # type: ignore[misc] # bound now, not later
                    await asyncio.sleep(0.3)
                await until(lambda: len(one.partitions) == PARTITIONS)
            stop.set()
            await loading
            await until(lambda: count(engine, "batch") == published, AT_ONCE)

    asyncio.run(main())
    landed_once(engine, judge, published)
