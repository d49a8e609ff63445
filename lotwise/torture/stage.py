"""Everything that runs in a soak: servers, core, workers, gateways and devices, all on 127.0.0.1 and of its own."""

import asyncio
import json
import os
import secrets
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from core.erp.kernel.access.users import create_user
from core.erp.kernel.audit_keys import open_engine
from core.erp.kernel.rights import APP, OWNER
from core.erp.kernel.unit import Unit, system, transact
from core.erp.migrations import upgrade
from core.settings import Settings
from core.wiring import build_events
from lotwise.embedded.lease import Lease
from lotwise.embedded.nats import EmbeddedNats
from lotwise.embedded.postgres import EmbeddedPostgres
from lotwise.embedded.process import ServerFailed, accepts, free_port
from lotwise.embedded.supervisor import NATS, POSTGRES, postgres_folder, stream_folder
from lotwise.runtime import load_audit_keys
from lotwise.torture.actors import Actor, Command, KillableServer, Supervised, Switched, WorkerThreads, cluster
from lotwise.torture.devices import Devices, sources
from lotwise.torture.plan import Target
from lotwise.torture.work import PASSWORD, PEOPLE, Caller
from simulators.link import Broker

ZONES = {
    "torture/cold/room-1": "mqtt",
    "torture/cold/room-2": "mqtt",
    "torture/cold/room-3": "mqtt",
    "torture/fill/line-1": "opcua",
    "torture/cold/room-4": "modbus",
}
"""Zones with goods, and what their one sensor speaks."""
NODES = 3


@dataclass(frozen=True, slots=True)
class Size:
    """How much of each runs. `replicas` > 1 is a NATS cluster of so many nodes."""

    replicas: int = 1
    workers: int = 1
    gateways: int = 1


SINGLE, CLUSTER = Size(), Size(replicas=NODES, workers=2, gateways=2)


@dataclass(slots=True)
class Stage:
    """All of it, by name; nothing runs before `open`."""

    folder: Path
    size: Size
    hands: WorkerThreads
    actors: dict[str, Actor] = field(default_factory=dict)
    targets: list[Target] = field(default_factory=list)
    database_url: str = ""
    owner_url: str = ""
    """The database for the role that migrates."""
    stream_urls: list[str] = field(default_factory=list)
    broker: EmbeddedNats = field(init=False)
    port: int = field(default_factory=free_port)
    device_ports: tuple[int, int] = field(default_factory=lambda: (free_port(), free_port()))
    health_ports: dict[str, int] = field(default_factory=dict)
    caller: Caller = field(init=False)
    _postgres: EmbeddedPostgres | None = None
    _lease: Lease | None = None

    def __post_init__(self) -> None:
        self.broker = EmbeddedNats(self.folder / "broker", mqtt=True)
        self.caller = Caller(f"http://127.0.0.1:{self.port}")
        if self.size.replicas > 1:
            self._several_nodes()
        else:
            self._embedded()
        self._add(KillableServer("broker", self.broker, self.hands))
        self._commands()

    @property
    def data_dir(self) -> Path:
        """The core's folder: where its embedded servers keep everything, if it has such."""
        return self.folder / "core"

    def _embedded(self) -> None:
        """The small site: the product's own embedded servers, which its supervisor keeps up."""
        self._lease = Lease(self.data_dir, "lotwise torture", [POSTGRES, NATS])
        store = EmbeddedNats(stream_folder(self.data_dir)).store_dir
        self._add(Supervised("supervisor", self.data_dir, None))
        self._add(Supervised("postgres", self.data_dir, POSTGRES))
        self._add(Supervised("stream", self.data_dir, NATS, wipes=store))

    def _several_nodes(self) -> None:
        """Beyond one machine: servers by URL, each started by whoever runs it."""
        self._postgres = EmbeddedPostgres(self.folder / "postgres")
        self._add(KillableServer("postgres", self._postgres, self.hands))
        for node in cluster(self.folder, [(free_port(), free_port()) for _ in range(self.size.replicas)]):
            self.stream_urls.append(node.url)
            self._add(KillableServer(node.data_dir.name, node, self.hands), "stream", 6.0)

    @property
    def conninfo(self) -> str:
        """The database as libpq has it."""
        return self.database_url.replace("postgresql+psycopg", "postgresql")

    def _add(self, actor: Actor, group: str | None = None, longest: float = 3.0) -> None:
        self.actors[actor.name] = actor
        self.targets.append(Target(actor.name, actor.faults, group or actor.name, longest))

    def _commands(self) -> None:
        port = self.port
        self._command("serve", ["serve", "--port", str(port)], "serve")
        for number in range(1, self.size.workers + 1):
            name = f"ingest-{number}"
            # longer than a lease, so that the other worker takes the partitions over
            longest = 14.0 if self.size.workers > 1 else 3.0
            self._command(name, ["ingest", "--name", name], "ingest", longest=longest, freezes=True)
        for number in range(1, self.size.gateways + 1):
            name = f"edge-{number}"
            self.health_ports[name] = free_port()
            file = str(self.folder / f"{name}.yaml")
            self._command(name, ["edge", "run", file, "--log-level", "INFO"], "edge")

    def _command(
        self, name: str, arguments: list[str], group: str, *, longest: float = 3.0, freezes: bool = False
    ) -> None:
        command = Command(name, arguments, self.folder / f"{name}.log", self.environment)
        self._add(KillableServer(name, command, self.hands, freezes=freezes), group, longest)

    def environment(self) -> dict[str, str]:
        """What the commands are told."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("LOTWISE_")}
        environment = inherited | {
            "LOTWISE_INSTANCE": "test",
            "LOTWISE_DATA_DIR": str(self.data_dir),
            "LOTWISE_LOG_LEVEL": "INFO",
        }
        if self._lease is not None:
            return environment
        return environment | {
            "LOTWISE_DATABASE_URL": self.database_url,
            "LOTWISE_MIGRATE_URL": self.owner_url,
            "LOTWISE_NATS_URL": ",".join(self.stream_urls),
            "LOTWISE_NATS_REPLICAS": str(self.size.replicas),
            "LOTWISE_SECRET_KEY": (self.folder / "secret.key").read_text(),
        }

    async def open(self) -> None:
        """Starts the servers, the core and the workers, on an empty database with people who may sign in."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "secret.key").write_text(secrets.token_urlsafe(48))
        if self._lease is not None:
            await asyncio.to_thread(self._lease.take)
            ports = self._lease.ports
            self.stream_urls = [f"nats://127.0.0.1:{ports[NATS]}"]
            self._know(EmbeddedPostgres(postgres_folder(self.data_dir), port=ports[POSTGRES]))
        for name, actor in self.actors.items():
            if isinstance(actor, KillableServer) and not name.startswith(("serve", "ingest", "edge")):
                await actor.start()
        if self._postgres is not None:
            self._know(self._postgres)
        await asyncio.to_thread(self._prepare)
        for name, actor in self.actors.items():
            if name == "serve" or name.startswith("ingest"):
                await actor.start()
        await until("the core to serve", lambda: accepts(self.port))

    async def look_after(self) -> None:
        """Starts again, until cancelled, what has ended by itself though it should run."""
        while True:
            for actor in self.actors.values():
                if isinstance(actor, KillableServer):
                    await actor.look_after()
            await asyncio.sleep(0.5)

    def _know(self, postgres: EmbeddedPostgres) -> None:
        self.database_url, self.owner_url = postgres.url_as(APP), postgres.url_as(OWNER)

    def _prepare(self) -> None:
        keys = load_audit_keys(Settings(data_dir=self.data_dir, audit_key=None))
        migrating = open_engine(self.owner_url, keys)
        upgrade(migrating)
        migrating.dispose()
        engine = open_engine(self.database_url, keys)

        def work(u: Unit) -> None:
            for login, role in PEOPLE.items():
                create_user(u, login, login.title(), PASSWORD, [role])

        transact(engine, system("torture"), build_events(), work)
        engine.dispose()

    @property
    def mqtt(self) -> Broker:
        """The devices' broker."""
        assert self.broker.mqtt_port is not None
        return Broker(port=self.broker.mqtt_port)

    def connect(self, devices: Devices) -> None:
        """Takes the devices that can be switched off into the plan."""
        machine, controller = devices.machine, devices.controller
        self._add(Switched("machine", machine.connect, machine.disconnect))
        self._add(Switched("controller", controller.connect, controller.disconnect))

    async def open_gateways(self) -> None:
        """Starts the gateways and waits until each is connected to all its sources."""
        for name in self.health_ports:
            self._write_gateway(name)
            await self.actors[name].start()
        for port in self.health_ports.values():
            await until("a gateway to be connected to all devices", lambda at=port: _connected(at))

    def _write_gateway(self, name: str) -> None:
        config: dict[str, Any] = {
            "gateway": name,
            "site": "torture",
            "instance": "test",
            "data_dir": str(self.folder / name),
            "stream": {"urls": self.stream_urls, "replicas": self.size.replicas},
            "health": {"host": "127.0.0.1", "port": self.health_ports[name]},
            "sources": sources(ZONES, self.mqtt.port, self.device_ports, name),
        }
        if self.size.gateways > 1:
            config["redundancy_group"] = "torture"
        with (self.folder / f"{name}.yaml").open("w") as file:
            YAML(typ="safe").dump(config, file)

    async def close(self) -> None:
        """Stops everything in order, what sends first."""
        await self.caller.close()
        for actor in reversed(list(self.actors.values())):
            if isinstance(actor, KillableServer):
                await actor.end()
        if self._lease is not None:
            await asyncio.to_thread(self._lease.end, servers_too=True)


async def until(what: str, ask: Any, within: float = 90.0) -> None:
    """Waits until it is so. Raises ServerFailed."""
    deadline = asyncio.get_running_loop().time() + within
    while not await asyncio.to_thread(ask):
        if asyncio.get_running_loop().time() > deadline:
            raise ServerFailed(f"waited {within:.0f} s for {what}")
        await asyncio.sleep(0.2)


def _connected(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            health = json.load(answer)
    except urllib.error.HTTPError as error:  # 503 where anything is wrong; it says the same
        health = json.load(error)
    except (OSError, ValueError):
        return False
    return all(source["connected"] for source in health["sources"])
