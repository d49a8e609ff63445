"""`lotwise serve --workers 2`: two processes on one port are one core."""

import os
import re
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from sqlalchemy import Engine, text

from core.erp.kernel.access.users import create_user
from core.erp.kernel.concurrency import ConcurrencyLimiter
from core.erp.kernel.unit import system, unit
from core.wiring import build_events
from core.workers import Notice, Workers
from tests.keys import AUDIT_KEY, opened
from tests.processes import Command, Place, place, until
from tests.servers import free_port
from tests.services.tls_test import pair

PASSWORD = "correct horse battery"
LEADING = (
    "SELECT array_agg(client_port) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory'"
    " AND granted AND application_name = 'lotwise leader'"
)
UNSEALED = "SELECT (SELECT count(*) FROM audit) - (SELECT count(*) FROM audit_sealed)"


class Core:
    """The command, and clients of whom we know which of its processes answers."""

    def __init__(self, command: Command, port: int, certificate: Path, engine: Engine, metrics_port: int) -> None:
        self.command, self.url, self._engine = command, f"https://localhost:{port}", engine
        self._metrics_port = metrics_port
        self._trusted = ssl.create_default_context(cafile=str(certificate))

    def workers(self) -> list[int]:
        """Pids of the processes that serve."""
        children = psutil.Process(self.command.process.pid).children()
        alive = [child for child in children if child.status() != psutil.STATUS_ZOMBIE]
        return sorted(child.pid for child in alive if "spawn_main" in " ".join(child.cmdline()))

    def leader(self) -> int:
        """The worker whose session holds the leader's lock; 0 while none does."""
        ports = self.scalar(LEADING) or []
        return next((pid for pid in self.workers() for port in ports if port in _ports(pid)), 0)

    @contextmanager
    def client_of(self, worker: int) -> Iterator[httpx.Client]:
        """A connection that this worker has accepted: the others stand still meanwhile."""
        others = [pid for pid in self.workers() if pid != worker]
        with httpx.Client(base_url=self.url, verify=self._trusted, timeout=30) as client:
            for pid in others:
                os.kill(pid, signal.SIGSTOP)
            try:
                client.get("/api/v1/instance").raise_for_status()
            finally:
                for pid in others:
                    os.kill(pid, signal.SIGCONT)
            yield client

    def scalar(self, query: str) -> Any:
        """What the database answers."""
        with self._engine.connect() as conn:
            return conn.execute(text(query)).scalar_one()

    def answered(self) -> float:
        """How many requests of the API were answered well, by what Prometheus is told."""
        said = httpx.get(f"http://127.0.0.1:{self._metrics_port}/metrics", timeout=30).raise_for_status().text
        found = re.search(r'lotwise_core_requests_total{kind="api",status="2xx"} (\S+)', said)
        return float(found[1]) if found else 0.0

    def checks(self) -> dict[str, str]:
        """What whoever answers says of everything that is looked at."""
        return dict(httpx.get(f"{self.url}/healthz", verify=self._trusted, timeout=30).json()["checks"])


@pytest.fixture(scope="module")
def here() -> Iterator[Place]:
    """A data folder with a database in it: making one takes seconds. No core runs on it between the tests."""
    with place() as made:
        yield made


@pytest.fixture
def core(here: Place, tmp_path: Path) -> Iterator[Core]:
    """Two workers with TLS on an embedded database; Pat may make sites."""
    certificate, key = pair(tmp_path, "own")
    port, metrics_port = free_port(), free_port()
    environment = {
        "LOTWISE_CERTIFICATE": str(certificate),
        "LOTWISE_KEY": str(key),
        "LOTWISE_AUDIT_KEY": AUDIT_KEY,
        "LOTWISE_METRICS_PORT": str(metrics_port),
    }
    command = here.start("serve", "--workers", "2", "--port", str(port), **environment)
    command.says("ready: 2 processes", within=240)
    engine = opened(here.database().url())
    made = Core(command, port, certificate, engine, metrics_port)
    if made.scalar("SELECT count(*) FROM app_user") == 0:
        with unit(engine, system("test"), build_events()) as u:
            create_user(u, "pat", "Pat", PASSWORD, ["admin"])
    yield made
    engine.dispose()
    if command.process.poll() is None:  # or it leads on beside the next one
        command.process.terminate()
        command.process.wait(180)  # a worker that is just being started is waited for first


def _ports(pid: int) -> set[int]:
    return {connection.laddr.port for connection in psutil.Process(pid).net_connections("tcp")}


def signed_in(client: httpx.Client) -> dict[str, str]:
    answer = client.post("/api/v1/token", data={"username": "pat", "password": PASSWORD})
    return {"Authorization": f"Bearer {answer.raise_for_status().json()['access_token']}"}


@pytest.mark.timeout(300)
def test_metrics_are_the_sum_of_the_workers_and_outlive_one(core: Core) -> None:
    one, other = core.workers()
    with core.client_of(one) as here, core.client_of(other) as there:
        before = core.answered()
        for client, times in ((here, 3), (there, 4)):
            for _ in range(times):
                client.get("/api/v1/instance").raise_for_status()
        assert core.answered() == before + 7
    os.kill(other, signal.SIGKILL)
    assert core.answered() == before + 7, "what a worker counted goes on counting after it"


@pytest.mark.timeout(300)
def test_two_workers_are_one_core_and_one_that_dies_is_started_again(core: Core) -> None:
    one, other = core.workers()
    with core.client_of(one) as here, core.client_of(other) as there:
        pat = signed_in(here)
        assert there.get("/api/v1/me", headers=pat).json()["login"] == "pat"

        site = {"code": "s1", "name": "One", "timezone": "UTC"}
        headers = pat | {"Idempotency-Key": "k-1"}
        with ThreadPoolExecutor() as pool:
            asked = [pool.submit(client.post, "/api/v1/sites", json=site, headers=headers) for client in (here, there)]
        answers = [each.result() for each in asked]
        assert [answer.status_code for answer in answers] == [201, 201]
        assert answers[0].json() == answers[1].json()
        assert sorted("Idempotency-Replayed" in answer.headers for answer in answers) == [False, True]
        assert core.scalar("SELECT count(*) FROM site") == 1

        there.post("/api/v1/token/revoke", headers=pat).raise_for_status()
        assert here.get("/api/v1/me", headers=pat).status_code == 401

    until(lambda: core.leader() != 0, "one of them leads")  # whom 0 would kill is this process and all about it
    leader = core.leader()
    assert leader in {one, other}
    os.kill(leader, signal.SIGKILL)
    assert set(core.checks().values()) == {"ok"}, "the other serves on"
    until(lambda: core.leader() in {one, other} - {leader}, "the other leads")
    until(lambda: core.scalar(UNSEALED) == 0, "what was posted is sealed")
    until(lambda: len(core.workers()) == 2, "another is started")
    core.command.says(f"worker {leader} has ended (exit -9)")

    assert core.command.stop() == 0
    assert core.command.output.count("ready:") == 1
    assert "stopped" in core.command.output
    assert "Traceback" not in core.command.output


@pytest.mark.timeout(300)
def test_hangup_starts_all_anew_and_an_interrupt_from_the_keyboard_ends_them(core: Core) -> None:
    before = core.workers()
    core.command.process.send_signal(signal.SIGHUP)
    until(lambda: not set(core.workers()) & set(before) and len(core.workers()) == 2, "both are others", within=120)
    assert set(core.checks().values()) == {"ok"}

    os.killpg(core.command.process.pid, signal.SIGINT)  # a terminal tells all of them at once
    assert core.command.process.wait(60) == 0
    assert "stopped" in core.command.output
    assert "Traceback" not in core.command.output
    until(lambda: not any(psutil.pid_exists(pid) for pid in before), "no worker is left", within=120)


CANNOT = """
import socket
from pydantic import SecretStr
from core.settings import Settings
from core.workers import Workers
from lotwise.runtime import nothing_wrong
from lotwise.served import Served
from lotwise.serving_workers import serve_in_workers
if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0))
    short = Settings(secret_key=SecretStr("short"))
    serve_in_workers(Served(short, "postgresql+psycopg://", None, nothing_wrong, Workers(2)), listener, "http://x")
"""


TINY = """
import socket
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import create_engine
from core.settings import Settings
from core.workers import Workers
from lotwise.cli import start_logging
from lotwise.runtime import nothing_wrong
from lotwise.served import Served
from lotwise.serving_workers import serve_in_workers
class Live:
    async def close(self):
        pass
class Tiny(Served):
    def app(self):
        made = FastAPI()
        made.state.live = Live()
        return made, create_engine("postgresql+psycopg://")
if __name__ == "__main__":
    start_logging("INFO")
    listener = socket.create_server(("127.0.0.1", 0))
    settings = Settings(secret_key=SecretStr("s" * 40))
    serve_in_workers(Tiny(settings, "postgresql+psycopg://", None, nothing_wrong, Workers(2)), listener, "http://x")
"""
"""Workers with an app of nothing: what ends them with their supervisor is none of the core's."""


@pytest.mark.timeout(300)
def test_a_supervisor_that_is_killed_takes_its_workers_along(tmp_path: Path) -> None:
    (tmp_path / "tiny.py").write_text(TINY)
    log = tmp_path / "log"
    with log.open("wb") as out:
        supervisor = subprocess.Popen(
            [sys.executable, str(tmp_path / "tiny.py")],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            stdout=out,
            stderr=out,
        )
    try:
        until(lambda: "ready: 2 processes" in log.read_text(), "both are ready", within=120)
        workers = [one.pid for one in psutil.Process(supervisor.pid).children() if "spawn_main" in str(one.cmdline())]
        assert len(workers) == 2
    finally:
        supervisor.kill()
        supervisor.wait(60)
    until(lambda: not any(psutil.pid_exists(pid) for pid in workers), "no worker is left", within=120)


@pytest.mark.timeout(300)
def test_a_worker_that_cannot_start_ends_all_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "cannot.py").write_text(CANNOT)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "cannot.py")],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1
    assert "LOTWISE_SECRET_KEY needs at least 32 characters" in done.stderr
    assert done.stderr.endswith("a worker cannot start; its reason stands above\n")


def _put(notice: Notice) -> None:
    notice.put("sealer: no room left on device ü")


def test_a_notice_of_one_process_is_read_in_all() -> None:
    notice = Notice()
    assert notice.get() == (float("inf"), "")
    process = get_context("spawn").Process(target=_put, args=(notice,))
    process.start()
    process.join(60)
    ago, said = notice.get()
    assert said == "sealer: no room left on device ü"
    assert 0 <= ago < 60
    notice.put("x" * 5000)
    assert set(notice.get()[1]) == {"x"}
    notice.put("")
    assert notice.get()[1] == ""


def test_what_all_may_do_at_once_is_divided() -> None:
    whole = ConcurrencyLimiter(concurrent=16, max_total=512, max_per_key=128, timeout=20.0, retry_after=3)
    part = whole.divided(4)
    assert (part.concurrent, part.max_total, part.max_per_key, part.timeout, part.retry_after) == (4, 128, 32, 20.0, 3)
    assert (whole.divided(1), whole.divided(99).concurrent) == (whole, 1)
    workers = Workers(3)
    assert (workers.share(20), workers.share(2), workers.share(20, 8)) == (6, 1, 8)
