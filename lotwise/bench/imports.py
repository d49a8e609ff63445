"""A logger's large file through the public API: uploaded, read, landed, judged, answered."""

import contextlib
import io
import os
import tempfile
import threading
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import httpx
from sqlalchemy import Engine

from core.erp.kernel.access.users import create_user
from core.erp.kernel.audit_keys import open_engine
from core.erp.kernel.events import Events
from core.erp.kernel.permits import Role
from core.erp.kernel.unit import system, unit
from core.erp.migrations import upgrade
from lotwise.bench.core_server import core
from lotwise.bench.figures import figure
from lotwise.bench.plant import BENCH_KEYS, build
from lotwise.embedded.postgres import EmbeddedPostgres
from lotwise.embedded.process import ServerProcess

PASSWORD = "bench bench bench"  # noqa: S105 - of a user of the benchmark's own database
STEP = timedelta(minutes=1)
LOOK = 0.05
"""Seconds between two looks at the core's memory."""
METHOD = (
    "POST /api/v1/imports/files of a CSV of {rows} rows ({megabytes:.0f} MB, one a minute, one hour in 167 warm)"
    " for a zone with {goods} sublots of {profiles} profiles, from the request to its answer; the core a process of"
    " `lotwise serve`, PostgreSQL embedded with fsync, on one machine; {landed} readings landed, {excursions}"
    " excursions; load average {load:.1f}"
)
GOODS, PROFILES = 20, 5
WARM = range(3000, 3061)
"""Of every ten thousand minutes, these are warm."""


def run(rows: int) -> None:
    """Prints `seconds` and `peak_mb`. Raises RuntimeError where the core refuses the file, or less than all landed."""
    start = datetime.now(UTC).replace(second=0, microsecond=0) - (rows + 10) * STEP
    with tempfile.TemporaryDirectory(prefix="lotwise-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        postgres = EmbeddedPostgres(folder / "postgres")
        postgres.start()
        stack.callback(postgres.stop)
        engine = open_engine(postgres.url(), BENCH_KEYS)
        stack.callback(engine.dispose)
        upgrade(engine)
        build(engine, start, zones=1, profiles=PROFILES, sublots=GOODS)
        _people(engine)
        served, port = core(stack, folder, postgres.url())
        file = _file(rows, start)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=900) as client, Memory(served) as memory:
            token = client.post("/token", data={"username": "lou", "password": PASSWORD}).raise_for_status().json()
            begun = time.perf_counter()
            answer = client.post(
                "/imports/files",
                files={"file": ("logger.csv", file)},
                data={"zone": "b1/store/z1"},
                headers={"Authorization": f"Bearer {token['access_token']}"},
            )
            seconds = time.perf_counter() - begun
        if answer.status_code != httpx.codes.CREATED:
            raise RuntimeError(f"{answer.status_code}: {answer.text[:2000]}")
        done = answer.json()
    if done["landed"] != rows:
        raise RuntimeError(f"{done['landed']} of {rows} landed: {done['refused']}")
    method = METHOD.format(
        rows=rows,
        megabytes=len(file) / 1e6,
        goods=GOODS,
        profiles=PROFILES,
        landed=done["landed"],
        excursions=len(done["excursions"]),
        load=os.getloadavg()[0],
    )
    figure("import", "seconds", seconds, "s", rows, method)
    figure(
        "import",
        "peak_mb",
        memory.peak,
        "MiB",
        rows,
        "the most that the core's processes held together (proportional set size, looked at every 50 ms)",
    )


def _people(engine: Engine) -> None:
    with unit(engine, system("bench"), Events()) as u:
        create_user(u, "lou", "Lou", PASSWORD, [Role.LOGISTICS])


def _file(rows: int, start: datetime) -> bytes:
    out = io.StringIO()
    out.write("time,temperature (°C)\n")
    for row in range(rows):
        value = 9.5 if row % 10_000 in WARM else 4.0 + row % 17 / 10
        out.write(f"{start + row * STEP:%Y-%m-%dT%H:%M:%SZ},{value:.1f}\n")
    return out.getvalue().encode()


class Memory:
    """Looks at the memory of a process and its children for as long as the block lasts."""

    def __init__(self, of: ServerProcess) -> None:
        self._of, self._over = of, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.peak = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.is_set():
            if self._of.pid is not None:
                self.peak = max(self.peak, sum(_held(pid) for pid in family(self._of.pid)))
            self._over.wait(LOOK)


def family(pid: int) -> list[int]:
    """The process and all its descendants."""
    found, ahead = [], [pid]
    while ahead:
        one = ahead.pop()
        found.append(one)
        with contextlib.suppress(OSError):
            for children in Path(f"/proc/{one}/task").glob("*/children"):
                ahead += [int(child) for child in children.read_text().split()]
    return found


def _held(pid: int) -> float:
    """Proportional set size in MiB; 0 of a process that is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0
