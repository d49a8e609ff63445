"""Better rules: parameters of the dispatching rule around the best found so far, the cheapest plan is kept."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from core.erp.scheduling.planner.board import Impossible
from core.erp.scheduling.planner.compiled import Compiled
from core.erp.scheduling.planner.dispatch import Dispatch, Rule
from core.erp.scheduling.planner.objective import Cost, cost
from core.erp.scheduling.problem import Placed

USUAL = Rule(30.0, 2.0, 0.4, 10.0)
"""The rule to begin with: the best or nearly the best on the generated plants."""
WIDE = 1.5
"""By how many powers of two a parameter is changed at most, at first."""
BOUNDS = {"k": (0.5, 200.0), "b": (0.5, 8.0), "a": (0.0, 1.0), "g": (0.5, 40.0)}


@dataclass(frozen=True, slots=True)
class Made:
    """A plan that a rule has made, what it costs, and what found no place."""

    placed: tuple[Placed, ...]
    cost: Cost
    rule: Rule
    impossible: tuple[Impossible, ...] = ()

    @property
    def price(self) -> tuple[int, float]:
        """What is compared: first how much is placed, then the cost."""
        return -self.cost.planned, self.cost.total


def made_by(compiled: Compiled, rule: Rule) -> Made:
    """The plan of one rule."""
    run = Dispatch(compiled, rule)
    placed = run.run().placed()
    return Made(placed, cost(compiled.problem, placed), rule, tuple(run.impossible))


def near(rule: Rule, dice: random.Random, wide: float) -> Rule:
    """A rule near another: each parameter is changed by a factor (`a` by a term) that `wide` bounds."""
    drawn = {}
    for name, (least, most) in BOUNDS.items():
        value = getattr(rule, name)
        step = dice.uniform(-wide, wide)
        moved = value + step / 4 if name == "a" else value * 2**step
        drawn[name] = min(most, max(least, moved)) if dice.random() < 0.7 else value  # noqa: PLR2004 - most change, some stay
    return Rule(**drawn)


def search(compiled: Compiled, seed: int, best: Made | None = None) -> Iterator[Made]:
    """Plans by one rule after another, without end: the usual one, then some near the best so far.

    The one who asks says when it is enough; the same seed gives the same row of plans.
    """
    dice = random.Random(seed)  # noqa: S311 - a search, no secret
    if best is None:
        best = made_by(compiled, USUAL)
        yield best
    wide = WIDE
    while True:
        found = made_by(compiled, near(best.rule, dice, wide))
        if found.price < best.price:
            best, wide = found, WIDE
        else:
            wide = max(WIDE / 5, wide * 0.9)
        yield found
