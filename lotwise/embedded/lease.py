"""A process's claim on the embedded servers of a data folder: while it is held, the supervisor keeps them up.

The supervisor is started where there is none. Where it dies (`kill -9`) the holder starts the next one, and the
servers come back on the same ports.
"""

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from lotwise.embedded.local import connect, receive, send
from lotwise.embedded.process import ServerFailed
from lotwise.embedded.supervisor import ANOTHER, LOG, SOCKET

log = logging.getLogger("lotwise.servers")

START_TIMEOUT = 60.0
"""Seconds without a word from a supervisor after which it is given up."""
RETRY_AFTER = 0.1
LONGEST_RETRY = 5.0


def ask_status(data_dir: Path, timeout: float = 3.0) -> dict[str, Any] | None:
    """What the folder's supervisor says of its servers and users; None where none runs.

    Raises ServerFailed where one runs and does not answer in time.
    """
    try:
        connection = connect(data_dir.absolute() / SOCKET, timeout)
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        return None
    except OSError as error:
        raise ServerFailed(f"the supervisor of {data_dir} cannot be asked: {error}") from error
    with connection, connection.makefile("rb") as lines:
        with suppress(OSError):
            send(connection, {"ask": "status"})
        return receive(lines)


def nothing_wrong() -> None:
    """Where no embedded server is used."""


def embedded_trouble(data_dir: Path, ports: Mapping[str, int]) -> str | None:
    """What the supervisor of the embedded servers says is wrong with those of the ports; None if nothing is."""
    try:
        status = ask_status(data_dir, 1.0)
    except ServerFailed as error:
        return str(error)
    if status is None:
        return "the supervisor of the embedded servers is being started again"
    wrong = [
        f"embedded {name} on port {found['port']} is {found['state']}: {found['failure'] or 'it has died'}"
        for name, found in status["servers"].items()
        if name in ports and found["state"] != "up"
    ]
    return "; ".join(wrong) or None


class _Child:
    """A supervisor that we started; it goes on without us."""

    def __init__(self, data_dir: Path) -> None:
        log_file = str(data_dir / LOG)
        self._pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-P", "-m", "lotwise.embedded.supervisor", str(data_dir)],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            setsigmask=(),
            setsigdef=(signal.SIGINT, signal.SIGTERM),
        )

    def ended(self) -> int | None:
        """Its exit status once it has ended; another's supervisor is no failure of ours."""
        with suppress(ChildProcessError):
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            return os.waitstatus_to_exitcode(status) if pid else None
        return ANOTHER


class Lease:
    """Held from `take` to `end`. `needs` names servers (POSTGRES, NATS); `listens` tells others where we are."""

    def __init__(self, data_dir: Path, name: str, needs: Sequence[str], listens: str | None = None) -> None:
        self.data_dir = data_dir.absolute()
        self.ports: dict[str, int] = {}
        self._request = {"ask": "lease", "name": name, "pid": os.getpid(), "needs": list(needs), "listens": listens}
        self._connection: socket.socket | None = None
        self._child: _Child | None = None
        self._ending = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="lease", daemon=True)

    def take(self) -> None:
        """Returns when the servers answer. Raises ServerFailed with the reason where one cannot be had."""
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            (self.data_dir / LOG).touch(mode=0o600)
        except OSError as error:
            raise ServerFailed(f"LOTWISE_DATA_DIR={self.data_dir} cannot be written: {error.strerror}") from error
        self._take()
        self._watcher.start()

    def end(self, *, servers_too: bool = False) -> None:
        """Gives it back. With `servers_too` they are stopped at once where nobody else uses them, and waited for."""
        self._ending.set()
        connection = self._connection
        if connection is None:
            return
        with suppress(OSError):
            if servers_too:
                send(connection, {"ask": "end"})
                self._watcher.join(START_TIMEOUT)
            connection.shutdown(socket.SHUT_RDWR)
        self._watcher.join(START_TIMEOUT)
        connection.close()

    def _take(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        self._child = None
        while not self._ask():
            if time.monotonic() > deadline:
                raise ServerFailed(f"the supervisor of {self.data_dir} does not answer; its log: {self._log()}")
            time.sleep(0.05)

    def _ask(self) -> bool:
        """Whether a supervisor took us in; starts one where there is none."""
        try:
            connection = connect(self.data_dir / SOCKET, START_TIMEOUT)
        except (FileNotFoundError, ConnectionRefusedError):
            self._start()
            return False
        except OSError as error:
            raise ServerFailed(f"the supervisor of {self.data_dir} cannot be asked: {error}") from error
        try:
            with connection.makefile("rb") as lines:
                send(connection, self._request)
                while (answer := receive(lines)) is not None and "waiting" in answer:
                    log.info("waiting: %s", answer["waiting"])
        except OSError:
            answer = None
        if answer is not None and "ports" in answer:
            connection.settimeout(None)
            self._connection, self.ports = connection, answer["ports"]
            return True
        connection.close()
        if answer is not None:
            raise ServerFailed(str(answer.get("error")))
        return False  # it was going: the next one

    def _start(self) -> None:
        ended = self._child.ended() if self._child is not None else ANOTHER
        if ended is None:
            return
        if ended not in {0, ANOTHER}:
            raise ServerFailed(f"the supervisor of {self.data_dir} does not start: {self._log()}")
        log.debug("starting the supervisor of %s", self.data_dir)
        self._child = _Child(self.data_dir)

    def _log(self) -> str:
        lines = (self.data_dir / LOG).read_text(errors="replace").splitlines()
        return f"{lines[-1] if lines else '(empty)'} ({self.data_dir / LOG})"

    def _watch(self) -> None:
        """Waits for the connection to end; takes the lease anew where it was not we who ended it."""
        while True:
            assert self._connection is not None
            with suppress(OSError):
                self._connection.recv(1)
            if self._ending.is_set():
                return
            log.warning("the supervisor of the embedded servers is gone: starting another")
            self._connection.close()
            if not self._retake():
                return

    def _retake(self) -> bool:
        """Until it is held again, later and later; False at the end."""
        wait, last_logged = RETRY_AFTER, ""
        while not self._ending.wait(wait):
            if self._child is not None:
                self._child.ended()
            try:
                self._take()
            except (ServerFailed, OSError) as error:
                if str(error) != last_logged:
                    log.error("the embedded servers cannot be had: %s", error)  # noqa: TRY400 - for the operator
                last_logged, wait = str(error), min(wait * 2, LONGEST_RETRY)
            else:
                log.warning("the embedded servers are back")
                return True
        return False
