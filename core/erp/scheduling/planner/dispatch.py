"""Dispatching rules: whenever a machine is free, the most pressing of what is ready there goes next.

EDD: the earliest due date. ATC (apparent tardiness cost, Vepsalainen and Morton 1987): the weight per tick of work,
discounted by the slack that an order has left: w/p · exp(−max(0, d − t − b·r) / (k·p̄)), r the work that it still
has before it, b how many times that work takes in practice, p̄ the mean operation; change-over counts as work.
Two more parameters than the textbook's make it better where there is a long queue (`lotwise bench schedule`):
p becomes p^(1−a)·r^a, since an order that has little left is worth finishing, and a tick of change-over counts g
times, since it is lost to all that wait.
"""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

import numpy as np

from core.erp.scheduling.planner.board import Board, Cause, Impossible, Spot
from core.erp.scheduling.planner.compiled import Compiled
from core.erp.scheduling.problem import FOREVER

LOOKED_AT = 6
"""How many of the most pressing are tried when the first cannot begin now (its people or goods are not there)."""
Ints = np.ndarray[tuple[int], np.dtype[np.int64]]
Floats = np.ndarray[tuple[int], np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Rule:
    """EDD where `k` is 0; else ATC: its look-ahead, how many times its own work an order takes, and see above."""

    k: float = 0.0
    b: float = 1.0
    a: float = 0.0
    g: float = 1.0

    def __str__(self) -> str:
        return f"ATC k={self.k:g} b={self.b:g} a={self.a:g} g={self.g:g}" if self.k else "EDD"


EDD = Rule()
ATC = tuple(Rule(k, b) for k, b in product((0.5, 1.0, 2.0, 4.0), (1.0, 2.0, 4.0)))
"""The grid of 12 settings."""


class Dispatch:
    """One run of a rule over a problem, beginning with what stands fixed."""

    def __init__(self, compiled: Compiled, rule: Rule) -> None:
        self.c = compiled
        self.rule = rule
        self.board = Board(compiled)
        self.impossible: list[Impossible] = []
        """Units that fitted nowhere; what waits for them does not stand either."""
        self.refused: dict[int, set[int]] = {}
        units = compiled.units
        self.head = [unit[0] for unit in units]
        self.waits = [0] * len(units)
        self.behind: list[set[int]] = [set() for _ in units]
        for u, unit in enumerate(units):
            earlier = {compiled.unit_of[e] for i in unit for e, _, _ in compiled.before[i]} - {u}
            self.waits[u] = len(earlier)
            for one in earlier:
                self.behind[one].add(u)
        self._figures()
        self.queues: list[dict[int, None]] = [{} for _ in compiled.problem.machines]
        """By machine the units that are ready, in the order in which they became so."""
        self.done = [False] * len(units)
        self.events: list[tuple[int, int, int]] = []
        """(when, 0 for a unit that is ready or 1 for a machine that is free, which)."""

    def _figures(self) -> None:
        """What the index is made of, as arrays by unit."""
        c = self.c
        least = [min(t for _, t in modes) for modes in c.modes]
        work = [0] * len(least)  # an operation's own work and the longest chain of its order behind it
        for unit in reversed(c.units):
            for i in reversed(unit):
                work[i] = least[i] + max((work[j] for j in c.behind[i]), default=0)
        orders = c.problem.orders
        self.due = np.array([orders[c.order_of[i]].due for i in self.head], float)
        self.weight = np.array([orders[c.order_of[i]].weight for i in self.head], float)
        self.rest = np.array([work[i] for i in self.head], float)
        self.mean = float(np.mean(least)) if least else 1.0
        self.ticks: list[dict[int, int]] = [dict(modes) for modes in c.modes]
        families = sorted({one.family for one in c.problem.operations if one.family is not None})
        first = {one.family for one in c.problem.machines if one.family is not None}
        number = {name: n for n, name in enumerate(families, 1)}
        self.family = np.array([number.get(c.operation(i).family or "", 0) for i in self.head], np.int32)
        self.takes = np.zeros((len(c.problem.machines), len(self.head)), np.float64)
        for u, i in enumerate(self.head):
            for m, ticks in c.modes[i]:
                self.takes[m, u] = ticks
        self.changes: list[dict[str | None, Floats] | None] = []
        for m, machine in enumerate(c.problem.machines):
            row: dict[str | None, Floats] = {
                before: np.array([0, *(c.setup(m, before, after) for after in families)], float)
                for before in {*families, *first}
            }
            self.changes.append(row if machine.change_over or machine.setups else None)

    def run(self) -> Board:
        """Places every unit that can be placed."""
        for u in range(len(self.c.units)):
            if not self.waits[u]:
                self._due_when_ready(u)
        events = self.events
        while events:
            at = events[0][0]
            woken: set[int] = set()
            while events and events[0][0] == at:
                _, kind, which = heapq.heappop(events)
                if kind:
                    woken.add(which)
                elif not self.done[which]:
                    for m, _ in self.c.modes[self.head[which]]:
                        self.queues[m][which] = None
                        woken.add(m)
            for m in sorted(woken):
                self._serve(m, at)
        return self.board

    def _due_when_ready(self, u: int) -> None:
        if all(self.board.at[i] is not None for i in self.c.units[u]):
            self._stands(u)
            return
        at, _ = self.board.ready(self.head[u])
        heapq.heappush(self.events, (at, 0, u))

    def _serve(self, m: int, at: int) -> None:
        """Gives a machine what goes next, as long as one of its places is free."""
        while True:
            queue = self.queues[m]
            if not queue:
                return
            free = min(slot.free for slot in self.board.slots[m])
            if free > at:
                heapq.heappush(self.events, (free, 1, m))
                return
            if not self._next(m, at, queue):
                return

    def _next(self, m: int, at: int, queue: dict[int, None]) -> bool:
        """Places the most pressing that can begin when the machine opens; False if all must wait for something."""
        opened = self.c.calendars[m].opening(at)
        if opened >= FOREVER:
            for u in list(queue):
                del queue[u]
                self._fits_not(u, m, Impossible(self.head[u], Cause("closed", self.c.machine(m).id)))
            return False
        fallback: tuple[int, int] | None = None
        for u in self._most_pressing(m, opened, queue):
            i = self.head[u]
            try:
                spot = self.board.spot(i, m, self.ticks[i][m])
            except Impossible as no:
                del queue[u]
                self._fits_not(u, m, no)
                continue
            if self._in_time(spot, opened):
                self._place(u, m)
                return True
            if spot.cause.kind in {"closed", "fixed", "machine"}:
                if fallback is None or spot.start < fallback[0]:
                    fallback = (spot.start, u)
            else:  # its people or goods come later: the machine does not wait for them
                del queue[u]
                heapq.heappush(self.events, (spot.start, 0, u))
        if fallback is not None:
            self._place(fallback[1], m)
            return True
        return bool(queue)

    @staticmethod
    def _in_time(spot: Spot, opened: int) -> bool:
        return spot.start - spot.setup <= opened

    def _most_pressing(self, m: int, at: int, queue: dict[int, None]) -> Iterable[int]:
        if len(queue) == 1:
            return list(queue)
        some = np.fromiter(queue, np.int64, len(queue))
        index = self._index(m, at, some)
        if len(queue) <= LOOKED_AT:
            return [int(u) for u in some[np.argsort(-index, kind="stable")]]
        chosen = np.argpartition(-index, LOOKED_AT)[:LOOKED_AT]
        return [int(u) for u in some[chosen[np.lexsort((chosen, -index[chosen]))]]]

    def _index(self, m: int, at: int, some: Ints) -> Floats:
        rule = self.rule
        if not rule.k:
            return -self.due[some]
        rest = self.rest[some]
        work = self.takes[m, some]
        if rule.a:
            work = work ** (1 - rule.a) * rest**rule.a
        changes, family = self.changes[m], self.board.slots[m][0].family
        if changes is not None and family is not None:
            work += rule.g * changes[family][self.family[some]]
        slack = np.maximum(0.0, self.due[some] - at - rule.b * rest)
        index: Floats = self.weight[some] / work * np.exp(-slack / (rule.k * self.mean))
        return index

    def _place(self, u: int, m: int) -> None:
        try:
            self.board.place(u, {self.head[u]: m})
        except Impossible as no:
            self.queues[m].pop(u, None)
            self._fits_not(u, m, no)
            return
        self._stands(u)

    def _stands(self, u: int) -> None:
        self.done[u] = True
        for m, _ in self.c.modes[self.head[u]]:
            self.queues[m].pop(u, None)
        for i in self.c.units[u]:
            spot = self.board.at[i]
            if spot is not None:
                heapq.heappush(self.events, (self.board.slots[spot.machine][spot.place].free, 1, spot.machine))
        for later in self.behind[u]:
            self.waits[later] -= 1
            if not self.waits[later]:
                self._due_when_ready(later)

    def _fits_not(self, u: int, m: int, no: Impossible) -> None:
        """Out of the running for this machine; impossible where every other has refused it too."""
        refused = self.refused.setdefault(u, set())
        refused.add(m)
        if refused >= {k for k, _ in self.c.modes[self.head[u]]}:
            self.done[u] = True
            self.impossible.append(no)
