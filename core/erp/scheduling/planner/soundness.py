"""What of a problem cannot be planned at all: said by order, with the reason; the rest is planned."""

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from msgspec.structs import replace

from core.erp.scheduling.planner.board import ROUNDING
from core.erp.scheduling.planner.compiled import topological
from core.erp.scheduling.planner.timelines import Calendar, Room
from core.erp.scheduling.problem import FOREVER, Machine, Mode, Need, Operation, Problem, Supply

Kind = Literal[
    "no_operation",
    "no_machine",
    "no_time",
    "no_opening",
    "no_order",
    "no_predecessor",
    "cycle",
    "no_crew",
    "no_material",
    "no_store",
    "batch_too_big",
    "lag",
    "depends",
    "receipt_after_due",
    "pin",
]


@dataclass(frozen=True, slots=True)
class Finding:
    """Why an order is not in the plan, or (`planned`) cannot be in time: the operation and what it lacks."""

    order: str
    kind: Kind
    operation: str = ""
    of: str = ""
    planned: bool = False


@dataclass(slots=True)
class Sound:
    """The part of a problem that can be planned, and what was found."""

    problem: Problem
    findings: list[Finding]


def sound(problem: Problem) -> Sound:
    """Leaves out orders that no plan could hold, and those that wait for them. Raises ValueError for two of one id."""
    for name, ids in (
        ("machine", [one.id for one in problem.machines]),
        ("order", [one.id for one in problem.orders]),
        ("operation", [one.id for one in problem.operations]),
        ("crew", [one.id for one in problem.crews]),
        ("supply", [one.id for one in problem.supplies]),
        ("store", [one.id for one in problem.stores]),
    ):
        twice = sorted(one for one, count in Counter(ids).items() if count > 1)
        if twice:
            raise ValueError(f"the problem has two of one id: {name} {', '.join(twice[:5])}")
    problem = _tidied(problem)
    findings = [*_Search(problem).findings()]
    bad = {one.order for one in findings if not one.planned} | {one.order for one in problem.blocked}
    findings += _dependants(problem, bad)
    return Sound(without(problem, bad), findings)


def _tidied(problem: Problem) -> Problem:
    """Ways to machines that are not there, or too small for a batch, are left out; needs of one item are one."""
    machines = {one.id: one for one in problem.machines}
    operations = []
    for one in problem.operations:
        ways: dict[str, Mode] = {}
        for mode in sorted(one.modes, key=lambda mode: mode.ticks, reverse=True):
            if mode.machine in machines and (one.batch is None or _holds(machines[mode.machine], one)):
                ways[mode.machine] = mode
        modes = tuple(mode for mode in one.modes if ways.get(mode.machine) is mode)
        amounts: dict[str, float] = {}
        for need in one.needs:
            amounts[need.item] = amounts.get(need.item, 0.0) + need.amount
        needs = tuple(Need(item, amount) for item, amount in amounts.items() if amount > 0)
        # where no way is left, those that were asked for are what the finding names
        operations.append(replace(one, modes=modes or one.modes, needs=needs))
    return replace(problem, operations=tuple(operations))


def without(problem: Problem, orders: set[str]) -> Problem:
    """The problem less some orders and their operations. What is published of them is left out too."""
    known = {one.id for one in problem.orders}
    kept = tuple(one for one in problem.operations if one.order not in orders and one.order in known)
    ids = {one.id for one in kept}
    return replace(
        problem,
        orders=tuple(one for one in problem.orders if one.id not in orders),
        operations=kept,
        published=tuple(one for one in problem.published if one.operation in ids),
    )


def _dependants(problem: Problem, bad: set[str]) -> list[Finding]:
    """Orders that wait for an operation of an order that is left out; `bad` grows by them."""
    owner = {one.id: one.order for one in problem.operations}
    found: list[Finding] = []
    grown = True
    while grown:
        grown = False
        for one in problem.operations:
            of = next((owner[lag.operation] for lag in one.after if owner.get(lag.operation) in bad), None)
            if of is not None and one.order not in bad:
                bad.add(one.order)
                found.append(Finding(one.order, "depends", one.id, of))
                grown = True
    return found


class _Search:
    """Looks at each operation by itself, then at cycles and at what is not enough for all."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.machines = {one.id: (one, Calendar(one.closed)) for one in problem.machines}
        self.orders = {one.id: one for one in problem.orders}
        self.operations = {one.id: one for one in problem.operations}
        self.stores = {one.id: one for one in problem.stores}
        self.crews = [(one, Room([(s.start, s.end, s.size) for s in one.shifts])) for one in problem.crews]
        self.supplies: dict[str, list[Supply]] = {}
        for one in sorted(problem.supplies, key=lambda supply: supply.available):
            self.supplies.setdefault(one.item, []).append(one)

    def findings(self) -> list[Finding]:
        """One finding an order at most for what is impossible, and those about receipts."""
        found: dict[str, Finding] = {}
        late: dict[str, Finding] = {}
        for one in self.problem.operations:
            trouble = self._trouble(one)
            if trouble is not None:
                found.setdefault(one.order, trouble)
            elif (after_due := self._after_due(one)) is not None:
                late.setdefault(one.order, after_due)
        for order in self._without_operations():
            found.setdefault(order, Finding(order, "no_operation"))
        for one in self._in_cycles():
            found.setdefault(one.order, Finding(one.order, "cycle", one.id))
        return [*found.values(), *(one for order, one in late.items() if order not in found)]

    def _without_operations(self) -> list[str]:
        begun = {one.order for one in self.problem.operations}
        return [one.id for one in self.problem.orders if one.id not in begun]

    def _in_cycles(self) -> list[Operation]:
        number = {one.id: i for i, one in enumerate(self.problem.operations)}
        before: list[list[tuple[int, int, int | None]]] = [
            [(number[lag.operation], 0, None) for lag in one.after if lag.operation in number]
            for one in self.problem.operations
        ]
        placed = set(topological(before))
        return [one for i, one in enumerate(self.problem.operations) if i not in placed]

    def _trouble(self, one: Operation) -> Finding | None:
        if one.order not in self.orders:
            return Finding(one.order, "no_order", one.id)
        for lag in one.after:
            if lag.operation not in self.operations:
                return Finding(one.order, "no_predecessor", one.id, lag.operation)
            if lag.most is not None and lag.most < lag.least:
                return Finding(one.order, "lag", one.id, lag.operation)
        if one.fixed is not None and one.fixed.why == "started":  # it goes on, whatever a plan would say of it
            known = one.fixed.machine in self.machines and any(mode.machine in self.machines for mode in one.modes)
            return self._of_store(one) if known else Finding(one.order, "no_machine", one.id, one.fixed.machine)
        return self._of_modes(one) or self._of_people(one) or self._of_goods(one)

    def _of_modes(self, one: Operation) -> Finding | None:
        known = [(mode, *self.machines[mode.machine]) for mode in one.modes if mode.machine in self.machines]
        if not known:
            return Finding(one.order, "no_machine", one.id, ", ".join(mode.machine for mode in one.modes))
        if any(mode.ticks <= 0 for mode, _, _ in known):
            return Finding(one.order, "no_time", one.id)
        if not any(_opens(calendar, mode.ticks, one.pauses) for mode, _, calendar in known):
            return Finding(one.order, "no_opening", one.id, ", ".join(mode.machine for mode, _, _ in known))
        if one.batch is not None and not any(_holds(machine, one) for _, machine, _ in known):
            return Finding(one.order, "batch_too_big", one.id)
        return None

    def _of_people(self, one: Operation) -> Finding | None:
        if one.skill is None:
            return None
        least = min(mode.ticks for mode in one.modes)
        able = (room for crew, room in self.crews if one.skill in crew.skills)
        ticks = 1 if one.pauses else least
        if any(room.first(0, ticks, one.people) < FOREVER for room in able):
            return None
        return Finding(one.order, "no_crew", one.id, one.skill)

    def _of_goods(self, one: Operation) -> Finding | None:
        for need in one.needs:
            if self._all_there(need) >= FOREVER:
                return Finding(one.order, "no_material", one.id, need.item)
        return self._of_store(one)

    def _of_store(self, one: Operation) -> Finding | None:
        if one.store is not None and (one.store not in self.stores or self.stores[one.store].capacity < one.room):
            return Finding(one.order, "no_store", one.id, one.store)
        return None

    def _all_there(self, need: Need) -> int:
        """When as much as that has arrived, if nobody else takes of it; FOREVER if it never has."""
        there = 0.0
        for supply in self.supplies.get(need.item, ()):
            there += supply.amount
            if there + ROUNDING >= need.amount:
                return supply.available
        return FOREVER

    def _after_due(self, one: Operation) -> Finding | None:
        due = self.orders[one.order].due
        for need in one.needs:
            if self._all_there(need) >= due:
                return Finding(one.order, "receipt_after_due", one.id, need.item, planned=True)
        return None


def _opens(calendar: Calendar, ticks: int, pauses: bool) -> bool:
    if pauses:
        return bool(calendar.pieces(0, ticks))
    return calendar.fit(0, ticks) < FOREVER


def _holds(machine: Machine, one: Operation) -> bool:
    return machine.batch == 0 or one.size <= machine.batch
