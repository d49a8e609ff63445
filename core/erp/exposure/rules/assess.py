"""From what zones were like to what one sublot went through: its breaches, as a function of the data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from core.erp.exposure.rules import runs as r
from core.erp.exposure.rules.profile import Limit, Profile
from core.erp.exposure.rules.runs import Run, Runs
from core.erp.exposure.rules.summary import LimitRuns

Certainty = Literal["proven", "uncertain", "unproven"]

NEVER = 2**62
MAX_RECHECK = 60_000_000
"""A break that goes on is looked at again after this long (one minute), to say how long it has lasted."""


@dataclass(frozen=True, slots=True)
class Slice:
    """The sublot stood in a zone over [start, stop): what each limit saw there and then. Slices are in order."""

    zone_id: int
    start: int
    stop: int
    seen: Mapping[str, LimitRuns]


@dataclass(frozen=True, slots=True)
class Break:
    """A limit broken. Times in microseconds; `out` is the time out at the break's certainty, so far."""

    limit_key: str
    kind: str
    started: int
    broke: int
    ended: int | None
    certainty: Certainty
    out: int
    zone_id: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """Every break as the data stand, and the earliest instant at which another could come (`due`), should every
    moment after the last slice count against the goods.
    """

    breaks: tuple[Break, ...]
    due: int = NEVER
    upgrade_due: Mapping[Certainty, int] = field(default_factory=dict)
    """By certainty: the earliest instant at which a break that stands could gain it."""
    warm_until: int = 0
    """Until then an hour that closes, however cool, may bring the mean kinetic temperature past its limit or back."""


@dataclass(frozen=True, slots=True)
class _Levels:
    """The three counts of one limit over the whole way, from the most certain to the least, and the open runs."""

    proven: Runs
    uncertain: Runs
    worst: Runs
    open: Runs

    def ranked(self) -> tuple[tuple[Certainty, Runs], ...]:
        return (("proven", self.proven), ("uncertain", self.uncertain), ("unproven", self.worst))


def assess(profile: Profile, slices: Sequence[Slice], *, over: bool = False) -> Verdict:
    """The sublot's breaks under the profile. A run goes on across a move between zones if both were out then.

    `over`: the last slice is all there will be, for the goods left us then: what lasted until then has ended.
    """
    if not slices:
        return Verdict((), NEVER)
    horizon = slices[-1].stop
    known_to = NEVER if over else horizon
    breaks: list[Break] = []
    due = NEVER
    surer: dict[Certainty, int] = {}
    for limit, members in _counted(profile):
        levels = _levels(slices, members)
        if limit.kind == "cumulative":
            found, left = _cumulative(limit, levels, profile.shortest_event, known_to)
        else:
            found, left = _single(limit, levels, known_to)
        breaks += [_with_zone(item, slices) for item in found]
        due = min(due, horizon + left)
        if found:
            _upgrade_due(surer, found[-1], limit, levels, horizon)
    return Verdict(tuple(breaks)) if over else Verdict(tuple(breaks), due, surer)


def _upgrade_due(surer: dict[Certainty, int], last: Break, limit: Limit, levels: _Levels, horizon: int) -> None:
    """When the break that stands may be known more surely, should every moment after the horizon count surely."""
    for certainty, runs in levels.ranked():
        if certainty == last.certainty:
            return
        if limit.kind == "cumulative":
            spent = r.length(runs)
        else:
            spent = runs[-1][1] - runs[-1][0] if runs and runs[-1][1] >= horizon else 0
        surer[certainty] = min(surer.get(certainty, NEVER), horizon + max(limit.delay - spent, 0))


def _counted(profile: Profile) -> list[tuple[Limit, tuple[str, ...]]]:
    """The counts to keep: each limit by itself, but limits that share an allowance as one."""
    out: list[tuple[Limit, tuple[str, ...]]] = []
    shared: dict[str, list[Limit]] = {}
    for limit in profile.limits:
        if limit.allowance is None:
            out.append((limit, (limit.key,)))
        else:
            shared.setdefault(limit.allowance, []).append(limit)
    for name, limits in shared.items():
        out.append((replace(limits[0], key=f"allowance:{name}"), tuple(limit.key for limit in limits)))
    return out


def _levels(slices: Sequence[Slice], keys: tuple[str, ...]) -> _Levels:
    def of(pick: str) -> Runs:
        per_limit = [r.join(getattr(part.seen[key], pick) for part in slices if key in part.seen) for key in keys]
        return per_limit[0] if len(keys) == 1 else r.union(per_limit)

    return _Levels(of("proven"), of("uncertain"), of("worst"), of("open"))


def _single(limit: Limit, levels: _Levels, horizon: int) -> tuple[list[Break], int]:
    """Instant and consecutive limits: one break per open run at most; proof upgrades it, it adds no second one."""
    out: list[Break] = []
    for group in levels.open:
        broken = _strongest(limit, levels, group)
        if broken is None:
            continue
        certainty, run = broken
        first = next(item for item in r.clip(levels.worst, *group) if _breaks(limit, item))
        out.append(
            Break(
                limit.key,
                limit.kind,
                first[0],
                run[0] + limit.delay,
                None if group[1] >= horizon else group[1],
                certainty,
                r.length(r.clip(dict(levels.ranked())[certainty], first[0], group[1])),
                0,
            )
        )
    if out and out[-1].ended is None:
        # another could only begin after this one ends, and ends are looked for by themselves
        return out, min(limit.delay, MAX_RECHECK) or MAX_RECHECK
    if limit.kind == "instant":
        return out, 0
    running = levels.worst[-1] if levels.worst and levels.worst[-1][1] >= horizon else None
    spent = running[1] - running[0] if running else 0
    return out, limit.delay - spent


def _strongest(limit: Limit, levels: _Levels, group: Run) -> tuple[Certainty, Run] | None:
    for certainty, level in levels.ranked():
        for run in r.clip(level, *group):
            if _breaks(limit, run):
                return certainty, run
    return None


def _breaks(limit: Limit, run: Run) -> bool:
    return run[1] - run[0] >= limit.delay


def _cumulative(limit: Limit, levels: _Levels, shortest: int, horizon: int) -> tuple[list[Break], int]:
    """A cumulative limit is never reset: one break, once the events of at least `shortest` add up to the delay.

    An event counts from its beginning, once it has lasted for `shortest`: so `broke` may lie before the instant at
    which that could be known.
    """
    events = {certainty: [run for run in level if run[1] - run[0] >= shortest] for certainty, level in levels.ranked()}
    spent = r.length(events["unproven"])
    running = levels.worst[-1][1] - levels.worst[-1][0] if levels.worst and levels.worst[-1][1] >= horizon else 0
    missing = max(shortest - running, 0)
    # one that goes on and is too short to be an event yet will count whole
    left = max(limit.delay - spent - (running if missing else 0), missing) if spent < limit.delay else MAX_RECHECK
    for certainty, _ in levels.ranked():
        mine = events[certainty]
        broke = r.instant_of(mine, limit.delay) if mine else None
        if broke is None:
            continue
        start = events["unproven"][0][0]
        last = r.run_containing(levels.open, mine[-1])
        ended = None if last[1] >= horizon else last[1]
        return [Break(limit.key, limit.kind, start, broke, ended, certainty, r.length(mine), 0)], left
    return [], left


def _with_zone(item: Break, slices: Sequence[Slice]) -> Break:
    """The break with the zone the sublot stood in when it broke: of a count, where it spent the last of it."""
    at = item.broke if item.broke == item.started else item.broke - 1
    zone = next((part.zone_id for part in slices if part.start <= at < part.stop), slices[-1].zone_id)
    return replace(item, zone_id=zone)
