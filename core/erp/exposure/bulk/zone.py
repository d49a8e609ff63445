"""One zone under several profiles, ready to be asked for any number of intervals at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np

from core.erp.exposure.bulk.hours import AskedIntervals, Hours
from core.erp.exposure.bulk.index import LEVELS, Figures, Ints, RunIndex, TemperatureIntegral, Tracks
from core.erp.exposure.rules import runs as r
from core.erp.exposure.rules.profile import Profile
from core.erp.exposure.rules.runs import Runs
from core.erp.exposure.rules.signal import Signal, Trace, signal, within
from core.erp.exposure.rules.summary import Summary, ZoneView
from core.erp.exposure.times import BUCKET


class ZoneReader:
    """A monitored zone under several profiles: its closed hours, and raw readings of what they do not cover.

    `ranges` says what of these must be read; `traces` is to be set to them before anything is asked.
    """

    def __init__(self, watermark: int, intervals: AskedIntervals, hours: Mapping[Profile, Hours]) -> None:
        self._silence = watermark + 1
        self._hours = hours
        self._ends = {profile: _ends(spans, hours[profile]) for profile, spans in intervals.items()}
        edges = [pair for ends in self._ends.values() for pair in ((ends.start, ends.first), (ends.last, ends.stop))]
        self.ranges = merged(np.concatenate([a for a, _ in edges]), np.concatenate([b for _, b in edges]))
        self.carry = max(profile.allowed_gap for profile in intervals)
        self.traces: Mapping[str, Sequence[Trace]] = {}
        self._signals: dict[int, Signal] = {}
        self._curves: dict[tuple[int, float], TemperatureIntegral] = {}

    def _curve(self, profile: Profile) -> TemperatureIntegral | None:
        if not self.ranges:
            return None
        gap, key = profile.allowed_gap, (profile.allowed_gap, profile.activation_energy)
        if gap not in self._signals:
            start, stop = self.ranges[0][0], self.ranges[-1][1]
            self._signals[gap] = signal(self.traces.get("temperature", ()), gap, start, stop, self._silence)
        if key not in self._curves:
            self._curves[key] = TemperatureIntegral(self._signals[gap], profile.activation_energy)
        return self._curves[key]

    def figures(self, profile: Profile, starts: Ints, stops: Ints) -> Figures:
        """Of each [start, stop): the intervals that were announced for this profile."""
        ends = self._ends[profile]
        sums = self._hours[profile].sums
        a, b = ends.hour, ends.after
        covered = sums.covered[b] - sums.covered[a]
        heat = sums.heat[b] - sums.heat[a]
        warmth = sums.arrhenius[b] - sums.arrhenius[a]
        low, high = sums.low.of(a, b), -sums.high.of(a, b)
        curve = self._curve(profile)
        for x, y in ((starts, ends.first), (ends.last, stops)) if curve is not None else ():
            assert curve is not None
            # an empty end lies anywhere, also outside what was read
            begin = np.where(y > x, x, self.ranges[0][0])
            more = curve.add(begin, np.where(y > x, y, self.ranges[0][0]))
            covered, heat, warmth = covered + more[0], heat + more[1], warmth + more[2]
            low, high = np.minimum(low, more[3]), np.maximum(high, more[4])
        return Figures(covered, low, high, heat, warmth)

    def tracks(self, profile: Profile) -> dict[str, Tracks]:
        """By limit, for those that saw anything: all runs of the closed hours and of what lies beside them."""
        hours = self._hours[profile]
        beside = self._beside(profile, hours)
        parts = sorted([*hours.seen, *beside], key=lambda part: part.start)
        keys = sorted({key for part in parts for key in part.seen})
        of = {key: [part.seen[key] for part in parts if key in part.seen] for key in keys}
        seen = {key: {level: r.join(map(attrgetter(level), of[key])) for level in LEVELS} for key in keys}
        seen |= shared(profile, seen)
        return {key: Tracks({level: RunIndex(runs) for level, runs in by.items()}) for key, by in seen.items()}

    def _beside(self, profile: Profile, hours: Hours) -> list[Summary]:
        """What raw readings say of the read ranges before and after the closed hours."""
        out = []
        for a, b in self.ranges:
            pieces = [(a, min(b, hours.start)), (max(a, hours.stop), b)] if hours.count else [(a, b)]
            out += [
                ZoneView(within(self.traces, start, stop), start, stop, self._silence).summary(profile)
                for start, stop in pieces
                if stop > start
            ]
        return out


def shared(profile: Profile, seen: Mapping[str, Mapping[str, Runs]]) -> dict[str, dict[str, Runs]]:
    """By "allowance:name": what limits that share an allowance saw together, each instant once; by level, as `seen`."""
    names = {limit.allowance for limit in profile.limits if limit.allowance is not None}
    found = {
        f"allowance:{name}": [seen[one.key] for one in profile.limits if one.allowance == name and one.key in seen]
        for name in names
    }
    return {
        key: {level: r.union(one[level] for one in members) for level in LEVELS}
        for key, members in found.items()
        if members
    }


@dataclass(frozen=True, slots=True)
class _Ends:
    """Intervals as [start, first) raw, hours [hour, after) by index, [last, stop) raw; else all first."""

    start: Ints
    first: Ints
    hour: Ints
    after: Ints
    last: Ints
    stop: Ints


def _ends(spans: tuple[Ints, Ints], hours: Hours) -> _Ends:
    starts, stops = spans
    if not hours.count:
        nothing = np.zeros(len(starts), np.int64)
        return _Ends(starts, stops, nothing, nothing, stops, stops)
    begin, count = hours.start, hours.count
    hour = np.clip(-((begin - starts) // BUCKET), 0, count)
    after = np.clip((stops - begin) // BUCKET, 0, count)
    some = after > hour
    first = np.where(some, begin + hour * BUCKET, stops)
    last = np.where(some, begin + after * BUCKET, stops)
    return _Ends(starts, first, np.where(some, hour, 0), np.where(some, after, 0), last, stops)


def merged(starts: Ints, stops: Ints) -> Runs:
    """The spans that are not empty as runs; what lies less than an hour apart is read in one go."""
    some = stops > starts
    if not some.any():
        return []
    order = np.argsort(starts[some], kind="stable")
    a, b = starts[some][order], np.maximum.accumulate(stops[some][order])
    first = np.flatnonzero(np.concatenate(([True], a[1:] - b[:-1] >= BUCKET)))
    last = np.concatenate((first[1:], [len(a)])) - 1
    return list(zip(a[first].tolist(), b[last].tolist(), strict=True))
