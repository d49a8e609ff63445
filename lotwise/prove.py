"""The command `lotwise prove`; what it does is in `lotwise.proving`."""

import contextlib
import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy.exc import SQLAlchemyError

from core.series.port import StoreUnavailable
from edge.spool import spool_headers
from lotwise.embedded.process import ServerFailed
from lotwise.proof import MEANING
from lotwise.proving import Report, prove

__all__ = ["Report", "app", "prove", "show"]

TRIES = 5
_SHOWN = 50
_DEPTHS = ("", "*/", "*/*/", "*/*/*/")


def instant(given: str) -> datetime:
    """An ISO 8601 time; one without an offset is taken as UTC. Raises typer.BadParameter."""
    try:
        found = datetime.fromisoformat(given)
    except ValueError as error:
        raise typer.BadParameter(f"{given!r} is no time: write 2026-03-02T08:00:00Z") from error
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def show(report: Report, console: Console) -> None:
    """The report as tables for people."""
    table = Table(title=f"{report.gateway}  {report.start.isoformat()} … {report.stop.isoformat()}")
    for name in ("", "batches", "readings", "more"):
        table.add_column(name)
    for name, side in (("spool", report.spool), ("confirmed", report.core), ("series", report.series)):
        more = ", ".join(f"{key} {value}" for key, value in side.more.items())
        table.add_row(name, str(side.batches), str(side.readings), more)
    console.print(table)
    if report.differences:
        wrong = Table(title=f"{len(report.differences)} differences")
        for name in ("kind", "epoch", "partition", "number", "detail"):
            wrong.add_column(name)
        for each in report.differences[:_SHOWN]:
            whose = (each.epoch, each.partition, each.number)
            wrong.add_row(each.kind, *("" if part is None else str(part) for part in whose), each.detail)
        console.print(wrong)
        for kind in sorted({each.kind for each in report.differences}):
            console.print(f"{kind}: {MEANING[kind]}")
    verdict = "delivery proved" if report.ok else "nothing to prove in this span" if report.empty else "NOT proved"
    console.print(verdict)


app = typer.Typer(add_completion=False)


@app.callback(invoke_without_command=True)
def command(
    *,
    gateway: Annotated[str, typer.Option(help="The gateway's name.")],
    start: Annotated[datetime, typer.Option("--from", parser=instant, help="First instant, ISO 8601; UTC if bare.")],
    stop: Annotated[
        datetime | None, typer.Option("--to", parser=instant, help="Instant after the last; now if left out.")
    ] = None,
    spool: Annotated[
        Path | None,
        typer.Option(
            help="The gateway's data folder. Looked for under LOTWISE_DATA_DIR if left out.", envvar="LOTWISE_SPOOL"
        ),
    ] = None,
    config: Annotated[Path | None, typer.Option(help="The gateway's configuration, which names its folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
) -> None:
    """Lay a gateway's spool, its confirmations and the series store side by side, for what it cut in a span.

    Exit 0: delivery is proved. 1: something differs, or there is nothing in the span. 2: it could not be looked at.
    """
    console = Console(stderr=as_json)
    try:
        folder = spool if spool is not None else _folder(gateway, config)
        report = _look(gateway, start, stop or datetime.now(UTC), folder)
    except (OSError, ValueError, sqlite3.Error, SQLAlchemyError, StoreUnavailable, ServerFailed) as error:
        console.print(f"cannot prove anything: {error}", highlight=False)
        raise typer.Exit(2) from error
    if as_json:
        print(report.as_json())
    else:
        show(report, console)
    raise typer.Exit(0 if report.ok else 1)


def _folder(gateway: str, config: Path | None) -> Path:
    """Where the gateway's configuration says its spool is, or where one of its name lies under LOTWISE_DATA_DIR."""
    if config is not None:
        from core.telemetry.located import ConfigErrors
        from edge.config import load

        try:
            return load(config).data_dir
        except ConfigErrors as error:
            raise ValueError(f"{config}: {error}") from error
    from core.settings import Settings

    root = Settings().data_dir
    distant = datetime(9999, 1, 1, tzinfo=UTC)  # no batch: only whose it is
    for path in sorted({found.parent for depth in _DEPTHS for found in root.glob(f"{depth}spool.sqlite")}):
        if spool_headers(path, distant, distant).gateway == gateway:
            return path
    raise ValueError(f"no spool of {gateway} under {root}: say where it is with --spool FOLDER or --config FILE")


def _look(gateway: str, start: datetime, stop: datetime, folder: Path) -> Report:
    from core.series.influx import InfluxSettings, InfluxStore
    from core.settings import Settings
    from lotwise.runtime import servers

    settings = Settings()
    with contextlib.ExitStack() as stack:
        engine = stack.enter_context(servers(settings, stream=False, user="prove")).engine()
        stack.callback(engine.dispose)
        series = None
        if settings.influx_url is not None:
            token = settings.influx_token.get_secret_value() if settings.influx_token else ""
            given = InfluxSettings(settings.influx_url, settings.influx_bucket, token, settings.influx_org)
            series = InfluxStore(given)
            stack.callback(series.close)
        return retry(lambda: prove(gateway, start, stop, folder, engine, series))


def retry(look: Callable[[], Report], tries: int = TRIES, pause: float = 1.0) -> Report:
    """What `look` says once nothing is merely on its way: where the only differences are batches not confirmed yet, it
    looks again a few times. The span is fixed, so that what is cut meanwhile is not in it.
    """
    report = look()
    for _ in range(tries - 1):
        if not report.differences or any(each.kind != "missing" for each in report.differences):
            break
        time.sleep(pause)
        report = look()
    return report
