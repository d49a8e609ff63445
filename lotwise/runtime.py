"""What a process runs on: the servers that settings name, or embedded ones where they name none."""

import contextlib
import json
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import OperationalError

from core.ingest.stream import NatsSettings, StreamUnavailable
from core.series.port import StoreUnavailable
from core.settings import Settings
from lotwise.embedded.nats import EmbeddedNats
from lotwise.embedded.postgres import EmbeddedPostgres
from lotwise.embedded.process import ServerFailed, accepts

STATE = "embedded.json"


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the servers are. `started` names those that this process started and stops."""

    database_url: str
    nats_url: str
    started: tuple[str, ...]

    def engine(self, size: int = 10) -> Engine:
        """A pool of connections to the database."""
        return create_engine(self.database_url, pool_size=size, max_overflow=size, pool_pre_ping=True)


def nats_settings(settings: Settings, servers: Servers) -> NatsSettings:
    """How to reach the stream."""
    return NatsSettings(
        urls=tuple(servers.nats_url.split(",")),
        user=settings.nats_user,
        password=_plain(settings.nats_password),
        token=_plain(settings.nats_token),
        credentials=settings.nats_credentials,
        ca=settings.nats_ca,
        certificate=settings.nats_certificate,
        key=settings.nats_key,
    )


def _plain(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def with_secret(settings: Settings) -> Settings:
    """Settings that can sign tokens. On the embedded database a missing key is made once and kept beside the data,
    readable by its owner only; with a database of one's own it must be given (Settings.signing_key refuses).
    """
    if settings.secret_key is not None or settings.database_url is not None:
        return settings
    path = settings.data_dir / "secret.key"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(48))
    return settings.model_copy(update={"secret_key": SecretStr(path.read_text().strip())})


@contextlib.contextmanager
def servers(settings: Settings, *, stream: bool = True) -> Iterator[Servers]:
    """The database and (with `stream`) the stream: by URL, or embedded for as long as the block lasts.

    A process that finds the embedded servers of the same data folder running uses those. Raises ServerFailed.
    """
    with contextlib.ExitStack() as stack:
        running = _running(settings.data_dir)
        started: list[str] = []
        database_url, nats_url = settings.database_url, settings.nats_url
        if database_url is None:
            database_url = running.get("database_url")
            if database_url is None:
                postgres = EmbeddedPostgres(settings.data_dir / "postgres")
                postgres.start()
                stack.callback(postgres.stop)
                database_url = postgres.url()
                started.append("postgres")
        if nats_url is None and stream:
            nats_url = running.get("nats_url")
            if nats_url is None:
                nats = EmbeddedNats(settings.data_dir / "stream")
                nats.start()
                stack.callback(nats.stop)
                nats_url = nats.url
                started.append("nats-server")
        if started:
            stack.callback(_announce(settings.data_dir, database_url, nats_url))
        yield Servers(database_url, nats_url or "", tuple(started))


@contextlib.contextmanager
def in_words() -> Iterator[None]:
    """A server that cannot be reached or does not start ends the command with a sentence and exit 1, no traceback."""
    faults: list[str] = []
    try:
        yield
    except* (OperationalError, StreamUnavailable, StoreUnavailable, ServerFailed) as group:
        faults = [f"{getattr(fault, 'orig', fault)}".strip() for fault in _each(group)]
    if faults:
        raise SystemExit("\n".join(faults))


def _each(group: BaseExceptionGroup[Any]) -> Iterator[BaseException]:
    for fault in group.exceptions:
        yield from _each(fault) if isinstance(fault, BaseExceptionGroup) else (fault,)


def _announce(data_dir: Path, database_url: str, nats_url: str | None) -> Callable[[], None]:
    """Tells other processes of the same data folder; returns what takes it back."""
    path = data_dir / STATE
    path.touch(mode=0o600)
    path.write_text(json.dumps({"pid": os.getpid(), "database_url": database_url, "nats_url": nats_url}))
    return lambda: path.unlink(missing_ok=True)


def _running(data_dir: Path) -> dict[str, str]:
    """URLs of the embedded servers that another process of the same data folder runs; none if it is gone."""
    path = data_dir / STATE
    if not path.exists():
        return {}
    said: dict[str, str] = json.loads(path.read_text())
    url = said.get("database_url") or ""
    port = url.rpartition(":")[2].partition("/")[0]
    if not port.isdigit() or not accepts(int(port)):
        return {}
    return {key: value for key, value in said.items() if key.endswith("_url") and value}
