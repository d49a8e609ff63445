"""The worker against a real stream and a real database, with what can go wrong between them."""

import asyncio
import contextlib
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import msgspec
from sqlalchemy import Engine, text
from sqlalchemy.pool import NullPool

from core.telemetry.address import PARTITIONS, partitions_named
from core.telemetry.batch import ConfirmReply, ConfirmRequest, decode, encode
from lotwise.embedded.nats import EmbeddedNats
from tests.faults.ingest_running import QUICK, count, publish, publisher, until, worker
from tests.keys import opened
from tests.services.ingest_support import (
    PARTITION,
    POINT,
    Gateway,
    RecordingJudge,
    add_points,
    mark,
    reading,
    zone_in,
)


def test_published_batches_are_landed_judged_and_confirmed(engine: Engine, nats_server: EmbeddedNats) -> None:
    add_points(engine)
    judge = RecordingJudge()
    gw = Gateway()
    batches = [gw.cut([reading(n)], [mark(n)]) for n in range(20)]

    async def main() -> None:
        async with worker(engine, nats_server.url, judge) as w, publisher(nats_server.url) as client:
            await until(lambda: len(w.partitions) == PARTITIONS)
            await publish(client, *batches)
            await until(lambda: count(engine, "batch") == 20)
            ask = encode(ConfirmRequest("gw-1", (("e1", PARTITION, 22), ("nope", 3, 2))))
            await until(lambda: w._consumers.floors.get(PARTITION) == 20)
            answer = await client.request("confirm.gw-1", ask, timeout=5)
            reply = decode(ConfirmReply, answer.data)
            assert [(c.epoch, c.through, c.missing) for c in reply.confirmed] == [
                ("e1", 20, (21, 22)),
                ("nope", 0, (1, 2)),
            ]
            assert reply.floors[PARTITION] == 20
            assert reply.stream == w._consumers.stream != ""
            await client.publish("confirm.gw-1", b"garbage")  # no answer, no harm
            assert (await client.request("confirm.gw-1", ask, timeout=5)).data == answer.data

    asyncio.run(main())
    assert [r.at for r in judge.readings] == [reading(n).at for n in range(20)]
    assert count(engine, "ingest_lease") == 0


def test_what_old_spools_name_is_read_with_the_partition_it_is_part_of_now(
    engine: Engine, nats_server: EmbeddedNats
) -> None:
    add_points(engine)
    judge = RecordingJudge()
    gw = Gateway()
    named = partitions_named(PARTITION)[-1]
    assert named >= PARTITIONS

    async def main() -> None:
        async with worker(engine, nats_server.url, judge) as w, publisher(nats_server.url) as client:
            await until(lambda: len(w.partitions) == PARTITIONS)
            await publish(client, gw.cut([reading(0)], partition=named), gw.cut([reading(1)]))
            await until(lambda: count(engine, "batch") == 2)
            await until(lambda: w._consumers.floors.get(named) == w._consumers.floors.get(PARTITION) == 2)

    asyncio.run(main())
    assert sorted(r.at for r in judge.readings) == [reading(0).at, reading(1).at]


def test_a_batch_the_judge_fails_on_stops_its_partition_only(engine: Engine, nats_server: EmbeddedNats) -> None:
    elsewhere = f"{zone_in((PARTITION + 1) % PARTITIONS)}/p/temperature"
    poison = POINT.replace("probe_1", "probe_9")
    add_points(engine, [POINT, elsewhere, poison])
    judge = RecordingJudge(poison=frozenset({poison}))
    gw = Gateway()

    async def main() -> None:
        async with worker(engine, nats_server.url, judge) as w, publisher(nats_server.url) as client:
            await until(lambda: len(w.partitions) == PARTITIONS)
            first, bad, after = gw.cut([reading(0)]), gw.cut([reading(1, point=poison)]), gw.cut([reading(2)])
            other = [gw.cut([reading(n, point=elsewhere)]) for n in range(5)]
            await publish(client, first, bad, after, *other)
            await until(lambda: count(engine, "batch") == 6)
            await until(lambda: count(engine, "ingest_alarm WHERE kind = 'stopped' AND cleared_at IS NULL") == 1)
            failures = w.totals.failures
            await until(lambda: w.totals.failures > failures + 2)  # tried again, with back-off
            assert count(engine, f"batch WHERE partition = {PARTITION}") == 1
            assert count(engine, "ingest_alarm") == 1
            judge.poison = frozenset()
            await until(lambda: count(engine, "batch") == 8)
            await until(lambda: count(engine, "ingest_alarm WHERE cleared_at IS NULL") == 0)

    asyncio.run(main())
    assert count(engine, "outbox WHERE topic = 'ingest.stopped'") == 1
    assert count(engine, "outbox WHERE topic = 'ingest.going'") == 1
    assert sorted(r.at for r in judge.readings if r.point == POINT) == [reading(0).at, reading(2).at]


def test_what_a_stopped_partition_holds_does_not_fill_the_hands(engine: Engine, nats_server: EmbeddedNats) -> None:
    elsewhere = f"{zone_in((PARTITION + 1) % PARTITIONS)}/p/temperature"
    add_points(engine, [POINT, elsewhere])
    judge = RecordingJudge(poison=frozenset({POINT}))
    gw = Gateway()
    small = replace(QUICK, hand_bytes=2_000)

    async def main() -> None:
        async with (
            worker(engine, nats_server.url, judge, options=small) as w,
            publisher(nats_server.url) as client,
        ):
            await until(lambda: len(w.partitions) == PARTITIONS)
            await publish(client, *[gw.cut([reading(n) for n in range(i, i + 20)]) for i in range(0, 400, 20)])
            await until(lambda: count(engine, "ingest_alarm") == 1)
            await publish(client, *[gw.cut([reading(n, point=elsewhere)]) for n in range(30)])
            await until(lambda: count(engine, "batch") == 30)

    asyncio.run(main())


def test_workers_share_and_take_over(engine: Engine, nats_server: EmbeddedNats) -> None:
    add_points(engine)
    judge = RecordingJudge()
    gw = Gateway()

    async def main() -> None:
        async with worker(engine, nats_server.url, judge, "w1") as one, publisher(nats_server.url) as client:
            await until(lambda: len(one.partitions) == PARTITIONS)
            async with worker(engine, nats_server.url, judge, "w2") as two:
                await until(lambda: len(two.partitions) == PARTITIONS // 2)
                assert not one.partitions & two.partitions
                await publish(client, *[gw.cut([reading(n)]) for n in range(10)])
                await until(lambda: count(engine, "batch") == 10)
            await until(lambda: len(one.partitions) == PARTITIONS)
            await publish(client, *[gw.cut([reading(20 + n)]) for n in range(10)])
            await until(lambda: count(engine, "batch") == 20)

    asyncio.run(main())
    assert len(judge.readings) == 20


def test_a_stream_whose_files_are_deleted_is_made_again(engine: Engine, nats_server: EmbeddedNats) -> None:
    add_points(engine)
    judge = RecordingJudge()
    gw = Gateway()

    async def main() -> None:
        async with worker(engine, nats_server.url, judge) as w, publisher(nats_server.url) as client:
            await until(lambda: len(w.partitions) == PARTITIONS)
            await publish(client, *[gw.cut([reading(n)]) for n in range(5)])
            await until(lambda: count(engine, "batch") == 5)
            before = w._consumers.stream
            nats_server.kill()
            shutil.rmtree(nats_server.store_dir)
            nats_server.start()
            await until(lambda: w._consumers.stream not in {"", before})
            await publish(client, *[gw.cut([reading(10 + n)]) for n in range(5)])
            await until(lambda: count(engine, "batch") == 10)
            await until(lambda: w._consumers.floors.get(PARTITION) == 5)

    asyncio.run(main())
    assert len(judge.readings) == 10


def test_simulated_readings_keep_their_mark(engine: Engine, nats_server: EmbeddedNats) -> None:
    add_points(engine)
    judge = RecordingJudge()
    fake = msgspec.structs.replace(reading(0), simulated=True)

    async def main() -> None:
        async with worker(engine, nats_server.url, judge) as w, publisher(nats_server.url) as client:
            await until(lambda: len(w.partitions) == PARTITIONS)
            await publish(client, Gateway().cut([fake]))
            await until(lambda: count(engine, "batch") == 1)

    asyncio.run(main())
    assert count(engine, "reading WHERE simulated") == 1


@contextlib.asynccontextmanager
async def victim(engine: Engine, postgres_url: str, stream: str, sign: Path) -> AsyncIterator[subprocess.Popen[bytes]]:
    """A worker in a process of its own, which has landed ten batches and hangs before its commit; killed at the end."""
    gw = Gateway()
    async with publisher(stream) as client:
        process = await asyncio.to_thread(
            subprocess.Popen, [sys.executable, "-m", "tests.faults.ingest_victim", postgres_url, stream, str(sign)]
        )
        try:
            await until(lambda: count(engine, "ingest_lease") == PARTITIONS, 30)
            await publish(client, *[gw.cut([reading(n)], [mark(n)]) for n in range(10)])
            await until(sign.exists)
            yield process
        finally:
            process.kill()
            await asyncio.to_thread(process.wait)


def test_a_worker_killed_between_landing_and_commit_leaves_all_to_the_next(
    engine: Engine, postgres_url: str, nats_server: EmbeddedNats, tmp_path: Path
) -> None:
    add_points(engine)
    judge = RecordingJudge()

    async def main() -> None:
        async with victim(engine, postgres_url, nats_server.url, tmp_path / "in the transaction"):
            pass
        assert count(engine, "batch") == 0
        async with worker(engine, nats_server.url, judge):
            await until(lambda: count(engine, "batch") == 10, 30)

    asyncio.run(main())
    assert [r.at for r in judge.readings] == [reading(n).at for n in range(10)]
    assert count(engine, "reading") == 10


def test_a_worker_frozen_in_its_transaction_is_not_waited_for_and_does_no_harm_when_woken(
    engine: Engine, postgres_url: str, nats_server: EmbeddedNats, tmp_path: Path
) -> None:
    add_points(engine)
    judge = RecordingJudge()
    sign = tmp_path / "in the transaction"

    async def main() -> None:
        async with victim(engine, postgres_url, nats_server.url, sign) as frozen:
            frozen.send_signal(signal.SIGSTOP)
            async with worker(engine, nats_server.url, judge):
                await until(lambda: count(engine, "batch") == 10, 30)
                sign.unlink()
                frozen.send_signal(signal.SIGCONT)
                await until(lambda: count(engine, "ingest_lease WHERE worker = 'victim'") == PARTITIONS // 2, 60)
                # what it had in hand it has let go; it works on with what it holds now
                assert not sign.exists()

    asyncio.run(main())
    assert sorted(r.at for r in judge.readings) == [reading(n).at for n in range(10)]
    assert (count(engine, "batch"), count(engine, "reading"), count(engine, "ingest_alarm")) == (10, 10, 0)


def test_a_database_that_goes_away_stops_nothing_for_good(
    engine: Engine, postgres_url: str, nats_server: EmbeddedNats
) -> None:
    add_points(engine)
    judge = RecordingJudge()
    gw = Gateway()
    cut_off = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )
    # the test's own connections are fresh ones: it cuts off all others, pooled ones included
    fresh = opened(postgres_url, poolclass=NullPool)

    async def main() -> None:
        async with worker(engine, nats_server.url, judge) as w, publisher(nats_server.url) as client:
            await until(lambda: len(w.partitions) == PARTITIONS)
            for n in range(5):
                await publish(client, *[gw.cut([reading(n * 10 + i)]) for i in range(10)])
                with fresh.connect() as conn:
                    conn.execute(cut_off)
            await until(lambda: count(fresh, "batch") == 50, 30)

    asyncio.run(main())
    assert count(fresh, "reading") == 50
    assert count(fresh, "ingest_alarm") == 0
