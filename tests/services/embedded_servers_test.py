"""Embedded servers never outlive us, and come back with what was committed."""

import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

from lotwise.embedded.nats import EmbeddedNats
from lotwise.embedded.postgres import EmbeddedPostgres
from lotwise.embedded.process import ServerFailed, ServerProcess, accepts, free_port

HOLDER = """
import sys, time
from pathlib import Path
from lotwise.embedded.postgres import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]), port=int(sys.argv[2]), durable=False)
server.start()
print("up", flush=True)
time.sleep(600)
"""


def gone(port: int, within: float = 20.0) -> bool:
    deadline = time.monotonic() + within
    while accepts(port):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_postgres_dies_with_a_killed_parent_and_starts_again_with_its_data() -> None:
    with TemporaryDirectory(prefix="lotwise-test-") as folder:
        port = free_port()
        parent = subprocess.Popen([sys.executable, "-c", HOLDER, folder, str(port)], stdout=subprocess.PIPE)
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"up\n"
        server = EmbeddedPostgres(Path(folder), port=port, durable=False)
        with psycopg.connect(server.conninfo("lotwise"), autocommit=True) as conn:
            conn.execute("CREATE TABLE kept AS SELECT 1 AS one")
        parent.kill()
        parent.wait()
        parent.stdout.close()
        assert gone(port), "the kernel should have ended it with its parent"
        server.start()
        try:
            with psycopg.connect(server.conninfo("lotwise")) as conn:
                assert conn.execute("SELECT one FROM kept").fetchone() == (1,)
        finally:
            server.stop()


def test_nats_keeps_its_port_over_stop_and_kill(tmp_path: Path) -> None:
    server = EmbeddedNats(tmp_path, mqtt=True)
    server.start()
    assert server.mqtt_port is not None
    assert accepts(server.mqtt_port)
    server.kill()
    assert gone(server.port)
    server.start()
    assert accepts(server.port)
    server.stop()
    server.stop()
    assert gone(server.port)


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    server = ServerProcess("broken", [sys.executable, "-c", "raise SystemExit('no such luck')"], tmp_path / "log")
    with pytest.raises(ServerFailed, match="no such luck"):
        server.start(lambda: False)


def test_a_server_that_is_never_ready_is_killed(tmp_path: Path) -> None:
    server = ServerProcess("slow", [sys.executable, "-c", "import time; time.sleep(60)"], tmp_path / "log")
    with pytest.raises(ServerFailed, match="not ready within"):
        server.start(lambda: False, within=0.5)
    assert server.pid is None
