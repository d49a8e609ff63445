"""The commonest reads and acts over HTTP: how many a second, and how long one takes, at 1, 8 and 32 at once."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
import numpy as np

from core.erp.kernel.audit_keys import open_engine
from core.erp.migrations import upgrade
from lotwise.bench.api_operations import OPERATIONS, READS, Asking, Operation
from lotwise.bench.core_server import core
from lotwise.bench.distributor import SITES, Books, fill, people
from lotwise.bench.figures import busy_of, figure
from lotwise.bench.http_load import Answers, Load
from lotwise.bench.plant import BENCH_KEYS
from lotwise.embedded.postgres import EmbeddedPostgres

MOST_AT_ONCE = 32
ACTS_A_SECOND = 500
"""Acts made ready for each second, each of which is done once: more than there will be."""
METHOD = (
    "`lotwise serve --workers {workers}` on embedded PostgreSQL (fsync on); {lots} lots, a sublot each, {shipments}"
    " shipments of three lines, {sites} sites; people belong to one of the sites; the client, a process of its own on"
    " the same cores, took {client:.2f} ms of a processor for one, the core's processes {core:.2f} ms, PostgreSQL"
    " {postgres:.2f} ms: {share:.0f} % of all that was the client's; load average {load:.1f}; {what}"
)


@dataclass(frozen=True, slots=True)
class Size:
    """How much is in the books, and how it is measured."""

    lots: int
    shipments: int
    workers: int
    at_once: tuple[int, ...]
    seconds: float
    operations: tuple[str, ...] = ()
    """Those that are measured; none: all."""


@contextmanager
def client(port: int) -> Iterator[Callable[[Load], Answers]]:
    """The client's process; what it gives puts a load on the core and waits for its answers."""
    process = subprocess.Popen(
        [sys.executable, "-m", "lotwise.bench.http_load", str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    sent, come = process.stdin, process.stdout
    assert sent is not None
    assert come is not None

    def put(load: Load) -> Answers:
        sent.write(msgspec.json.encode(load) + b"\n")
        sent.flush()
        line = come.readline()
        if not line:
            raise RuntimeError("the client has ended")
        return msgspec.json.decode(line, type=Answers)

    try:
        yield put
    finally:
        sent.close()
        process.wait()
        come.close()


def run(size: Size) -> None:
    """Prints `requests_per_s` and `p95_ms` for every operation and number at once, and the `errors` of all."""
    acts = int(ACTS_A_SECOND * (size.seconds + 1)) * len(size.at_once)
    with tempfile.TemporaryDirectory(prefix="lotwise-bench-") as name, ExitStack() as stack:
        postgres = EmbeddedPostgres(Path(name) / "postgres")
        postgres.start()
        stack.callback(postgres.stop)
        engine = open_engine(postgres.url(), BENCH_KEYS)
        upgrade(engine)
        books = fill(engine, size.lots, size.shipments, acts)
        logins = people(engine, MOST_AT_ONCE)
        engine.dispose()
        server, port = core(stack, Path(name), postgres.url(), "--workers", str(size.workers))
        put = stack.enter_context(client(port))
        assert server.pid is not None
        assert postgres.pid is not None
        bench = _Bench(Asking(port, logins), put, books, size, (server.pid, postgres.pid))
        for operation in size.operations or OPERATIONS:
            bench.measure(operation)
        bench.print_errors()


class _Bench:
    """Puts one load after the other on a core and prints what comes of it."""

    def __init__(
        self,
        asking: Asking,
        put: Callable[[Load], Answers],
        books: Books,
        size: Size,
        pids: tuple[int, int],
    ) -> None:
        self._asking, self._put, self._books, self._size, self._pids = asking, put, books, size, pids
        self._dice = np.random.default_rng(1)
        self._errors: list[str] = []
        self._failed = self._asked = 0

    def measure(self, name: str) -> None:
        """One operation at every number at once."""
        operation = OPERATIONS[name]
        acts = operation.acts(self._books) if operation.acts is not None else None
        for at_once in self._size.at_once:
            if operation.read is not None:
                requests = self._asking.reads([operation.read(self._books, self._dice) for _ in range(READS)])
            elif acts is not None:
                requests = self._asking.acts(acts, int(ACTS_A_SECOND * (self._size.seconds + 1)))
            else:
                requests = self._asking.sign_ins()
            load = Load(requests, at_once, self._size.seconds, operation.status, once=acts is not None)
            load.warm_up = min(load.warm_up, self._size.seconds)
            before = [busy_of([pid]) for pid in self._pids]
            answers = self._put(load)
            busy = [busy_of([pid]) - was for pid, was in zip(self._pids, before, strict=True)]
            self._print(name, operation, at_once, answers, busy)

    def _print(self, name: str, operation: Operation, at_once: int, answers: Answers, busy: Sequence[float]) -> None:
        self._errors += answers.errors
        self._failed += answers.failed
        self._asked += answers.asked
        count, each = len(answers.latencies), 1000 / max(answers.asked, 1)
        method = METHOD.format(
            workers=self._size.workers,
            lots=self._size.lots,
            shipments=self._size.shipments,
            sites=SITES,
            client=answers.cpu * each,
            core=busy[0] * each,
            postgres=busy[1] * each,
            share=100 * answers.cpu / max(answers.cpu + sum(busy), 1e-9),
            load=os.getloadavg()[0],
            what=operation.what,
        )
        say = partial(figure, "api", n=count, method=method, operation=name, concurrency=at_once)
        say("requests_per_s", count / max(answers.seconds, 1e-9), "1/s")
        p95 = float(np.percentile(answers.latencies, 95)) * 1000 if count else float("nan")
        say("p95_ms", p95, "ms")

    def print_errors(self) -> None:
        """How many answers were not as they should be, and the first of them."""
        method = (
            "answers of another status than the one expected or that are no whole object of JSON, and connections that"
        )
        method += " the core closed"
        figure("api", "errors", self._failed, "1", self._asked, method)
        for error in self._errors[:5]:
            print(error, file=sys.stderr)
