"""A child server that never outlives us: stopped on exit, on a signal, and by the kernel if we are killed."""

import contextlib
import ctypes
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1


class ServerFailed(RuntimeError):
    """An embedded server did not start, or died; the text holds the end of its log."""


_PORTS = range(20_000, 32_000)
_given: set[int] = set()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now, and that this process has not been given before.

    Below the range that systems take outgoing connections' ports from (32768 and up on Linux, 49152 elsewhere): one
    of those may be gone again before its server has started. Raises ServerFailed.
    """
    for _ in range(1000):
        port = _PORTS.start + secrets.randbelow(len(_PORTS))
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            if port not in _given:
                _given.add(port)
                return port
    raise ServerFailed(f"no free port of 127.0.0.1 from {_PORTS.start} to {_PORTS.stop - 1}")


class PortTaken(ServerFailed):
    """Somebody else listens on the port that a server keeps."""


def refuse_taken(server: str, port: int) -> None:
    """Raises PortTaken where somebody listens on the port of 127.0.0.1."""
    with socket.socket() as probe:
        # connections of a server that was killed just now linger and are no listeners
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            from lotwise.embedded.orphans import listener

            raise PortTaken(f"{server}: port {port} of 127.0.0.1 is taken by {listener(port)}") from error


def accepts(port: int) -> bool:
    """Whether somebody listens on the port of 127.0.0.1."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.5):
        return True
    return False


def die_with_parent(stop_signal: int) -> Callable[[], None] | None:
    """What a child runs before its program, so that the kernel sends it `deadly` when the thread that started it ends.

    None where the system cannot.
    """
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None, use_errno=True)

    def preexec() -> None:
        libc.prctl(PR_SET_PDEATHSIG, stop_signal)

    return preexec


class ServerProcess:
    """One server in a session of its own, so that the terminal's Ctrl-C reaches only us and we stop it in order."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        *,
        stop_signal: int = signal.SIGTERM,
        user: int | None = None,
        env: dict[str, str] | None = None,
    ) -> None:
        self.name = name
        self._command = list(command)
        self._log = log
        self._stop_signal = stop_signal
        self._user = user
        self._env = env
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self, ready: Callable[[], bool], within: float = 30.0) -> None:
        """Starts and waits until `ready`. Raises ServerFailed with the end of the log."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=self._user,
                group=self._user,
                extra_groups=[] if self._user is not None else None,
                # runs between fork and exec in a child of the main thread; it only calls prctl
                preexec_fn=die_with_parent(self._stop_signal),  # noqa: PLW1509 - one prctl in the child and nothing else: no lock is taken after the fork
                env=self._env,
            )
        deadline = time.monotonic() + within
        while not ready():
            if self._process.poll() is not None:
                raise ServerFailed(f"{self.name} exited with {self._process.returncode}\n{self.tail()}")
            if time.monotonic() > deadline:
                self.kill()
                raise ServerFailed(f"{self.name} was not ready within {within:.0f} s\n{self.tail()}")
            time.sleep(0.02)

    def stop(self, within: float = 15.0) -> None:
        """Stops in order; kills what has not gone by then. Doing so twice is doing so once."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(self._stop_signal)
            try:
                self._process.wait(within)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None

    def kill(self) -> None:
        """Ends it as `kill -9` does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def tail(self, lines: int = 20) -> str:
        """The end of its log."""
        if not self._log.exists():
            return "(no log)"
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])


def unprivileged() -> int | None:
    """The uid to run PostgreSQL under when we are root (it refuses root): nobody's. None otherwise."""
    if os.geteuid() != 0:
        return None
    import pwd

    return pwd.getpwnam("nobody").pw_uid


def traversable(path: Path) -> None:
    """Lets other users pass through every folder above `path` (execute bit only)."""
    for folder in [path, *path.parents]:
        mode = folder.stat().st_mode
        if not mode & 0o001:
            folder.chmod(mode | 0o011)
