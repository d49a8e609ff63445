"""From a problem to plans: one at once, then better ones, as long as it may. None is shown that the checker refuses."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from core.erp.scheduling.planner.board import Impossible, with_setups
from core.erp.scheduling.planner.checker import Broken, check
from core.erp.scheduling.planner.compiled import Compiled
from core.erp.scheduling.planner.improve import WHOLE, Limits, improve
from core.erp.scheduling.planner.objective import Cost, cost
from core.erp.scheduling.planner.repair import repair
from core.erp.scheduling.planner.search import USUAL as USUAL_RULE
from core.erp.scheduling.planner.search import Made, made_by, search
from core.erp.scheduling.planner.solver import exact
from core.erp.scheduling.planner.soundness import Finding, Kind, sound, without
from core.erp.scheduling.problem import Placed, Problem

How = Literal["repair", "rule", "solver"]
RULES_SHARE = 0.7
"""Part of the time in which rules are tried before the solver is given windows."""
LACKS: dict[str, Kind] = {"material": "no_material", "crew": "no_crew", "lag": "lag"}
"""What is said of an operation that fitted nowhere, by what it lacked."""
PATIENCE = 30
"""Rules tried without a better plan before the solver begins."""


class PlanBroken(Exception):
    """The planner made a plan that breaks a rule: a defect of the planner. The plan in force stays."""

    def __init__(self, how: str, broken: Sequence[Broken]) -> None:
        super().__init__(f"a plan by {how} breaks {len(broken)} rules, first {broken[0]}")
        self.how = how
        self.broken = tuple(broken)


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked plan. `findings` are orders that are not in it, or cannot be in time; `problem` is what was planned,
    without them and with what the frozen window fixes.
    """

    problem: Problem
    placed: tuple[Placed, ...]
    cost: Cost
    how: How
    seconds: float
    findings: tuple[Finding, ...]
    optimal: bool = False


@dataclass(slots=True)
class Planner:
    """Plans one problem. `plans` yields each better plan, the first within moments."""

    problem: Problem
    limits: Limits = field(default_factory=Limits)
    seed: int = 0
    began: float = field(init=False, default=0.0)
    findings: list[Finding] = field(init=False, default_factory=list)
    looked_at: tuple[Problem, tuple[Placed, ...], list[Broken]] | None = field(init=False, default=None)

    def plans(self) -> Iterator[Plan]:
        """Each plan costs less than the one before it. Raises PlanBroken, ValueError for two of one id."""
        self.began = time.monotonic()
        found = sound(self.problem)
        self.findings = list(found.findings)
        if not found.problem.operations:
            yield Plan(found.problem, (), cost(found.problem, ()), "rule", self._seconds(), tuple(self.findings))
            return
        compiled, best, how = self._first(found.problem)
        yield self._plan(compiled, best, how)
        turns, idle = 1, 0
        shop = exact(compiled.problem) and len(compiled.modes) <= WHOLE
        rules = search(compiled, self.seed, best)
        while turns < self.limits.turns and idle < PATIENCE and not shop and not self.limits.stopped():
            if self._seconds() >= self.limits.seconds * RULES_SHARE:
                break
            made = next(rules)
            turns, idle = turns + 1, idle + 1
            if made.price < best.price and not self._broken(compiled, made):
                best, idle = made, 0
                yield self._plan(compiled, best, "rule")
        rest = replace(self.limits, seconds=self.limits.seconds - self._seconds(), turns=self.limits.turns - turns)
        if rest.seconds > 0 and rest.turns > 0:
            for better in improve(compiled, best.placed, rest, self.seed):
                made = Made(better.placed, better.cost, best.rule)
                yield self._plan(compiled, made, "solver", optimal=better.optimal)

    def _seconds(self) -> float:
        return time.monotonic() - self.began

    def _first(self, problem: Problem) -> tuple[Compiled, Made, How]:
        """The cheaper of the published plan made good again, and a new one by rule; without what fits nowhere."""
        problem, repaired = self._repaired(problem)
        compiled = Compiled(problem)
        made = made_by(compiled, USUAL_RULE)
        if repaired is not None:
            first, other = sorted((("repair", repaired), ("rule", made)), key=lambda one: one[1].price)
            how, chosen = other if self._broken(compiled, first[1]) else first
            return self._possible(compiled, chosen, "repair" if how == "repair" else "rule")
        return self._possible(compiled, made, "rule")

    def _possible(self, compiled: Compiled, made: Made, how: How) -> tuple[Compiled, Made, How]:
        """Without the orders of which something fitted nowhere: they are said, the rest goes on."""
        said = _without_place(compiled, made.placed, made.impossible)
        if not said:
            return compiled, made, how
        self.findings += said
        left_out = {one.order for one in said}
        gone = {one.id for one in compiled.problem.operations if one.order in left_out}
        rest = Compiled(without(compiled.problem, left_out))
        placed = tuple(one for one in made.placed if one.operation not in gone)
        placed = with_setups(rest, placed)
        left = Made(placed, cost(rest.problem, placed), made.rule)
        if self._broken(rest, left):  # what stood between two others kept them in order
            return rest, made_by(rest, USUAL_RULE), "rule"
        return rest, left, how

    def _repaired(self, problem: Problem) -> tuple[Problem, Made | None]:
        """The problem with what stays fixed, and the published plan made good again, if there is one."""
        pinned = [one for one in problem.operations if one.fixed is not None]
        if not problem.published and not pinned:
            return problem, None
        problem, done = repair(problem)
        placed = done.board.placed()
        kept = {one.id for one in problem.operations if one.fixed is not None}
        self.findings += [Finding(one.order, "pin", one.id, planned=True) for one in pinned if one.id not in kept]
        return problem, Made(placed, cost(problem, placed), USUAL_RULE, tuple(done.impossible))

    def _broken(self, compiled: Compiled, made: Made) -> list[Broken]:
        """What the plan breaks; of the one that was looked at last it is known."""
        if self.looked_at is None or self.looked_at[0] is not compiled.problem or self.looked_at[1] is not made.placed:
            broken = check(compiled.problem, made.placed, partial=bool(made.impossible))
            self.looked_at = (compiled.problem, made.placed, broken)
        return self.looked_at[2]

    def _plan(self, compiled: Compiled, made: Made, how: How, *, optimal: bool = False) -> Plan:
        broken = self._broken(compiled, made)
        if broken:
            raise PlanBroken(how, broken)
        return Plan(compiled.problem, made.placed, made.cost, how, self._seconds(), tuple(self.findings), optimal)


def _without_place(compiled: Compiled, placed: Sequence[Placed], nowhere: Sequence[Impossible]) -> list[Finding]:
    """Orders of which something fitted nowhere, or waits for what did not."""
    if not nowhere:
        return []
    stands = {one.operation for one in placed}
    said: dict[str, Finding] = {}
    for one in nowhere:
        operation = compiled.operation(one.operation)
        kind = LACKS.get(one.cause.kind, "no_opening")
        said.setdefault(operation.order, Finding(operation.order, kind, operation.id, one.cause.of))
    for operation in compiled.problem.operations:
        if operation.id not in stands:
            said.setdefault(operation.order, Finding(operation.order, "depends", operation.id))
    return list(said.values())
