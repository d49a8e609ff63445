"""The board a plan is put together on: each unit goes to its earliest time after what stands there already.

Nothing is moved once it stands, and nothing is put before what its machine does already: the order in which units are
placed is the order on each machine. So a plan is a sequence, and the same sequence always gives the same plan.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from msgspec.structs import replace

from core.erp.scheduling.planner.compiled import Compiled
from core.erp.scheduling.planner.timelines import Room
from core.erp.scheduling.problem import FOREVER, Operation, Placed, Supply

Kind = Literal["start", "release", "after", "machine", "closed", "crew", "material", "lag", "fixed", "batch"]
ROUNDING = 1e-9
"""Amounts are floats: less than this is no difference."""
TRIES = 400
"""How often a unit is put later until its lags and stores fit, before it counts as impossible."""


@dataclass(frozen=True, slots=True)
class Cause:
    """What kept an operation from standing earlier: an operation, a machine, a skill, an item, a store."""

    kind: Kind
    of: str = ""


NOTHING = Cause("start")


@dataclass(slots=True)
class Slot:
    """One place of a machine: when it is free, what it is set up for, and what stands fixed ahead of it."""

    free: int = 0
    family: str | None = None
    last: int = -1
    pins: list[int] = field(default_factory=list)
    """Fixed operations, the latest first."""


@dataclass(slots=True)
class Run:
    """A batch on a machine: later operations of its key may join until it begins."""

    start: int
    end: int
    place: int
    load: int
    leader: int


@dataclass(slots=True)
class Spot:
    """Where an operation could stand, before it does."""

    machine: int
    place: int
    start: int
    end: int
    setup: int
    cause: Cause
    crew: int = -1
    run: Run | None = None


class Impossible(Exception):
    """An operation fits nowhere: `operation` is its number, `cause` what it lacks."""

    def __init__(self, operation: int, cause: Cause) -> None:
        super().__init__(operation, cause)
        self.operation = operation
        self.cause = cause


class Board:
    """Where everything stands so far. Fixed operations stand from the beginning."""

    def __init__(self, compiled: Compiled) -> None:
        self.c = compiled
        problem = compiled.problem
        self.slots = [[Slot(family=one.family) for _ in range(one.places)] for one in problem.machines]
        self.crews = [Room([(s.start, s.end, s.size) for s in one.shifts]) for one in problem.crews]
        self.able: dict[str, list[int]] = defaultdict(list)
        for k, crew in enumerate(problem.crews):
            for skill in crew.skills:
                self.able[skill].append(k)
        self.stores = {one.id: Room([(-FOREVER + 1, FOREVER, one.capacity)]) for one in problem.stores}
        self.left = {one.id: one.amount for one in problem.supplies}
        self.runs: dict[tuple[int, str], list[Run]] = defaultdict(list)
        self.at: list[Spot | None] = [None] * len(problem.operations)
        self.used: dict[int, list[tuple[Supply, float]]] = {}
        self._lacks = NOTHING
        """What the last operation that fitted nowhere lacked."""
        self._undo: list[Callable[[], None]] | None = None
        self._fix()

    # ---- what stands fixed

    def _fix(self) -> None:
        """Puts what is fixed where it stands. Its machine's later operations go round it."""
        fixed = [(one.fixed.start, i) for i, one in enumerate(self.c.problem.operations) if one.fixed is not None]
        for start, i in sorted(fixed):
            one = self.c.operation(i)
            if one.fixed is None or one.fixed.machine not in self.c.machine_index:
                continue
            m = self.c.machine_index[one.fixed.machine]
            ticks = one.fixed.ticks or next((t for k, t in self.c.modes[i] if k == m), self.c.modes[i][0][1])
            end = start + ticks
            if one.pauses and one.fixed.why != "started":
                pieces = self.c.calendars[m].pieces(start, ticks)
                end = pieces[-1][1] if pieces else end
            place = self._free_place(m, start, end)
            self.slots[m][place].pins.insert(0, i)
            spot = Spot(m, place, start, end, 0, Cause("fixed", one.fixed.why))
            self._take_people(one, spot, start, end)
            self.at[i] = spot
        for slots in self.slots:
            for slot in slots:
                slot.pins.sort(key=lambda i: -self._spot(i).start)
        for _, i in sorted(fixed):
            if (stands := self.at[i]) is not None and not self._begun(i):
                self._take_goods(i, stands.start)
            self._take_store(i)

    def _begun(self, i: int) -> bool:
        fixed = self.c.operation(i).fixed
        return fixed is not None and fixed.why == "started"

    def _free_place(self, m: int, start: int, end: int) -> int:
        for k, slot in enumerate(self.slots[m]):
            if all(self._spot(i).end <= start or self._spot(i).start >= end for i in slot.pins):
                return k
        return 0  # two stand fixed at one place: the checker says so, and what began cannot be undone

    def _take_people(self, one: Operation, spot: Spot, start: int, end: int) -> None:
        """Books somebody for what stands fixed; whoever is at what has begun is at it whatever the shifts say."""
        if one.skill is None:
            return
        begun = one.fixed is not None and one.fixed.why == "started"
        pieces = [(start, end)]
        if one.pauses and not begun:
            pieces = self.c.calendars[spot.machine].pieces(start, self._ticks(one, spot.machine)) or pieces
        able = self.able.get(one.skill, [])
        free = (k for k in able if all(self.crews[k].first(a, b - a, one.people) == a for a, b in pieces))
        spot.crew = next(free, able[0] if begun and able else -1)
        if spot.crew >= 0:
            for a, b in pieces:
                self.crews[spot.crew].book(a, b, one.people)

    def _spot(self, i: int) -> Spot:
        spot = self.at[i]
        if spot is None:
            raise LookupError(f"operation {self.c.operation(i).id} does not stand yet")
        return spot

    # ---- where something could stand

    def ready(self, i: int) -> tuple[int, Cause]:
        """From when an operation may begin by its order's release and its predecessors, all of which must stand."""
        release = self.c.problem.orders[self.c.order_of[i]].release
        at, cause = (release, Cause("release")) if release > 0 else (0, NOTHING)
        for earlier, least, _ in self.c.before[i]:
            end = self._spot(earlier).end + least
            if end > at:
                at, cause = end, Cause("after", self.c.operation(earlier).id)
        return at, cause

    def spot(self, i: int, m: int, ticks: int, floor: int = 0) -> Spot:
        """The earliest spot of an operation on a machine, not before `floor`. Raises Impossible."""
        one = self.c.operation(i)
        at, cause = self.ready(i)
        if floor > at:
            at, cause = floor, Cause("lag")
        if one.batch is not None and self.c.machine(m).batch and (run := self._run(i, m, ticks, at)) is not None:
            return Spot(m, run.place, run.start, run.end, 0, Cause("batch"), run=run)
        best: Spot | None = None
        for k in range(len(self.slots[m])):
            found = self._on(one, m, k, ticks, at, cause)
            if found is not None and (best is None or found.start < best.start):
                best = found
        if best is None:
            raise Impossible(i, self._lacks)
        return best

    def _on(self, one: Operation, m: int, k: int, ticks: int, at: int, cause: Cause) -> Spot | None:
        slot = self.slots[m][k]
        free, family, last, ahead = slot.free, slot.family, slot.last, len(slot.pins) - 1
        while True:
            setup = self.c.setup(m, family, one.family)
            start, why = at, cause
            if free + setup > start:
                start, why = free + setup, Cause("machine", self.c.operation(last).id if last >= 0 else "")
            found = self._fit(one, m, start, ticks, why)
            if found is None:
                return None
            start, end, why, crew = found
            if ahead >= 0:
                pin = slot.pins[ahead]
                stands = self._spot(pin)
                if end + self.c.setup(m, one.family, self.c.operation(pin).family) > stands.start:
                    free, family, last, ahead = stands.end, self.c.operation(pin).family or family, pin, ahead - 1
                    continue
            return Spot(m, k, start, end, setup, why, crew)

    def _fit(self, one: Operation, m: int, start: int, ticks: int, why: Cause) -> tuple[int, int, Cause, int] | None:
        """The earliest start at which machine, people and goods are all there."""
        works = self.c.calendars[m]
        while True:
            opened = works.opening(start) if one.pauses else works.fit(start, ticks)
            if opened >= FOREVER:
                self._lacks = Cause("closed", self.c.machine(m).id)
                return None
            if opened > start:
                start, why = opened, Cause("closed", self.c.machine(m).id)
            pieces = works.pieces(start, ticks) if one.pauses else [(start, start + ticks)]
            if not pieces:
                self._lacks = Cause("closed", self.c.machine(m).id)
                return None
            crew, later, short = self._there(one, pieces)
            if later >= FOREVER:
                self._lacks = short
                return None
            if later == start:
                return start, pieces[-1][1], why, crew
            start, why = later, short

    def _there(self, one: Operation, pieces: list[tuple[int, int]]) -> tuple[int, int, Cause]:
        """Which crew does it, and from when people and goods are there: the start itself if they are then."""
        start, crew = pieces[0][0], -1
        if one.skill is not None:
            crew, later = self._crew(one, pieces)
            if crew < 0 or later > start:
                return crew, FOREVER if crew < 0 else later, Cause("crew", one.skill)
        if one.needs:
            later, item = self._goods(one, start)
            if later > start:
                return crew, later, Cause("material", item)
        return crew, start, NOTHING

    def _crew(self, one: Operation, pieces: list[tuple[int, int]]) -> tuple[int, int]:
        """Which crew is free soonest for all pieces, and from when a start is worth trying."""
        chosen, best = -1, FOREVER
        for k in self.able.get(one.skill or "", ()):
            later = pieces[0][0]
            for begin, end in pieces:
                free = self.crews[k].first(begin, end - begin, one.people)
                if free > begin:
                    later = FOREVER if free >= FOREVER else max(later, pieces[0][0] + 1, free - (begin - pieces[0][0]))
                    break
            if later < best:
                chosen, best = k, later
        return chosen, best

    def _goods(self, one: Operation, start: int) -> tuple[int, str]:
        """From when on all that an operation takes is there and not expired; FOREVER and the item that is short."""
        at, short = start, ""
        for need in one.needs:
            free = self._item(need.item, need.amount, at)
            if free >= FOREVER:
                return FOREVER, need.item
            if free > at:
                at, short = free, need.item
        return at, short

    def _item(self, item: str, amount: float, at: int) -> int:
        supplies = self.c.supplies.get(item, [])
        while True:
            there = sum(self.left[s.id] for s in supplies if s.available <= at and (s.until is None or s.until > at))
            if there + ROUNDING >= amount:
                return at
            later = [s.available for s in supplies if s.available > at and self.left[s.id] > 0]
            if not later:
                return FOREVER
            at = min(later)

    def _run(self, i: int, m: int, ticks: int, at: int) -> Run | None:
        """A run that has not begun by then and has room left."""
        one = self.c.operation(i)
        for run in self.runs[m, one.batch or ""]:
            room = run.load + one.size <= self.c.machine(m).batch
            if (
                room
                and run.start >= at
                and self._alike(one, run, m, ticks)
                and self._goods(one, run.start)[0] == run.start
            ):
                return run
        return None

    def _alike(self, one: Operation, run: Run, m: int, ticks: int) -> bool:
        """Whether it takes what the run's first takes: time, people, family."""
        first = self.c.operation(run.leader)
        asked = (one.family, one.skill, one.people, one.pauses, ticks)
        return asked == (first.family, first.skill, first.people, first.pauses, self._ticks(first, m))

    # ---- placing

    def place(self, unit: int, chosen: Mapping[int, int] | None = None, floor: int = 0) -> None:
        """Puts a unit where it can begin soonest, on the machines `chosen` by operation, else where it ends soonest.

        All that comes before it must stand. Raises Impossible, and nothing of it stands then.
        """
        members = [i for i in self.c.units[unit] if self.at[i] is None]
        if len(members) == 1 and len(self.c.units[unit]) == 1:
            self._put(members[0], self._best(members[0], chosen, floor))
            return
        floors = dict.fromkeys(members, floor)
        for _ in range(TRIES):
            self._undo = []
            push = self._attempt(members, chosen, floors)
            if push is None:
                self._undo = None
                return
            self._roll_back()
            earlier, by = push
            if earlier not in floors:
                raise Impossible(members[-1], Cause("lag", self.c.operation(earlier).id))
            floors[earlier] = by
        raise Impossible(members[-1], Cause("lag", self.c.operation(members[0]).id))

    def _attempt(
        self, members: list[int], chosen: Mapping[int, int] | None, floors: dict[int, int]
    ) -> tuple[int, int] | None:
        """Puts the members one after the other; which of them must begin later, and when, if that breaks a lag."""
        for i in members:
            try:
                spot = self._best(i, chosen, floors[i])
            except Impossible:
                self._roll_back()
                raise
            for earlier, _, most in self.c.before[i]:
                stands = self._spot(earlier)
                if most is not None and spot.start > stands.end + most:
                    return earlier, stands.start + spot.start - stands.end - most
                store = self.c.operation(earlier).store
                until = self._last_start(earlier, i, spot.start)
                if store is not None and until is not None and until > stands.end:
                    room = self.c.operation(earlier).room
                    free = self.stores[store].first(stands.end, until - stands.end, room)
                    if free > stands.end:
                        return earlier, stands.start + free - stands.end
            self._put(i, spot)
        return None

    def _last_start(self, earlier: int, i: int, start: int) -> int | None:
        """When the last of what follows it begins, if `i` does at `start`; None while another does not stand."""
        others = [self.at[later] for later in self.c.behind[earlier] if later != i]
        if any(spot is None for spot in others):
            return None
        return max([start, *(spot.start for spot in others if spot is not None)])

    def _best(self, i: int, chosen: Mapping[int, int] | None, floor: int) -> Spot:
        only = chosen.get(i) if chosen else None
        best: Spot | None = None
        refused: Impossible | None = None
        for m, ticks in self.c.modes[i]:
            if only is not None and m != only:
                continue
            try:
                found = self.spot(i, m, ticks, floor)
            except Impossible as no:
                refused = no
                continue
            if best is None or (found.end, ticks) < (best.end, best.end - best.start):
                best = found
        if best is None:
            raise refused or Impossible(i, Cause("machine"))
        return best

    def _put(self, i: int, spot: Spot) -> None:
        one, slot = self.c.operation(i), self.slots[spot.machine][spot.place]
        undo = self._undo
        self.at[i] = spot
        if spot.run is not None:
            spot.run.load += one.size
        else:
            before = (slot.free, slot.family, slot.last, list(slot.pins) if slot.pins else None)
            while slot.pins and self._spot(slot.pins[-1]).start < spot.start:
                passed = slot.pins.pop()
                slot.family = self.c.operation(passed).family or slot.family
            slot.free, slot.last = spot.end, i
            slot.family = one.family or slot.family
            if one.batch is not None and self.c.machine(spot.machine).batch:
                run = Run(spot.start, spot.end, spot.place, one.size, i)
                self.runs[spot.machine, one.batch].append(run)
            if undo is not None:
                undo.append(lambda: self._free_slot(slot, before))
            if spot.crew >= 0:
                self._book_crew(one, spot, 1)
        self._take_goods(i, spot.start)
        self._take_store(i)
        if undo is not None:
            undo.append(lambda: self._take_back(i, spot))

    def _book_crew(self, one: Operation, spot: Spot, sign: int) -> None:
        calendar = self.c.calendars[spot.machine]
        pieces = [(spot.start, spot.end)]
        if one.pauses:
            pieces = calendar.pieces(spot.start, self._ticks(one, spot.machine))
        for begin, end in pieces:
            self.crews[spot.crew].book(begin, end, sign * one.people)

    def _ticks(self, one: Operation, m: int) -> int:
        return next(mode.ticks for mode in one.modes if mode.machine == self.c.machine(m).id)

    def _take_goods(self, i: int, at: int) -> None:
        taken: list[tuple[Supply, float]] = []
        for need in self.c.operation(i).needs:
            wanted = need.amount
            for supply in self.c.supplies.get(need.item, ()):
                if wanted <= ROUNDING:
                    break
                if supply.available > at or (supply.until is not None and supply.until <= at):
                    continue
                part = min(wanted, self.left[supply.id])
                if part > 0:
                    self.left[supply.id] -= part
                    wanted -= part
                    taken.append((supply, part))
        if taken:
            self.used[i] = taken

    def _take_store(self, i: int, sign: int = 1) -> None:
        """Books the room of what waited for it, once all that it waits for stand: until the last of them begins."""
        for earlier in {e for e, _, _ in self.c.before[i]}:
            one, stands = self.c.operation(earlier), self.at[earlier]
            if one.store is not None and one.store in self.stores and stands is not None:
                until = self._left_at(earlier)
                if until is not None:
                    self.stores[one.store].book(stands.end, until, sign * one.room)

    def _left_at(self, i: int) -> int | None:
        """When the last of what follows begins; None while one of them does not stand."""
        starts = [spot.start for later in self.c.behind[i] if (spot := self.at[later]) is not None]
        return max(starts) if len(starts) == len(self.c.behind[i]) else None

    # ---- taking back

    def _roll_back(self) -> None:
        for act in reversed(self._undo or ()):
            act()
        self._undo = None

    @staticmethod
    def _free_slot(slot: Slot, before: tuple[int, str | None, int, list[int] | None]) -> None:
        slot.free, slot.family, slot.last = before[:3]
        if before[3] is not None:
            slot.pins = before[3]

    def _take_back(self, i: int, spot: Spot) -> None:
        one = self.c.operation(i)
        self._take_store(i, -1)
        for supply, amount in self.used.pop(i, ()):
            self.left[supply.id] += amount
        if spot.run is not None:
            spot.run.load -= one.size
        else:
            if spot.crew >= 0:
                self._book_crew(one, spot, -1)
            if one.batch is not None and self.c.machine(spot.machine).batch:
                self.runs[spot.machine, one.batch].pop()
        self.at[i] = None

    # ---- what came of it

    def placed(self) -> tuple[Placed, ...]:
        """All that stands, by start."""
        found = []
        for i, spot in enumerate(self.at):
            if spot is None:
                continue
            crew = self.c.problem.crews[spot.crew].id if spot.crew >= 0 else None
            used = tuple((supply.id, amount) for supply, amount in self.used.get(i, ()))
            found.append(
                Placed(
                    self.c.operation(i).id,
                    self.c.machine(spot.machine).id,
                    spot.start,
                    spot.end,
                    spot.place,
                    spot.setup,
                    crew,
                    used,
                )
            )
        return with_setups(self.c, found)


def with_setups(compiled: Compiled, placed: Iterable[Placed]) -> tuple[Placed, ...]:
    """A plan in time, each operation with the change-over that its machine's sequence asks for."""
    found = []
    family: dict[tuple[str, int], str | None] = {}
    for one in sorted(placed, key=lambda p: (p.start, p.machine, p.operation)):
        m = compiled.machine_index[one.machine]
        mine = compiled.problem.operations[compiled.index[one.operation]].family
        before = family.get((one.machine, one.place), compiled.machine(m).family)
        setup = compiled.setup(m, before, mine)
        found.append(one if setup == one.setup else replace(one, setup=setup))
        family[one.machine, one.place] = mine or before
    return tuple(found)
