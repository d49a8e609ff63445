"""What a plan costs, part by part, in ticks that an order of weight 1 is late (`problem.Weights`)."""

from collections.abc import Iterable

from msgspec import Struct

from core.erp.scheduling.problem import Placed, Problem


class Cost(Struct, frozen=True):
    """A plan's figures. `total` is what is made small; of an instance with objective `makespan` that is its end."""

    total: float
    tardiness: int
    late: int
    makespan: int
    setup: int
    moved: int
    waiting: int
    expiry: int
    planned: int


def cost(problem: Problem, placed: Iterable[Placed]) -> Cost:
    """The cost of what is placed."""
    stands = {one.operation: one for one in placed}
    ends: dict[str, int] = {}
    waiting = 0
    last_after: dict[str, int] = {}
    for operation in problem.operations:
        if (one := stands.get(operation.id)) is None:
            continue
        ends[operation.order] = max(ends.get(operation.order, 0), one.end)
        for lag in operation.after:
            last_after[lag.operation] = max(last_after.get(lag.operation, 0), one.start)
    for operation in problem.operations:
        if operation.store is not None and operation.id in last_after and operation.id in stands:
            waiting += operation.room * max(0, last_after[operation.id] - stands[operation.id].end)
    lateness = [(max(0, ends[one.id] - one.due), one.weight) for one in problem.orders if one.id in ends]
    tardiness = sum(late * weight for late, weight in lateness)
    setup = sum(one.setup for one in stands.values())
    shifted = moved(problem, stands)
    near = _near_expiry(problem, stands)
    makespan = max((one.end for one in stands.values()), default=0)
    weights = problem.weights
    total = tardiness + weights.setup * setup + weights.moved * shifted + weights.waiting * waiting
    total += weights.expiry * near
    if problem.objective == "makespan":
        total = float(makespan)
    late = sum(1 for ticks, _ in lateness if ticks)
    return Cost(total, tardiness, late, makespan, setup, shifted, waiting, near, len(stands))


def moved(problem: Problem, stands: dict[str, Placed], until: int | None = None) -> int:
    """How many operations of the published plan (begun there before `until`) stand elsewhere, or 15 min off."""
    most = 15 * 60 // problem.tick_s
    count = 0
    for before in problem.published:
        if until is not None and before.start >= until:
            continue
        now = stands.get(before.operation)
        count += now is None or now.machine != before.machine or abs(now.start - before.start) > most
    return count


def _near_expiry(problem: Problem, stands: dict[str, Placed]) -> int:
    until = {one.id: one.until for one in problem.supplies}
    near = 0
    for one in stands.values():
        for supply, _ in one.used:
            ends = until[supply]
            if ends is not None:
                near += max(0, problem.weights.margin - (ends - one.start))
    return near
