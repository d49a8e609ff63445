"""The command line: `lotwise COMMAND --help` says what each does."""

import asyncio
import gc
import logging
import os
import signal
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console
from typer.core import TyperGroup

from core.settings import Settings
from lotwise.edge_commands import browse, catalog
from lotwise.edge_options import CoreOption, LoginOption
from lotwise.simulating import replay, simulate, simulate_logger


class LoadedWhenAsked(TyperGroup):
    """Some commands have a room of their own, imported when one of them is asked for: starting takes half the time."""

    def list_commands(self, ctx: Any) -> list[str]:
        """What a newcomer needs first, comes first; then the others."""
        every = [*super().list_commands(ctx), *ELSEWHERE]
        return [
            *(name for name in LISTED_FIRST if name in every),
            *(name for name in every if name not in LISTED_FIRST),
        ]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """One by its name; None if there is none."""
        room = ELSEWHERE.get(cmd_name)
        if room is None:
            return super().get_command(ctx, cmd_name)
        command = typer.main.get_command(import_module(room).app)
        command.name = cmd_name
        return command


LISTED_FIRST = (
    "up",
    "status",
    "watch",
    "doctor",
    "users",
    "demo",
    "edge",
    "serve",
    "ingest",
    "import",
    "prove",
    "backup",
    "restore",
    "audit",
    "attachments",
    "simulate",
    "replay",
)
ELSEWHERE = {
    "import": "lotwise.importing",
    "bench": "lotwise.bench.cli",
    "prove": "lotwise.prove",
    "status": "lotwise.status",
    "watch": "lotwise.watching.cli",
    "up": "lotwise.up",
    "users": "lotwise.users",
    "torture": "lotwise.torture.cli",
    "alert": "lotwise.alerting",
    "audit": "lotwise.auditing",
    "attachments": "lotwise.attachment_checking",
    "records": "lotwise.records",
    "dashboards": "lotwise.boards.cli",
    "schedule": "lotwise.schedule",
    "backup": "lotwise.backup.cli",
    "restore": "lotwise.backup.restore_cli",
}

app = typer.Typer(
    name="lotwise",
    cls=LoadedWhenAsked,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        print(f"lotwise {version('lotwise')}")
        raise typer.Exit


@app.callback()
def lotwise(
    *,
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which this is.")] = False,
) -> None:
    """Every reading knows its lot, and no lot moves while a reading is against it."""


class RunByDefault(TyperGroup):
    """`lotwise edge FILE` and `lotwise edge --check FILE` mean `lotwise edge run …`; `simulate SCENARIO` likewise."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Puts `run` first where no command is named."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["run", *args]
        return super().parse_args(ctx, args)


edge_app = typer.Typer(
    no_args_is_help=True,
    cls=RunByDefault,
    help="The gateway: collectors, spool and forwarder.\n\n`lotwise edge FILE` runs it, `lotwise edge --check FILE`"
    " only says what is wrong with its configuration.",
)
ingest_app = typer.Typer(invoke_without_command=True, help="Take readings from the stream, judge and store them.")
simulate_app = typer.Typer(
    no_args_is_help=True,
    cls=RunByDefault,
    help="Simulated devices and loggers.\n\n`lotwise simulate SCENARIO` runs devices that speak the real protocols.",
)
app.add_typer(edge_app, name="edge")
app.add_typer(simulate_app, name="simulate")
app.add_typer(ingest_app, name="ingest")
simulate_app.command("run")(simulate)
simulate_app.command("logger")(simulate_logger)
app.command()(replay)

out = Console()


def settings(**given: Path | int) -> Settings:
    """Settings from the environment, and what was given; prints every fault and exits 2 if there are any."""
    try:
        return Settings(**given)  # type: ignore[arg-type]  # by name: only fields of its own
    except ValidationError as error:
        for fault in error.errors():
            where = "LOTWISE_" + "_".join(str(part) for part in fault["loc"]).upper()
            out.print(f"[red]{where}[/red]: {fault['msg']}", highlight=False)
        raise typer.Exit(2) from error


def start_logging(level: str) -> None:
    """One line an event on standard error."""
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s", stream=sys.stderr)
    for chatty in ("alembic", "asyncua", "httpcore", "httpx", "nats.aio.client", "pymodbus"):
        # never below what was asked for: the demo wants errors only
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLogger().level))


async def _signalled() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


@edge_app.command("run")
def edge_run(
    file: Annotated[Path, typer.Argument(help="The gateway's YAML configuration (examples in edge/examples).")],
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Only say what is wrong with it, or what it would do.")
    ] = False,
    core: CoreOption = None,
    login: LoginOption = None,
    lease: Annotated[
        bool,
        typer.Option(
            "--lease", help="Keep the embedded stream of LOTWISE_DATA_DIR up, and be listed by `lotwise status`."
        ),
    ] = False,
    log_level: str = "INFO",
) -> None:
    """Run a gateway until Ctrl-C. All errors of its configuration are printed at once, before anything starts.

    With --check and --core the core is asked whether it knows the zones and points, too.
    """
    start_logging(log_level)
    if check:
        raise typer.Exit(_edge_check(file, core, login))
    from edge import app as gateway

    if not lease:
        raise typer.Exit(gateway.main(file))
    from lotwise.gateway_lease import listed

    with listed(settings()) as started:
        raise typer.Exit(gateway.main(file, started))


@edge_app.command("check")
def edge_check(file: Path, *, core: CoreOption = None, login: LoginOption = None) -> None:
    """Say what is wrong with a gateway's configuration, with file and line, or what it would do.

    With --core the core is asked whether it knows the zones and points, in units that fit; a core that is away is told.
    """
    raise typer.Exit(_edge_check(file, core, login))


def _edge_check(file: Path, core: str | None, login: str | None) -> int:
    from edge import checking

    wrong = checking.check(file)
    if wrong or core is None:
        return wrong
    from lotwise.edge_points import ask_core

    return ask_core(file, core, login)


@edge_app.command("aside")
def edge_aside(
    file: Annotated[Path, typer.Argument(help="The gateway's YAML configuration.")],
    *,
    topic: Annotated[
        str | None,
        typer.Option(help="Show the payloads of this topic, node or register; MQTT wildcards are understood."),
    ] = None,
    limit: Annotated[int, typer.Option(help="At most so many lines.")] = 100,
) -> None:
    """List what a gateway could not read and put aside: by topic and reason, or the payloads of one topic."""
    from edge import asides

    raise typer.Exit(asides.main(file, topic, limit))


edge_app.command()(browse)
edge_app.command()(catalog)


@ingest_app.callback()
def ingest(
    context: typer.Context,
    name: Annotated[str | None, typer.Option(help="This worker's name; several workers share the work.")] = None,
) -> None:
    """Run an ingest worker until Ctrl-C."""
    if context.invoked_subcommand is not None:
        return
    from lotwise.ingesting import ingest as run
    from lotwise.runtime import error_sentence, nats_settings, servers

    conf = settings()
    start_logging(conf.log_level)

    async def main() -> None:
        await run(conf, engine, nats_settings(conf, found), await _signalled(), name=name)

    with error_sentence(), servers(conf, user="ingest") as found:
        found.prepare()
        engine = found.engine()
        asyncio.run(main())
        engine.dispose()


@ingest_app.command("replay")
def ingest_replay(
    *,
    reason: Annotated[str | None, typer.Option(help="Only dead letters of this reason.")] = None,
    gateway: Annotated[str | None, typer.Option(help="Only those of this gateway.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be tried.")] = False,
) -> None:
    """Try dead letters again, such as readings of a point that is known by now."""
    from lotwise.replaying import replay
    from lotwise.runtime import error_sentence

    conf = settings()
    with error_sentence():
        left = replay(conf, reason=reason, gateway=gateway, dry_run=dry_run)
    raise typer.Exit(left)


@app.command()
def serve(
    *,
    host: Annotated[str | None, typer.Option(help="Default LOTWISE_HOST.")] = None,
    port: Annotated[int | None, typer.Option(help="Default LOTWISE_PORT.")] = None,
    certificate: Annotated[Path | None, typer.Option(help="PEM, for TLS. Default LOTWISE_CERTIFICATE.")] = None,
    key: Annotated[Path | None, typer.Option(help="Its key. Default LOTWISE_KEY.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=64, help="How many processes serve. Default LOTWISE_WORKERS.")
    ] = None,
) -> None:
    """Serve the API and the web pages until Ctrl-C.

    Of several workers each that dies is started again; SIGHUP starts them anew one after the other (a renewed
    certificate).
    """
    from lotwise.serving import serve as run

    options = {"certificate": certificate, "key": key, "workers": workers}
    conf = settings(**{name: given for name, given in options.items() if given is not None})
    start_logging(conf.log_level)
    run(conf, host or conf.host, conf.port if port is None else port)


@app.command()
def migrate() -> None:
    """Bring the database to the newest schema."""
    from lotwise.runtime import error_sentence, servers

    conf = settings()
    with error_sentence(), servers(conf, stream=False, user="migrate") as found:
        found.prepare()
    out.print("the database is up to date")


@app.command()
def doctor() -> None:
    """Say which servers there are, which embedded ones would start, and what is wrong with the settings."""
    from lotwise.doctor import examine

    raise typer.Exit(examine())


@app.command()
def demo(
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Run unattended, assert every step, print JSON, exit 0/1.")
    ] = False,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="Default: `demo` in LOTWISE_DATA_DIR if that is set, else a folder that is removed at the end."
        ),
    ] = None,
    port: Annotated[int, typer.Option(help="For the web pages and the API; 0 picks a free one.")] = 8080,
) -> None:
    """Tell the main story on embedded servers and real protocols: from a warm room to a held lot."""
    from lotwise.demo.run import run

    start_logging("ERROR")
    given = os.environ.get("LOTWISE_DATA_DIR")
    raise typer.Exit(run(check=check, data_dir=data_dir or (Path(given) / "demo" if given else None), port=port))


def main() -> None:
    """The entry point."""
    # by default what is being imported is walked for cycles hundreds of times: a fifth of every start (measured)
    gc.set_threshold(5_000, 20, 20)
    app()
