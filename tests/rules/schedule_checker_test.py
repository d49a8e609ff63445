"""The checker finds each way in which a plan can be broken: a plan that holds is broken in one place, by hand."""

from collections.abc import Callable
from typing import get_args

import pytest
from msgspec.structs import replace

from core.erp.scheduling.planner.checker import Rule, check
from core.erp.scheduling.problem import (
    After,
    Crew,
    Fixed,
    Machine,
    Mode,
    Need,
    Operation,
    Order,
    Placed,
    Problem,
    Shift,
    Store,
    Supply,
    Window,
)

PROBLEM = Problem(
    machines=(
        Machine("mix", change_over=5, family="nut"),
        Machine("fill", closed=(Window(100, 200, "night"),)),
        Machine("oven", batch=2),
    ),
    orders=(Order("a", 90, release=5), Order("b", 90)),
    operations=(
        Operation("a1", "a", (Mode("mix", 10),), family="nut", needs=(Need("powder", 2),)),
        Operation("a2", "a", (Mode("fill", 20),), (After("a1", 2, 30),), store="fridge", skill="fills"),
        Operation("a3", "a", (Mode("oven", 30),), (After("a2"),), batch="hot"),
        Operation("b1", "b", (Mode("mix", 10),), family="milk", needs=(Need("powder", 1),)),
        Operation("b2", "b", (Mode("fill", 20),), (After("b1"),), store="fridge", skill="fills"),
        Operation("b3", "b", (Mode("oven", 30),), (After("b2"),), batch="hot"),
        Operation("pin", "b", (Mode("mix", 10),), fixed=Fixed("mix", 300)),
    ),
    crews=(Crew("crew", ("fills",), (Shift(0, 100, 1), Shift(200, 300, 1))),),
    stores=(Store("fridge", 1),),
    supplies=(Supply("s1", "powder", 2, 0, 50), Supply("s2", "powder", 2, 15)),
)
PLAN = (
    Placed("a1", "mix", 5, 15, used=(("s1", 2.0),)),
    Placed("b1", "mix", 20, 30, setup=5, used=(("s2", 1.0),)),
    Placed("a2", "fill", 17, 37, crew="crew"),
    Placed("b2", "fill", 45, 65, crew="crew"),
    Placed("a3", "oven", 65, 95),
    Placed("b3", "oven", 65, 95),
    Placed("pin", "mix", 300, 310),
)


def changed(name: str, **to: object) -> Callable[[], tuple[Placed, ...]]:
    return lambda: tuple(replace(one, **to) if one.operation == name else one for one in PLAN)


BROKEN: dict[str, tuple[str, Callable[[], tuple[Placed, ...]]]] = {
    "an operation that the problem has not": ("unknown", changed("a1", operation="x")),
    "a machine that the problem has not": ("unknown", changed("a1", machine="x")),
    "one twice": ("twice", lambda: (*PLAN, PLAN[0])),
    "one not at all": ("missing", lambda: PLAN[1:]),
    "a machine that cannot do it": ("machine", changed("a1", machine="fill")),
    "a place that the machine has not": ("machine", changed("a1", place=1)),
    "too short": ("duration", changed("a1", end=14)),
    "before its release": ("early", changed("a1", start=4, end=14)),
    "too soon after its step before": ("lag_least", changed("a2", start=16, end=36)),
    "too long after its step before": ("lag_most", changed("a2", start=46, end=66)),
    "while the machine is closed": ("closed", changed("b2", start=90, end=110)),
    "two at once": ("overlap", changed("b2", start=36, end=56)),
    "without change-over": ("setup", changed("b1", start=19, end=29)),
    "people of no crew": ("crew", changed("b2", crew=None)),
    "people who are not there": ("crew", changed("b2", start=295, end=315)),
    "nothing of what it takes": ("material", changed("b1", used=())),
    "more than there is": ("material", changed("b1", used=(("s2", 3.0),))),
    "before it has arrived": ("material", changed("a1", used=(("s2", 2.0),))),
    "what is expired": ("expired", changed("b1", start=60, end=70, used=(("s1", 1.0),))),
    "two where one has room": (
        "store",
        lambda: tuple(
            {"a3": replace(one, start=70, end=100), "b3": replace(one, start=100, end=130)}.get(one.operation, one)
            for one in PLAN
        ),
    ),
    "a batch too big": ("batch", lambda: PLAN),
    "elsewhere than it is fixed": ("fixed", changed("pin", start=310, end=320)),
}


def test_the_plan_holds_as_it_is() -> None:
    assert check(PROBLEM, PLAN) == []


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plan_is_caught(name: str) -> None:
    rule, broken = BROKEN[name]
    problem = PROBLEM
    if rule == "batch":
        problem = replace(
            PROBLEM, operations=tuple(replace(one, size=2) if one.id == "a3" else one for one in PROBLEM.operations)
        )
    assert rule in {one.rule for one in check(problem, broken())}


def test_every_rule_of_the_checker_has_a_plan_that_breaks_it() -> None:
    assert {rule for rule, _ in BROKEN.values()} == set(get_args(Rule))
