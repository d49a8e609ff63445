"""`lotwise status` and `lotwise doctor` say what runs on a data folder; what cannot be had is told in words."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.settings import Settings
from lotwise.demo.run import MARK, NotOurs, demo_folder
from lotwise.embedded.folder_lock import FolderInUse
from lotwise.embedded.lease import Lease, ask_status
from lotwise.embedded.supervisor import NATS
from lotwise.runtime import kept_secret, servers
from lotwise.serving import shown
from lotwise.status import FAILING, NOTHING, WELL, verdict
from tests.servers import free_port
from tests.services.cli_commands_test import lotwise


@pytest.fixture
def running(tmp_path: Path) -> Iterator[int]:
    """The port of a stream that runs on the folder."""
    lease = Lease(tmp_path, "somebody", (NATS,), "http://127.0.0.1:1")
    lease.take()
    yield lease.ports[NATS]
    lease.end(servers_too=True)


def test_where_nothing_runs_it_says_so_and_which_ports_are_kept(tmp_path: Path) -> None:
    folder = str(tmp_path)
    nothing = lotwise("status", LOTWISE_DATA_DIR=folder)
    assert nothing.exit_code == NOTHING
    assert "no embedded server runs here; ports kept: none yet" in nothing.stdout
    (tmp_path / "ports.json").write_text('{"nats": 24222}')
    assert "ports kept: nats 24222" in lotwise("status", LOTWISE_DATA_DIR=folder).stdout
    said = json.loads(lotwise("status", "--json", LOTWISE_DATA_DIR=folder).stdout)
    assert (said["supervisor"], said["ports"], said["data_dir"]) == (None, {"nats": 24222}, folder)


def test_it_says_what_runs_where_and_for_whom(tmp_path: Path, running: int) -> None:
    given = {"LOTWISE_DATA_DIR": str(tmp_path), "LOTWISE_DATABASE_URL": "postgresql://me:hush@db.example/x"}
    done = lotwise("status", **given)
    assert f"127.0.0.1:{running}" in done.stdout
    assert "somebody" in done.stdout
    assert "silent" in done.stdout, "who says that it listens does not answer"
    assert "…" not in lotwise("status", **given, COLUMNS="60").stdout, "an address that is cut off is of no use"
    assert "postgres is not ours: postgresql+psycopg://db.example/x" in done.stdout
    assert "hush" not in done.stdout
    assert done.exit_code == FAILING
    said = json.loads(lotwise("status", "--json", **given).stdout)
    assert said["servers"]["nats"]["state"] == "up"
    assert said["servers"]["postgres"]["state"] == "not asked for"
    assert said["users"][0]["health"]["status"] == "silent"


def test_the_doctor_names_the_port_of_an_embedded_server_that_runs(tmp_path: Path, running: int) -> None:
    done = lotwise("doctor", LOTWISE_DATA_DIR=str(tmp_path))
    assert f"embedded, up on 127.0.0.1:{running}" in done.stdout
    assert "LOTWISE_DATABASE_URL is not set: the embedded one would start" in done.stdout


@pytest.mark.parametrize(
    ("state", "health", "exit_code"),
    [("up", "ok", WELL), ("not asked for", None, WELL), ("failing", "ok", FAILING), ("up", "failing", FAILING)],
)
def test_its_exit_status_is_for_scripts(state: str, health: str | None, exit_code: int) -> None:
    users = [{"health": {"status": health} if health else None}]
    assert verdict({"supervisor": {}, "servers": {"nats": {"state": state}}, "users": users}) == exit_code


def test_a_folder_that_cannot_be_written_ends_a_command_in_words() -> None:
    done = lotwise("migrate", LOTWISE_DATA_DIR="/sys/lotwise")
    assert done.exit_code == 1
    assert "LOTWISE_DATA_DIR=/sys/lotwise cannot be written" in done.output
    assert "Traceback" not in done.output


def test_a_taken_port_ends_a_command_with_its_name(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (tmp_path / "ports.json").write_text(json.dumps({"postgres": port, "nats": free_port()}))
        done = lotwise("migrate", LOTWISE_DATA_DIR=str(tmp_path))
    assert done.exit_code == 1
    assert f"postgres: port {port} of 127.0.0.1 is taken by process" in done.output
    assert "ports.json" in done.output


def test_named_servers_need_no_lease(tmp_path: Path) -> None:
    given = Settings(data_dir=tmp_path, database_url="postgresql://a/b", nats_url="nats://c")
    with servers(given) as found:
        assert (found.lease, found.probe()) == (None, None)
        assert ask_status(tmp_path) is None


def test_what_is_wrong_with_the_embedded_servers_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with servers(Settings(data_dir=tmp_path, database_url="postgresql://a/b"), stop_at_once=True) as found:
        assert found.probe() is None
        bad = {
            "servers": {"nats": {"port": 1, "state": "failing", "failure": "no room"}, "postgres": {"state": "failing"}}
        }
        monkeypatch.setattr("lotwise.embedded.lease.ask_status", lambda *_: bad)
        assert found.probe() == "embedded nats on port 1 is failing: no room"
        monkeypatch.setattr("lotwise.embedded.lease.ask_status", lambda *_: None)
        assert found.probe() == "the supervisor of the embedded servers is being started again"


def test_a_secret_is_made_once_and_is_its_owners(tmp_path: Path) -> None:
    path = tmp_path / "data" / "secret.key"
    secret = kept_secret(path)
    assert len(secret) >= 32
    assert kept_secret(path) == secret
    assert path.stat().st_mode & 0o777 == 0o600
    assert [found.name for found in path.parent.iterdir()] == ["secret.key"]


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::", "http://[::1]:80"),
        ("fe80::1", "http://[fe80::1]:80"),
    ],
)
def test_an_address_is_one_to_open(host: str, url: str) -> None:
    assert shown(host, 80) == url


def test_a_demo_has_a_folder_of_its_own_and_empties_no_other(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "precious").write_text("x")
    with pytest.raises(NotOurs, match="not empty"), demo_folder(mine):
        pass
    assert (mine / "precious").exists()
    with demo_folder(tmp_path / "demo") as folder:
        (folder / "postgres").mkdir()
        with pytest.raises(FolderInUse), demo_folder(folder):
            pass
    with demo_folder(tmp_path / "demo") as folder:
        assert [path.name for path in folder.iterdir()] == [MARK], "it begins with nothing"
    with demo_folder(None) as folder:
        assert folder.is_dir()
    assert not folder.exists()
