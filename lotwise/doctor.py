"""`lotwise doctor`: which servers there are, which embedded ones would start, what is wrong with the settings."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from pathlib import Path

import httpx
import psycopg
from pydantic import ValidationError
from rich.console import Console
from rich.table import Column, Table
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from core.outbound.settings import OutboundSettings
from core.settings import Settings
from core.telemetry.located import nameless
from lotwise.embedded.nats import nats_binary
from lotwise.embedded.process import ServerFailed


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `well` is None for what is optional and absent."""

    what: str
    well: bool | None
    detail: str


def examine() -> int:
    """Prints what was found; 0 if nothing is wrong, else 1."""
    out = Console()
    found = list(findings())
    table = Table("", "what", Column("found", overflow="fold"))
    marks = {True: "[green]✓[/green]", False: "[red]✗[/red]", None: "–"}
    for finding in found:
        table.add_row(marks[finding.well], finding.what, finding.detail)
    out.print(table)
    return 1 if any(finding.well is False for finding in found) else 0


def findings() -> Iterator[Finding]:
    """Everything worth knowing before a start."""
    yield Finding("Python", sys.version_info >= (3, 11), sys.version.split()[0])
    try:
        settings = Settings()
    except ValidationError as error:
        for fault in error.errors():
            name = "LOTWISE_" + "_".join(str(part) for part in fault["loc"]).upper()
            yield Finding(name, well=False, detail=fault["msg"])
        return
    yield Finding("instance", well=True, detail=settings.instance)
    yield _data_dir(settings.data_dir)
    yield _database(settings)
    yield _stream(settings)
    yield _secret(settings)
    yield from _kept(settings)
    yield _influx(settings)
    yield _http("Grafana", settings.grafana_url, "/api/health", "no annotations; the built-in pages show all")
    yield from _misspelt()
    for name, role in (
        ("mosquitto", "tests with another maker's broker"),
        ("influxd", "tests with InfluxDB"),
        ("chromium", "tests of the pages"),
    ):
        found = shutil.which(name)
        yield Finding(name, True if found else None, found or f"not on the PATH: {role} are skipped")


def _data_dir(path: Path) -> Finding:
    nearest = next(folder for folder in [path.absolute(), *path.absolute().parents] if folder.exists())
    probe = nearest / ".lotwise-writable"
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        return Finding("LOTWISE_DATA_DIR", well=False, detail=f"{path}: {nameless(error)}")
    return Finding("LOTWISE_DATA_DIR", well=True, detail=str(path.absolute()))


def _database(settings: Settings) -> Finding:
    if settings.database_url is None:
        return _embedded(settings, "PostgreSQL", "LOTWISE_DATABASE_URL", _postgres_binary)
    try:
        with psycopg.connect(settings.database_url.replace("postgresql+psycopg", "postgresql"), connect_timeout=5) as c:
            version = c.info.parameter_status("server_version")
    except psycopg.OperationalError as error:
        return Finding("PostgreSQL", well=False, detail=f"LOTWISE_DATABASE_URL: {error}".strip())
    return Finding("PostgreSQL", well=True, detail=f"{version}, by LOTWISE_DATABASE_URL")


def _postgres_binary() -> str:
    from lotwise.embedded import postgres

    return str(postgres.BIN / "postgres")


def _stream(settings: Settings) -> Finding:
    if settings.nats_url is None:
        return _embedded(settings, "NATS", "LOTWISE_NATS_URL", nats_binary)
    import asyncio

    from core.ingest.stream import StreamUnavailable, connect, stream_exists
    from core.telemetry.connection import disconnect_within, without_credentials
    from lotwise.runtime import Servers, nats_settings

    async def probe() -> str | None:
        wanted = nats_settings(settings, Servers("", settings.nats_url or ""))
        client = await connect(wanted, "doctor", within=3)
        try:
            state = await stream_exists(client)
        finally:
            await disconnect_within(client)
        return None if state is None else state.too_few(wanted.stream)

    try:
        trouble = asyncio.run(probe())
    except StreamUnavailable as error:
        return Finding("NATS", well=False, detail=f"LOTWISE_NATS_URL: {error}")
    if trouble is not None:
        return Finding("NATS", well=False, detail=trouble)
    return Finding(
        "NATS", well=True, detail=f"{without_credentials(settings.nats_url.split(','))}, by LOTWISE_NATS_URL"
    )


def _embedded(settings: Settings, what: str, variable: str, binary: Callable[[], str]) -> Finding:
    """Whether the embedded one runs, and where; else whether it could."""
    from lotwise.embedded.lease import ask_status
    from lotwise.embedded.supervisor import NATS, POSTGRES

    try:
        path = binary()
        status = ask_status(settings.data_dir)
    except ServerFailed as error:
        return Finding(what, well=False, detail=f"{variable} is not set, and the embedded one cannot be had: {error}")
    found = {} if status is None else status["servers"][{"PostgreSQL": POSTGRES, "NATS": NATS}[what]]
    if found.get("state") == "up":
        return Finding(what, well=True, detail=f"embedded, up on 127.0.0.1:{found['port']} (lotwise status)")
    if found.get("failure"):
        return Finding(what, well=False, detail=f"embedded, port {found['port']}: {found['failure']}")
    return Finding(what, Path(path).exists(), f"{variable} is not set: the embedded one would start ({path})")


def _kept(settings: Settings) -> Iterator[Finding]:
    """Whether the audit trail is whole and the attachments are there; of embedded servers only while they run."""
    from lotwise.embedded.lease import ask_status
    from lotwise.runtime import servers

    if settings.database_url is None and ask_status(settings.data_dir, 1.0) is None:
        yield Finding("audit trail", None, "its database is not running: `lotwise audit verify` starts it and reads")
        yield Finding("attachments", None, "the database is not running: `lotwise attachments` starts it and reads")
        return
    try:
        with servers(settings, stream=False, user="doctor") as found, _disposed(found.engine(1)) as engine:
            findings = [_audit(engine, settings.data_dir), _attachments(engine, settings.data_dir)]
            findings += [_archive(engine), _messages(engine)]
    except (OperationalError, ServerFailed) as error:
        yield Finding("audit trail", None, f"cannot be read: {getattr(error, 'orig', error)}".strip())
        return
    yield from findings


@contextmanager
def _disposed(engine: Engine) -> Iterator[Engine]:
    """The engine, whose connections are closed at the end, whatever happens."""
    try:
        yield engine
    finally:
        engine.dispose()


def _audit(engine: Engine, data_dir: Path) -> Finding:
    from core.erp.kernel.witness import WITNESS_FILE, Witness
    from lotwise.auditing import examine as read_trail

    verdict = read_trail(engine, Witness(data_dir / WITNESS_FILE))
    first = "" if verdict.whole else f" ({verdict.findings[0].kind}: {verdict.findings[0].detail})"
    return Finding("audit trail", verdict.whole, verdict.sentence() + first)


def _attachments(engine: Engine, data_dir: Path) -> Finding:
    """That they are there, in their size: reading them all takes long."""
    from core.erp.kernel.attachments.files import FILES, FileStore
    from lotwise.attachment_checking import examine as compare

    verdict = compare(engine, FileStore(data_dir / FILES))
    return Finding("attachments", verdict.whole, f"{verdict.sentence()} (`lotwise attachments` reads them)")


def _messages(engine: Engine) -> Finding:
    """Whether every route of messages reaches somebody by a channel that works."""
    from core.erp.alerting.service.alerts import routes_of
    from core.erp.alerting.service.channels import channels_down
    from core.erp.alerting.service.checking import unreached
    from core.erp.kernel.events import Events
    from core.erp.kernel.unit import system, unit
    from core.erp.kernel.words import render

    with engine.connect() as conn:
        if conn.scalar(text("SELECT to_regclass('alert_route')")) is None:
            return Finding("messages", None, "its tables are not there yet: `lotwise migrate` makes them")
    with unit(engine, system("doctor"), Events()) as u:
        missing, down, routes = unreached(u), channels_down(u), len(routes_of(u))
    wrong = [render(one.why) for one in missing] + [f"{channel}: nothing is taken" for channel in sorted(down)]
    if wrong:
        return Finding("messages", well=False, detail="; ".join(wrong))
    if not routes:
        return Finding("messages", None, "no routes: alerts go to whoever holds the permit (docs/alerting.md)")
    return Finding("messages", well=True, detail=f"{routes} routes, each reaches somebody")


def _archive(engine: Engine) -> Finding:
    """Whether the log goes where a restore would look for it."""
    from core.erp.kernel.words import render
    from core.log_archive import log_archive, unarchived

    with engine.connect() as conn:
        if unarchived(conn):
            return Finding("log archive", None, "none: no `lotwise backup` since the database began, or was restored")
        found = log_archive(conn)
    if found.trouble is not None:
        return Finding("log archive", well=False, detail=render(found.trouble))
    until = f"{found.archived_at:%Y-%m-%d %H:%M:%S} UTC" if found.archived_at is not None else "nothing yet"
    return Finding("log archive", well=True, detail=f"until {until}")


def _secret(settings: Settings) -> Finding:
    if settings.secret_key is None and settings.database_url is None:
        return Finding("LOTWISE_SECRET_KEY", well=True, detail="not set: one is made and kept beside the embedded data")
    try:
        settings.signing_key()
    except ValueError as error:
        return Finding("LOTWISE_SECRET_KEY", well=False, detail=str(error))
    return Finding("LOTWISE_SECRET_KEY", well=True, detail="set")


def _influx(settings: Settings) -> Finding:
    """Whether its bucket can be read: that a server answers says nothing of the token and the bucket."""
    if settings.influx_url is None:
        return Finding("InfluxDB", None, "not set: the PostgreSQL table is the series store")
    from core.series.influx import InfluxSettings, InfluxStore
    from core.series.port import StoreUnavailable

    url, bucket, token, org = settings.influx_url, *settings.store_behind()[1:]
    store = InfluxStore(InfluxSettings(url, bucket, token, org, timeout=timedelta(seconds=5)))
    try:
        store.read("doctor/is/looking/for/nothing", datetime(2000, 1, 1, tzinfo=UTC), datetime(2000, 1, 2, tzinfo=UTC))
    except StoreUnavailable as error:
        return Finding("InfluxDB", well=False, detail=f"LOTWISE_INFLUX_URL: {error}")
    finally:
        store.close()
    return Finding("InfluxDB", well=True, detail=f"{url}: bucket {bucket} can be read")


OF_COMMANDS = ("API", "LOGIN", "MQTT_PASSWORD", "OPCUA_PASSWORD", "PASSWORD", "SPOOL")
"""LOTWISE_…, which commands and gateways' files read: no settings of the core, and not misspelt."""


def misspelt() -> Iterator[tuple[str, str]]:
    """Variables that are no settings and look like one, with the one they look like."""
    known = [f"LOTWISE_{name.upper()}" for model in (Settings, OutboundSettings) for name in model.model_fields]
    right = {*known, *(f"LOTWISE_{name}" for name in OF_COMMANDS)}
    for name in sorted(name for name in os.environ if name.startswith("LOTWISE_") and name not in right):
        for meant in get_close_matches(name, known, 1, 0.85):
            yield name, meant


def _misspelt() -> Iterator[Finding]:
    for name, meant in misspelt():
        yield Finding(name, None, f"is no setting of the core; was {meant} meant?")


def _http(what: str, url: str | None, path: str, without: str) -> Finding:
    if url is None:
        return Finding(what, None, f"not set: {without}")
    try:
        answer = httpx.get(url.rstrip("/") + path, timeout=5)
    except httpx.HTTPError as error:
        return Finding(what, well=False, detail=f"{url}: {error}")
    return Finding(what, answer.is_success, f"{url}: {answer.status_code}")
