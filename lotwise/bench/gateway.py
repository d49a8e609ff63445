"""A whole gateway as a process of its own, for the benchmarks of what polls and subscribes, and what it has kept."""

import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import Empty, Queue
from typing import Any, Self

import httpx
import psutil
from ruamel.yaml import YAML

from core.telemetry.batch import decode_body
from core.telemetry.reading import Reading
from edge.spool.schema import FILE
from lotwise.embedded.nats import EmbeddedNats
from lotwise.embedded.process import ServerProcess, free_port

COMMAND = "from lotwise.cli import main; main()"
START_TIMEOUT = 120.0
"""Seconds for devices or the gateway to be ready, at most."""
STOPPING = 10.0
"""Seconds the devices are given to end by themselves."""


@contextmanager
def devices(module: str, *arguments: object) -> Iterator[Callable[[], Any]]:
    """The devices' process, `python -m MODULE …`. Calling what it gives waits for the next line that it prints, read
    as JSON. It is to end when its input does. Raises TimeoutError, RuntimeError.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", module, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    lines: Queue[str] = Queue()
    reading = threading.Thread(target=_drain, args=(process, lines), daemon=True)
    reading.start()

    def said() -> Any:
        try:
            line = lines.get(timeout=START_TIMEOUT)
        except Empty as error:
            raise TimeoutError(
                f"{module} said nothing for {START_TIMEOUT:.0f} s: too busy a machine to tell"
            ) from error
        if not line:
            raise RuntimeError(f"{module} ended")
        return json.loads(line)

    try:
        yield said
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(STOPPING)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reading.join()


def _drain(process: "subprocess.Popen[str]", lines: "Queue[str]") -> None:
    """Hands on what is printed, and at the end an empty line."""
    assert process.stdout is not None
    with process.stdout as printed:
        for line in printed:
            lines.put(line)
    lines.put("")


class Gateway:
    """`lotwise edge run` on a file of these sources, with a stream and without a core. `started` is the time of its
    start.
    """

    def __init__(self, folder: Path, sources: Sequence[Mapping[str, Any]]) -> None:
        self.folder = folder
        self.started = 0.0
        self._file = folder / "gateway.yaml"
        self._stack = ExitStack()
        self._stream = EmbeddedNats(folder / "stream")
        self._health = free_port()
        self.log = folder / "edge.log"
        config = {
            "gateway": "bench",
            "site": "b1",
            "instance": "test",
            "data_dir": str(folder / "gateway"),
            "stream": {"urls": [self._stream.url]},
            "health": {"port": self._health},
            "sources": list(sources),
        }
        with self._file.open("w") as out:
            YAML(typ="safe").dump(config, out)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._stream.start()
            stack.callback(self._stream.stop)
            command = [sys.executable, "-c", COMMAND, "edge", "run", str(self._file), "--log-level", "WARNING"]
            process = ServerProcess("edge", command, self.log)
            self.started = time.time()
            process.start(lambda: True)
            stack.callback(process.stop)
            self._process = psutil.Process(process.pid)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Ends it in order, so that all it kept is in its spool's batches, and then the stream."""
        self._stack.close()

    def until_it_reads(self, readings: int) -> None:
        """Waits until its health tells of so many readings. Raises TimeoutError."""
        deadline = time.monotonic() + START_TIMEOUT
        while self._readings() < readings:
            if time.monotonic() > deadline:
                raise TimeoutError(f"fewer than {readings} readings after {START_TIMEOUT:.0f} s; {self._log_end()}")
            time.sleep(0.5)

    def _readings(self) -> int:
        try:
            answer = httpx.get(f"http://127.0.0.1:{self._health}/healthz", timeout=START_TIMEOUT)
        except httpx.TransportError:
            return 0  # not there yet
        return sum(int(source["readings"]) for source in answer.json()["sources"])

    def _log_end(self) -> str:
        return self.log.read_text(errors="replace")[-500:] if self.log.exists() else "it logs nothing"

    def cpu(self) -> float:
        """Processor seconds of its process until now, user and system."""
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def kept(self) -> Iterator[Reading]:
        """Every reading in its spool, in the order it was kept, once it has ended."""
        with closing(sqlite3.connect(self.folder / "gateway" / FILE)) as spool:
            for (body,) in spool.execute("SELECT body FROM payload ORDER BY batch"):
                yield from decode_body(body).readings


def measured(gateway: Gateway, seconds: float) -> tuple[datetime, datetime, float]:
    """Lets the gateway work for so long: (begin, end, its processor seconds). The sleep's own lateness, a millisecond
    or so, is no part of the span: within it, each device has exactly as many turns as intervals fit.
    """
    begun, cpu = datetime.now(UTC), gateway.cpu()
    time.sleep(seconds)
    return begun, begun + timedelta(seconds=seconds), gateway.cpu() - cpu


def load() -> str:
    """The machine's load, for a method's end."""
    return f"load average {os.getloadavg()[0]:.1f}"
