"""A plan again after something has happened: the order of the old one is kept, what may not stay gives way.

What begins within the frozen window stays where it is, unless it cannot: its machine is closed, what it waits for ends
later, its goods are gone.
"""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from core.erp.scheduling.planner.board import Board, Impossible
from core.erp.scheduling.planner.checker import check
from core.erp.scheduling.planner.compiled import Compiled
from core.erp.scheduling.problem import Fixed, Operation, Placed, Problem

ROUNDS = 6
"""How often frozen operations that break a rule are let go before all are."""
SLOWER = 60
"""Ticks by which its old machine may begin an operation later than before; then another machine may take it."""


@dataclass(slots=True)
class Sequenced:
    """A board filled in a given order, and the units that fitted nowhere."""

    board: Board
    impossible: list[Impossible] = field(default_factory=list)


def in_order(
    compiled: Compiled, keys: Mapping[int, float], machines: Mapping[int, int], *, slower: int | None = None
) -> Sequenced:
    """Places units by their key (a lower one first), predecessors always before.

    `machines` says by operation where it goes; with `slower`, another machine may take it where it would begin that
    many ticks after its key's time on the one said.
    """
    board = Board(compiled)
    done = Sequenced(board)
    units = compiled.units
    waits = [0] * len(units)
    behind: list[list[int]] = [[] for _ in units]
    for u, unit in enumerate(units):
        earlier = {compiled.unit_of[e] for i in unit for e, _, _ in compiled.before[i]} - {u}
        waits[u] = len(earlier)
        for one in earlier:
            behind[one].append(u)
    ready = [(keys[unit[0]], u) for u, unit in enumerate(units) if not waits[u]]
    heapq.heapify(ready)
    while ready:
        key, u = heapq.heappop(ready)
        try:
            _place(board, u, machines, key, slower)
        except Impossible as no:
            done.impossible.append(no)
            continue
        for later in behind[u]:
            waits[later] -= 1
            if not waits[later]:  # what cannot begin yet does not keep its machine from what can
                heapq.heappush(ready, (max(keys[units[later][0]], board.ready(units[later][0])[0]), later))
    return done


def _place(board: Board, u: int, machines: Mapping[int, int], key: float, slower: int | None) -> None:
    unit = board.c.units[u]
    head = unit[0]
    if all(board.at[i] is not None for i in unit):
        return
    m = machines.get(head)
    if slower is not None and m is not None and len(board.c.modes[head]) > 1 and board.at[head] is None:
        ticks = next((t for k, t in board.c.modes[head] if k == m), None)
        late = ticks is None
        if ticks is not None:
            try:
                late = board.spot(head, m, ticks).start > key + slower
            except Impossible:
                late = True
        if late:
            board.place(u)
            return
    board.place(u, machines)


def keys_of(compiled: Compiled, placed: Sequence[Placed]) -> tuple[dict[int, float], dict[int, int]]:
    """In which order, and on which machines, a plan has its operations. Those it has not go when their time presses:
    as late as their order can wait if its work takes twice its own time.
    """
    keys: dict[int, float] = {}
    machines: dict[int, int] = {}
    for one in placed:
        if one.operation in compiled.index and one.machine in compiled.machine_index:
            i = compiled.index[one.operation]
            m = compiled.machine_index[one.machine]
            keys[i] = one.start
            if any(k == m for k, _ in compiled.modes[i]):
                machines[i] = m
    rest = [0] * len(compiled.modes)
    for unit in reversed(compiled.units):
        for i in reversed(unit):
            rest[i] = min(t for _, t in compiled.modes[i]) + max((rest[j] for j in compiled.behind[i]), default=0)
            if i not in keys:
                order = compiled.problem.orders[compiled.order_of[i]]
                keys[i] = max(order.release, order.due - 2 * rest[i])
    return keys, machines


def frozen(problem: Problem) -> Problem:
    """The problem with what its published plan begins within the frozen window fixed where it stands."""
    if not problem.frozen:
        return problem
    held = {one.operation: one for one in problem.published if one.start < problem.frozen}
    capable = {one.id: {mode.machine for mode in one.modes} for one in problem.operations}
    stays = {name for name, one in held.items() if name in capable and one.machine in capable[name]}
    return _anchored(replace(problem, operations=tuple(_fixed(one, held, stays) for one in problem.operations)))


def _anchored(problem: Problem) -> Problem:
    """Lets go what is frozen behind something that is not: where that will end is not known yet."""
    fixed = {one.id for one in problem.operations if one.fixed is not None}
    loose: set[str] = set()
    while True:
        more = {
            one.id
            for one in problem.operations
            if one.fixed is not None
            and one.fixed.why == "frozen"
            and one.id not in loose
            and any(lag.operation not in fixed for lag in one.after)
        }
        if not more:
            return let_go(problem, loose)
        loose |= more
        fixed -= more


def let_go(problem: Problem, names: set[str]) -> Problem:
    """The problem with some of what is frozen or pinned no longer so."""
    if not names:
        return problem
    return replace(
        problem,
        operations=tuple(
            replace(one, fixed=None)
            if one.id in names and one.fixed is not None and one.fixed.why != "started"
            else one
            for one in problem.operations
        ),
    )


def _fixed(one: Operation, held: Mapping[str, Placed], stays: set[str]) -> Operation:
    if one.fixed is not None or one.id not in stays:
        return one
    at = held[one.id]
    return replace(one, fixed=Fixed(at.machine, at.start, why="frozen"))


def repair(problem: Problem) -> tuple[Problem, Sequenced]:
    """The published plan made good again: in its order, what is frozen or pinned in its place as far as that can be.

    Gives the problem with what is fixed now, and the board. What has begun is always where it is.
    """
    fixed = frozen(problem)
    for turn in range(ROUNDS):
        compiled = Compiled(fixed)
        done = in_order(compiled, *keys_of(compiled, problem.published), slower=SLOWER)
        freed = _at_fault(fixed, done)
        if not freed:
            return fixed, done
        if turn == ROUNDS - 2:
            freed = {one.id for one in fixed.operations}
        fixed = _anchored(let_go(fixed, freed))
    return fixed, done


def _at_fault(problem: Problem, done: Sequenced) -> set[str]:
    """What is frozen or pinned and breaks a rule where it stands, or keeps something else from holding one."""
    loose = {one.id for one in problem.operations if one.fixed is not None and one.fixed.why != "started"}
    if not loose:
        return set()
    broken = check(problem, done.board.placed(), partial=True)
    named = {name for one in broken for name in (one.operation, one.of)}
    # what is named may be what is in the right: then all that was fixed on that machine, else all, is let go
    near = {one.id for one in problem.operations if one.fixed is not None and one.fixed.machine in named}
    return named & loose or near & loose or (loose if broken else set())
