"""A problem made ready for planning: looked up by number, sorted so that what comes before has the lower place."""

from dataclasses import dataclass, field

from core.erp.scheduling.planner.timelines import Calendar
from core.erp.scheduling.problem import Machine, Operation, Problem, Supply


@dataclass(slots=True)
class Compiled:
    """A problem whose operations are all possible (see `soundness.sound`), by number.

    Operations keep their place in `problem.operations`. A `unit` is what is placed as one: operations whose longest
    lag, or whose room in a store, ties them together; mostly a unit is one operation. `units[u]` are in an order in
    which predecessors come first.
    """

    problem: Problem
    index: dict[str, int] = field(init=False)
    machine_index: dict[str, int] = field(init=False)
    order_index: dict[str, int] = field(init=False)
    order_of: list[int] = field(init=False)
    before: list[list[tuple[int, int, int | None]]] = field(init=False)
    """By operation: (predecessor, least, most)."""
    behind: list[list[int]] = field(init=False)
    modes: list[list[tuple[int, int]]] = field(init=False)
    """By operation: (machine, ticks), in the order in which the problem lists them."""
    calendars: list[Calendar] = field(init=False)
    change: list[dict[tuple[str, str], int]] = field(init=False)
    units: list[list[int]] = field(init=False)
    unit_of: list[int] = field(init=False)
    supplies: dict[str, list[Supply]] = field(init=False)
    """By item, in the order in which they are taken: what is sure first, then what expires first."""

    def __post_init__(self) -> None:
        problem = self.problem
        self.index = {one.id: i for i, one in enumerate(problem.operations)}
        self.machine_index = {one.id: i for i, one in enumerate(problem.machines)}
        self.order_index = {one.id: i for i, one in enumerate(problem.orders)}
        self.order_of = [self.order_index[one.order] for one in problem.operations]
        self.before = [
            [(self.index[lag.operation], lag.least, lag.most) for lag in one.after] for one in problem.operations
        ]
        self.behind = [[] for _ in problem.operations]
        for i, lags in enumerate(self.before):
            for earlier, _, _ in lags:
                self.behind[earlier].append(i)
        self.modes = [[(self.machine_index[m.machine], m.ticks) for m in one.modes] for one in problem.operations]
        self.calendars = [Calendar(one.closed) for one in problem.machines]
        self.change = [{(s.before, s.after): s.ticks for s in one.setups} for one in problem.machines]
        self._tie()
        self.supplies = {}
        for supply in sorted(problem.supplies, key=taken_first):
            self.supplies.setdefault(supply.item, []).append(supply)

    def operation(self, i: int) -> Operation:
        """An operation by its number."""
        return self.problem.operations[i]

    def machine(self, m: int) -> Machine:
        """A machine by its number."""
        return self.problem.machines[m]

    def setup(self, m: int, before: str | None, after: str | None) -> int:
        """Ticks of change-over on a machine from one family to another; none where either is not said."""
        if before is None or after is None or before == after:
            return 0
        return self.change[m].get((before, after), self.machine(m).change_over)

    def _tie(self) -> None:
        """Finds the units, and sorts them and what is in them so that predecessors come first."""
        root = list(range(len(self.before)))

        def find(i: int) -> int:
            while root[i] != i:
                root[i] = root[root[i]]
                i = root[i]
            return i

        for i, lags in enumerate(self.before):
            for earlier, _, most in lags:
                if most is not None or self.operation(earlier).store is not None:
                    root[find(i)] = find(earlier)
        self._group([find(i) for i in range(len(self.before))])
        while len(order := self._unit_order()) < len(self.units):
            # what ties two steps together encloses others that are tied to neither: all in such a ring go as one
            ring = set(range(len(self.units))) - set(order) - set(self._unit_order(backward=True))
            self._group([-1 if u in ring else u for u in self.unit_of])
        self.units = [self.units[u] for u in order]
        for u, unit in enumerate(self.units):
            for i in unit:
                self.unit_of[i] = u

    def _group(self, names: list[int]) -> None:
        """Operations of one name are one unit, its members so that predecessors come first."""
        members: dict[int, list[int]] = {}
        for i in topological(self.before):
            members.setdefault(names[i], []).append(i)
        self.units = list(members.values())
        self.unit_of = [0] * len(self.before)
        for u, unit in enumerate(self.units):
            for i in unit:
                self.unit_of[i] = u

    def _unit_order(self, *, backward: bool = False) -> list[int]:
        """The units so that predecessors come first (backward: last); those in a ring, and beyond it, are left out."""
        before: list[list[tuple[int, int, int | None]]] = [
            [
                (earlier, 0, None)
                for earlier in sorted({self.unit_of[e] for i in unit for e, _, _ in self.before[i]} - {u})
            ]
            for u, unit in enumerate(self.units)
        ]
        if backward:
            behind: list[list[tuple[int, int, int | None]]] = [[] for _ in before]
            for u, lags in enumerate(before):
                for earlier, _, _ in lags:
                    behind[earlier].append((u, 0, None))
            before = behind
        return topological(before)


def taken_first(supply: Supply) -> tuple[bool, float, int, str]:
    """FEFO: what is sure before what may slip, then the earlier expiry, the earlier receipt, the id."""
    until = float("inf") if supply.until is None else float(supply.until)
    return (supply.confidence < 1, until, supply.available, supply.id)


def topological(before: list[list[tuple[int, int, int | None]]]) -> list[int]:
    """The operations so that each comes after its predecessors; those in a cycle are left out (Kahn)."""
    waits = [len(lags) for lags in before]
    behind: list[list[int]] = [[] for _ in before]
    for i, lags in enumerate(before):
        for earlier, _, _ in lags:
            behind[earlier].append(i)
    found = [i for i, count in enumerate(waits) if not count]
    for i in found:
        for later in behind[i]:
            waits[later] -= 1
            if not waits[later]:
                found.append(later)
    return found
