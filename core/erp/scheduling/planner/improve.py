"""Makes a plan better as long as it may: some operations at a time are given to the solver, the rest stays.

Large neighbourhood search: a window of operations near to each other in time and on machines that stand in for each
other is solved, the order that comes of it is placed on the board, and the plan is kept if it costs less.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from core.erp.scheduling.planner.board import with_setups
from core.erp.scheduling.planner.checker import check
from core.erp.scheduling.planner.compiled import Compiled
from core.erp.scheduling.planner.objective import Cost, cost
from core.erp.scheduling.planner.solver import Answer, Model, Task, WorkingTime, exact
from core.erp.scheduling.problem import Placed

WHOLE = 2500
"""Up to how many operations the whole problem is given to the solver."""
WINDOW = 100
PAIRED = 90
"""Places of a window's operations on machines with change-over, which is modelled pair by pair."""
TURN_EFFORT = 0.25
"""Deterministic time of the solver for one window."""


@dataclass(frozen=True, slots=True)
class Better:
    """A plan that costs less than the one before, after how many seconds and windows; `optimal` if that is proven."""

    placed: tuple[Placed, ...]
    cost: Cost
    seconds: float
    windows: int
    optimal: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """How long to go on: seconds of the clock, turns (the same plan for the same seed and turns), or until stopped.

    A turn is one rule tried, or one window given to the solver for `TURN_EFFORT`.
    """

    seconds: float = 10.0
    turns: int = 1 << 30
    workers: int = 1
    stopped: Callable[[], bool] = lambda: False


def improve(compiled: Compiled, placed: Sequence[Placed], limits: Limits, seed: int = 0) -> Iterator[Better]:
    """Yields each better plan. Ends when its time is over, or the optimum is proven."""
    began = time.monotonic()
    now = cost(compiled.problem, placed)
    if len(compiled.modes) <= WHOLE and exact(compiled.problem):
        yield from _whole(compiled, placed, limits, seed, now)
        return
    best = tuple(placed)
    working = WorkingTime(compiled.calendars)
    choose = _Choice(compiled, working, seed)
    windows = 0
    while not limits.stopped() and windows < limits.turns:
        over = limits.seconds - (time.monotonic() - began)
        if over <= 0:
            return
        stands = {compiled.index[one.operation]: one for one in best}
        moving = choose.window(stands)
        if not moving:
            return
        task = Task(frozenset(moving), stands, over, TURN_EFFORT, seed + windows)
        answer = Model(compiled, working, task).solve()
        windows += 1
        if answer is None:
            continue
        found = _moved(compiled, working, stands, answer)
        price = cost(compiled.problem, found)
        if price.total < now.total and not check(compiled.problem, found):
            best, now = found, price
            yield Better(best, now, time.monotonic() - began, windows)


def _moved(compiled: Compiled, working: WorkingTime, stands: dict[int, Placed], answer: Answer) -> tuple[Placed, ...]:
    """The plan with what the solver has moved in its new place."""
    new = dict(stands)
    for i, start in answer.starts.items():
        m = answer.machines[i]
        ticks = dict(compiled.modes[i])[m]
        new[i] = replace(
            new[i], machine=compiled.machine(m).id, start=working.back(start), end=working.over(start + ticks)
        )
    return with_setups(compiled, new.values())


def _whole(compiled: Compiled, placed: Sequence[Placed], limits: Limits, seed: int, now: Cost) -> Iterator[Better]:
    """The whole problem at once: what the solver says is the plan, and its proof counts."""
    began = time.monotonic()
    stands = {compiled.index[one.operation]: one for one in placed}
    task = Task(
        frozenset(stands), stands, limits.seconds, limits.turns * TURN_EFFORT, seed, workers=limits.workers, whole=True
    )
    answer = Model(compiled, WorkingTime(compiled.calendars), task).solve(limits.stopped)
    if answer is None:
        return
    found = tuple(
        Placed(
            compiled.operation(i).id,
            compiled.machine(answer.machines[i]).id,
            start,
            start + dict(compiled.modes[i])[answer.machines[i]],
        )
        for i, start in answer.starts.items()
    )
    price = cost(compiled.problem, found)
    proven = answer.optimal and price.total <= now.total and not compiled.problem.published
    if price.total < now.total or proven:
        found = tuple(sorted(found, key=lambda one: (one.start, one.machine, one.operation)))
        yield Better(found, price, time.monotonic() - began, 1, optimal=proven)


class _Choice:
    """Which operations are moved next: around one of a late order, on its machines and their stand-ins."""

    def __init__(self, compiled: Compiled, working: WorkingTime, seed: int) -> None:
        self.c = compiled
        self.time = working
        self.dice = random.Random(seed)  # noqa: S311 - a search, no secret
        self.unnamed = {
            m
            for i, modes in enumerate(compiled.modes)
            for m, _ in modes
            if compiled.operation(i).family is None and self._changes(m)
        }
        """Machines with change-over on which something has no family: it leaves behind what it found."""
        self.plain = [self._plain(i) for i in range(len(compiled.modes))]
        self.near: list[set[int]] = [set() for _ in compiled.problem.machines]
        for modes in compiled.modes:
            for m, _ in modes:
                self.near[m].update(k for k, _ in modes)

    def window(self, stands: dict[int, Placed]) -> list[int]:
        """Some operations that are not fixed; empty if there are none."""
        free = [i for i in stands if self.plain[i]]
        if not free:
            return []
        around = self._pressing(free, stands)
        middle = stands[around].start
        wide = self.dice.choice((1, 2, 4, len(self.near)))
        machines = self._machines(around, wide)
        there = [i for i in free if self.c.machine_index[stands[i].machine] in machines]
        there.sort(key=lambda i: (abs(stands[i].start - middle), i))
        stay = self._changed_at_night(stands)
        chosen: list[int] = []
        arcs = 0
        for i in there:
            if i in stay or not self._whole(i, stands[i]):
                continue
            arcs += sum(self._changes(m) for m, _ in self.c.modes[i])
            if len(chosen) >= WINDOW or arcs > PAIRED:
                break
            chosen.append(i)
        return chosen

    def _plain(self, i: int) -> bool:
        """Whether the solver's model says all of an operation: it takes no people, goods, stores, shared runs."""
        one = self.c.operation(i)
        single = all(self.c.machine(m).places == 1 and not self.c.machine(m).batch for m, _ in self.c.modes[i])
        tied = len(self.c.units[self.c.unit_of[i]]) > 1
        free = one.fixed is None and one.skill is None and not one.needs and one.store is None
        steady = one.pauses or not self.time.starts  # else a closing of all would be in its way
        named = one.family is not None or not any(self._changes(m) for m, _ in self.c.modes[i])
        return free and single and not tied and steady and named and not self.unnamed & {m for m, _ in self.c.modes[i]}

    def _changes(self, m: int) -> bool:
        return bool(self.c.machine(m).change_over or self.c.machine(m).setups)

    def _whole(self, i: int, one: Placed) -> bool:
        """Not cut by a closing of its own machine alone, which the solver's time does not know of."""
        ticks = dict(self.c.modes[i]).get(self.c.machine_index[one.machine])
        return self.time.to(one.end) - self.time.to(one.start) == ticks

    def _changed_at_night(self, stands: dict[int, Placed]) -> set[int]:
        """Those before and behind a change-over for which the solver's time, which knows of no nights, has no room."""
        found: set[int] = set()
        ahead: dict[tuple[str, int], int] = {}
        for i in sorted(stands, key=lambda i: stands[i].start):
            one = stands[i]
            before = ahead.get((one.machine, one.place))
            if before is not None and one.setup > self.time.to(one.start) - self.time.to(stands[before].end):
                found |= {before, i}
            ahead[one.machine, one.place] = i
        return found

    def _pressing(self, free: list[int], stands: dict[int, Placed]) -> int:
        ends: dict[int, int] = {}
        for i, one in stands.items():
            ends[self.c.order_of[i]] = max(ends.get(self.c.order_of[i], 0), one.end)
        orders = self.c.problem.orders
        late = [i for i in free if ends[self.c.order_of[i]] > orders[self.c.order_of[i]].due]
        return self.dice.choice(late or free)

    def _machines(self, around: int, wide: int) -> set[int]:
        """Its own machines and those that stand in for them, and of others at random until there are `wide` groups."""
        found: set[int] = set()
        first = self.c.modes[around][0][0]
        found |= self.near[first]
        others = list(range(len(self.near)))
        self.dice.shuffle(others)
        for m in others[: wide - 1]:
            found |= self.near[m]
        return found
