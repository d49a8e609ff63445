"""The demo's stage: embedded servers, and the core, ingest and gateway as processes of their own."""

import asyncio
import contextlib
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from ruamel.yaml import YAML

from core.erp.kernel.access.users import create_user
from core.erp.kernel.audit_keys import open_engine
from core.erp.kernel.rights import APP, OWNER
from core.erp.kernel.unit import Unit, system, transact
from core.erp.migrations import upgrade
from core.settings import Settings
from core.wiring import build_events
from lotwise.demo.api import Person
from lotwise.embedded.nats import EmbeddedNats
from lotwise.embedded.postgres import EmbeddedPostgres
from lotwise.embedded.process import ServerProcess, accepts, free_port
from lotwise.runtime import load_audit_keys

PASSWORD = "demo-only-Lotwise-1"  # noqa: S105 - printed on the screen; it exists in the demo's own database only
PEOPLE = {
    "engineer": ("Plant engineer", "plant_engineer"),
    "qa": ("Quality assurance", "qa"),
    "rp": ("Responsible person", "responsible_person"),
    "warehouse": ("Warehouse", "warehouse"),
    "logistics": ("Logistics", "logistics"),
    "buyer": ("Buyer", "buyer"),
    "planner": ("Planner", "planner"),
    "tester": ("Tester", "tester"),
    "admin": ("Administrator", "admin"),
    "wall": ("Wall display", "display"),
}
GATEWAY = "gateway-demo"


@dataclass(slots=True)
class Stage:
    """Everything that runs. `mqtt_port` is the devices' broker; `people` sign in by role."""

    folder: Path
    port: int
    postgres: EmbeddedPostgres
    stream: EmbeddedNats
    broker: EmbeddedNats
    http: httpx.AsyncClient
    children: dict[str, ServerProcess] = field(default_factory=dict)
    people: dict[str, Person] = field(default_factory=dict)
    health_port: int = 0

    @property
    def url(self) -> str:
        """Where the pages are."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def gateway_file(self) -> Path:
        """The gateway's configuration."""
        return self.folder / "gateway.yaml"

    @property
    def spool_dir(self) -> Path:
        """The gateway's own folder."""
        return self.folder / "gateway"

    def environment(self) -> dict[str, str]:
        """What the children are told."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("LOTWISE_")}
        return inherited | {
            "LOTWISE_INSTANCE": "test",
            "LOTWISE_DATA_DIR": str(self.folder / "core"),
            "LOTWISE_DATABASE_URL": self.postgres.url_as(APP),
            "LOTWISE_MIGRATE_URL": self.postgres.url_as(OWNER),
            "LOTWISE_NATS_URL": self.stream.url,
            "LOTWISE_SECRET_KEY": (self.folder / "secret.key").read_text(),
            "LOTWISE_LOG_LEVEL": "WARNING",
        }

    async def start(self, name: str, command: list[str], ready: Callable[[], bool]) -> ServerProcess:
        """Starts a `lotwise` command as a process of its own. Raises ServerFailed."""
        process = ServerProcess(
            name,
            [sys.executable, "-c", "from lotwise.cli import main; main()", *command],
            self.folder / f"{name}.log",
            stop_signal=signal.SIGTERM,
            env=self.environment(),
        )
        # in this thread: the kernel ends the child with the thread that started it
        process.start(ready, within=60)
        self.children[name] = process
        return process

    async def start_gateway(self) -> ServerProcess:
        """Starts the gateway on its file."""
        return await self.start(
            "edge", ["edge", "run", str(self.gateway_file), "--log-level", "WARNING"], lambda: accepts(self.health_port)
        )

    def write_gateway(self, config: dict[str, Any]) -> None:
        """Writes the gateway's configuration."""
        with self.gateway_file.open("w") as file:
            YAML(typ="safe").dump(config, file)

    async def health(self) -> dict[str, Any]:
        """What the gateway says of itself."""
        answer = await self.http.get(f"http://127.0.0.1:{self.health_port}/healthz")
        health: dict[str, Any] = answer.json()
        return health


@contextlib.asynccontextmanager
async def stage(folder: Path, port: int) -> AsyncIterator[Stage]:
    """Servers and the core, up; everything is stopped when the block ends. Raises ServerFailed."""
    _make_people(folder)
    async with contextlib.AsyncExitStack() as stack:
        postgres = EmbeddedPostgres(folder / "postgres")
        stream = EmbeddedNats(folder / "stream")
        broker = EmbeddedNats(folder / "broker", mqtt=True)
        for server in (postgres, stream, broker):
            stack.callback(server.stop)
            server.start()
        port = port or free_port()
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30))
        made = Stage(folder, port, postgres, stream, broker, http, health_port=free_port())
        await asyncio.to_thread(_prepare, made)
        stack.callback(_stop_children, made)
        await made.start("serve", ["serve", "--port", str(port)], lambda: accepts(port))
        await made.start("ingest", ["ingest", "--name", "demo"], lambda: True)
        made.people = {login: Person(http, login, PASSWORD) for login in PEOPLE}
        yield made


def _make_people(folder: Path) -> None:
    """The folder and the key that this demo's tokens are signed with."""
    folder.mkdir(parents=True, exist_ok=True)
    key = folder / "secret.key"
    if not key.exists():
        key.touch(mode=0o600)
        key.write_text(secrets.token_urlsafe(48))


def _stop_children(made: Stage) -> None:
    for process in reversed(list(made.children.values())):
        process.stop()


def _prepare(made: Stage) -> None:
    """Schema and people, before anybody can ask."""
    keys = load_audit_keys(Settings(data_dir=made.folder / "core", audit_key=None))
    migrating = open_engine(made.postgres.url_as(OWNER), keys)
    upgrade(migrating)
    migrating.dispose()
    engine = open_engine(made.postgres.url_as(APP), keys)

    def work(u: Unit) -> None:
        for login, (name, role) in PEOPLE.items():
            create_user(u, login, name, PASSWORD, [role])

    transact(engine, system("demo"), build_events(), work)
    engine.dispose()
