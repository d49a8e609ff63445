"""`lotwise watch`."""

import logging
import signal
import threading
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from core.outbound.watch_texts import trial
from core.outbound.watching import Policy
from lotwise.watching.look import Place, named
from lotwise.watching.memory import BadMemory
from lotwise.watching.watch import BadChannel, Send, Watch, channel

app = typer.Typer(add_completion=False)
out = Console()


class Language(StrEnum):
    """What messages are written in."""

    ENGLISH = "en"
    CHINESE = "zh"


@app.command()
def watch(
    urls: Annotated[list[str], typer.Argument(metavar="URL...", help="Cores or gateways: https://lotwise.example")],
    channels: Annotated[
        str,
        typer.Option(
            envvar="LOTWISE_WATCH_CHANNELS",
            help="Where to tell, addresses as of apprise with spaces between: mailtos://user:password@host?to=you"
            " json://… sms… wecombot://…. Better in the environment than on the command line: they hold passwords.",
        ),
    ],
    *,
    every: Annotated[float, typer.Option(min=1, help="Seconds between two looks.")] = 30,
    looks: Annotated[int, typer.Option(min=1, help="After so many looks in a row a trouble is told, or its end.")] = 2,
    repeat_hours: Annotated[float, typer.Option(min=0.1, help="How often it is told while it lasts.")] = 4,
    memory: Annotated[Path, typer.Option(help="The file that remembers what was told.")] = Path("lotwise-watch.json"),
    language: Annotated[Language, typer.Option(help="What messages are written in.")] = Language.ENGLISH,
    ca: Annotated[
        Path | None, typer.Option(exists=True, help="The authority (PEM) of the places' certificates.")
    ] = None,
    ping: Annotated[
        str | None, typer.Option(help="Asked after each round: a monitor elsewhere that misses it watches the watch.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="One look, then exit: 0 well, 1 not.")] = False,
    test: Annotated[bool, typer.Option("--test", help="Send a marked test through every channel, then exit.")] = False,
) -> None:
    """Ask from elsewhere whether Lotwise is well, and tell people by a channel of its own.

    To be run on another machine than Lotwise: it tells when the whole of it is gone, when a part hangs while the
    others go on, when a gateway is silent, the clock is wrong, the disk fills or a certificate ends.
    """
    logging.basicConfig(level="WARNING", format="%(asctime)s %(levelname)-7s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    ways = _ways(channels)
    if test:
        raise typer.Exit(_try(ways, urls, language))
    places = [Place(url, ca) for url in urls]
    policy = Policy(looks, timedelta(hours=repeat_hours))
    try:
        well = _go_round(Watch(places, [way for _, way in ways], memory, policy, language, ping=ping), every, once=once)
    except BadMemory as error:
        raise SystemExit(str(error)) from error
    finally:
        for place in places:
            place.close()
    raise typer.Exit(0 if well else 1)


def _ways(channels: str) -> list[tuple[str, Send]]:
    """(what may be shown of its address, channel) of each."""
    try:
        ways = [(f"{url.partition('://')[0]}://…", channel(url)) for url in channels.split()]
    except BadChannel as error:
        raise SystemExit(str(error)) from error
    if not ways:
        raise SystemExit("no channel: LOTWISE_WATCH_CHANNELS names none")
    return ways


def _try(ways: list[tuple[str, Send]], urls: list[str], language: str) -> int:
    text, failed = trial(", ".join(map(named, urls)), language), 0
    for shown, send in ways:
        took = send(text)
        failed += not took
        out.print(f"{shown}: {'took it' if took else 'did not take it'}", highlight=False)
    return 1 if failed else 0


def _go_round(watched: Watch, every: float, *, once: bool) -> bool:
    """Round after round until a signal; whether the last one was well."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    well = watched.round()
    while not once and not stop.wait(every):
        well = watched.round()
    return well or not once
