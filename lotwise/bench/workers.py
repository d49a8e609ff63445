"""Several ingest workers, each a process of its own, draining one filled stream: where more of them stop helping."""

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import Connection, Engine, text

from core.telemetry.address import PARTITIONS
from lotwise.bench.figures import busy_of
from lotwise.embedded.process import ServerProcess

COMMAND = "from lotwise.cli import main; main()"
DRAIN_TIMEOUT = 600.0
"""Seconds that the workers may take, at most."""
_HOLD = text("SELECT pg_advisory_lock(1281852233, p) FROM generate_series(0, :last) p")
_LET_GO = text("SELECT pg_advisory_unlock_all()")
_SHARES = text("SELECT count(*) FROM ingest_lease GROUP BY worker")
_LANDED = text("SELECT count(*) FROM batch")


def drained(
    engine: Engine, folder: Path, env: Mapping[str, str], workers: int, expected: int, servers: Sequence[int]
) -> tuple[float, float, float]:
    """(seconds, processor seconds of all workers, those of the servers) until so many batches are committed.

    The partitions are locked, as by a fold, until every worker has its share of them: all begin at once. The seconds
    are reckoned from the pace after the first quarter, in which the workers learn of the zones. Raises TimeoutError.
    """
    with ExitStack() as stack:
        held = stack.enter_context(engine.connect())
        held.execute(_HOLD, {"last": PARTITIONS - 1})
        running = [_worker(stack, folder, env, f"w{number}") for number in range(workers)]
        fair = -(-PARTITIONS // workers)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            _until(lambda: _even(conn, workers, fair))
            busy, serving = busy_of(running), busy_of(servers)
            held.execute(_LET_GO)
            held.rollback()
            early = _until(lambda: landed if (landed := conn.execute(_LANDED).scalar_one()) >= expected / 4 else 0)
            begun = time.perf_counter()
            _until(lambda: conn.execute(_LANDED).scalar_one() >= expected)
            paced = (time.perf_counter() - begun) * expected / max(expected - early, 1)
            return paced, busy_of(running) - busy, busy_of(servers) - serving


def _even(conn: Connection, workers: int, fair: int) -> bool:
    shares = conn.execute(_SHARES).scalars().all()
    return len(shares) == workers and max(shares) <= fair and sum(shares) == PARTITIONS


def _until(done: Callable[[], int]) -> int:
    """Waits until it is something, and gives that. Raises TimeoutError."""
    deadline = time.monotonic() + DRAIN_TIMEOUT
    while not (found := done()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not done after {DRAIN_TIMEOUT:.0f} s")
        time.sleep(0.05)
    return found


def _worker(stack: ExitStack, folder: Path, env: Mapping[str, str], name: str) -> int:
    process = ServerProcess(
        name,
        [sys.executable, "-c", COMMAND, "ingest", "--name", name],
        folder / f"{name}.log",
        env={**os.environ, "LOTWISE_INSTANCE": "test", "LOTWISE_DATA_DIR": str(folder / name), **env},
    )
    process.start(lambda: True)
    stack.callback(process.stop)
    pid = process.pid
    if pid is None:
        raise RuntimeError(f"{name} ended at once: {process.tail()}")
    return pid
