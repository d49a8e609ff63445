"""`lotwise records`: what is declared of each kind of record, and what is made of it."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import Engine, create_engine

from core.erp.kernel import guarded
from core.erp.kernel.records import filters, read
from core.erp.kernel.records.declare import Entity, as_permits
from core.erp.kernel.records.registry import entities, module_of
from core.erp.kernel.tabular.record_import import importable_of
from core.erp.kernel.unit import Actor

app = typer.Typer(no_args_is_help=True, help="What is declared of each kind of record.")
console = Console(width=160, soft_wrap=True, highlight=False)


@app.command("list")
def list_() -> None:
    """Every kind of record: its module, its route, the permit that reads it, and what may be done with it."""
    shown = Table("record", "module", "route", "read by", "done with it", box=None)
    for entity in entities().values():
        done = [*_written(entity), *(verb.name for verb in entity.verbs)]
        permits = " or ".join(as_permits(entity.read))
        shown.add_row(entity.name, module_of(entity), f"/api/v1/{entity.path}", permits, ", ".join(done))
    console.print(shown)


@app.command()
def show(name: Annotated[str, typer.Argument(help="as `lotwise records list` names it")]) -> None:
    """Permits, statement, routes, filters and guards of one kind of record."""
    entity = entities().get(name)
    if entity is None:
        console.print(f"no record is called {name}: lotwise records list")
        raise typer.Exit(1)
    console.print(f"[bold]{entity.name}[/bold] (module {module_of(entity)}, table {entity.rows.name})\n")
    for title, lines in (
        ("routes", _routes(entity)),
        ("lists", _lists(entity)),
        ("life cycle", _moves(entity)),
        ("guards", _guards(entity)),
        ("statement", [str(entity.select.compile(_nowhere()))]),
    ):
        console.print(f"[bold]{title}[/bold]")
        for line in lines or ["none"]:
            console.print(f"  {line}", markup=False)


def _nowhere() -> Engine:
    """PostgreSQL's way to write SQL; it is never connected to."""
    return create_engine("postgresql+psycopg://")


def _written(entity: Entity) -> list[str]:
    return [name for name, there in (("create", entity.create), ("change", entity.change)) if there is not None]


def _routes(entity: Entity) -> list[str]:
    things, thing = f"/api/v1/{entity.path}", f"/api/v1/{entity.path}/{{id}}"
    reads = " or ".join(as_permits(entity.read))
    lines = [f"GET   {path}  ({reads})" for path in (things, thing, f"{thing}/history", f"{things}/export")]
    if entity.create is not None:
        lines.append(f"POST  {things}  ({' or '.join(as_permits(entity.create.permit))})")
    if importable_of(entity) is not None and entity.create is not None:
        lines.append(f"POST  {things}/import  ({' or '.join(as_permits(entity.create.permit))})")
    if entity.files is not None:
        lines.append(f"POST  {thing}/attachments  ({entity.files.permit})")
    if entity.change is not None:
        where = f", while {' or '.join(sorted(entity.change.states))}" if entity.change.states else ""
        lines.append(f"PATCH {thing}  ({' or '.join(as_permits(entity.change.permit))}{where})")
    for verb in entity.verbs:
        how = ", signed" if verb.signing is not None else ""
        states = entity.states(verb)
        where = f", while {' or '.join(sorted(states))}" if states else ""
        lines.append(f"POST  {thing}/{verb.address}  ({' or '.join(entity.permits(verb))}{where}{how})")
    return lines


def _lists(entity: Entity) -> list[str]:
    lines = [f"filtered by {name}" for name in filters.parameters(entity)]
    lines.append(f"sorted by {', '.join(read.sortable(entity))}; {entity.order} without a word")
    lines += [f"searched by {'any part' if s.within else 'the beginning'} of {s.column}" for s in entity.searches]
    return lines


def _guards(entity: Entity) -> list[str]:
    """How the database holds its rows, and what is asked before they are written."""
    rows = guarded.declared()[str(entity.rows.name)]
    held = [
        (rows.append_only, "rows are never changed or removed"),
        (rows.kept, "rows are never removed"),
        (bool(rows.identity), f"never changes: {', '.join(rows.identity)}"),
        (rows.changes is not None, f"the application writes later: {', '.join(rows.changes or ())}"),
        (entity.cycle is not None, "its state goes the ways of its life cycle (trigger)"),
    ]
    lines = [said for there, said in held if there]
    lines += [f"seen by {who}: {_seen(entity, actor)}" for who, actor in SOMEBODY.items()]
    if entity.guard is not None:
        lines.append(f"before it is written: {entity.guard.__name__}: {_first(entity.guard.__doc__)}")
    return lines


SOMEBODY = {
    "somebody of site 1": Actor("somebody", sites=frozenset({1})),
    "somebody of partner 1": Actor("somebody", partner_id=1),
}
"""Whose sight is shown."""


def _seen(entity: Entity, actor: Actor) -> str:
    condition = entity.scope(actor)
    if condition is None:
        return "all"
    return " ".join(str(condition.compile(_nowhere(), compile_kwargs={"literal_binds": True})).split())


def _first(text: str | None) -> str:
    return " ".join((text or "").strip().split("\n\n")[0].split())


def _moves(entity: Entity) -> list[str]:
    if entity.cycle is None:
        return []
    return [
        f"{move.name}: {' or '.join(sorted(move.sources))} → {move.target}"
        f" ({'the system' if move.system else ' or '.join(move.permits)}"
        f"{', with a reason' if move.reasoned else ''}{', by a second person' if move.second_person else ''}"
        f"{', signed' if move.meaning else ''})"
        for move in entity.cycle.moves.values()
    ]
