"""The embedded servers' logs have a bound, whatever happens for years; the server that writes goes on."""

import subprocess
import sys
import threading
from pathlib import Path

from lotwise.embedded.logs import bound, bound_all
from lotwise.embedded.nats import EmbeddedNats
from tests.processes import until


def test_a_log_past_its_bound_is_kept_once_and_begun_anew_under_its_writer(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    writes = "import sys\nfor line in sys.stdin: print(line * 100, end='', flush=True)"
    with log.open("ab") as out:
        process = subprocess.Popen([sys.executable, "-c", writes], stdin=subprocess.PIPE, stdout=out, text=True)
    assert process.stdin is not None
    for word in ("first", "second", "third"):
        process.stdin.write(f"{word}\n")
        process.stdin.flush()
        until(lambda said=f"{word}\n" * 100: log.read_text() == said)  # type: ignore[misc] # bound now
        bound(log, 400)
    process.stdin.close()
    process.wait()
    assert log.read_text() == ""
    assert log.with_name("server.log.1").read_text() == "third\n" * 100
    assert {path.name for path in tmp_path.iterdir()} == {"server.log", "server.log.1"}


def test_one_below_its_bound_one_that_is_not_there_and_one_without_room_stay(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    bound(log, 1)
    log.write_text("few words")
    bound(log, 100)
    assert [path.name for path in tmp_path.iterdir()] == ["server.log"]
    log.with_name("server.log.1").mkdir()  # as little to be written to as a full disk
    bound(log, 1)
    assert log.read_text() == "few words"


def test_all_of_a_folder_are_kept_bounded_until_the_end(tmp_path: Path) -> None:
    logs, ended = [tmp_path / "a.log", tmp_path / "b.log"], threading.Event()
    for log in logs:
        log.write_bytes(bytes(11 * 2**20))
    keeping = threading.Thread(target=bound_all, args=(logs, ended, 0.01))
    keeping.start()
    until(lambda: not any(log.stat().st_size for log in logs))
    ended.set()
    keeping.join()


def test_the_servers_say_where_their_logs_are(nats_server: EmbeddedNats) -> None:
    assert "Server is ready" in nats_server.log.read_text()
