"""One supervisor a data folder: it starts what is asked for, starts again what dies, and nothing outlives it."""

import json
import os
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import psycopg
import pytest

from lotwise.embedded import supervisor
from lotwise.embedded.folder_lock import FolderInUse, FolderLock
from lotwise.embedded.keeper import Keeper
from lotwise.embedded.lease import Lease, ask_status
from lotwise.embedded.local import reachable
from lotwise.embedded.nats import EmbeddedNats, nats_binary
from lotwise.embedded.orphans import nats_of, postgres_of, reap
from lotwise.embedded.postgres import EmbeddedPostgres
from lotwise.embedded.process import PortTaken, ServerFailed, accepts, free_port
from lotwise.embedded.supervisor import NATS, POSTGRES, Supervisor, User, postgres_folder
from tests.conftest import in_memory


def until(true: Callable[[], bool], within: float = 60.0) -> None:
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline, "not within the time"
        time.sleep(0.05)


def status(folder: Path) -> dict[str, Any]:
    found = ask_status(folder, 10)
    assert found is not None, "no supervisor"
    return found


def server(folder: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = status(folder)["servers"][name]
    return found


@contextmanager
def lease(folder: Path, name: str, *needs: str) -> Iterator[Lease]:
    held = Lease(folder, name, needs)
    held.take()
    try:
        yield held
    finally:
        held.end(servers_too=True)


def answers(folder: Path, port: int) -> bool:
    try:
        with psycopg.connect(EmbeddedPostgres(postgres_folder(folder), port=port).conninfo("lotwise")) as conn:
            return conn.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A data folder with a database in it: making one takes seconds. Nothing of it runs between the tests."""
    with TemporaryDirectory(prefix="lotwise-data-", dir=in_memory()) as name:
        yield Path(name)


def test_what_dies_alone_is_started_again_on_its_port(folder: Path) -> None:
    with lease(folder, "a", POSTGRES, NATS) as held:
        before = status(folder)["servers"]
        for name in (POSTGRES, NATS):
            os.kill(before[name]["pid"], signal.SIGKILL)
        until(lambda: all(server(folder, name)["restarts"] == 1 for name in (POSTGRES, NATS)))
        until(lambda: all(server(folder, name)["state"] == "up" for name in (POSTGRES, NATS)))
        after = status(folder)["servers"]
        assert {name: after[name]["port"] for name in after} == held.ports
        assert after[POSTGRES]["pid"] != before[POSTGRES]["pid"]
        assert answers(folder, held.ports[POSTGRES])
        assert accepts(held.ports[NATS])


def test_a_killed_supervisor_is_followed_by_another_with_the_same_ports(folder: Path) -> None:
    with lease(folder, "a", POSTGRES, NATS) as held:
        ports, first = dict(held.ports), status(folder)
        os.kill(first["supervisor"]["pid"], signal.SIGKILL)
        until(lambda: (now := ask_status(folder, 10)) is not None and now["supervisor"] != first["supervisor"])
        until(lambda: all(found["state"] == "up" for found in status(folder)["servers"].values()))
        until(lambda: [user["name"] for user in status(folder)["users"]] == ["a"])
        assert held.ports == ports
        assert answers(folder, ports[POSTGRES])


def test_one_user_goes_and_another_keeps_the_servers(folder: Path) -> None:
    with lease(folder, "stays", POSTGRES) as held:
        began = server(folder, POSTGRES)["pid"]
        goes = Lease(folder, "goes", (POSTGRES, NATS), "http://127.0.0.1:1")
        goes.take()
        assert [(user["name"], user["listens"]) for user in status(folder)["users"]] == [
            ("stays", None),
            ("goes", "http://127.0.0.1:1"),
        ]
        goes.end(servers_too=True)  # in order, and as if it were the last one
        until(lambda: [user["name"] for user in status(folder)["users"]] == ["stays"])
        assert server(folder, POSTGRES)["pid"] == began
        assert answers(folder, held.ports[POSTGRES])
    assert ask_status(folder) is None
    assert not list(postgres_of(postgres_folder(folder) / "cluster"))


def test_servers_that_outlived_their_supervisor_are_ended_and_started_on_their_ports(folder: Path) -> None:
    with lease(folder, "first", POSTGRES, NATS) as held:
        ports = dict(held.ports)
        commands = [psutil.Process(server(folder, name)["pid"]).cmdline() for name in (POSTGRES, NATS)]
    owner = (folder / "postgres" / "cluster").stat().st_uid
    orphans = [
        subprocess.Popen(command, user=owner if owner and "postgres" in command[0] else None, stderr=subprocess.DEVNULL)
        for command in commands
    ]
    until(lambda: answers(folder, ports[POSTGRES]) and accepts(ports[NATS]))
    with lease(folder, "second", POSTGRES, NATS) as held:
        assert held.ports == ports
        assert [orphan.wait(10) for orphan in orphans] == [0, 0], "ended in order"
        assert server(folder, POSTGRES)["pid"] != orphans[0].pid
        assert answers(folder, ports[POSTGRES])


def test_backends_that_outlived_a_killed_postmaster_keep_nobody_from_starting(folder: Path) -> None:
    cluster = postgres_folder(folder) / "cluster"
    with lease(folder, "a", POSTGRES) as held:
        conninfo = EmbeddedPostgres(postgres_folder(folder), port=held.ports[POSTGRES]).conninfo("lotwise")
        with psycopg.connect(conninfo) as conn:
            backend = psutil.Process(conn.info.backend_pid)
            backend.suspend()  # it cannot notice that its postmaster is gone
            os.kill(server(folder, POSTGRES)["pid"], signal.SIGKILL)
            until(lambda: server(folder, POSTGRES)["restarts"] == 1)
            until(lambda: server(folder, POSTGRES)["state"] == "up")
        assert backend.pid not in [process.pid for process in postgres_of(cluster)]


def test_a_taken_port_is_named_with_who_has_it_and_where_it_is_kept(folder: Path) -> None:
    with lease(folder, "first", NATS) as held:
        port = held.ports[NATS]
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(ServerFailed) as told:
            Lease(folder, "second", (NATS,)).take()
        assert f"port {port} of 127.0.0.1 is taken by process {os.getpid()}" in str(told.value)
        assert "ports.json" in str(told.value)
    until(lambda: ask_status(folder) is None)  # nobody has any use for it
    with lease(folder, "third", NATS) as held:
        assert held.ports == {NATS: port}


def _take_from_the_server(taken: socket.socket, folder: Path, port: int) -> None:
    """Binds the port while its server is down: killed again where the supervisor was quicker; it waits longer then."""
    killed, within = None, time.monotonic() + 30
    while time.monotonic() < within:
        pid = server(folder, NATS).get("pid")
        if pid is not None and pid != killed:
            killed = pid
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for _ in range(50):
            with suppress(OSError):
                taken.bind(("127.0.0.1", port))
                return
    raise AssertionError("the supervisor was always quicker")


def test_a_port_that_is_taken_while_a_server_is_down_is_waited_for(folder: Path) -> None:
    with lease(folder, "a", NATS) as held, socket.socket() as taken:
        port = held.ports[NATS]
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        _take_from_the_server(taken, folder, port)
        taken.listen()
        until(lambda: server(folder, NATS)["state"] == "failing")
        assert "is taken by" in server(folder, NATS)["failure"]
        taken.close()
        until(lambda: server(folder, NATS)["state"] == "up")


def test_two_that_start_at_the_same_instant_on_a_fresh_folder_share_one_supervisor() -> None:
    with TemporaryDirectory(prefix="lotwise-data-", dir=in_memory()) as name, ThreadPoolExecutor() as pool:
        folder = Path(name) / "fresh"
        held = [Lease(folder, f"user {number}", (NATS,)) for number in range(4)]
        list(pool.map(Lease.take, held))
        try:
            assert len({json.dumps(each.ports) for each in held}) == 1
            assert len(status(folder)["users"]) == 4
            assert len(list(nats_of(folder / "stream" / "nats.conf"))) == 1
        finally:
            for each in held:
                each.end(servers_too=True)


def test_a_data_folder_may_have_a_longer_path_than_a_socket() -> None:
    with TemporaryDirectory(prefix="lotwise-data-", dir=in_memory()) as name:
        folder = Path(name, *["a-folder-with-a-long-name"] * 6)
        assert len(str(folder)) > 150
        with lease(folder, "far away", NATS):
            assert [user["name"] for user in status(folder)["users"]] == ["far away"]


def test_a_short_name_is_its_owners_whatever_is_masked(tmp_path: Path) -> None:
    """Sockets are made under a mask without any right to enter, which would shut everybody but root out."""
    far = tmp_path / "-".join(["far"] * 30) / "a.sock"
    before = os.umask(0o177)
    try:
        with reachable(far) as name:
            assert stat.S_IMODE(Path(name).parents[1].stat().st_mode) == 0o700
    finally:
        os.umask(before)


def test_a_data_folder_that_cannot_be_written_is_told() -> None:
    with pytest.raises(ServerFailed, match="LOTWISE_DATA_DIR=/sys/lotwise cannot be written"):
        Lease(Path("/sys/lotwise"), "a", (NATS,)).take()


@pytest.mark.parametrize("text", ["{", '{"nats": "here"}', '{"nats": 70000}'])
def test_a_file_of_ports_that_says_none_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "ports.json").write_text(text)
    with pytest.raises(ServerFailed, match=r"ports\.json"):
        Lease(tmp_path, "a", (NATS,)).take()


def test_a_port_is_kept_and_may_be_chosen(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "ports.json").write_text(json.dumps({"nats": port}))
    with lease(tmp_path, "a", NATS) as held:
        assert held.ports == {NATS: port}
    kept = json.loads((tmp_path / "ports.json").read_text())
    assert kept["nats"] == port
    assert kept["postgres"] < 32_768, "below the ports of outgoing connections"


def test_without_users_it_goes_after_a_while_and_not_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "GRACE", 0.5)
    idle = Supervisor(tmp_path)
    monkeypatch.setattr(Keeper, "up", True)
    user = User("a", 1)
    assert idle.enter(user)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(idle.wait)
        time.sleep(0.7)
        assert not waiting.done()
        idle.leave(user)
        assert not waiting.done(), "grace"
        waiting.result(10)
    assert not idle.enter(user)


def test_a_folder_has_one_owner_and_its_server_is_not_taken_away(tmp_path: Path) -> None:
    first, second = EmbeddedNats(tmp_path / "n"), EmbeddedNats(tmp_path / "n")
    first.start()
    try:
        with pytest.raises(ServerFailed, match=f"in use by process {os.getpid()}"):
            second.start()
        assert accepts(first.port)
    finally:
        first.stop()
    second.start()
    second.stop()
    lock = FolderLock(tmp_path / "lock")
    lock.acquire()
    with pytest.raises(FolderInUse):
        FolderLock(tmp_path / "lock").acquire()
    lock.release()


def test_an_orphan_that_does_not_end_in_order_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lotwise.embedded.orphans.REAP_TIMEOUT", 0.5)
    config = tmp_path / "nats.conf"
    config.write_text(f"listen: 127.0.0.1:{free_port()}\n")
    orphan = subprocess.Popen([nats_binary(), "-c", str(config)], stderr=subprocess.DEVNULL)
    until(lambda: bool(list(nats_of(config))))
    orphan.send_signal(signal.SIGSTOP)
    waiter = ThreadPoolExecutor().submit(orphan.wait)
    assert reap(lambda: nats_of(config), signal.SIGTERM) == 1
    assert waiter.result(10) == -signal.SIGKILL


def test_a_server_whose_port_is_taken_says_so(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=f"port {port}"):
            EmbeddedNats(tmp_path, port=port).start()


def test_a_cluster_that_was_killed_half_made_is_made_anew() -> None:
    with TemporaryDirectory(prefix="lotwise-data-", dir=in_memory()) as name:
        half = Path(name) / "cluster.new"
        half.mkdir()
        (half / "PG_VERSION").write_text("18\n")
        made = EmbeddedPostgres(Path(name), durable=False)
        made.start()
        made.stop()
        assert not half.exists()
