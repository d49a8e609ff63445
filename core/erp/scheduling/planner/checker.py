"""Whether a plan holds: every rule looked at anew, from the problem and the plan alone, without the planner's code."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from msgspec.structs import replace

from core.erp.scheduling.problem import Machine, Operation, Placed, Problem

Rule = Literal[
    "unknown",
    "twice",
    "missing",
    "machine",
    "duration",
    "early",
    "lag_least",
    "lag_most",
    "closed",
    "overlap",
    "setup",
    "crew",
    "material",
    "expired",
    "store",
    "batch",
    "fixed",
]


ROUNDING = 1e-9
"""Amounts are floats: less than this is no difference."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A rule that a plan breaks, and where."""

    rule: Rule
    operation: str
    of: str = ""


def check(problem: Problem, placed: Sequence[Placed], *, partial: bool = False) -> list[Broken]:
    """What the plan breaks; empty if it holds. `partial`: some may be left out with all that wait for them."""
    return list(_Check(problem, placed, partial).broken())


class _Check:
    def __init__(self, problem: Problem, placed: Sequence[Placed], partial: bool) -> None:
        self.problem = problem
        self.placed = placed
        self.partial = partial
        self.machines = {
            one.id: replace(one, closed=tuple(sorted(one.closed, key=lambda window: window.start)))
            for one in problem.machines
        }
        """With their closings in time."""
        self.longest = {one.id: max((w.end - w.start for w in one.closed), default=0) for one in problem.machines}
        self.operations = {one.id: one for one in problem.operations}
        self.orders = {one.id: one for one in problem.orders}
        self.supplies = {one.id: one for one in problem.supplies}
        self.at = {one.operation: one for one in placed}

    def broken(self) -> Iterable[Broken]:
        """Every rule in turn."""
        yield from self._present()
        for one in self.placed:
            operation, machine = self.operations.get(one.operation), self.machines.get(one.machine)
            if operation is not None and machine is not None:
                yield from self._alone(operation, machine, one)
                yield from self._order(operation, one)
        yield from self._side_by_side()
        yield from self._people()
        yield from self._goods()
        yield from self._stores()

    def _present(self) -> Iterable[Broken]:
        seen: set[str] = set()
        for one in self.placed:
            if one.operation not in self.operations or one.machine not in self.machines:
                yield Broken("unknown", one.operation, one.machine)
            if one.operation in seen:
                yield Broken("twice", one.operation)
            seen.add(one.operation)
        if not self.partial:
            for name in self.operations:
                if name not in seen:
                    yield Broken("missing", name)

    def _alone(self, operation: Operation, machine: Machine, one: Placed) -> Iterable[Broken]:
        fixed = operation.fixed
        if fixed is not None:
            if (fixed.machine, fixed.start) != (one.machine, one.start):
                yield Broken("fixed", one.operation)
            if fixed.why == "started":
                return
        modes = [mode for mode in operation.modes if mode.machine == one.machine]
        if not modes:
            yield Broken("machine", one.operation, one.machine)
            return
        if not 0 <= one.place < machine.places:
            yield Broken("machine", one.operation, str(one.place))
        ticks = modes[0].ticks if fixed is None or fixed.ticks is None else fixed.ticks
        yield from self._when(operation, machine, one, ticks)

    def _when(self, operation: Operation, machine: Machine, one: Placed, ticks: int) -> Iterable[Broken]:
        """It lasts as long as it takes, while the machine works."""
        works = self._open_within(machine, one.start, one.end)
        worked = sum(end - start for start, end in works)
        if (worked if operation.pauses else one.end - one.start) != ticks:
            yield Broken("duration", one.operation)
        at_edges = bool(works) and (works[0][0], works[-1][1]) == (one.start, one.end)
        if not at_edges if operation.pauses else worked != one.end - one.start:
            yield Broken("closed", one.operation, one.machine)

    def _open_within(self, machine: Machine, start: int, end: int) -> list[tuple[int, int]]:
        found = []
        at = start
        # none that begins earlier than the longest one before could still go on
        first = bisect_left(machine.closed, start - self.longest[machine.id], key=lambda window: window.start)
        for window in machine.closed[first:]:
            if window.start >= end:
                break
            if window.end <= max(at, window.start):
                continue
            if window.start > at:
                found.append((at, window.start))
            at = window.end
        if at < end:
            found.append((at, end))
        return found

    def _order(self, operation: Operation, one: Placed) -> Iterable[Broken]:
        if _begun(operation):
            return
        if one.start < max(0, self.orders[operation.order].release):
            yield Broken("early", one.operation)
        for lag in operation.after:
            before = self.at.get(lag.operation)
            if before is None:
                yield Broken("missing", lag.operation, one.operation)
                continue
            if one.start < before.end + lag.least:
                yield Broken("lag_least", one.operation, lag.operation)
            if lag.most is not None and one.start > before.end + lag.most:
                yield Broken("lag_most", one.operation, lag.operation)

    def _side_by_side(self) -> Iterable[Broken]:
        by_place: dict[tuple[str, int], list[Placed]] = defaultdict(list)
        for one in self.placed:
            if one.operation in self.operations and one.machine in self.machines:
                by_place[one.machine, one.place].append(one)
        for (name, _), there in by_place.items():
            machine = self.machines[name]
            there.sort(key=lambda one: (one.start, one.end, one.operation))
            runs = [there[:1]]
            for one in there[1:]:
                if machine.batch and self._same_run(runs[-1][0], one):
                    runs[-1].append(one)
                else:
                    runs.append([one])
            for run in runs:
                if machine.batch and sum(self.operations[one.operation].size for one in run) > machine.batch:
                    yield Broken("batch", run[0].operation, name)
            yield from self._in_turn(machine, [run[0] for run in runs])

    def _same_run(self, first: Placed, other: Placed) -> bool:
        one, two = self.operations[first.operation], self.operations[other.operation]
        alike = (one.batch, one.family, one.skill, one.people) == (two.batch, two.family, two.skill, two.people)
        return one.batch is not None and alike and (first.start, first.end) == (other.start, other.end)

    def _in_turn(self, machine: Machine, there: list[Placed]) -> Iterable[Broken]:
        listed = {(one.before, one.after): one.ticks for one in machine.setups}
        family = machine.family
        latest = min(0, there[0].start) if there else 0
        for one in there:
            operation = self.operations[one.operation]
            begun = _begun(operation)
            if one.start < latest and not begun:  # two that have begun are where they are
                yield Broken("overlap", one.operation, machine.id)
            wanted = 0
            if family is not None and operation.family is not None and family != operation.family:
                wanted = listed.get((family, operation.family), machine.change_over)
            if not begun and (one.start - latest < wanted or one.setup != wanted):
                yield Broken("setup", one.operation, machine.id)
            latest = max(latest, one.end)
            family = operation.family or family

    def _people(self) -> Iterable[Broken]:
        crews = {one.id: one for one in self.problem.crews}
        taken: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
        for one in self.placed:
            operation = self.operations.get(one.operation)
            if operation is None or operation.skill is None or one.machine not in self.machines:
                continue
            if operation.batch is not None and self.machines[one.machine].batch:
                run = (one.machine, one.place, one.start, operation.batch)
                if one.crew is None and any(self._leads(other, run) for other in self.placed):
                    continue  # who began the run attends to it
            begun = _begun(operation)
            if one.crew is None or one.crew not in crews or operation.skill not in crews[one.crew].skills:
                if not begun:
                    yield Broken("crew", one.operation, operation.skill)
                continue
            pieces = [(one.start, one.end)]
            if operation.pauses and not begun:
                pieces = self._open_within(self.machines[one.machine], one.start, one.end)
            for start, end in pieces:
                taken[one.crew] += [(start, operation.people, one.operation), (end, -operation.people, "")]
        for name, changes in taken.items():
            steps = [(s.start, s.size, "") for s in crews[name].shifts] + [
                (s.end, -s.size, "") for s in crews[name].shifts
            ]
            yield from _short("crew", name, [(at, -n, who) for at, n, who in changes], steps)

    def _leads(self, other: Placed, run: tuple[str, int, int, str | None]) -> bool:
        operation = self.operations.get(other.operation)
        return (
            other.crew is not None
            and operation is not None
            and (other.machine, other.place, other.start, operation.batch) == run
        )

    def _goods(self) -> Iterable[Broken]:
        left = {one.id: one.amount for one in self.problem.supplies}
        for one in self.placed:
            operation = self.operations.get(one.operation)
            if operation is not None and not _begun(operation):
                yield from self._taken(operation, one, left)
        for name, amount in left.items():
            if amount < -ROUNDING:
                yield Broken("material", "", name)

    def _taken(self, operation: Operation, one: Placed, left: dict[str, float]) -> Iterable[Broken]:
        got: dict[str, float] = defaultdict(float)
        for name, amount in one.used:
            supply = self.supplies.get(name)
            if supply is None or amount <= 0:
                yield Broken("material", one.operation, name)
                continue
            left[name] -= amount
            got[supply.item] += amount
            if one.start < supply.available:
                yield Broken("material", one.operation, name)
            if supply.until is not None and one.start >= supply.until:
                yield Broken("expired", one.operation, name)
        for need in operation.needs:
            if got[need.item] + ROUNDING < need.amount:
                yield Broken("material", one.operation, need.item)

    def _stores(self) -> Iterable[Broken]:
        last: dict[str, int] = {}
        for one in self.placed:
            operation = self.operations.get(one.operation)
            for lag in operation.after if operation is not None else ():
                last[lag.operation] = max(last.get(lag.operation, 0), one.start)
        taken: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
        for one in self.placed:
            operation = self.operations.get(one.operation)
            if operation is None or operation.store is None or last.get(one.operation, 0) <= one.end:
                continue
            taken[operation.store] += [
                (one.end, -operation.room, one.operation),
                (last[one.operation], operation.room, ""),
            ]
        for store in self.problem.stores:
            yield from _short("store", store.id, taken[store.id], [(-1 << 40, store.capacity, "")])


def _begun(operation: Operation) -> bool:
    """Whether it has begun: then it is where it is."""
    return operation.fixed is not None and operation.fixed.why == "started"


def _short(
    rule: Rule, name: str, changes: list[tuple[int, int, str]], steps: list[tuple[int, int, str]]
) -> Iterable[Broken]:
    """Where less than nothing is left, going through all changes in time; of one instant, what gives back first."""
    left = 0
    every = sorted([*changes, *steps], key=lambda change: change[0])
    for (at, amount, who), (then, _, _) in pairwise([*every, (1 << 41, 0, "")]):
        left += amount
        if left < 0 and then > at:
            yield Broken(rule, who or name, name)
