"""What a process runs on: the servers that settings name, or embedded ones where they name none."""

import contextlib
import logging
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError, ProgrammingError

from core.erp.kernel.audit_keys import AuditKeys, audit_keys, open_engine
from core.erp.kernel.rights import APP, OWNER
from core.erp.migrations import upgrade
from core.ingest.stream import NatsSettings, StreamUnavailable
from core.series.port import StoreUnavailable
from core.settings import Settings
from core.telemetry.stream import StreamSettings
from lotwise.embedded.lease import Lease, embedded_trouble, nothing_wrong
from lotwise.embedded.postgres import EmbeddedPostgres
from lotwise.embedded.process import ServerFailed
from lotwise.embedded.supervisor import NATS, POSTGRES, postgres_folder

log = logging.getLogger("lotwise.servers")

_NOT_ALLOWED = "42501"

AUDIT_KEY = "audit.key"
"""The file in the data folder with the audit trail's keys, the newest first."""


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the servers are. `lease` keeps the embedded ones up; None where the settings name them all."""

    database_url: str
    nats_url: str
    lease: Lease | None = None
    audit_keys: AuditKeys | None = None
    migrate_url: str | None = None
    """The database for the role that owns its tables; None: nobody but the application is known."""

    def engine(self, size: int = 10) -> Engine:
        """A pool of connections to the database."""
        return open_engine(self.database_url, self.audit_keys, pool_size=size, max_overflow=size, pool_pre_ping=True)

    def prepare(self) -> None:
        """Brings the database to the newest schema, as its owner. Raises ServerFailed where nobody given may do so."""
        engine = open_engine(self.migrate_url or self.database_url, self.audit_keys)
        try:
            upgrade(engine)
        except ProgrammingError as error:
            if getattr(error.orig, "sqlstate", None) != _NOT_ALLOWED:
                said = str(error.orig).partition("\n")[0]
                raise ServerFailed(
                    f"{said}: this version cannot bring the database's schema up to date (before 1.0 a data folder of "
                    "an earlier one is made anew)"
                ) from error
            raise ServerFailed(
                f"{error.orig}: the schema is to be made or changed, which is its owner's to do: run `lotwise migrate` "
                "with LOTWISE_MIGRATE_URL"
            ) from error
        finally:
            engine.dispose()

    @property
    def probe(self) -> Callable[[], str | None]:
        """Says what is wrong with the embedded servers, in whatever process; None if nothing is, or none is used."""
        if self.lease is None:
            return nothing_wrong
        return partial(embedded_trouble, self.lease.data_dir, dict(self.lease.ports))


def nats_settings(settings: Settings, servers: Servers) -> NatsSettings:
    """How to reach the stream."""
    return NatsSettings(
        urls=tuple(url.strip() for url in servers.nats_url.split(",")),
        user=settings.nats_user,
        password=_plain(settings.nats_password),
        token=_plain(settings.nats_token),
        credentials=settings.nats_credentials,
        ca=settings.nats_ca,
        certificate=settings.nats_certificate,
        key=settings.nats_key,
        stream=StreamSettings(replicas=settings.nats_replicas),
    )


def _plain(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def with_secret(settings: Settings) -> Settings:
    """Settings that can sign tokens. On the embedded database a missing key is made once and kept beside the data,
    readable by its owner only; with a database of one's own it must be given (Settings.signing_key refuses).
    """
    if settings.secret_key is not None or settings.database_url is not None:
        return settings
    secret = kept_secret(settings.data_dir / "secret.key")
    return settings.model_copy(update={"secret_key": SecretStr(secret)})


def kept_secret(path: Path) -> str:
    """The secret in a file, made at first and readable by its owner only; processes that start side by side get one.

    Raises ServerFailed where the file can be neither read nor made.
    """
    try:
        if not path.exists():
            _make_secret(path)
        return path.read_text().strip()
    except OSError as error:
        raise ServerFailed(f"{path} in LOTWISE_DATA_DIR cannot be read or made: {error.strerror}") from error


def _make_secret(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.touch(mode=0o600)
    with fresh.open("w") as file:
        file.write(secrets.token_urlsafe(48) + "\n")
        file.flush()
        os.fsync(file.fileno())  # what is signed with it must not outlive it
    with contextlib.suppress(FileExistsError):
        os.link(fresh, path)
    fresh.unlink()


def load_audit_keys(settings: Settings) -> AuditKeys:
    """The audit trail's keys: LOTWISE_AUDIT_KEY (several, comma-separated: the first signs, all verify), else the lines
    of `audit.key` in the data folder, which is made at first need; where both are, those of the file verify.

    Raises ServerFailed for a key that is too short.
    """
    path = settings.data_dir / AUDIT_KEY
    given = settings.audit_key.get_secret_value() if settings.audit_key is not None else ""
    keys = [key.strip() for key in given.split(",") if key.strip()]
    if not keys:
        kept_secret(path)
    keys += path.read_text().split() if path.exists() else []
    try:
        return audit_keys(keys[0], keys[1:])
    except (IndexError, ValueError) as error:
        raise ServerFailed(f"LOTWISE_AUDIT_KEY or {path}: {error}") from error


@contextlib.contextmanager
def servers(
    settings: Settings,
    *,
    stream: bool = True,
    user: str = "lotwise",
    listens: str | None = None,
    stop_at_once: bool = False,
) -> Iterator[Servers]:
    """The database and (with `stream`) the stream: by URL, or embedded for as long as the block lasts.

    Embedded servers belong to the data folder: all its processes share them, and they keep their ports. `user` and
    `listens` tell `lotwise status` who uses them and where that one listens. With `stop_at_once` they are stopped, and
    waited for, when the block ends and nobody else uses them; else they stay for a little while. Raises ServerFailed.
    """
    needs = [POSTGRES] if settings.database_url is None else []
    needs += [NATS] if settings.nats_url is None and stream else []
    with contextlib.ExitStack() as stack:
        lease = None
        if needs:
            lease = Lease(settings.data_dir, user, needs, listens)
            lease.take()
            stack.callback(lease.end, servers_too=stop_at_once)
        found = Servers(*_urls(settings, lease), lease, load_audit_keys(settings), _migrate_url(settings, lease))
        for what, port in (lease.ports if lease is not None else {}).items():
            log.info("%s: embedded, 127.0.0.1:%s, files in %s", what, port, settings.data_dir.absolute())
        yield found


def _urls(settings: Settings, lease: Lease | None) -> tuple[str, str]:
    """(database, stream): as the settings say, else the embedded ones."""
    ports = lease.ports if lease is not None else {}
    database_url, nats_url = settings.database_url, settings.nats_url
    if database_url is None:
        database_url = _embedded(settings, ports[POSTGRES]).url_as(APP)
    if nats_url is None:
        nats_url = f"nats://127.0.0.1:{ports[NATS]}" if NATS in ports else ""
    return database_url, nats_url


def _embedded(settings: Settings, port: int) -> EmbeddedPostgres:
    return EmbeddedPostgres(postgres_folder(settings.data_dir), port=port)


def _migrate_url(settings: Settings, lease: Lease | None) -> str | None:
    if settings.database_url is None and lease is not None:
        return _embedded(settings, lease.ports[POSTGRES]).url_as(OWNER)
    return settings.migrate_url


@contextlib.contextmanager
def error_sentence() -> Iterator[None]:
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
