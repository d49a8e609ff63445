"""From a problem to plans: one at once, then better ones, as long as it may. None is shown that the checker refuses."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from core.erp.scheduling.planner.board import Impossible
from core.erp.scheduling.planner.checker import Broken, check
from core.erp.scheduling.planner.compiled import Compiled
from core.erp.scheduling.planner.improve import WHOLE, Limits, improve
from core.erp.scheduling.planner.objective import Cost, cost
from core.erp.scheduling.planner.repair import repair
from core.erp.scheduling.planner.search import USUAL as USUAL_RULE
from core.erp.scheduling.planner.search import Made, made_by, search
from core.erp.scheduling.planner.solver import exact
from core.erp.scheduling.planner.soundness import Finding, sound
from core.erp.scheduling.problem import Placed, Problem

How = Literal["repair", "rule", "solver"]
RULES_SHARE = 0.7
"""Part of the time in which rules are tried before the solver is given windows."""
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

    def plans(self) -> Iterator[Plan]:
        """Each plan costs less than the one before it. Raises PlanBroken, ValueError for two of one id."""
        self.began = time.monotonic()
        found = sound(self.problem)
        self.findings = list(found.findings)
        compiled, best, how = self._first(found.problem)
        yield self._plan(compiled, best, how)
        turns, idle = 1, 0
        shop = exact(compiled.problem) and len(compiled.modes) <= WHOLE
        for made in search(compiled, self.seed, best):
            turns += 1
            better = made.price < best.price and not self._broken(compiled, made)
            idle = 0 if better else idle + 1
            if better:
                best = made
                yield self._plan(compiled, best, "rule")
            over = self._seconds() >= self.limits.seconds * RULES_SHARE
            if over or shop or idle >= PATIENCE or turns >= self.limits.turns or self.limits.stopped():
                break
        if best.impossible:
            return
        rest = replace(self.limits, seconds=self.limits.seconds - self._seconds(), turns=self.limits.turns - turns)
        if rest.seconds > 0 and rest.turns > 0:
            for found_better in improve(compiled, best.placed, rest, self.seed):
                made = Made(found_better.placed, found_better.cost, best.rule)
                yield self._plan(compiled, made, "solver", optimal=found_better.optimal)

    def _seconds(self) -> float:
        return time.monotonic() - self.began

    def _first(self, problem: Problem) -> tuple[Compiled, Made, How]:
        """The cheaper of the published plan made good again, and a new one by rule."""
        repaired: Made | None = None
        if problem.published or any(one.fixed is not None for one in problem.operations):
            pinned = {one.id: one for one in problem.operations if one.fixed is not None and one.fixed.why == "pinned"}
            problem, done = repair(problem)
            placed = done.board.placed()
            repaired = Made(placed, cost(problem, placed), USUAL_RULE, tuple(done.impossible))
            loose = [one.id for one in problem.operations if one.fixed is None and one.id in pinned]
            self.findings += [Finding(pinned[name].order, "pin", name, planned=True) for name in loose]
        compiled = Compiled(problem)
        made = made_by(compiled, USUAL_RULE)
        if repaired is not None and (repaired.price <= made.price or self._broken(compiled, made)):
            return compiled, repaired, "repair"
        return compiled, made, "rule"

    def _broken(self, compiled: Compiled, made: Made) -> list[Broken]:
        return check(compiled.problem, made.placed, partial=bool(made.impossible))

    def _plan(self, compiled: Compiled, made: Made, how: How, *, optimal: bool = False) -> Plan:
        broken = self._broken(compiled, made)
        if broken:
            raise PlanBroken(how, broken)
        said = (*self.findings, *_without_place(compiled, made.placed, made.impossible))
        return Plan(compiled.problem, made.placed, made.cost, how, self._seconds(), said, optimal)


def _without_place(compiled: Compiled, placed: Sequence[Placed], nowhere: Sequence[Impossible]) -> list[Finding]:
    """Orders of which something fitted nowhere, or waits for what did not."""
    if not nowhere:
        return []
    stands = {one.operation for one in placed}
    said: dict[str, Finding] = {}
    for one in nowhere:
        operation = compiled.operation(one.operation)
        kind = {"material": "no_material", "crew": "no_crew", "lag": "lag"}.get(one.cause.kind, "no_opening")
        said.setdefault(operation.order, Finding(operation.order, kind, operation.id, one.cause.of))  # type: ignore[arg-type]  # the values are of its kinds
    for operation in compiled.problem.operations:
        if operation.id not in stands:
            said.setdefault(operation.order, Finding(operation.order, "depends", operation.id))
    return list(said.values())
