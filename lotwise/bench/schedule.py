"""Plans of a generated plant: how fast after an event, how good after a while, how much is moved and explained."""

import gc
import os
import random
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import mean

from msgspec.structs import replace

from core.erp.scheduling.planner.checker import check
from core.erp.scheduling.planner.compiled import Compiled
from core.erp.scheduling.planner.dispatch import ATC, EDD, Rule
from core.erp.scheduling.planner.explain import Reasons
from core.erp.scheduling.planner.improve import Limits
from core.erp.scheduling.planner.objective import moved
from core.erp.scheduling.planner.plan import Plan, Planner
from core.erp.scheduling.planner.search import made_by
from core.erp.scheduling.problem import Order, Problem, Window
from lotwise.bench.figures import figure
from lotwise.bench.shop_plant import DAY, OPENS, plant

EIGHT_HOURS = 8 * 60
NOW = OPENS
"""The published plan is in force from the start; what happens, happens when the plant opens on Monday."""
METHOD = (
    "plant of seed {seed}: {orders} orders, {operations} operations, {machines} machines in groups that stand in for"
    " each other, two shifts on five days, maintenance, a machine down, family change-over, a crew, late receipts, 2 %"
    " of the orders held; every plan passed the checker; load average {load:.1f}"
)


@dataclass(frozen=True, slots=True)
class Size:
    """How big the plant is, how many events happen, how long plans are made better."""

    seed: int
    orders: int
    machines: int
    events: int
    seconds: float
    big: int


def run(size: Size) -> None:
    """Prints event_p95_s, edd_pct, atc_gain_pct, changed_8h_pct, changed_after_pct, shift_mean, frozen_cost_pct,
    explained_pct, feasible_25k_s (named by its size) and rss_mb.
    """
    problem = plant(size.seed, size.orders, size.machines)
    method = METHOD.format(
        seed=size.seed,
        orders=size.orders,
        operations=len(problem.operations),
        machines=size.machines,
        load=os.getloadavg()[0],
    )
    compiled = Compiled(problem)
    edd = _checked(compiled, EDD)
    atc = min(_checked(compiled, rule) for rule in ATC)
    best = _last(Planner(problem, Limits(size.seconds), size.seed))
    after = f"{method}; after {size.seconds:g} s"
    figure(
        "schedule", "edd_pct", 100 * best.cost.tardiness / edd, "%", 1, f"{after}, of EDD's weighted tardiness {edd}"
    )
    gain = 100 * (1 - best.cost.tardiness / atc)
    figure("schedule", "atc_gain_pct", gain, "%", 1, f"{after}, below the best of 12 ATC settings, {atc}")
    explained = [why.cause is not None for why in Reasons(best.problem, best.placed).late()]
    figure("schedule", "explained_pct", 100 * mean(explained or [True]), "%", len(explained), f"{method}; late orders")
    _after_events(size, replace(problem, published=best.placed), method)
    _big(size)


def _checked(compiled: Compiled, rule: Rule) -> int:
    """The weighted tardiness of a rule's plan, which is whole and holds."""
    made = made_by(compiled, rule)
    if made.impossible or check(compiled.problem, made.placed):
        raise ValueError(f"the plan by {rule} does not hold")
    return made.cost.tardiness


def _last(planner: Planner) -> Plan:
    *_, last = planner.plans()
    return last


def _after_events(size: Size, problem: Problem, method: str) -> None:
    """One event after another on the published plan: time to the first checked plan, with and without a freeze."""
    taken, changed, later, shifts, costs = [], [], [], [], []
    for changed_problem in _events(problem, size):
        frozen = replace(changed_problem, frozen=NOW + EIGHT_HOURS)
        began = time.perf_counter()
        plan = next(Planner(frozen, Limits(turns=1), size.seed).plans())
        taken.append(time.perf_counter() - began)
        loose = next(Planner(changed_problem, Limits(turns=1), size.seed).plans())
        stands = {one.operation: one for one in plan.placed}
        first = [one for one in plan.problem.published if one.start < NOW + EIGHT_HOURS]
        then = [one for one in plan.problem.published if NOW + EIGHT_HOURS <= one.start < NOW + 2 * EIGHT_HOURS]
        changed.append(moved(replace(problem, published=tuple(first)), stands) / max(1, len(first)))
        later.append(moved(replace(problem, published=tuple(then)), stands) / max(1, len(then)))
        shifts += [abs(stands[one.operation].start - one.start) for one in first if one.operation in stands]
        costs.append((plan.cost.tardiness, loose.cost.tardiness))
    events = f"{method}; holds, machines down, new orders and late receipts one at a time on the published plan"
    p95 = sorted(taken)[min(len(taken) - 1, int(0.95 * len(taken)))]
    figure("schedule", "event_p95_s", p95, "s", len(taken), f"{events}; from the changed problem to a checked plan")
    freeze = f"{events}; first plan, 8 h frozen"
    figure(
        "schedule",
        "changed_8h_pct",
        100 * mean(changed),
        "%",
        len(taken),
        f"{freeze}; of what was to begin in these 8 h, over 15 min or on another machine",
    )
    figure("schedule", "changed_after_pct", 100 * mean(later), "%", len(taken), f"{freeze}; the same of the 8 h after")
    figure(
        "schedule",
        "shift_mean",
        mean(shifts or [0]),
        "min",
        len(shifts),
        f"{freeze}; of what was to begin in these 8 h",
    )
    paid = 100 * (sum(a for a, _ in costs) / max(1, sum(b for _, b in costs)) - 1)
    figure(
        "schedule", "frozen_cost_pct", paid, "%", len(taken), f"{freeze}; weighted tardiness over that without a freeze"
    )


def _events(problem: Problem, size: Size) -> Iterator[Problem]:
    dice = random.Random(size.seed)  # noqa: S311 - a plant, no secret
    begun = sorted(problem.published, key=lambda one: one.start)
    orders = {one.id: one.order for one in problem.operations}
    for n in range(size.events):
        kind = n % 4
        if kind == 0:  # a hold on what would begin soon
            held = orders[begun[dice.randrange(min(80, len(begun)))].operation]
            yield _without(problem, held)
        elif kind == 1:  # a machine goes down for half a shift
            m = dice.randrange(len(problem.machines))
            machine = problem.machines[m]
            down = replace(machine, closed=(*machine.closed, Window(NOW, NOW + 240, "down")))
            yield replace(problem, machines=(*problem.machines[:m], down, *problem.machines[m + 1 :]))
        elif kind == 2:  # noqa: PLR2004 - an urgent order like another one
            yield _with_new(problem, dice)
        else:
            s = dice.randrange(len(problem.supplies))
            supply = problem.supplies[s]
            late = replace(supply, available=supply.available + 2 * DAY)
            yield replace(problem, supplies=(*problem.supplies[:s], late, *problem.supplies[s + 1 :]))


def _without(problem: Problem, order: str) -> Problem:
    return replace(
        problem,
        orders=tuple(one for one in problem.orders if one.id != order),
        operations=tuple(one for one in problem.operations if one.order != order),
    )


def _with_new(problem: Problem, dice: random.Random) -> Problem:
    model = dice.choice(problem.orders)
    steps = [one for one in problem.operations if one.order == model.id]
    new = {one.id: f"new/{n}" for n, one in enumerate(steps)}
    made = tuple(
        replace(
            one,
            id=new[one.id],
            order="new",
            needs=(),
            after=tuple(replace(lag, operation=new[lag.operation]) for lag in one.after),
        )
        for one in steps
    )
    urgent = Order("new", NOW + DAY, 8)
    return replace(problem, orders=(*problem.orders, urgent), operations=(*problem.operations, *made))


def _big(size: Size) -> None:
    """Five times the plant: the first checked plan, and the memory it took."""
    if not size.big:
        return
    gc.collect()
    problem = plant(size.seed, size.big, size.machines * size.big // size.orders)
    began = time.perf_counter()
    next(Planner(problem, Limits(turns=1), size.seed).plans())
    took = time.perf_counter() - began
    count = len(problem.operations)
    method = f"plant of seed {size.seed}: {size.big} orders, {count} operations, {len(problem.machines)} machines"
    figure(
        "schedule",
        f"feasible_{round(count / 1000)}k_s",
        took,
        "s",
        1,
        f"{method}; from the problem to the first checked plan",
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figure("schedule", "rss_mb", peak, "MiB", 1, f"{method}; the most that the process ever took")
