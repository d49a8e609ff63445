"""A real InfluxDB for tests: one given by URL, or an influxd 1.8 of the test's own, with Flux and InfluxQL."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from influxdb_client import InfluxDBClient

from core.series.influx import InfluxSettings
from lotwise.embedded.process import ServerProcess
from tests.servers import accepts, free_port, need_influxd


class Influx:
    """A database (1.8) or bucket (2.x) that is the test's alone, on a server that others may use too."""

    def __init__(self, url: str, *, token: str = "", org: str = "-") -> None:
        name = f"lotwise_test_{secrets.token_hex(4)}"
        headers = {"Authorization": f"Token {token}"} if token else {}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=30)
        self._of_2 = self._http.get("/ping").headers.get("X-Influxdb-Version", "").lstrip("v").startswith("2")
        self.database = name
        self.settings = InfluxSettings(url, name if self._of_2 else f"{name}/autogen", token, org)

    def make(self) -> None:
        """Makes it, empty."""
        if self._of_2:
            with self._client() as client:
                client.buckets_api().create_bucket(bucket_name=self.database, org=self.settings.org)
        else:
            self._http.post("/query", data={"q": f'CREATE DATABASE "{self.database}"'}).raise_for_status()

    def drop(self) -> None:
        """Removes it with all that is in it."""
        if self._of_2:
            with self._client() as client:
                client.buckets_api().delete_bucket(client.buckets_api().find_bucket_by_name(self.database))
        else:
            self._http.post("/query", data={"q": f'DROP DATABASE "{self.database}"'}).raise_for_status()

    def close(self) -> None:
        """Closes the connection that makes and drops."""
        self._http.close()

    def write(self, line: str) -> None:
        """A line (times in µs) of some other writer's."""
        wanted = {"bucket": self.settings.bucket, "org": self.settings.org, "precision": "us"}
        self._http.post("/api/v2/write", params=wanted, content=line).raise_for_status()

    def ask(self, query: str) -> httpx.Response:
        """The answer to a query in InfluxQL, as Grafana asks it."""
        return self._http.post("/query", data={"db": self.database, "q": query})

    def _client(self) -> InfluxDBClient:
        return InfluxDBClient(url=self.settings.url, token=self.settings.token, org=self.settings.org)


class Influxd:
    """An influxd 1.8 on a port of its own; may be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._rpc = free_port()
        self._server: ServerProcess | None = None
        self.url = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        config = self._folder / "influxd.conf"
        config.write_text(
            f'reporting-disabled = true\nbind-address = "127.0.0.1:{self._rpc}"\n'
            f'[meta]\n  dir = "{self._folder}/meta"\n'
            f'[data]\n  dir = "{self._folder}/data"\n  wal-dir = "{self._folder}/wal"\n'
            f'[http]\n  bind-address = "127.0.0.1:{self._port}"\n  flux-enabled = true\n  log-enabled = false\n'
        )
        server = ServerProcess("influxd", [need_influxd(), "-config", str(config)], self._folder / "influxd.log")
        server.start(lambda: accepts(self._port))
        self._server = server

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None


@contextmanager
def influxd(folder: Path) -> Iterator[tuple[Influxd, Influx]]:
    """A server of the test's own, which it may stop, and a database there."""
    server = Influxd(folder)
    server.start()
    try:
        made = Influx(server.url)
        made.make()
        yield server, made
        made.close()
    finally:
        server.stop()


@contextmanager
def influxdb(folder: Path) -> Iterator[Influx]:
    """A database on the server given by LOTWISE_TEST_INFLUX_URL (_TOKEN, _ORG), or else on one of the test's own."""
    url = os.environ.get("LOTWISE_TEST_INFLUX_URL")
    if not url:
        with influxd(folder) as (_, made):
            yield made
        return
    more: dict[str, Any] = {name: os.environ.get(f"LOTWISE_TEST_INFLUX_{name.upper()}") for name in ("token", "org")}
    made = Influx(url, **{name: value for name, value in more.items() if value})
    made.make()
    try:
        yield made
    finally:
        made.drop()
        made.close()
