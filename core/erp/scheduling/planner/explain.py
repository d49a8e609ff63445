"""Why an order is late: what each of its steps waited for, back to what does not wait itself, and what would free it.

Read off the plan and the problem alone, so it holds for a plan from whichever way. Each cause can be tried: `relaxed`
takes it away, and planning again shows what that is worth.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from core.erp.scheduling.planner.checker import check
from core.erp.scheduling.planner.compiled import Compiled
from core.erp.scheduling.planner.search import USUAL, Made, made_by
from core.erp.scheduling.problem import Machine, Operation, Placed, Problem, Shift, Window

LONGEST = 12
"""Links of a chain that are followed: past them it is the queue of a machine, operation by operation."""
Kind = Literal["after", "machine", "closed", "crew", "material", "release", "fixed", "choice", "start"]


class Link(Struct, frozen=True):
    """An operation, and what kept it from beginning earlier.

    kind and of: `after` an operation of its own chain; `machine` busy with an operation; `closed` (why it is);
    `crew` (the skill); `material` (the supply); `release` of the order; `fixed` where it is;
    `choice`: nothing, something more pressing was put first; `start`: it begins at once.
    """

    operation: str
    kind: Kind
    of: str = ""
    machine: str = ""
    until: int = 0
    """Of a closing: its end."""


class Why(Struct, frozen=True):
    """Why an order is late: by how much, and its chain, what is nearest to its end first.

    `alone`: ticks it would be late if it had the plant to itself; of these no other order is the reason.
    """

    order: str
    late: int
    alone: int
    chain: tuple[Link, ...]

    @property
    def cause(self) -> Link | None:
        """The first thing on its way back that is not a step of its own: what to look at first."""
        return next((link for link in self.chain if link.kind != "after"), None)


class Reasons:
    """Reads reasons off one plan."""

    def __init__(self, problem: Problem, placed: Sequence[Placed]) -> None:
        self.problem = problem
        self.operations = {one.id: one for one in problem.operations}
        self.machines = {one.id: one for one in problem.machines}
        self.orders = {one.id: one for one in problem.orders}
        self.stands = {one.operation: one for one in placed}
        self.supplies = {one.id: one for one in problem.supplies}
        self.ahead: dict[str, Placed] = {}
        self.of_order: dict[str, list[Placed]] = defaultdict(list)
        self.of_crew: dict[str, list[Placed]] = defaultdict(list)
        turn: dict[tuple[str, int], Placed] = {}
        for one in sorted(placed, key=lambda p: (p.start, p.end, p.operation)):
            before = turn.get((one.machine, one.place))
            if before is not None and before.start < one.start:  # those of one run do not wait for each other
                self.ahead[one.operation] = before
            turn[one.machine, one.place] = one
            self.of_order[self.operations[one.operation].order].append(one)
            if one.crew is not None:
                self.of_crew[one.crew].append(one)

    def late(self) -> Iterator[Why]:
        """Each late order, the latest first."""
        every = [(self._late_by(name), name) for name in self.of_order]
        for late, name in sorted(every, key=lambda one: (-one[0], one[1])):
            if late > 0:
                yield self.why(name)

    def _late_by(self, order: str) -> int:
        return max(one.end for one in self.of_order[order]) - self.orders[order].due

    def why(self, order: str) -> Why:
        """The chain of an order. Raises KeyError for one that is not in the plan."""
        last = max(self.of_order[order], key=lambda one: (one.end, one.operation))
        chain: list[Link] = []
        at: Placed | None = last
        while at is not None and len(chain) < LONGEST:
            link = self._binding(at)
            chain.append(link)
            at = self.stands.get(link.of) if link.kind in {"after", "machine"} else None
        return Why(order, max(0, self._late_by(order)), self._alone(order), tuple(chain))

    def _alone(self, order: str) -> int:
        """How late it would be with every machine free whenever it is open, and people for it at any time."""
        ends: dict[str, int] = {}
        compiled = Compiled(replace(self.problem, operations=self._of(order), published=(), supplies=()))
        latest = 0
        for unit in compiled.units:
            for i in unit:
                one = compiled.operation(i)
                there = [self.supplies[supply].available for supply, _ in self.stands[one.id].used]
                before = [ends[lag.operation] + lag.least for lag in one.after]
                ready = max([self.orders[order].release, *there, *before])
                options = []
                for m, ticks in compiled.modes[i]:
                    works = compiled.calendars[m]
                    start = works.opening(ready) if one.pauses else works.fit(ready, ticks)
                    pieces = works.pieces(start, ticks) if one.pauses else [(start, start + ticks)]
                    options += [pieces[-1][1]] if pieces else []
                ends[one.id] = min(options, default=ready)
                latest = max(latest, ends[one.id])
        return max(0, latest - self.orders[order].due)

    def _of(self, order: str) -> tuple[Operation, ...]:
        mine = {one.id for one in self.problem.operations if one.order == order}
        return tuple(
            replace(one, after=tuple(lag for lag in one.after if lag.operation in mine), needs=(), store=None)
            for one in self.problem.operations
            if one.id in mine
        )

    def _binding(self, one: Placed) -> Link:
        """The latest of what an operation had to wait for."""
        operation = self.operations[one.operation]
        if operation.fixed is not None:
            return Link(one.operation, "fixed", operation.fixed.why, one.machine)
        found: list[tuple[int, int, Link]] = [(0, 0, Link(one.operation, "start", "", one.machine))]
        release = self.orders[operation.order].release
        if release > 0:
            found.append((release, 1, Link(one.operation, "release", operation.order, one.machine)))
        for lag in operation.after:
            at = self.stands[lag.operation].end + lag.least
            found.append((at, 5, Link(one.operation, "after", lag.operation, one.machine)))
        ahead = self.ahead.get(one.operation)
        if ahead is not None:
            found.append((ahead.end + one.setup, 4, Link(one.operation, "machine", ahead.operation, one.machine)))
        for supply, _ in one.used:
            at = self.supplies[supply].available
            found.append((at, 3, Link(one.operation, "material", supply, one.machine)))
        found += [(at, 2, link) for at, link in self._people(operation, one)]
        for window in self.machines[one.machine].closed:
            if window.end == one.start and window.end > window.start:
                found.append((window.end, 0, Link(one.operation, "closed", window.why, one.machine, window.end)))
        at, _, link = max(found, key=lambda entry: entry[:2])
        if at < one.start:
            cut = self._does_not_fit(operation, one, at)
            return cut or Link(one.operation, "choice", "", one.machine)
        return link

    def _people(self, operation: Operation, one: Placed) -> Iterator[tuple[int, Link]]:
        if operation.skill is None or one.crew is None:
            return
        link = Link(one.operation, "crew", operation.skill, one.machine)
        shifts = next(crew.shifts for crew in self.problem.crews if crew.id == one.crew)
        ends = [other.end for other in self.of_crew[one.crew] if other.end <= one.start]
        yield max([*(s.start for s in shifts if s.start <= one.start), *ends], default=0), link

    def _does_not_fit(self, operation: Operation, one: Placed, at: int) -> Link | None:
        """A closing, or the lack of people, between the time it could have begun and its start."""
        for window in self.machines[one.machine].closed:
            if at < window.end <= one.start and window.start < one.end:
                return Link(one.operation, "closed", window.why, one.machine, window.end)
        if operation.skill is not None:
            return Link(one.operation, "crew", operation.skill, one.machine)
        return None


def relaxed(problem: Problem, link: Link, until: int) -> Problem:
    """The problem without one cause: the supply is there at once, the closing gone, one more of a crew or machine."""
    if link.kind == "material":
        free = tuple(replace(one, available=0) if one.id == link.of else one for one in problem.supplies)
        return replace(problem, supplies=free)
    if link.kind == "crew":
        more = (Shift(0, until, max(one.people for one in problem.operations if one.skill == link.of)),)
        crews = tuple(
            replace(one, shifts=(*one.shifts, *more)) if link.of in one.skills else one for one in problem.crews
        )
        return replace(problem, crews=crews)
    if link.kind == "release":
        orders = tuple(replace(one, release=0) if one.id == link.of else one for one in problem.orders)
        return replace(problem, orders=orders)
    if link.kind == "fixed":
        loose = tuple(replace(one, fixed=None) if one.id == link.operation else one for one in problem.operations)
        return replace(problem, operations=loose)
    machines = tuple(_opened(one, link) if one.id == link.machine else one for one in problem.machines)
    return replace(problem, machines=machines)


def _opened(machine: Machine, link: Link) -> Machine:
    if link.kind == "closed":
        return replace(machine, closed=tuple(one for one in machine.closed if _kept(one, link)))
    return replace(machine, places=machine.places + 1)


def _kept(window: Window, link: Link) -> bool:
    return (window.why, window.end) != (link.of, link.until)


class Worth(Struct, frozen=True):
    """What taking a cause away is worth: by how many ticks the order ends earlier, and all weighted tardiness falls."""

    link: Link
    earlier: int
    tardiness: int


def worth(problem: Problem, why: Why, base: Made | None = None) -> list[Worth]:
    """Plans again without each cause of a chain, by the same rule; the most useful first. Raises ValueError for a
    plan that does not hold.
    """
    until = 1 << 30
    before = base or made_by(Compiled(problem), USUAL)
    ended = _ends(problem, before, why.order)
    found = []
    for link in _to_try(why):
        freed = relaxed(problem, link, until)
        made = made_by(Compiled(freed), before.rule)
        if check(freed, made.placed, partial=bool(made.impossible)):
            raise ValueError(f"planning without {link} broke a rule")
        gain = before.cost.tardiness - made.cost.tardiness
        found.append(Worth(link, ended - _ends(freed, made, why.order), gain))
    return sorted(found, key=lambda one: (-one.earlier, -one.tardiness))


def _to_try(why: Why) -> list[Link]:
    """The causes of a chain that can be taken away, each once; all who queue at one machine are one cause."""
    found: dict[tuple[str, str], Link] = {}
    for link in why.chain:
        if link.kind not in {"after", "start"}:
            found.setdefault((link.kind, link.machine if link.kind in {"machine", "choice"} else link.of), link)
    return list(found.values())


def _ends(problem: Problem, made: Made, order: str) -> int:
    mine = {one.id for one in problem.operations if one.order == order}
    return max((one.end for one in made.placed if one.operation in mine), default=0)
