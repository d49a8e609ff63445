"""Problems and plans as files: our own JSON, and the texts of known job shops and flexible job shops."""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from core.erp.scheduling.planner.objective import Cost
from core.erp.scheduling.problem import After, Machine, Mode, Operation, Order, Placed, Problem


class BadProblem(ValueError):
    """A file that is no problem: says where and why."""


def read(path: Path) -> Problem:
    """A problem from a file: `.json` ours, `.fjs` a flexible job shop, else a job shop (JSPLIB). Raises BadProblem."""
    try:
        content = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as bad:
        raise BadProblem(f"{path}: not a text in UTF-8 ({bad.reason} at byte {bad.start})") from bad
    if path.suffix == ".json":
        return from_json(content.encode(), str(path))
    try:
        return flexible(content) if path.suffix == ".fjs" else job_shop(content)
    except BadProblem as bad:
        raise BadProblem(f"{path}: {bad}") from bad


def from_json(content: bytes, name: str = "problem") -> Problem:
    """A problem from our JSON. Raises BadProblem that names the field."""
    try:
        return msgspec.json.decode(content, type=Problem)
    except msgspec.DecodeError as bad:
        raise BadProblem(f"{name}: {bad}") from bad


def to_json(problem: Problem) -> bytes:
    """A problem as our JSON."""
    return msgspec.json.format(msgspec.json.encode(problem), indent=1)


def _numbers(content: str) -> list[list[int]]:
    """The numbers of a text line by line, without comments and empty lines. Raises BadProblem."""
    found = []
    for number, line in enumerate(content.splitlines(), 1):
        said = line.split("#")[0].split()
        if not said:
            continue
        try:
            found.append([int(float(word)) if "." in word else int(word) for word in said])
        except ValueError as bad:
            raise BadProblem(f"line {number}: {bad}") from bad
    if not found:
        raise BadProblem("there is no line with numbers")
    return found


def job_shop(content: str) -> Problem:
    """A job shop as JSPLIB writes it: `jobs machines`, then a line a job of (machine from 0, ticks) in turn.

    Raises BadProblem.
    """
    (jobs, machines, *_), *lines = _headed(_numbers(content))
    if len(lines) < jobs:
        raise BadProblem(f"{jobs} jobs are announced, {len(lines)} are there")
    routes = []
    for j, line in enumerate(lines[:jobs], 1):
        if len(line) % 2:
            raise BadProblem(f"job {j}: a machine without its time")
        route = [[(m, t)] for m, t in zip(line[::2], line[1::2], strict=True)]
        routes.append(route)
    return _shop(routes, machines, first=0)


def flexible(content: str) -> Problem:
    """A flexible job shop (`.fjs`): `jobs machines`, then a line a job: how many operations, and for each how many
    machines can do it and (machine from 1, ticks) of each. Raises BadProblem.
    """
    (jobs, machines, *_), *lines = _headed(_numbers(content))
    if len(lines) < jobs:
        raise BadProblem(f"{jobs} jobs are announced, {len(lines)} are there")
    routes = []
    for j, line in enumerate(lines[:jobs], 1):
        words = iter(line)
        try:
            routes.append([[(next(words), next(words)) for _ in range(next(words))] for _ in range(next(words))])
        except (StopIteration, RuntimeError) as bad:
            raise BadProblem(f"job {j}: the line ends too early") from bad
        if (left := sum(1 for _ in words)) > 0:
            raise BadProblem(f"job {j}: {left} numbers too many")
    return _shop(routes, machines, first=1)


def _headed(lines: list[list[int]]) -> list[list[int]]:
    if len(lines[0]) < 2 or lines[0][0] < 1 or lines[0][1] < 1:  # noqa: PLR2004 - jobs and machines
        raise BadProblem("the first line with numbers is to say how many jobs and machines there are")
    return lines


def _shop(routes: Sequence[Sequence[Sequence[tuple[int, int]]]], machines: int, *, first: int) -> Problem:
    operations = []
    for j, route in enumerate(routes, 1):
        for k, modes in enumerate(route, 1):
            for m, _ in modes:
                if not first <= m < machines + first:
                    raise BadProblem(f"job {j}, operation {k}: there is no machine {m}")
            after = (After(f"{j}.{k - 1}"),) if k > 1 else ()
            named = tuple(Mode(f"m{m}", t) for m, t in modes)
            operations.append(Operation(f"{j}.{k}", f"j{j}", named, after))
    return Problem(
        machines=tuple(Machine(f"m{m}") for m in range(first, machines + first)),
        orders=tuple(Order(f"j{j}", due=0) for j in range(1, len(routes) + 1)),
        operations=tuple(operations),
        objective="makespan",
    )


def plan_csv(problem: Problem, placed: Iterable[Placed]) -> str:
    """A plan as CSV: a line an operation, in time."""
    of = {one.id: one for one in problem.operations}
    out = io.StringIO()
    write = csv.writer(out, lineterminator="\n")
    write.writerow(("order", "operation", "machine", "place", "start", "end", "setup", "crew", "used"))
    for one in placed:
        used = " ".join(f"{supply}:{amount:g}" for supply, amount in one.used)
        start, end = _said(problem, one.start), _said(problem, one.end)
        write.writerow(
            (
                of[one.operation].order,
                one.operation,
                one.machine,
                one.place,
                start,
                end,
                one.setup,
                one.crew or "",
                used,
            )
        )
    return out.getvalue()


def plan_calendar(problem: Problem, placed: Iterable[Placed], machine: str | None = None) -> str:
    """A plan as iCalendar (RFC 5545), an event an operation. Raises BadProblem without a start in time."""
    if problem.start is None:
        raise BadProblem("the problem says no start, so that its ticks are at no time")
    of = {one.id: one for one in problem.operations}
    stamp = _ical(problem, 0)
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Lotwise//plan//EN"]
    for one in placed:
        if machine is not None and one.machine != machine:
            continue
        lines += [
            "BEGIN:VEVENT",
            f"UID:{_escaped(one.operation)}@lotwise",
            f"DTSTAMP:{stamp}",
            f"DTSTART:{_ical(problem, one.start)}",
            f"DTEND:{_ical(problem, one.end)}",
            f"SUMMARY:{_escaped(of[one.operation].order)} {_escaped(one.operation)}",
            f"LOCATION:{_escaped(one.machine)}",
            "END:VEVENT",
        ]
    lines.append("END:VCALENDAR")
    return "".join(f"{line}\r\n" for line in lines)


def _escaped(words: str) -> str:
    return words.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def moment(problem: Problem, ticks: int) -> datetime | None:
    """When a tick is, UTC; None where the problem has no start in time."""
    if problem.start is None:
        return None
    return problem.start.astimezone(UTC) + timedelta(seconds=ticks * problem.tick_s)


def _said(problem: Problem, ticks: int) -> str:
    at = moment(problem, ticks)
    return str(ticks) if at is None else at.isoformat()


def _ical(problem: Problem, ticks: int) -> str:
    at = moment(problem, ticks)
    return "" if at is None else at.strftime("%Y%m%dT%H%M%SZ")


class PlanFile(msgspec.Struct, frozen=True):
    """A plan as a file: where everything stands, what it costs, which way made it, which orders are not in it, which
    pinned operations had to move.
    """

    placed: tuple[Placed, ...]
    cost: Cost
    how: str
    left_out: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()


def plan_json(plan: PlanFile) -> bytes:
    """A plan as JSON."""
    return msgspec.json.format(msgspec.json.encode(plan), indent=1)


def read_plan(path: Path) -> PlanFile:
    """A plan from its JSON. Raises BadProblem that names the field."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=PlanFile)
    except msgspec.DecodeError as bad:
        raise BadProblem(f"{path}: {bad}") from bad
