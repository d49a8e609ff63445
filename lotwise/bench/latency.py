"""From the reading that breaks a limit to its committed hold, through real processes and under load."""

import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from ruamel.yaml import YAML
from sqlalchemy import Engine, text

from core.erp.exposure.judge.judge import Judge
from core.erp.kernel.audit_keys import open_engine
from core.erp.kernel.unit import Unit, system, transact
from core.erp.migrations import upgrade
from core.series.landing import write_rows
from core.telemetry.reading import Reading
from core.wiring import build_events
from edge.spool import SpoolOptions
from lotwise.bench.broker import Broker, broker
from lotwise.bench.figures import figure
from lotwise.bench.plant import BENCH_KEYS, INSTANT, Plant, build
from lotwise.embedded.nats import EmbeddedNats
from lotwise.embedded.postgres import EmbeddedPostgres
from lotwise.embedded.process import ServerProcess, free_port

ZONES, PROFILES, PER_ZONE = 200, 20, 10
EVERY = 0.217
"""Seconds between two zones' warm readings: no multiple of any pace of the way, such as the cut of batches, or a whole
run would meet one phase of it."""
START_TIMEOUT = 120.0
STOPPING = 10.0
"""Seconds the devices are given to end by themselves."""
SETTLED = 5.0
"""Seconds of load after everything is judged once, before the first warm reading."""
STAGES = (
    ("gateway", "device, broker, collector, spool, until the batch is cut"),
    ("waiting", "forwarder, stream, worker's queue, until the transaction that takes the batch begins"),
    ("core", "landing, judging, holding, until the commit"),
)
Floats = NDArray[np.float64]
COMMAND = "from lotwise.cli import main; main()"
METHOD = (
    "commit time of the hold row in PostgreSQL (pg_xact_commit_timestamp) less the device's stamp of the one reading"
    " that broke an instant limit; {rate} readings/s all the time over {zones} zones, about {per_zone} sublots of"
    " {profiles} profiles in each, one zone warm every {every} s; publisher → {broker} → lotwise edge run (batches of"
    " 500 readings or {cut:.0f} ms) → NATS → lotwise ingest, each a process, on one machine;"
    " fsync on; load average {load:.1f}; {received} readings landed in the {seconds:.0f} s of it, {landed:.0f}/s"
)
_LATENCIES = text(
    "SELECT extract(epoch FROM pg_xact_commit_timestamp(h.xmin) - e.broke_at) * 1000 AS whole,"
    " extract(epoch FROM b.cut_at - e.broke_at) * 1000 AS gateway,"
    " extract(epoch FROM b.received_at - b.cut_at) * 1000 AS waiting,"
    " extract(epoch FROM pg_xact_commit_timestamp(h.xmin) - b.received_at) * 1000 AS core"
    " FROM hold h JOIN excursion e ON e.id = h.excursion_id JOIN point p ON p.zone_id = e.zone_id"
    " JOIN series_point s ON s.address = p.address JOIN reading r ON r.point_id = s.id AND r.at = e.broke_at"
    " JOIN batch b ON b.id = r.batch_id WHERE h.kind = 'exposure' AND h.certainty = 'proven' ORDER BY h.id"
)
"""For each hold, in ms: all of it; until the batch was cut; until the ingest's transaction; until the commit."""


def gateway_file(folder: Path, of: Broker, stream: str) -> Path:
    """The gateway's configuration."""
    file = folder / "gateway.yaml"
    source = {
        "name": "bench",
        "protocol": "mqtt",
        "host": "127.0.0.1",
        "port": of.port,
        "version": of.version,
        "clock": "device_within",
        "tolerance": "10 s",
        "subscriptions": [
            {
                "topic": "bench/{zone}/{device}",
                "decoder": {
                    "name": "json",
                    "values": {"temperature": "$.t"},
                    "time": {"path": "$.ts", "format": "epoch_us"},
                },
                "point": "b1/store/{zone}/{device}/temperature",
                "unit": "Cel",
            }
        ],
    }
    config = {
        "gateway": "bench",
        "site": "b1",
        "instance": "test",
        "data_dir": str(folder / "gateway"),
        "stream": {"urls": [stream]},
        "health": {"port": free_port()},
        "sources": [source],
    }
    with file.open("w") as out:
        YAML(typ="safe").dump(config, out)
    return file


def _started(stack: ExitStack, name: str, arguments: list[str], folder: Path, env: dict[str, str]) -> ServerProcess:
    process = ServerProcess(
        name, [sys.executable, "-c", COMMAND, *arguments], folder / f"{name}.log", env={**os.environ, **env}
    )
    process.start(lambda: True)
    stack.callback(process.stop)
    return process


@contextmanager
def _devices(port: int, rate: int) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", "lotwise.bench.publisher", str(port), str(rate), str(ZONES), str(EVERY)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process
    finally:
        process.stdin.close()
        try:
            process.wait(STOPPING)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def _count(engine: Engine, what: str) -> int:
    with engine.connect() as conn:
        return int(conn.execute(text(f"SELECT count(*) FROM {what}")).scalar_one())  # noqa: S608 - our own words


def _until(engine: Engine, what: str, least: int) -> None:
    """Waits until so many rows are there. Raises TimeoutError."""
    deadline = time.monotonic() + START_TIMEOUT
    while (found := _count(engine, what)) < least:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{found} of {least} in {what} after {START_TIMEOUT:.0f} s")
        time.sleep(0.2)


def _measure(engine: Engine, of: Broker, rate: int, zones: int, expected: int) -> tuple[Floats, int, float]:
    """(milliseconds of every hold, whole and by stage; readings landed meanwhile; seconds meanwhile).

    Raises TimeoutError, and RuntimeError where a hold's reading is not found: the figures would leave it out.
    """
    with _devices(of.port, rate) as devices:
        assert devices.stdin is not None
        assert devices.stdout is not None
        _until(engine, "zone_judged WHERE watermark IS NOT NULL", ZONES)
        time.sleep(SETTLED)
        before, begun = _count(engine, "reading"), time.monotonic()
        devices.stdin.write(f"go {zones}\n")
        devices.stdin.flush()
        if not select.select([devices.stdout], [], [], START_TIMEOUT)[0]:
            raise TimeoutError(
                f"the devices were not through after {START_TIMEOUT:.0f} s: this machine is too busy to tell"
            )
        devices.stdout.readline()
        landed, seconds = _count(engine, "reading") - before, time.monotonic() - begun
        _until(engine, "hold WHERE kind = 'exposure' AND certainty = 'proven'", expected)
    with engine.connect() as conn:
        found = np.array(conn.execute(_LATENCIES).all(), np.float64)
    if len(found) < expected:
        raise RuntimeError(f"{len(found)} of {expected} holds could be laid to the reading that caused them")
    return found, landed, seconds


def _zones_judged(engine: Engine, plant: Plant, at: datetime) -> None:
    """Every zone has said something, and was judged by it, before its goods came: no goods stand there unknown."""
    readings = [Reading(point, at, 5.0, "Cel", at) for point in plant.points]

    def work(u: Unit) -> None:
        write_rows(u.conn, readings)
        Judge().fold(u, readings)

    transact(engine, system("bench"), build_events(), work, at)


def run(rate: int, holds: int, *, embedded: bool = False) -> None:
    """Prints `p50_ms`, `p99_ms` and `max_ms`. Raises TimeoutError if the holds do not come."""
    with tempfile.TemporaryDirectory(prefix="lotwise-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        postgres = EmbeddedPostgres(folder / "postgres", settings={"track_commit_timestamp": "on"})
        stream, of = EmbeddedNats(folder / "stream"), broker(folder / "broker", embedded=embedded)
        for server in (postgres, stream, of):
            server.start()
            stack.callback(server.stop)
        engine = open_engine(postgres.url(), BENCH_KEYS)
        stack.callback(engine.dispose)
        upgrade(engine)
        now = datetime.now(UTC)
        plant = build(engine, now, zones=ZONES, profiles=PROFILES, sublots=ZONES * PER_ZONE, limits=INSTANT)
        _zones_judged(engine, plant, now - timedelta(seconds=30))
        zones, expected = _zones_for(engine, holds)
        env = {
            "LOTWISE_INSTANCE": "test",
            "LOTWISE_DATABASE_URL": postgres.url(),
            "LOTWISE_NATS_URL": stream.url,
            "LOTWISE_DATA_DIR": str(folder / "data"),
        }
        _started(stack, "ingest", ["ingest"], folder, env)
        file = gateway_file(folder, of, stream.url)
        _started(stack, "edge", ["edge", "run", str(file), "--log-level", "WARNING"], folder, env)
        found, landed, seconds = _measure(engine, of, rate, zones, expected)
    method = METHOD.format(
        rate=rate,
        zones=ZONES,
        cut=SpoolOptions().cut_every.total_seconds() * 1000,
        per_zone=PER_ZONE,
        profiles=PROFILES,
        every=EVERY,
        broker=of.name,
        load=os.getloadavg()[0],
        received=landed,
        seconds=seconds,
        landed=landed / seconds,
    )
    whole = found[:, 0]
    for metric, value in (
        ("p50_ms", np.percentile(whole, 50)),
        ("p99_ms", np.percentile(whole, 99)),
        ("max_ms", whole.max()),
    ):
        figure("latency", metric, float(value), "ms", len(found), method)
    for column, (stage, meaning) in enumerate(STAGES, start=1):
        for share in (50, 99):
            figure(
                "latency",
                f"{stage}_p{share}_ms",
                float(np.percentile(found[:, column], share)),
                "ms",
                len(found),
                f"of that: {meaning}",
            )


def _zones_for(engine: Engine, holds: int) -> tuple[int, int]:
    """(how many zones, from the first, must be warm for so many holds, and how many sublots stand in them)."""
    with engine.connect() as conn:
        counts = conn.execute(
            text("SELECT count(s.id) FROM zone z LEFT JOIN sublot s ON s.zone_id = z.id GROUP BY z.id ORDER BY z.id")
        ).scalars()
        total = 0
        for zones, count in enumerate(counts, start=1):
            total += count
            if total >= holds:
                return zones, total
    raise ValueError(f"at most {total} holds can be had")
