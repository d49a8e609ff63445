"""`lotwise schedule`: plans a problem from a file, says why orders are late, and what two plans differ in."""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from core.erp.scheduling import formats
from core.erp.scheduling.planner.checker import check
from core.erp.scheduling.planner.explain import Link, Reasons, worth
from core.erp.scheduling.planner.improve import Limits
from core.erp.scheduling.planner.objective import cost
from core.erp.scheduling.planner.plan import Plan, PlanBroken, Planner
from core.erp.scheduling.planner.repair import let_go
from core.erp.scheduling.planner.soundness import Finding, sound, without
from core.erp.scheduling.problem import Blocked, Placed, Problem

app = typer.Typer(
    no_args_is_help=True,
    help="Plan a problem from a file: our JSON, a job shop as JSPLIB writes it, a flexible job shop (.fjs).",
)
progress = Console(stderr=True, highlight=False, soft_wrap=True)
FileArgument = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The problem.")]
PlanArgument = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, help="A plan that `solve --out` has written.")
]
WRITTEN = (".json", ".csv", ".ics")
UNHURRIED = 1e9
"""Seconds where turns are counted: the clock does not cut them short."""
FINDINGS = {
    "no_operation": "it has no operation",
    "no_machine": "no machine can do {operation} ({of})",
    "no_time": "{operation} takes no time, or less",
    "no_opening": "{of} is never open long enough for {operation}",
    "no_order": "{operation} is of an order that is not listed",
    "no_predecessor": "{operation} waits for {of}, which is not listed",
    "cycle": "{operation} waits for itself",
    "no_crew": "nobody with the skill {of} is there for {operation}",
    "no_material": "{operation} takes {of}, of which there is not enough",
    "no_store": "the goods of {operation} have no room in {of}",
    "batch_too_big": "{operation} is bigger than a batch of its machine",
    "lag": "{operation} cannot begin soon enough after {of}",
    "depends": "{operation} waits for what is not planned ({of})",
    "pin": "{operation} cannot stay where it is pinned",
    "receipt_after_due": "{of}, which {operation} takes, arrives after the order is due",
}
LINKS = {
    "after": "waits for its step {of}",
    "machine": "waits for {machine}, which does {of} first",
    "closed": "waits until {machine} opens ({of})",
    "crew": "waits for somebody with the skill {of}",
    "material": "waits for the material {of}",
    "release": "may not begin before the order is released",
    "fixed": "stands fixed ({of})",
    "choice": "others were more pressing on {machine}",
    "start": "begins at once",
}


def _read(path: Path) -> Problem:
    try:
        return formats.read(path)
    except formats.BadProblem as bad:
        progress.print(f"[red]{bad}[/red]")
        raise typer.Exit(2) from bad


def _sound(path: Path) -> Problem:
    """What of a file can be planned."""
    try:
        return sound(_read(path)).problem
    except ValueError as bad:
        progress.print(f"[red]{path}: {bad}[/red]")
        raise typer.Exit(2) from bad


def _read_plan(problem: Problem, path: Path) -> tuple[Problem, tuple[Placed, ...]]:
    """A plan of the problem, and the problem without what the plan leaves out."""
    try:
        plan = formats.read_plan(path)
    except formats.BadProblem as bad:
        progress.print(f"[red]{bad}[/red]")
        raise typer.Exit(2) from bad
    problem = let_go(without(problem, set(plan.left_out)), set(plan.moved))
    operations, supplies = {one.id for one in problem.operations}, {one.id for one in problem.supplies}
    for one in plan.placed:
        strange = [supply for supply, _ in one.used if supply not in supplies]
        if one.operation not in operations or strange:
            progress.print(f"[red]{path}: a plan of something else: {', '.join([one.operation, *strange])}[/red]")
            raise typer.Exit(2)
    return problem, plan.placed


def said(finding: Finding) -> str:
    """A finding as a sentence."""
    return f"{finding.order}: " + FINDINGS[finding.kind].format(operation=finding.operation, of=finding.of)


def _link(link: Link) -> str:
    return f"{link.operation} " + LINKS[link.kind].format(of=link.of or "closed", machine=link.machine)


@app.command()
def solve(
    file: FileArgument,
    *,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long to look for better plans.")] = 10.0,
    seed: Annotated[int, typer.Option(min=0, help="The same seed and the same --turns give the same plan.")] = 0,
    turns: Annotated[
        int | None, typer.Option(min=1, help="How many rules and windows to try, however long that takes.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Threads of the solver on a known shop.")] = 2,
    out: Annotated[Path | None, typer.Option(help="Where the plan goes: .json, .csv or .ics (iCalendar).")] = None,
) -> None:
    """Plan, and go on making the plan better: each better one is said, the last is written. Ctrl-C keeps the best."""
    problem = _read(file)
    _writable(problem, out)
    for blocked in problem.blocked:
        progress.print(f"[yellow]{_blocked(blocked)}[/yellow]")
    limits = Limits(seconds, workers=workers) if turns is None else Limits(UNHURRIED, turns)
    best: Plan | None = None
    try:
        for plan in Planner(problem, limits, seed).plans():
            if best is None:
                for finding in plan.findings:
                    progress.print(f"[yellow]{said(finding)}[/yellow]")
            best = plan
            progress.print(f"{plan.seconds:7.2f} s  {plan.how:<7} {_figures(problem, plan)}")
    except KeyboardInterrupt:
        progress.print("stopped")
    except (ValueError, PlanBroken) as bad:
        progress.print(f"[red]{file}: {bad}[/red]")
        raise typer.Exit(2 if isinstance(bad, ValueError) else 1) from bad
    if best is None:
        raise typer.Exit(1)
    if out is not None:
        out.write_bytes(_written(best, out))
        progress.print(f"written to {out}")
    print(f"{'optimal' if best.optimal else 'best'}: {_figures(problem, best)}")


def _writable(problem: Problem, out: Path | None) -> None:
    """Said before the work is done, not after it."""
    if out is None:
        return
    if out.suffix not in WRITTEN:
        raise typer.BadParameter(f"{out.name} ends in none of {', '.join(WRITTEN)}", param_hint="--out")
    if not out.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {out.parent}", param_hint="--out")
    if out.suffix == ".ics" and problem.start is None:
        raise typer.BadParameter("the problem says no start, so that its ticks are at no time", param_hint="--out")


def _blocked(blocked: Blocked) -> str:
    return f"{blocked.order}: {blocked.why} ({' → '.join(blocked.chain)})"


def _figures(problem: Problem, plan: Plan) -> str:
    price = plan.cost
    if problem.objective == "makespan":
        gap = (
            "" if problem.best_known is None else f", {100 * (price.makespan / problem.best_known - 1):.2f} % over best"
        )
        return f"makespan {price.makespan}{gap}"
    return (
        f"cost {price.total:.0f}, weighted tardiness {price.tardiness}, late {price.late}, change-over {price.setup},"
        f" moved {price.moved}, operations {price.planned}"
    )


def _written(plan: Plan, out: Path) -> bytes:
    if out.suffix == ".csv":
        return formats.plan_csv(plan.problem, plan.placed).encode()
    if out.suffix == ".ics":
        return formats.plan_calendar(plan.problem, plan.placed).encode()
    left_out = tuple(one.order for one in plan.findings if not one.planned)
    moved = tuple(one.operation for one in plan.findings if one.kind == "pin")
    return formats.plan_json(formats.PlanFile(plan.placed, plan.cost, plan.how, left_out, moved))


def _planned(problem: Problem, file: Path, plan: Path | None) -> tuple[Problem, tuple[Placed, ...]]:
    if plan is not None:
        return _read_plan(_sound(file), plan)
    first = next(Planner(problem, Limits(turns=1)).plans())
    return first.problem, first.placed


@app.command()
def explain(
    file: FileArgument,
    *,
    plan: Annotated[Path | None, typer.Option(exists=True, help="The plan; one is made by rule if not said.")] = None,
    order: Annotated[str | None, typer.Option(help="One order only.")] = None,
    free: Annotated[
        bool, typer.Option("--free", help="Plan again without each cause, and say what that is worth.")
    ] = False,
    most: Annotated[int, typer.Option(min=1, help="How many late orders are said.")] = 20,
) -> None:
    """Why orders are late: what each step waited for, back to the cause; and orders that cannot be planned at all."""
    problem = _read(file)
    _sound(file)
    for finding in sound(problem).findings:
        print(said(finding))
    for blocked in problem.blocked:
        print(_blocked(blocked))
    problem, placed = _planned(problem, file, plan)
    reasons = Reasons(problem, placed)
    if order is not None and order not in reasons.of_order:
        progress.print(f"[red]no order {order} is in the plan[/red]")
        raise typer.Exit(2)
    late = [reasons.why(order)] if order is not None else list(reasons.late())
    for why in late[:most]:
        print(f"{why.order}: late by {why.late} ({why.alone} of them even alone)")
        for link in why.chain:
            print(f"    {_link(link)}")
        if free:
            for one in worth(problem, why):
                gain = f"{one.earlier} earlier, all weighted tardiness {-one.tardiness:+d}"
                print(f"    without “{_link(one.link)}”: {gain}")
    if len(late) > most:
        print(f"… and {len(late) - most} more")
    causes = Counter(why.cause.kind for why in late if why.cause is not None)
    late = [why for why in late if why.late]
    print(f"late: {len(late)}; waiting first for: {', '.join(f'{kind} {n}' for kind, n in causes.most_common())}")


@app.command()
def compare(file: FileArgument, before: PlanArgument, after: PlanArgument) -> None:
    """What two plans of one problem differ in: cost by part, and every operation that has moved, the furthest first."""
    problem = _sound(file)
    (_, one), (_, other) = _read_plan(problem, before), _read_plan(problem, after)
    table = Table("", "before", "after", box=None)
    left, right = cost(problem, one), cost(problem, other)
    for name in ("total", "tardiness", "late", "makespan", "setup", "waiting", "expiry"):
        table.add_row(name, f"{getattr(left, name):g}", f"{getattr(right, name):g}")
    Console(width=120).print(table)
    for line in _moves(one, other):
        print(line)


def _moves(one: Sequence[Placed], other: Sequence[Placed]) -> list[str]:
    stood = {placed.operation: placed for placed in one}
    stands = {placed.operation: placed for placed in other}
    lines: list[tuple[int, str]] = []
    for name, now in stands.items():
        was = stood.get(name)
        if was is None:
            lines.append((1 << 40, f"{name}: new, on {now.machine} from {now.start}"))
        elif (was.machine, was.start) != (now.machine, now.start):
            elsewhere = f", {was.machine} → {now.machine}" if was.machine != now.machine else ""
            lines.append((abs(now.start - was.start), f"{name}: {was.start} → {now.start}{elsewhere}"))
    lines += [(1 << 41, f"{name}: no longer planned") for name in stood if name not in stands]
    return [line for _, line in sorted(lines, key=lambda entry: (-entry[0], entry[1]))]


@app.command("check")
def check_(file: FileArgument, plan: PlanArgument) -> None:
    """Whether a plan holds: every rule it breaks, a line each. Ends with 1 if there is one."""
    broken = check(*_read_plan(_sound(file), plan))
    for one in broken:
        print(f"{one.rule}: {one.operation} {one.of}".rstrip())
    if broken:
        sys.exit(1)
    print("the plan holds")
