"""Stream → series → judged: how many readings a second one worker takes, and whether its memory stays flat."""

import asyncio
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nats
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, create_engine, text

from core.app import build_events
from core.erp.exposure.judge import Judge
from core.erp.kernel.schema import create_schema
from core.ingest.stream import NatsSettings, connect, ensure_stream
from core.ingest.worker import IngestWorker
from core.telemetry.address import partition_of
from core.telemetry.batch import Body, Header, Watermark, digest, encode_body, pack
from core.telemetry.connection import hang_up
from core.telemetry.reading import Reading
from lotwise.bench.figures import figure, resident
from lotwise.bench.plant import Plant, build
from lotwise.embedded.nats import EmbeddedNats
from lotwise.embedded.postgres import EmbeddedPostgres

ZONES, PROFILES, SUBLOTS = 200, 20, 10_000
PER_BATCH = 500
OUT_SHARE = 0.01
METHOD = (
    f"one reading a second of data time from each of {ZONES} zones, {PROFILES} profiles of 3 limits,"
    f" {SUBLOTS} sublots,"
    f" {OUT_SHARE:.0%} of readings above a limit, in batches of {PER_BATCH} with watermarks;"
    " the stream is filled first,"
    " then one worker drains it: landed in PostgreSQL, judged, confirmed; embedded servers, fsync on"
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
    plant: Plant, start: datetime, part: range, members: list[int], values: NDArray[np.float64],
    partition: int, number: int,
) -> tuple[str, bytes]:  # fmt: skip
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
        "bench", "b1", "epoch1", partition, number, "readings", digest(body), len(readings), readings[0].at,
        readings[-1].at, upto,
    )  # fmt: skip
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
        await hang_up(client)
    return count


async def _drain(engine: Engine, settings: NatsSettings, expected: int, total: int) -> tuple[float, list[float]]:
    """(seconds, memory in MiB at every twentieth of the readings)."""
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
    """How the growth was measured. It is flat only once the zones' open hours have been full: 720 000 readings."""
    course = " ".join(f"{mib:.0f}" for mib in memory[:: max(len(memory) // 10, 1)])
    return f"resident memory of the worker at the end less that at half of the readings; MiB at every tenth: {course}"


def run(readings: int) -> None:
    """Prints `readings_per_s` and `rss_growth_mb`."""
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=30)
    with tempfile.TemporaryDirectory(prefix="lotwise-bench-") as folder:
        postgres, server = EmbeddedPostgres(Path(folder) / "postgres"), EmbeddedNats(Path(folder) / "stream")
        postgres.start()
        server.start()
        engine = create_engine(postgres.url(), pool_size=10, hide_parameters=True)
        try:
            create_schema(engine)
            plant = build(engine, start, zones=ZONES, profiles=PROFILES, sublots=SUBLOTS)
            settings = NatsSettings((server.url,))

            async def main() -> tuple[float, list[float]]:
                client = await connect(settings, "bench")
                await ensure_stream(client, settings.stream)
                await hang_up(client)
                expected = await _fill(server.url, plant, start, readings)
                return await _drain(engine, settings, expected, readings)

            seconds, memory = asyncio.run(main())
            with engine.connect() as conn:
                landed = conn.execute(text("SELECT count(*) FROM reading")).scalar_one()
            figure("ingest", "readings_per_s", landed / seconds, "1/s", landed, METHOD)
            figure("ingest", "rss_growth_mb", memory[-1] - memory[len(memory) // 2], "MiB", landed, _growth(memory))
        finally:
            engine.dispose()
            server.stop()
            postgres.stop()
