"""`lotwise alert`: a drill through every route, and who answered it in what time."""

import os
import sys
from collections.abc import Callable
from email.parser import BytesParser
from email.policy import default
from typing import TypeVar

import typer
from rich.console import Console
from rich.table import Table

from core.erp.alerting.service import drilling
from core.erp.alerting.service.replying import take_mail
from core.erp.kernel.errors import LotwiseError
from core.erp.kernel.unit import Unit, system, transact
from core.settings import Settings
from core.wiring import build_events
from lotwise.runtime import error_sentence, servers

T = TypeVar("T")
app = typer.Typer(no_args_is_help=True, add_completion=False, help="Messages to people: drills of their routes.")
out = Console()


def _done(work: Callable[[Unit], T]) -> T:
    with error_sentence(), servers(Settings(), stream=False, user="alert") as found:
        engine = found.engine(1)
        try:
            return transact(engine, system("drill"), build_events(), work)
        finally:
            engine.dispose()


@app.command()
def drill() -> None:
    """Sends a marked test through every route; the running core tells it. Answers stand in `lotwise alert answers`."""
    made = _done(drilling.drill)
    out.print(f"{len(made)} routes are drilled" + ("" if made else ": there is no route"))
    raise typer.Exit(0 if made else 1)


@app.command()
def reply() -> None:
    """Takes an answer by mail from standard input, as a mail server hands it to a program (an alias with a pipe).

    Exits 65 for what takes nothing, so that the server tells its writer; 0 also for what no person has written.
    """
    letter = BytesParser(policy=default).parse(sys.stdin.buffer)
    with error_sentence(), servers(Settings(), stream=False, user="reply") as found:
        engine = found.engine(2)
        try:
            taken = take_mail(engine, build_events(), letter)
        except LotwiseError as error:
            out.print(str(error), highlight=False)
            raise typer.Exit(os.EX_DATAERR) from error
        finally:
            engine.dispose()
    out.print(f"{len(taken)} alerts are taken")


@app.command()
def answers() -> None:
    """Who has answered which drill, and how soon; newest first."""
    table = Table("drill", "route", "at", "answered by", "after")
    for one in _done(drilling.answers):
        after = "–" if one.after is None else f"{one.after.total_seconds():.0f} s"
        table.add_row(str(one.alert_id), one.title, f"{one.raised_at:%Y-%m-%d %H:%M:%S}", one.by or "nobody", after)
    out.print(table)
