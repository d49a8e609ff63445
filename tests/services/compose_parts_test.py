"""What the compose file starts, as far as it can be started here: real NATS and PostgreSQL with its configuration."""

import asyncio
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TypeVar

import nats
import psycopg
import pytest
from nats.aio.client import Client
from pydantic import SecretStr
from sqlalchemy import create_engine

from core.erp.migrations import upgrade
from core.ingest.stream import (
    NatsSettings,
    StreamUnavailable,
    api,
    connect,
    consumer_name,
    ensure_consumer,
    ensure_stream,
)
from core.outbound.ddl import VIEWS
from core.telemetry.connection import disconnect_within
from core.telemetry.stream import STREAM, StreamSettings
from edge.carrier import CarrierDown, NatsCarrier
from edge.config import StreamConfig, load
from lotwise.embedded.nats import nats_binary
from lotwise.embedded.postgres import EmbeddedPostgres
from lotwise.embedded.process import ServerProcess
from simulators.scenariofile import read_scenario
from tests.servers import accepts, free_port

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
CORE, GATEWAY, NODE = "kcore-password-1", "kgateway-password-2", "knode-password-3"
NODES = ("nats", "nats-2", "nats-3")
T = TypeVar("T")
STREAM_INFO, CONSUMER_INFO = f"STREAM.INFO.{STREAM}", f"CONSUMER.INFO.{STREAM}.{consumer_name(3)}"
HEAVY = os.environ.get("LOTWISE_TEST_HEAVY") == "1"


def run(script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(DOCKER / script), *arguments],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"A": "change-me", "B": "kgood-and-long"}, "A is still the placeholder"),
        ({"A": "postgres-Change-Me-1", "B": "kgood-and-long"}, "A is still the placeholder"),
        ({"B": "kgood-and-long"}, "A has fewer"),
        ({"A": "kshort", "B": "kgood-and-long"}, "A has fewer"),
        ({"A": "kspaces are bad!", "B": "kgood-and-long"}, "A may have letters"),
        ({"A": "4711-4711-4711", "B": "kgood-and-long"}, "A must begin with a letter"),
        ({"A": "kthe-same-thing", "B": "kthe-same-thing"}, "B is the same as A"),
    ],
)
def test_placeholders_and_weak_secrets_stop_everything(values: dict[str, str], complaint: str) -> None:
    result = run("placeholders.py", "A", "B", **values)
    assert result.returncode == 1
    assert complaint in result.stderr
    for value in values.values():
        assert value == "change-me" or value not in result.stderr, "values are never printed"


def test_good_secrets_pass() -> None:
    assert run("placeholders.py", "A", "B", A="kgood-and-long_1", B="kanother.good~1").returncode == 0
    assert run("placeholders.py").returncode == 1, "checking nothing is no check"


def test_health_of_an_address() -> None:
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/healthz" else 503)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    base = f"http://127.0.0.1:{server.server_address[1]}"
    codes = [run("health.py", "http", f"{base}{path}").returncode for path in ("/healthz", "/other")]
    codes.append(run("health.py", "tcp", str(server.server_address[1])).returncode)
    server.shutdown()
    server.server_close()
    thread.join()
    codes.append(run("health.py", "http", f"{base}/healthz").returncode)
    codes.append(run("health.py", "tcp", str(server.server_address[1])).returncode)
    assert codes == [0, 1, 0, 1, 1]


def test_health_of_the_ingest(postgres_url: str) -> None:
    host = os.uname().nodename
    with psycopg.connect(postgres_url.replace("+psycopg", "")) as conn:
        assert run("health.py", "ingest", LOTWISE_DATABASE_URL=postgres_url).returncode == 1
        insert = "INSERT INTO ingest_worker (name, until) VALUES (%s, now() + %s::interval)"
        conn.execute(insert, (f"{host}-1", "-1 minute"))
        conn.commit()
        assert run("health.py", "ingest", LOTWISE_DATABASE_URL=postgres_url).returncode == 1
        conn.execute(insert, (f"{host}-2", "1 minute"))
        conn.commit()
        assert run("health.py", "ingest", LOTWISE_DATABASE_URL=postgres_url).returncode == 0
    assert run("health.py", "ingest", LOTWISE_DATABASE_URL="postgresql://x@127.0.0.1:9/x").returncode == 1


@pytest.fixture
def stream(tmp_path: Path) -> Iterator[int]:
    """nats-server with the compose file's configuration, on a free port and folder."""
    port, monitor = free_port(), free_port()
    text = (DOCKER / "nats" / "stream.conf").read_text()
    text = text.replace("port: 4222", f"port: {port}").replace("127.0.0.1:8222", f"127.0.0.1:{monitor}")
    config = tmp_path / "stream.conf"
    config.write_text(text.replace('"/data"', f'"{tmp_path / "data"}"'))
    shutil.copy(DOCKER / "nats" / "users.conf", tmp_path)
    passwords = {"LOTWISE_NATS_CORE_PASSWORD": CORE, "LOTWISE_NATS_GATEWAY_PASSWORD": GATEWAY}
    server = ServerProcess(
        "nats", [nats_binary(), "-c", str(config)], tmp_path / "log", env={**os.environ, **passwords}
    )
    server.start(lambda: accepts(port))
    yield port
    server.stop()


def test_the_stream_server_knows_its_users_and_their_limits(stream: int) -> None:
    async def main() -> None:
        refused: list[str] = []

        async def on_error(error: Exception) -> None:
            refused.append(str(error))

        url = f"nats://127.0.0.1:{stream}"
        core = await nats.connect(url, user="core", password=CORE, error_cb=on_error)
        gateway = await nats.connect(url, user="gateway", password=GATEWAY, error_cb=on_error)
        create = b'{"name": "READINGS", "subjects": ["readings.>"], "storage": "file"}'
        made = await gateway.request("$JS.API.STREAM.CREATE.READINGS", create, timeout=5)
        assert b'"error"' not in made.data
        assert b'"seq":1' in (await gateway.request("readings.3.plant", b"x", timeout=5)).data.replace(b" ", b"")
        assert refused == []
        for subject in ("$JS.API.STREAM.DELETE.READINGS", "$JS.API.STREAM.PURGE.READINGS", "elsewhere"):
            await gateway.publish(subject, b"")
        await gateway.subscribe("readings.>")
        await gateway.flush()
        await asyncio.sleep(0.2)
        assert len([text for text in refused if "permissions violation" in text.lower()]) == 4
        info = await core.request("$JS.API.STREAM.INFO.READINGS", b"", timeout=5)
        assert b'"messages":1' in info.data.replace(b" ", b"")
        await disconnect_within(gateway)
        await disconnect_within(core)

    for credentials in (b"{}", b'{"user": "core", "pass": "wrong"}', b'{"user": "admin", "pass": ""}'):
        assert b"Authorization Violation" in _greet(stream, credentials)
    asyncio.run(main())


def _greet(port: int, credentials: bytes) -> bytes:
    """What the server says to these credentials, spoken to by hand: its client leaves sockets open when refused."""
    said = b""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(b"CONNECT " + credentials + b"\r\nPING\r\n")
        while b"-ERR" not in said and b"PONG" not in said and (more := connection.recv(4096)):
            said += more
    return said


class Cluster:
    """The compose file's three nodes as processes: its configuration, with ports and folders of this machine."""

    def __init__(self, folder: Path) -> None:
        self.ports = [free_port() for _ in NODES]
        routes = [free_port() for _ in NODES]
        shutil.copy(DOCKER / "nats" / "users.conf", folder)
        told = {f"LOTWISE_NATS_ROUTE_{n}": f"nats://node:{NODE}@127.0.0.1:{port}" for n, port in enumerate(routes, 1)}
        told |= {
            "LOTWISE_NATS_CORE_PASSWORD": CORE,
            "LOTWISE_NATS_GATEWAY_PASSWORD": GATEWAY,
            "LOTWISE_NATS_CLUSTER_PASSWORD": NODE,
        }
        self.nodes = []
        for name, port, route in zip(NODES, self.ports, routes, strict=True):
            config = folder / f"{name}.conf"
            text = (DOCKER / "nats" / "cluster.conf").read_text()
            for said, here in (
                ("port: 4222", f"listen: 127.0.0.1:{port}"),
                ("port: 6222", f"listen: 127.0.0.1:{route}"),
                ("127.0.0.1:8222", f"127.0.0.1:{free_port()}"),
                ("/data/cluster", str(folder / name)),
            ):
                assert text.count(said) == 1
                text = text.replace(said, here)
            config.write_text(text)
            env = {**os.environ, **told, "LOTWISE_NATS_NODE": name}
            self.nodes.append(ServerProcess(name, [nats_binary(), "-c", str(config)], folder / f"{name}.log", env=env))

    def start(self, number: int) -> None:
        self.nodes[number].start(lambda: accepts(self.ports[number]))

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()


def test_three_nodes_keep_the_stream_while_one_of_them_is_killed(tmp_path: Path) -> None:
    """Stream and consumers as the core makes them, on the compose file's cluster, with its users and passwords: the
    stream's leader is killed, in the large form each node in turn.
    """
    cluster = Cluster(tmp_path)
    urls = tuple(f"nats://127.0.0.1:{port}" for port in cluster.ports)
    settings = NatsSettings(urls, user="core", password=CORE, stream=StreamSettings(replicas=3))
    gateway = StreamConfig(urls=urls, user="gateway", password=SecretStr(GATEWAY), replicas=3)

    async def main() -> None:
        client = await connect(settings, "core")
        carrier = NatsCarrier(gateway, "gateway")
        running = asyncio.create_task(carrier.run())
        first = await again(carrier.stream)  # as soon as the nodes have found each other
        await again(lambda: ensure_consumer(client, 3, timedelta(seconds=5), 100))
        stream, consumer = (partial(copies, client, what) for what in (STREAM_INFO, CONSUMER_INFO))
        assert sorted(await again(stream)) == sorted(NODES)
        assert sorted(await again(consumer)) == sorted(NODES), "a consumer lives on as many nodes as its stream"
        killed = NODES if HEAVY else (await again(stream))[:1]
        for sent, name in enumerate(killed, 1):
            number = NODES.index(name)
            cluster.nodes[number].kill()
            publish = partial(carrier.publish, "readings.3.plant", name, b"x")
            assert await again(publish) == sent
            assert (await again(carrier.stream)).incarnation == first.incarnation, "another leader, the same stream"
            cluster.start(number)
            await again(stream)
        state = await again(lambda: ensure_stream(client, settings.stream))
        assert (state.messages, state.incarnation) == (len(killed), first.incarnation)
        assert state.replicas == 3
        running.cancel()
        await asyncio.wait([running])
        await disconnect_within(client)

    async def copies(client: Client, what: str) -> list[str]:
        """The nodes it lives on, the leader first, once all are in step."""
        info = await api(client, what)
        group = info.get("cluster", {})
        others = group.get("replicas") or []
        if "leader" not in group or not others or not all(other["current"] for other in others):
            raise StreamUnavailable(f"a node is behind: {info}")
        return [group["leader"], *(other["name"] for other in others)]

    try:
        for number in range(3):
            cluster.start(number)
        asyncio.run(main())
    finally:
        cluster.stop()


async def again(ask: Callable[[], Awaitable[T]], within: float = 30.0) -> T:
    """What is answered once the cluster is able to."""
    async with asyncio.timeout(within):
        while True:
            try:
                return await ask()
            except (CarrierDown, StreamUnavailable):
                await asyncio.sleep(0.1)


@pytest.mark.parametrize("name", ["stream.conf", "broker.conf"])
def test_nats_accepts_its_configuration(name: str, tmp_path: Path) -> None:
    config = tmp_path / name
    config.write_text((DOCKER / "nats" / name).read_text().replace('"/data"', f'"{tmp_path / "data"}"'))
    shutil.copy(DOCKER / "nats" / "users.conf", tmp_path)
    passwords = {"LOTWISE_NATS_CORE_PASSWORD": CORE, "LOTWISE_NATS_GATEWAY_PASSWORD": GATEWAY}
    command = [nats_binary(), "-c", str(config), "-t"]
    result = subprocess.run(
        command, env={**os.environ, **passwords}, capture_output=True, text=True, timeout=30, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "sync_interval: always" in config.read_text()


@pytest.mark.timeout(180)
def test_postgres_roles_and_a_schema_made_by_an_owner_who_is_no_superuser() -> None:
    script = (DOCKER / "postgres" / "10-roles.sh").read_text()
    sql = script.split("<<'SQL'\n", 1)[1].split("\nSQL", 1)[0]
    sql = (
        sql.replace(":'owner_password'", "'kowner'")
        .replace(":'app_password'", "'kapp'")
        .replace(":'reader_password'", "'kreader'")
    )
    with tempfile.TemporaryDirectory(prefix="lotwise-compose-") as folder:
        server = EmbeddedPostgres(Path(folder), durable=False)
        server.start()
        try:
            _make_and_read(server, [part for part in sql.split(";\n") if part.strip()])
        finally:
            server.stop()


def _make_and_read(server: EmbeddedPostgres, statements: list[str]) -> None:
    with psycopg.connect(server.conninfo(), autocommit=True) as conn:
        conn.execute("DROP DATABASE IF EXISTS lotwise")
        for role in ("lotwise_owner", "lotwise_app", "lotwise_grafana", "lotwise_reader"):  # the embedded server's own
            conn.execute(f"DROP ROLE IF EXISTS {role}".encode())
        for statement in statements:
            conn.execute(statement.encode())
    place = f"127.0.0.1:{server.port}/lotwise"
    engine = create_engine(f"postgresql+psycopg://lotwise_owner:kowner@{place}")
    upgrade(engine)
    engine.dispose()
    with psycopg.connect(f"postgresql://lotwise_app:kapp@{place}", autocommit=True) as app:
        app.execute("INSERT INTO site (code, name, timezone) VALUES ('s1', 'Site', 'UTC')")
        app.execute("CREATE TEMPORARY TABLE landing (id int)")
        app.execute("SELECT series_make_week('reading_20260302', '2026-03-02T00:00Z', '2026-03-09T00:00Z')")
        for forbidden in ("DELETE FROM site", "ALTER TABLE audit DISABLE TRIGGER ALL", "CREATE TABLE mine (id int)"):
            with pytest.raises(psycopg.Error):
                app.execute(forbidden.encode())
    with psycopg.connect(f"postgresql://lotwise_grafana:kreader@{place}", autocommit=True) as reader:
        for view in VIEWS:
            reader.execute(f"SELECT * FROM {view}".encode())
        for forbidden in ("SELECT * FROM app_user", "DELETE FROM v_holds", "CREATE TABLE mine (id int)"):
            with pytest.raises(psycopg.Error):
                reader.execute(forbidden.encode())


def test_the_gateways_file_is_right_and_fits_the_simulators() -> None:
    environment = {
        "LOTWISE_INSTANCE": "test",
        "LOTWISE_NATS_URL": "nats://nats:4222, nats://nats-2:4222",
        "LOTWISE_NATS_REPLICAS": "3",
        "LOTWISE_NATS_GATEWAY_PASSWORD": GATEWAY,
    }
    config = load(DOCKER / "edge" / "gateway.yaml", environment)
    assert config.stream.urls == ("nats://nats:4222", "nats://nats-2:4222")
    assert config.stream.settings.replicas == 3
    scenario = read_scenario(DOCKER / "simulators" / "scenario.yaml")
    assert all(source.simulated for source in config.sources)
    ports = {device.port for device in scenario.devices if hasattr(device, "port")}
    text = (DOCKER / "edge" / "gateway.yaml").read_text()
    assert {
        int(port) for port in re.findall(r"simulators:(\d+)|simulators, port: (\d+)", text) for port in port if port
    } == ports
    assert scenario.broker.host == "broker"
