"""The commands `lotwise users`: whoever has the machine makes the first people who may sign in."""

from collections.abc import Callable
from typing import Annotated

import typer
from rich.console import Console

from core.erp.kernel.access.queries import user_id
from core.erp.kernel.access.users import approve_user, create_user
from core.erp.kernel.errors import LotwiseError
from core.erp.kernel.unit import Unit, system, transact
from core.wiring import build_events
from lotwise.cli import settings
from lotwise.runtime import error_sentence, servers

app = typer.Typer(no_args_is_help=True, help="People who may sign in.")
out = Console()


@app.command()
def add(
    login: str,
    name: Annotated[str, typer.Option(help="Printed name, as signatures show it.")],
    role: Annotated[list[str], typer.Option(help="May be repeated: qa, warehouse, admin, …")],
    password: Annotated[str, typer.Option(prompt=True, hide_input=True, confirmation_prompt=True)],
) -> None:
    """Add somebody who may sign in."""
    _act("users add", lambda u: create_user(u, login, name, password, role))
    out.print(f"{login} may sign in")


@app.command()
def approve(login: str) -> None:
    """Let the roles count that wait for a second person, where nobody else can be it."""
    _act("users approve", lambda u: approve_user(u, user_id(u, login)))
    out.print(f"the roles of {login} count")


def _act(user: str, work: Callable[[Unit], object]) -> None:
    """Does it in the name of the command line; exits 1 where it is refused."""
    with error_sentence(), servers(settings(), stream=False, user=user) as found:
        found.prepare()
        engine = found.engine()
        try:
            transact(engine, system("command line"), build_events(), work)
        except LotwiseError as error:
            out.print(f"[red]{error.title}[/red]: {error.detail}", highlight=False)
            raise typer.Exit(1) from error
        finally:
            engine.dispose()
