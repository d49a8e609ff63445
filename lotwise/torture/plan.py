"""What will happen, from a seed alone: temperatures, goods and kills. Pure; seconds since the soak began."""

import random
from bisect import bisect_right
from dataclasses import dataclass, field

COLD, WARM = (3.0, 6.0), (9.5, 14.0)
"""°C between which a zone is while its goods are well, and while most profiles are broken."""
BEGIN = 3.0
"""Seconds before anything is broken."""
FAULT_FREE = 4.0
"""Seconds at the end in which every zone is cold and nothing is killed any more."""
PAUSE = 15.0
"""Seconds that one of a group is left alone at least after another blow: what never comes up shows nothing."""
FIRST_LONGEST = 3.0
"""Seconds that anything stays down in the first round, at most."""
USUAL = 0.75
"""Share of blows that go a target's usual way."""
GAP = 20
"""Seconds a value may speak for. No device is ever quiet for so long, except where the plan says that it is."""


@dataclass(frozen=True, slots=True)
class Script:
    """A zone's temperature: `levels[i]` from `starts[i]` on. Its sensor says nothing over [quiet_from, quiet_to)."""

    starts: tuple[float, ...]
    levels: tuple[float, ...]
    quiet_from: float = 0.0
    quiet_to: float = 0.0

    def level(self, at: float) -> float:
        """°C at so many seconds."""
        return self.levels[max(bisect_right(self.starts, at) - 1, 0)]

    def quiet(self, at: float) -> bool:
        """Whether its sensor says nothing then."""
        return self.quiet_from <= at < self.quiet_to


def script(rng: random.Random, seconds: float) -> Script:
    """Cold first and last; between, warm for less, a little more and much more than the profiles allow."""
    starts, levels = [0.0], [rng.uniform(*COLD)]
    at = rng.uniform(4.0, 7.0)
    while True:
        back = at + rng.choice([rng.uniform(0.5, 2.0), rng.uniform(3.5, 5.0), rng.uniform(6.0, 9.0)])
        if back > seconds - FAULT_FREE:
            return Script(tuple(starts), tuple(levels))
        starts += [at, back]
        levels += [rng.uniform(*WARM), rng.uniform(*COLD)]
        at = back + rng.uniform(3.0, 9.0)


@dataclass(frozen=True, slots=True)
class Profile:
    """What an item tolerates: the kind of its limit (> `threshold` °C) and its delay in seconds."""

    item: str
    kind: str
    threshold: float
    delay: int


PROFILES = (
    Profile("instant", "instant", 8.0, 0),
    Profile("consecutive", "consecutive", 8.0, 3),
    Profile("cumulative", "cumulative", 8.0, 6),
    Profile("wide", "consecutive", 25.0, 3),
)


@dataclass(frozen=True, slots=True)
class Goods:
    """A sublot: of which item, and (zone, since when) for each place it stands in; the first is where it arrives."""

    name: str
    profile: Profile
    moves: tuple[tuple[str, float], ...]


def goods(rng: random.Random, zones: list[str], seconds: float, every: float) -> list[Goods]:
    """One of every profile in some zone at first, then arrivals every so many seconds; a third of them move on."""
    out = []
    arrivals = [(1.0, profile) for profile in PROFILES for _ in range(2)]
    at = 3.0
    while at < seconds - FAULT_FREE:
        arrivals.append((at, rng.choice(PROFILES)))
        at += rng.uniform(0.5, 1.5) * every
    for number, (since, profile) in enumerate(arrivals):
        moves = [(rng.choice(zones), since)]
        moved = since + rng.uniform(2.0, 15.0)
        if rng.random() < 1 / 3 and moved < seconds - FAULT_FREE:
            moves.append((rng.choice([zone for zone in zones if zone != moves[0][0]]), moved))
        out.append(Goods(f"S{number:04d}", profile, tuple(moves)))
    return out


@dataclass(frozen=True, slots=True)
class Target:
    """What can be broken, and in which ways: kill (-9), stop (in order), freeze (and go on), wipe (and lose its files).

    Of those of one `group` only one is down at a time. `longest` is for how many seconds it stays down at most.
    """

    name: str
    faults: tuple[str, ...]
    group: str
    longest: float = 3.0


@dataclass(frozen=True, slots=True)
class FaultEvent:
    """At `at` the target is broken in one of its ways; it is started again `down` seconds later."""

    at: float
    target: str
    way: str
    down: float


def fault_events(rng: random.Random, targets: list[Target], seconds: float, every: float) -> list[FaultEvent]:
    """Every target is broken once in every round, in a random order; one blow in `every` seconds on average.

    In the first round all go their usual way, closer together where the soak is short, so that each has its turn; the
    ingest first, for what a killed worker had in hand comes again after half a minute. Later a fourth of the blows go
    other ways. Those of one group never overlap.
    """
    last = seconds - FAULT_FREE
    step = min(every, (last - BEGIN - FIRST_LONGEST) / len(targets))
    out: list[FaultEvent] = []
    free_at = dict.fromkeys((target.group for target in targets), BEGIN)
    order = sorted(rng.sample(targets, len(targets)), key=lambda target: target.group != "ingest")
    for number, target in enumerate(order):
        _add(out, free_at, BEGIN + number * step, target, target.faults[0], rng.uniform(0.3, FIRST_LONGEST), last)
    at = BEGIN + len(order) * step
    while at < last:
        for target in rng.sample(targets, len(targets)):
            way = target.faults[0] if rng.random() < USUAL else rng.choice(target.faults)
            _add(out, free_at, at, target, way, rng.uniform(0.3, target.longest), last)
            at += rng.uniform(0.5, 1.5) * every
    return sorted(out, key=lambda blow: blow.at)


def _add(
    out: list[FaultEvent], free_at: dict[str, float], at: float, target: Target, way: str, down: float, last: float
) -> None:
    """Adds a blow as soon as its group may be broken again; none where that would last too long."""
    begin = max(at, free_at[target.group])
    if begin + down <= last:
        out.append(FaultEvent(begin, target.name, way, down))
        free_at[target.group] = begin + down + min(PAUSE, last / 10)


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that will happen. `scripts` by zone."""

    seed: int
    seconds: float
    scripts: dict[str, Script]
    goods: list[Goods] = field(default_factory=list)
    fault_events: list[FaultEvent] = field(default_factory=list)


def plan(seed: int, seconds: float, zones: list[str], targets: list[Target], every: float) -> Plan:
    """The plan of a seed: the same for the same arguments. Where there is time, one zone's sensor falls silent."""
    rng = random.Random(f"torture:{seed}")  # noqa: S311 - to be repeatable, not to be secret
    scripts = {zone: script(rng, seconds) for zone in zones}
    if seconds >= 4 * GAP:
        begins = rng.uniform(0.3, 0.5) * seconds
        loud = scripts[zones[0]]
        scripts[zones[0]] = Script(loud.starts, loud.levels, begins, begins + GAP + 10)
    made = goods(rng, zones, seconds, 4.0)
    return Plan(seed, seconds, scripts, made, fault_events(rng, targets, seconds, every))
