"""Stream → series → judged: how many readings a second workers take, and whether one's memory stays flat."""

import asyncio
import os
import resource
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nats
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, text

from core.erp.exposure.judge.judge import Judge
from core.erp.kernel.audit_keys import open_engine
from core.erp.migrations import upgrade
from core.ingest.stream import NatsSettings, connect, ensure_stream
from core.ingest.worker import IngestWorker
from core.telemetry.address import partition_of
from core.telemetry.batch import Body, Header, Watermark, digest, encode_body, pack
from core.telemetry.connection import disconnect_within
from core.telemetry.reading import Reading
from core.wiring import build_events
from lotwise.bench.figures import busy_of, figure, resident
from lotwise.bench.plant import BENCH_KEYS, Plant, build
from lotwise.bench.workers import drained
from lotwise.embedded.nats import EmbeddedNats
from lotwise.embedded.postgres import EmbeddedPostgres

PROFILES = 20
PER_BATCH = 500
OUT_SHARE = 0.01
METHOD = (
    "one reading a second of data time from each of {zones} zones, {profiles} profiles of 3 limits, {sublots} sublots,"
    " {share:.0%} of readings above a limit, in batches of {batch} with watermarks; the stream is filled first, then"
    " {workers} it: landed in PostgreSQL, judged, confirmed; embedded servers, fsync on; load average {load:.1f}"
)


def batches(plant: Plant, start: datetime, readings: int, seed: int = 7) -> Iterator[tuple[str, bytes]]:
    """(subject, message) of every batch, in order of time within each partition."""
    rng = np.random.default_rng(seed)
    lanes: dict[int, list[int]] = defaultdict(list)
    for index, zone in enumerate(plant.zones):
        lanes[partition_of(zone)].append(index)
    numbers = dict.fromkeys(lanes, 0)
    seconds = -(-readings // len(plant.zones))
    for chunk in range(0, seconds, PER_BATCH):
        span = range(chunk, min(chunk + PER_BATCH, seconds))
        for partition, members in sorted(lanes.items()):
            per = max(PER_BATCH // len(members), 1)
            for begin in range(0, len(span), per):
                part = span[begin : begin + per]
                values = 5.0 + rng.random((len(part), len(members)))
                values[rng.random(values.shape) < OUT_SHARE] = 12.0
                numbers[partition] += 1
                yield _batch(plant, start, part, members, values, partition, numbers[partition])


def _batch(
    plant: Plant,
    start: datetime,
    part: range,
    members: list[int],
    values: NDArray[np.float64],
    partition: int,
    number: int,
) -> tuple[str, bytes]:
    readings = tuple(
        Reading(plant.points[zone], at, float(values[row, column]), "Cel", at, at)
        for row, second in enumerate(part)
        for at in [start + timedelta(seconds=second)]
        for column, zone in enumerate(members)
    )
    upto = start + timedelta(seconds=part[-1])
    mark = Watermark("bench", upto, tuple(plant.zones[zone] for zone in members))
    body = encode_body(Body(readings, (mark,)))
    header = Header(
        "bench",
        "b1",
        "epoch1",
        partition,
        number,
        "readings",
        digest(body),
        len(readings),
        readings[0].at,
        readings[-1].at,
        upto,
    )
    return header.subject, pack(header, body)


async def _fill(url: str, plant: Plant, start: datetime, readings: int) -> int:
    """Publishes all; gives how many batches."""
    client = await nats.connect(url, pending_size=64 * 2**20)
    try:
        stream = client.jetstream(publish_async_max_pending=256)
        count = 0
        for subject, message in batches(plant, start, readings):
            await stream.publish_async(subject, message, wait_stall=60.0)
            count += 1
        await stream.publish_async_completed()
    finally:
        await disconnect_within(client)
    return count


async def _drain(engine: Engine, settings: NatsSettings, expected: int, total: int) -> tuple[float, list[float]]:
    """(seconds, memory in MiB at every twentieth of the readings), by one worker in this process."""
    stop = asyncio.Event()
    worker = IngestWorker(engine, settings, Judge(), "bench", events=build_events())
    task = asyncio.create_task(worker.run(stop))
    memory: list[float] = []
    begun, seen = 0.0, 0
    while worker.totals.folded.batches < expected:
        await asyncio.sleep(0.05)
        if task.done():
            await task
        if not begun and worker.totals.folded.batches:
            begun = time.perf_counter()
            seen = worker.totals.folded.readings
        if worker.totals.folded.readings >= total * len(memory) / 20:
            memory.append(resident())
    seconds = time.perf_counter() - begun
    if worker.totals.failures:
        raise RuntimeError(f"{worker.totals.failures} transactions failed")
    stop.set()
    await task
    return seconds * total / max(total - seen, 1), memory


def _growth(memory: list[float]) -> str:
    """How the growth was measured. It is flat only once the zones' open hours have been full: 3 600 readings each."""
    course = " ".join(f"{mib:.0f}" for mib in memory[:: max(len(memory) // 10, 1)])
    return f"resident memory of the worker at the end less that at half of the readings; MiB at every tenth: {course}"


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything."""

    readings: int
    zones: int
    sublots: int
    workers: int


def run(size: Size) -> None:
    """Prints `readings_per_s`, `cpu_s_per_million`, the servers' beside it and, for one worker, `rss_growth_mb`."""
    # not a day ago: a worker that is a process also runs the timer that stands in for a gateway silent for so long
    span = timedelta(seconds=-(-size.readings // size.zones))
    start = (datetime.now(UTC) - span).replace(minute=0, second=0, microsecond=0)
    with tempfile.TemporaryDirectory(prefix="lotwise-bench-") as name:
        folder = Path(name)
        postgres, server = EmbeddedPostgres(folder / "postgres"), EmbeddedNats(folder / "stream")
        postgres.start()
        server.start()
        engine = open_engine(postgres.url(), BENCH_KEYS, pool_size=10)
        try:
            upgrade(engine)
            plant = build(engine, start, zones=size.zones, profiles=PROFILES, sublots=size.sublots)
            settings = NatsSettings((server.url,))

            async def fill() -> int:
                client = await connect(settings, "bench")
                await ensure_stream(client, settings.stream)
                await disconnect_within(client)
                return await _fill(server.url, plant, start, size.readings)

            expected = asyncio.run(fill())
            memory: list[float] = []
            pids = [pid for pid in (postgres.pid, server.pid) if pid is not None]
            if size.workers == 1:
                busy, serving = _busy(), busy_of(pids)
                seconds, memory = asyncio.run(_drain(engine, settings, expected, size.readings))
                cpu, servers = _busy() - busy, busy_of(pids) - serving
            else:
                env = {"LOTWISE_DATABASE_URL": postgres.url(), "LOTWISE_NATS_URL": server.url}
                seconds, cpu, servers = drained(engine, folder, env, size.workers, expected, pids)
            with engine.connect() as conn:
                landed = conn.execute(text("SELECT count(*) FROM reading")).scalar_one()
        finally:
            engine.dispose()
            server.stop()
            postgres.stop()
    _print_figures(size, landed, seconds, (cpu, servers), memory)


def _busy() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _print_figures(size: Size, landed: int, seconds: float, cpu: tuple[float, float], memory: list[float]) -> None:
    method = METHOD.format(
        zones=size.zones,
        profiles=PROFILES,
        sublots=size.sublots,
        share=OUT_SHARE,
        batch=PER_BATCH,
        workers="one worker drains" if size.workers == 1 else f"{size.workers} workers, each a process, drain",
        load=os.getloadavg()[0],
    )
    figure("ingest", "readings_per_s", landed / seconds, "1/s", landed, method)
    for metric, spent, whose in (
        ("cpu_s_per_million", cpu[0], "the workers for a million readings; PostgreSQL's and the stream's are left out"),
        ("servers_cpu_s_per_million", cpu[1], "PostgreSQL and the stream meanwhile, for a million readings"),
    ):
        figure("ingest", metric, spent / landed * 1e6, "s", landed, f"processor time of {whose}")
    if memory:
        figure("ingest", "rss_growth_mb", memory[-1] - memory[len(memory) // 2], "MiB", landed, _growth(memory))
