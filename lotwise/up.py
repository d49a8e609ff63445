"""`lotwise up`: a small site in one command: embedded servers, core, ingest and, with a file, a gateway."""

import asyncio
import logging
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import text

from core.settings import Settings
from core.telemetry.located import ConfigErrors
from lotwise.children import CannotStart, Child
from lotwise.cli import settings, start_logging
from lotwise.runtime import Servers, error_sentence, servers, with_secret
from lotwise.serving import listening, shown

app = typer.Typer(add_completion=False)
log = logging.getLogger("lotwise.up")


@app.command()
def up(
    *,
    edge: Annotated[
        Path | None, typer.Option(help="A gateway's configuration: it runs here too, on this site's stream.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Default LOTWISE_HOST.")] = None,
    port: Annotated[int | None, typer.Option(help="Default LOTWISE_PORT.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=64, help="How many processes serve. Default LOTWISE_WORKERS.")
    ] = None,
) -> None:
    """Run a whole small site until Ctrl-C: servers, core, ingest and, with --edge, a gateway.

    What dies is started again; what cannot start at all ends the command with its reason, a gateway's file that is
    wrong before anything starts.
    """
    from edge.config import load
    from lotwise.doctor import misspelt

    if edge is not None:
        try:
            load(edge, {"LOTWISE_NATS_URL": "nats://127.0.0.1", **os.environ})  # where it really is, is known later
        except ConfigErrors as errors:
            raise SystemExit(str(errors)) from errors
    conf = settings(**({} if workers is None else {"workers": workers}))
    start_logging(conf.log_level)
    for name, meant in misspelt():
        log.warning("%s is no setting and changes nothing; was %s meant?", name, meant)
    where, number = host or conf.host, conf.port if port is None else port
    with error_sentence():
        with_secret(conf).signing_key()
    listening(where, number).close()  # a taken port is told before anything starts
    with error_sentence(), servers(conf, user="up", stop_at_once=True) as found:
        _prepare(found)
        url = shown(where, number, tls=conf.certificate is not None)
        log.info("pages will be on %s, the stream for gateways is %s; Ctrl-C stops all", url, found.nats_url)
        status = asyncio.run(_run(_children(conf, found, edge, where, number)))
    log.info("stopped: nothing of it is running any more")
    raise typer.Exit(status)


def _prepare(found: Servers) -> None:
    """The schema, before two processes ask for it; and who may sign in, if nobody may."""
    found.prepare()
    engine = found.engine(1)
    with engine.connect() as conn:
        nobody = conn.execute(text("SELECT FROM app_user LIMIT 1")).first() is None
    engine.dispose()
    if nobody:
        log.info('nobody can sign in yet: lotwise users add anna --name "Anna …" --role admin (in another terminal)')


def _children(conf: Settings, found: Servers, edge: Path | None, host: str, port: int) -> list[Child]:
    """In the order in which they are started; they are stopped in the other."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    log_options = ["--log-level", conf.log_level]
    children = [
        Child("serve", ["serve", "--host", host, "--port", str(port), "--workers", str(conf.workers)], environment),
        Child("ingest", ["ingest"], environment),
    ]
    if edge is not None:
        words = ["edge", "run", str(edge), *(["--lease"] if found.lease is not None else []), *log_options]
        children.append(Child("edge", words, _gateway_environment(environment, found)))
    return children


def _gateway_environment(environment: Mapping[str, str], found: Servers) -> dict[str, str]:
    return {**environment, "LOTWISE_NATS_URL": found.nats_url}


async def _run(children: list[Child]) -> int:
    """Runs all until a signal, or until one cannot start; the exit status."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    running = [asyncio.create_task(child.run()) for child in children]
    stopping = asyncio.create_task(stop.wait())
    log.info("starting %s", ", ".join(child.name for child in children))
    await asyncio.wait([*running, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    for child in reversed(children):
        await child.stop()
    status = 0
    for task in running:
        task.cancel()
        try:
            with suppress(asyncio.CancelledError):
                await task
        except CannotStart as error:
            log.error("%s", error)  # noqa: TRY400 - the child has said why
            status = 1
    return status
