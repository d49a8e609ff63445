"""The supervisor of a data folder's embedded servers: `python -m lotwise.embedded.supervisor FOLDER`.

Started on demand by whoever needs a server (`lease`), one a folder (FolderLock). A user holds a lease, which is an
open connection to the socket in the folder: the kernel ends it however its user ends. Without users it waits for GRACE
and then stops the servers in order and goes.
"""

import logging
import os
import signal
import socketserver
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lotwise.embedded.folder_lock import FolderInUse, FolderLock
from lotwise.embedded.keeper import Keeper
from lotwise.embedded.local import connect, reachable, receive, send
from lotwise.embedded.logs import bound_all
from lotwise.embedded.nats import EmbeddedNats
from lotwise.embedded.ports import kept_ports
from lotwise.embedded.postgres import EmbeddedPostgres
from lotwise.embedded.process import ServerFailed

log = logging.getLogger("lotwise.supervisor")

SOCKET, LOCK, LOG = "supervisor.sock", "supervisor.lock", "supervisor.log"
POSTGRES, NATS = "postgres", "nats"
GRACE = 10.0
"""Seconds that the servers stay up without a user: stopping one process and starting another costs no start."""
RECOVERY = 600.0
"""Seconds that PostgreSQL has for its recovery after a crash."""
ANOTHER = 75
"""Exit status: the folder has its supervisor already."""


def postgres_folder(data_dir: Path) -> Path:
    """Where the embedded PostgreSQL keeps everything."""
    return data_dir / "postgres"


def stream_folder(data_dir: Path) -> Path:
    """Where the embedded stream keeps everything."""
    return data_dir / "stream"


@dataclass(slots=True)
class User:
    """Who holds a lease."""

    name: str
    pid: int
    listens: str | None = None
    since: str = field(default_factory=lambda: datetime.now(UTC).isoformat())


class Supervisor:
    """The servers, who uses them, and when it is time to go."""

    def __init__(self, data_dir: Path) -> None:
        ports = kept_ports(data_dir, (POSTGRES, NATS))
        self.data_dir = data_dir
        self.keepers = {
            POSTGRES: Keeper(
                POSTGRES, EmbeddedPostgres(postgres_folder(data_dir), port=ports[POSTGRES], start_timeout=RECOVERY)
            ),
            NATS: Keeper(NATS, EmbeddedNats(stream_folder(data_dir), port=ports[NATS])),
        }
        self._since = datetime.now(UTC)
        self._users: list[User] = []
        self._changed = threading.Condition()
        self._idle_since = time.monotonic()
        self._go = False

    def enter(self, user: User) -> bool:
        """Takes a user in; False when it is going."""
        with self._changed:
            if self._go:
                return False
            self._users.append(user)
            return True

    def leave(self, user: User, *, at_once: bool = False) -> None:
        """Lets a user go; without anybody else there is no grace where it is `at_once` or nothing is up."""
        with self._changed:
            if user in self._users:
                self._users.remove(user)
                self._idle_since = time.monotonic()
            nothing_up = not any(keeper.up for keeper in self.keepers.values())
            if not self._users and (at_once or nothing_up):
                self._go = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Makes `wait` return, whoever holds a lease."""
        with self._changed:
            self._go = True
            self._changed.notify_all()

    def wait(self) -> None:
        """Returns when it is time to go: told to, or without a user for GRACE."""
        with self._changed:
            while not self._go:
                idle = time.monotonic() - self._idle_since
                if not self._users and idle >= GRACE:
                    self._go = True
                    return
                self._changed.wait(None if self._users else GRACE - idle)

    def status(self) -> dict[str, Any]:
        """What runs and for whom, as JSON."""
        with self._changed:
            users = [asdict(user) for user in self._users]
        return {
            "data_dir": str(self.data_dir),
            "supervisor": {"pid": os.getpid(), "since": self._since.isoformat()},
            "servers": {name: keeper.status() for name, keeper in self.keepers.items()},
            "users": users,
        }


class _Conversation(socketserver.StreamRequestHandler):
    """One connection: a question, or a lease that lasts as long as it."""

    server: "_Listener"

    def handle(self) -> None:
        """Answers, and holds the lease until the other end is gone."""
        request = receive(self.rfile)
        if request is None:
            return
        with suppress(BrokenPipeError, ConnectionResetError):
            if request.get("ask") == "status":
                send(self.connection, self.server.supervisor.status())
            elif request.get("ask") == "lease":
                self._lease(request)
            else:
                send(self.connection, {"error": "unknown question"})

    def _lease(self, request: dict[str, Any]) -> None:
        supervisor = self.server.supervisor
        user = User(str(request.get("name")), int(request.get("pid", 0)), request.get("listens"))
        if not supervisor.enter(user):
            return  # the other end sees that nobody answers, and starts the next
        at_once = False
        try:
            names = [name for name in supervisor.keepers if name in request.get("needs", ())]
            for name in names:
                supervisor.keepers[name].request_start()
            for name in names:
                supervisor.keepers[name].ensure(lambda what: send(self.connection, {"waiting": what}))
            send(self.connection, {"ports": {name: supervisor.keepers[name].server.port for name in names}})
            at_once = (receive(self.rfile) or {}).get("ask") == "end"
        except ServerFailed as error:
            send(self.connection, {"error": str(error)})
        finally:
            supervisor.leave(user, at_once=at_once)
        if at_once and supervisor.status()["users"]:
            return
        if at_once:
            self.server.gone.wait()  # the connection ends with the process: nothing runs any more


class _Listener(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, path: Path, supervisor: Supervisor) -> None:
        self.supervisor = supervisor
        self.gone = threading.Event()
        self._path = path
        super().__init__(str(path), _Conversation)

    def server_bind(self) -> None:
        """Binds by a name that is short enough; only the folder's owner may connect."""
        self._path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            with reachable(self._path) as name:
                self.socket.bind(name)
        finally:
            os.umask(before)


def supervise(data_dir: Path) -> int:
    """Runs until there is nothing to do; the exit status."""
    lock = FolderLock(data_dir / LOCK)
    if not _own(lock, data_dir / SOCKET):
        return ANOTHER
    supervisor = Supervisor(data_dir)
    listener = _Listener(data_dir / SOCKET, supervisor)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=supervisor.stop).start())
    for keeper in supervisor.keepers.values():
        keeper.start()
    threading.Thread(target=listener.serve_forever, args=(0.1,), daemon=True).start()
    logs = [data_dir / LOG, *(keeper.server.log for keeper in supervisor.keepers.values())]
    threading.Thread(target=bound_all, args=(logs, listener.gone), daemon=True).start()
    log.info("supervisor of %s, process %s", data_dir, os.getpid())
    supervisor.wait()
    (data_dir / SOCKET).unlink(missing_ok=True)
    listener.shutdown()
    listener.server_close()
    for keeper in supervisor.keepers.values():
        keeper.end()
    for keeper in supervisor.keepers.values():
        keeper.join()
    log.info("nobody needs the servers any more: stopped" if not supervisor.status()["users"] else "stopped")
    return 0


def _own(lock: FolderLock, path: Path) -> bool:
    """Takes the folder's lock; waits for a supervisor that is going. False where one lives and answers."""
    while True:
        try:
            lock.acquire()
        except FolderInUse:
            with suppress(OSError), connect(path, timeout=1.0):
                return False
            time.sleep(0.1)
        else:
            return True


def main() -> None:
    """The entry point; what fails before anybody can ask is the last line of the log."""
    logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)-7s %(name)s: %(message)s", stream=sys.stderr)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.chdir("/")
    try:
        status = supervise(Path(sys.argv[1]))
    except (ServerFailed, OSError) as error:
        print(error, file=sys.stderr)
        status = 1
    sys.exit(status)


if __name__ == "__main__":
    main()
