"""CP-SAT over some of a plan's operations, the rest standing where it stands. The only importer of the solver.

The model is a sequencer: closings common to all machines are taken out of the time, crews and goods are left to the
board on which its order is then placed, so that whatever it says becomes a plan that holds or is thrown away. Where a
problem has none of these (`exact`), what it says is the plan itself, and its proof of the optimum counts.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ortools.sat.python import cp_model

from core.erp.scheduling.planner.compiled import Compiled
from core.erp.scheduling.planner.timelines import Calendar
from core.erp.scheduling.problem import FOREVER, Placed, Problem, Window

LATE, SOON = 64, 1
"""What a weighted tick late costs in the model, against a weighted tick later that makes nothing late."""


SEEDS = 1 << 31
"""The solver's seeds are below it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the solver says: starts and machines by operation, whether that is proven best, and the effort it took."""

    starts: dict[int, int]
    machines: dict[int, int]
    optimal: bool
    effort: float


class WorkingTime:
    """The time without what is closed on every machine: `to` leads there, `back` to the clock."""

    def __init__(self, calendars: Iterable[Calendar]) -> None:
        every = list(calendars)
        changes: dict[int, int] = {}
        for one in every:
            for start, end in zip(one.starts, one.ends, strict=True):
                changes[start] = changes.get(start, 0) + 1
                changes[end] = changes.get(end, 0) - 1
        common, closed, since = [], 0, 0
        for at in sorted(changes):
            if closed == len(every) and at > since:
                common.append(Window(since, at))
            closed += changes[at]
            since = at
        merged = Calendar(common)
        self.starts, self.ends = merged.starts, merged.ends
        self.shut = [0]
        for start, end in zip(self.starts, self.ends, strict=True):
            self.shut.append(self.shut[-1] + end - max(0, start) if end > 0 else self.shut[-1])
        self.openings = [end - shut for end, shut in zip(self.ends, self.shut[1:], strict=True)]

    def to(self, at: int) -> int:
        """Working ticks from 0 to an instant of the clock."""
        i = bisect_right(self.ends, at)
        within = max(0, at - max(0, self.starts[i])) if i < len(self.starts) and at > self.starts[i] else 0
        return at - self.shut[i] - within

    def back(self, ticks: int) -> int:
        """The instant at which so many working ticks are over; where it closes then, when it opens again."""
        return ticks + self.shut[bisect_right(self.openings, ticks)]

    def over(self, ticks: int) -> int:
        """As `back`, but where it closes then, that instant: the end of what takes so many ticks."""
        return ticks + self.shut[bisect_left(self.openings, ticks)]


@dataclass(frozen=True, slots=True)
class Task:
    """What the solver is asked: which operations it may move, where all stand now, and for how long it may think."""

    moving: frozenset[int]
    stands: Mapping[int, Placed]
    """Where every operation stands now, by number."""
    seconds: float
    effort: float
    seed: int
    workers: int = 1
    whole: bool = False
    """Everything is moved: what is proven best is so, and nothing but lateness counts."""


def exact(problem: Problem) -> bool:
    """Whether the model says all there is to say of a problem: what it proves is then proven."""
    plain_machines = all(
        one.places == 1 and not one.closed and not one.setups and not one.change_over and not one.batch
        for one in problem.machines
    )
    plain = all(
        one.skill is None and not one.needs and one.store is None and one.fixed is None for one in problem.operations
    )
    return plain_machines and plain


@dataclass(frozen=True, slots=True)
class _Node:
    """One in a machine's sequence: what moves, or (`at` is said) what stands among it."""

    start: cp_model.IntVar
    end: cp_model.IntVar
    family: str | None
    on: cp_model.IntVar | None = None
    at: int | None = None

    def after(self, other: "_Node") -> bool:
        """Whether it is known to be behind the other one."""
        return self.at is not None and other.at is not None and other.at < self.at


class Model:
    """The model of one task: what moves keeps clear of what does not, and ends before what waits for it begins."""

    def __init__(self, compiled: Compiled, time: WorkingTime, task: Task) -> None:
        self.c = compiled
        self.time = time
        self.task = task
        self.model = cp_model.CpModel()
        self.moving = sorted(task.moving)
        self.makespan = compiled.problem.objective == "makespan"
        self.begin = {i: time.to(task.stands[i].start) for i in self.moving}
        ends = {i: time.to(task.stands[i].end) for i in self.moving}
        self.first, self.last = min(self.begin.values()), max(ends.values())
        if task.whole and not self.makespan:  # a better plan may well end later
            releases = [order.release for order in compiled.problem.orders]
            self.last = max(self.last, max(releases) + sum(max(t for _, t in modes) for modes in compiled.modes))
        self.floors: dict[int, int] = {}
        self.start: dict[int, cp_model.IntVar] = {}
        self.end: dict[int, cp_model.IntVar] = {}
        self.on: dict[tuple[int, int], cp_model.IntVar] = {}
        self.there: dict[int, list[tuple[int, cp_model.IntVar, cp_model.IntervalVar]]] = {}
        for i in self.moving:
            self._operation(i)
        for i in self.moving:
            self._after(i)
        self._machines()
        self._goal()

    def _operation(self, i: int) -> None:
        model, c = self.model, self.c
        floor, ceiling = self._bounds(i)
        self.floors[i] = floor
        now = self.task.stands[i]
        start, end = model.new_int_var(floor, ceiling, ""), model.new_int_var(floor, ceiling, "")
        self.start[i], self.end[i] = start, end
        modes = c.modes[i]
        model.add_hint(start, self.begin[i])
        for m, ticks in modes:
            if len(modes) == 1:
                on = model.new_constant(1)
                interval = model.new_interval_var(start, ticks, end, "")
            else:
                on = model.new_bool_var("")
                interval = model.new_optional_interval_var(start, ticks, end, on, "")
                model.add_hint(on, int(c.machine(m).id == now.machine))
            self.on[i, m] = on
            self.there.setdefault(m, []).append((i, on, interval))
        if len(modes) > 1:
            model.add_exactly_one([self.on[i, m] for m, _ in modes])

    def _bounds(self, i: int) -> tuple[int, int]:
        """From its release and what comes before it, to what waits for it: of those that do not move."""
        stands, moving = self.task.stands, self.task.moving
        floor, ceiling = self.time.to(self.c.problem.orders[self.c.order_of[i]].release), self.last
        for earlier, least, _ in self.c.before[i]:
            if earlier not in moving:
                floor = max(floor, self.time.to(stands[earlier].end + least))
        for later in self.c.behind[i]:
            if later not in moving:
                least = max(lag for e, lag, _ in self.c.before[later] if e == i)
                ceiling = min(ceiling, self.time.to(stands[later].start - least))
        return min(floor, self.begin[i]), ceiling

    def _after(self, i: int) -> None:
        for earlier, least, most in self.c.before[i]:
            if earlier in self.task.moving:
                self.model.add(self.start[i] >= self.end[earlier] + least)
                if most is not None:
                    self.model.add(self.start[i] <= self.end[earlier] + most)

    def _machines(self) -> None:
        """No two at once on a machine, nor with what stands there; change-over between families where it takes time."""
        beside: dict[int, list[tuple[int, int, str | None]]] = {m: [] for m in self.there}
        for i, one in self.task.stands.items():
            m = self.c.machine_index[one.machine]
            if m in beside and i not in self.task.moving:
                beside[m].append((self.time.to(one.start), self.time.to(one.end), self.c.operation(i).family))
        for m, there in self.there.items():
            machine, calendar = self.c.machine(m), self.c.calendars[m]
            closed = [
                (self.time.to(a), self.time.to(min(b, FOREVER)))
                for a, b in zip(calendar.starts, calendar.ends, strict=True)
            ]
            every = (*((a, b) for a, b, _ in beside[m]), *closed)
            taken = Calendar(Window(a, b) for a, b in every if b > self._floor(m) and a < self.last)
            self.model.add_no_overlap(
                [
                    *(interval for _, _, interval in there),
                    *(
                        self.model.new_fixed_size_interval_var(a, b - a, "")
                        for a, b in zip(taken.starts, taken.ends, strict=True)
                    ),
                ]
            )
            if machine.change_over or machine.setups:
                self._change_over(m, there, sorted(beside[m]))

    def _floor(self, m: int) -> int:
        """The earliest at which anything that moves could be on a machine."""
        return min(self.floors[i] for i, _, _ in self.there[m])

    def _change_over(
        self,
        m: int,
        there: list[tuple[int, cp_model.IntVar, cp_model.IntervalVar]],
        beside: list[tuple[int, int, str | None]],
    ) -> None:
        """A circuit through what moves and what stands among it, and from the neighbour before to the one behind."""
        floor = self._floor(m)
        before = [one for one in beside if one[1] <= floor]
        among = [one for one in beside if one[1] > floor and one[0] < self.last]
        behind = [one for one in beside if one[0] >= self.last]
        ahead = (before[-1][1], before[-1][2]) if before else (0, self.c.machine(m).family)
        model = self.model
        nodes = [_Node(self.start[i], self.end[i], self.c.operation(i).family, on) for i, on, _ in there]
        nodes += [_Node(model.new_constant(a), model.new_constant(b), family, at=a) for a, b, family in among]
        arcs: list[tuple[int, int, cp_model.LiteralT]] = [(0, 0, model.new_bool_var(""))]
        for a, node in enumerate(nodes, 1):
            first, last = model.new_bool_var(""), model.new_bool_var("")
            arcs += [(0, a, first), (a, 0, last)]
            if node.on is not None:
                arcs.append((a, a, ~node.on))
            if node.at is None:
                model.add(node.start >= ahead[0] + self.c.setup(m, ahead[1], node.family)).only_enforce_if(first)
            if behind and node.at is None:
                setup = self.c.setup(m, node.family, behind[0][2])
                model.add(node.end + setup <= behind[0][0]).only_enforce_if(last)
            for b, other in enumerate(nodes, 1):
                if a != b and not node.after(other):
                    follows = model.new_bool_var("")
                    arcs.append((a, b, follows))
                    setup = self.c.setup(m, node.family, other.family)
                    if node.at is None or other.at is None:  # what stands may change over while all is closed
                        model.add(other.start >= node.end + setup).only_enforce_if(follows)
        model.add_circuit(arcs)

    def _goal(self) -> None:
        if self.makespan:
            span = self.model.new_int_var(0, self.last, "")
            for i in self.moving:
                self.model.add(span >= self.end[i])
            self.model.minimize(span)
            return
        orders = self.c.problem.orders
        terms = []
        late: dict[int, cp_model.IntVar] = {}
        for i in self.moving:
            o = self.c.order_of[i]
            if any(self.c.order_of[later] == o for later in self.c.behind[i]):
                if not self.task.whole:  # what ends sooner leaves room for what comes behind it
                    terms.append(self.end[i] * (SOON * orders[o].weight))
                continue
            due = self.time.to(max(0, orders[o].due))
            if o not in late:
                late[o] = self.model.new_int_var(0, max(0, self.last - due), "")
                terms.append(late[o] * (LATE * orders[o].weight))
            self.model.add(late[o] >= self.end[i] - due)
        self.model.minimize(sum(terms))

    def solve(self, stopped: Callable[[], bool] | None = None) -> Answer | None:
        """The best that it finds within its time; None if it finds nothing."""
        solver = cp_model.CpSolver()
        solver.parameters.num_workers = self.task.workers
        solver.parameters.random_seed = self.task.seed % SEEDS
        solver.parameters.max_time_in_seconds = max(0.05, self.task.seconds)
        solver.parameters.max_deterministic_time = self.task.effort
        if not self.task.whole:  # many small models: what pays only on one big one is left out
            solver.parameters.linearization_level = 0
            solver.parameters.cp_model_probing_level = 0
            solver.parameters.symmetry_level = 0
        status = solver.solve(self.model, _Watch(stopped) if stopped is not None else None)
        effort = solver.response_proto.deterministic_time
        if status not in {cp_model.OPTIMAL, cp_model.FEASIBLE}:
            return None
        starts = {i: solver.value(var) for i, var in self.start.items()}
        machines = {i: m for (i, m), on in self.on.items() if solver.value(on)}
        return Answer(starts, machines, status == cp_model.OPTIMAL, effort)


class _Watch(cp_model.CpSolverSolutionCallback):
    """Ends the search at the next solution once it is to stop."""

    def __init__(self, stopped: Callable[[], bool]) -> None:
        super().__init__()
        self.stopped = stopped

    def on_solution_callback(self) -> None:
        """Called by the solver for each better plan."""
        if self.stopped():
            self.stop_search()
