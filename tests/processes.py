"""`lotwise` commands as processes of their own, on a data folder with embedded servers."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psutil

from lotwise.embedded.lease import ask_status
from lotwise.embedded.nats import EmbeddedNats
from lotwise.embedded.postgres import EmbeddedPostgres
from lotwise.embedded.supervisor import postgres_folder
from tests.conftest import in_memory


def until(true: Callable[[], Any], what: str = "", within: float = 60.0) -> None:
    """Waits until it is so; fails the test if it is not in time."""
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline, f"not within {within:.0f} s: {what}"
        time.sleep(0.1)


class Command:
    """A started command; what it says is kept."""

    def __init__(self, folder: Path, *words: str, **environment: str) -> None:
        self.log = folder.parent / f"{'-'.join(words[:1])}-{time.monotonic_ns()}.log"
        clean = {key: value for key, value in os.environ.items() if not key.startswith("LOTWISE_")}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", "from lotwise.cli import main; main()", *words],
                env=clean
                | {"LOTWISE_DATA_DIR": str(folder), "LOTWISE_INSTANCE": "test", "COLUMNS": "200"}
                | environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        """All it has said."""
        return self.log.read_text(errors="replace")

    def says(self, what: str, within: float = 60.0) -> None:
        """Waits until it has said it."""

        def true() -> bool:
            assert self.process.poll() is None, f"it has ended: {self.output}"
            return what in self.output

        until(true, f"{what} in {self.log}", within)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ends it in order; its exit status."""
        self.process.send_signal(number)
        return self.process.wait(60)

    def kill(self) -> None:
        """Ends it as `kill -9` does."""
        self.process.kill()
        self.process.wait(60)


class Place:
    """A data folder and what runs on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.commands: list[Command] = []

    def start(self, *words: str, **environment: str) -> Command:
        """Starts a command here."""
        command = Command(self.folder, *words, **environment)
        self.commands.append(command)
        return command

    @property
    def status(self) -> dict[str, Any]:
        """What the supervisor says."""
        said = ask_status(self.folder, 10)
        assert said is not None, "no supervisor"
        return said

    def ports(self) -> dict[str, int]:
        """Where the servers listen."""
        return {name: server["port"] for name, server in self.status["servers"].items()}

    def pid(self, name: str) -> int:
        """The process of a server that is up."""
        pid = self.status["servers"][name]["pid"]
        assert isinstance(pid, int)
        return pid

    def up(self, name: str, restarts: int) -> bool:
        """Whether the server is up after so many restarts."""
        server = self.status["servers"][name]
        return bool(server["state"] == "up" and server["restarts"] >= restarts)

    def database(self) -> EmbeddedPostgres:
        """The embedded PostgreSQL, to ask and not to start."""
        return EmbeddedPostgres(postgres_folder(self.folder), port=self.ports()["postgres"])

    def stream(self) -> EmbeddedNats:
        """The embedded stream, to ask and not to start."""
        return EmbeddedNats(self.folder / "stream", port=self.ports()["nats"])

    def end(self) -> None:
        """Ends everything, and fails if something of it is left."""
        for command in self.commands:
            if command.process.poll() is None:
                command.kill()
        said = ask_status(self.folder, 10)
        if said is not None:
            os.kill(said["supervisor"]["pid"], signal.SIGTERM)
            until(lambda: ask_status(self.folder, 10) is None, "the supervisor ends")
        until(lambda: not self.left(), "nothing is left")

    def left(self) -> list[str]:
        """Command lines of living processes that name the folder, or work in it."""
        found = []
        for process in psutil.process_iter():
            try:
                words = " ".join(process.cmdline())
                if process.status() != psutil.STATUS_ZOMBIE and str(self.folder) in f"{words} {process.cwd()}":
                    found.append(words)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found


@contextmanager
def place() -> Iterator[Place]:
    """A fresh data folder in memory; everything on it is ended with the block."""
    with TemporaryDirectory(prefix="lotwise-place-", dir=in_memory(), ignore_cleanup_errors=True) as name:
        made = Place(Path(name) / "data")
        try:
            yield made
        finally:
            made.end()


def health(port: int) -> tuple[int, dict[str, str]]:
    """(status code, checks) of a core; (0, {}) where nobody answers."""
    try:
        answer = httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=10)
    except httpx.TransportError:
        return 0, {}
    return answer.status_code, dict(answer.json()["checks"])
