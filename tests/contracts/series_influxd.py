"""A real influxd 1.8 for tests, on free ports of 127.0.0.1, with Flux and InfluxQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from core.series.influx import InfluxSettings
from lotwise.embedded.process import ServerProcess
from tests.servers import accepts, free_port, need_influxd


class Influxd:
    """influxd on a port of its own; may be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self._rpc = free_port()
        self._server: ServerProcess | None = None

    @property
    def settings(self) -> InfluxSettings:
        return InfluxSettings(url=f"http://127.0.0.1:{self.port}", bucket="lotwise/autogen")

    def start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        config = self._folder / "influxd.conf"
        config.write_text(
            f'reporting-disabled = true\nbind-address = "127.0.0.1:{self._rpc}"\n'
            f'[meta]\n  dir = "{self._folder}/meta"\n'
            f'[data]\n  dir = "{self._folder}/data"\n  wal-dir = "{self._folder}/wal"\n'
            f'[http]\n  bind-address = "127.0.0.1:{self.port}"\n  flux-enabled = true\n  log-enabled = false\n'
        )
        server = ServerProcess("influxd", [need_influxd(), "-config", str(config)], self._folder / "influxd.log")
        server.start(lambda: accepts(self.port))
        self._server = server
        query = {"q": 'CREATE DATABASE "lotwise"'}
        httpx.post(f"http://127.0.0.1:{self.port}/query", data=query).raise_for_status()

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None


@contextmanager
def influxd(folder: Path) -> Iterator[Influxd]:
    server = Influxd(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
