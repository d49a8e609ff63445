"""One zone under several profiles, ready to be asked for any number of intervals at once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from sqlalchemy import Connection, text

from core.erp.exposure.bulk_index import LEVELS, Curve, Figures, Ints, RunIndex, Sums, Tracks
from core.erp.exposure.bulk_raw import load_traces
from core.erp.exposure.places import Place
from core.erp.exposure.rules import runs as r
from core.erp.exposure.rules.profile import Profile
from core.erp.exposure.rules.runs import Runs
from core.erp.exposure.rules.signal import Signal, Trace, signal
from core.erp.exposure.rules.summary import Look, Summary, decode_many
from core.erp.exposure.times import BUCKET, bucket, moment

# one value a profile: a row an hour would cost more to fetch than to make sense of
_HOURS = text(
    "SELECT version_id, count(*) AS hours, string_agg(data, ''::bytea ORDER BY start_at) AS data FROM zone_summary"
    " WHERE zone_id = :zone AND version_id = ANY(:versions) AND start_at >= :start AND start_at < :stop"
    " GROUP BY version_id"
)


class Zone:
    """A monitored zone: its closed hours, and raw readings of what they do not cover, read once.

    `asked` gives by profile the intervals that will be asked for, none empty.
    """

    def __init__(
        self, conn: Connection, place: Place, watermark: int, asked: Mapping[Profile, tuple[Ints, Ints]]
    ) -> None:
        self._silence = watermark + 1
        self._hours = self._closed(conn, place, asked)
        self._ends = {profile: _ends(spans, self._hours[profile]) for profile, spans in asked.items()}
        ranges = merged(
            (int(a), int(b))
            for ends in self._ends.values()
            for start, stop in ((ends.start, ends.first), (ends.last, ends.stop))
            for a, b in zip(start, stop, strict=True)
            if b > a
        )
        carry = max(profile.allowed_gap for profile in asked)
        self._traces = load_traces(conn, place, ranges, carry) if ranges else {}
        self._ranges = ranges
        self._signals: dict[int, Signal] = {}
        self._curves: dict[tuple[int, float], Curve] = {}

    @staticmethod
    def _closed(
        conn: Connection, place: Place, asked: Mapping[Profile, tuple[Ints, Ints]]
    ) -> dict[Profile, list[Summary]]:
        bounds = {
            "start": moment(bucket(min(int(starts.min()) for starts, _ in asked.values()))),
            "stop": moment(max(int(stops.max()) for _, stops in asked.values())),
        }
        versions = [profile.version_id for profile in asked]
        rows = conn.execute(_HOURS, {"zone": place.zone_id, "versions": versions, **bounds})
        found = {row.version_id: decode_many(row.data, row.hours) for row in rows}
        for hours in found.values():
            if hours[-1].stop - hours[0].start != len(hours) * BUCKET:
                raise ValueError(f"closed hours of zone {place.zone_id} are missing")
        return {profile: found.get(profile.version_id, []) for profile in asked}

    def _curve(self, profile: Profile) -> Curve | None:
        if not self._ranges:
            return None
        gap, key = profile.allowed_gap, (profile.allowed_gap, profile.activation_energy)
        if gap not in self._signals:
            start, stop = self._ranges[0][0], self._ranges[-1][1]
            self._signals[gap] = signal(self._traces.get("temperature", ()), gap, start, stop, self._silence)
        if key not in self._curves:
            self._curves[key] = Curve(self._signals[gap], profile.activation_energy)
        return self._curves[key]

    def figures(self, profile: Profile, starts: Ints, stops: Ints) -> Figures:
        """Of each [start, stop): the intervals that were announced for this profile."""
        ends, hours = self._ends[profile], self._hours[profile]
        sums = _hour_sums(hours)
        a, b = ends.hour, ends.after
        covered = sums.covered[b] - sums.covered[a]
        heat = sums.heat[b] - sums.heat[a]
        warmth = sums.arrhenius[b] - sums.arrhenius[a]
        low, high = sums.low.of(a, b), -sums.high.of(a, b)
        curve = self._curve(profile)
        for x, y in ((starts, ends.first), (ends.last, stops)) if curve is not None else ():
            assert curve is not None
            # an empty end lies anywhere, also outside what was read
            begin = np.where(y > x, x, self._ranges[0][0])
            more = curve.add(begin, np.where(y > x, y, self._ranges[0][0]))
            covered, heat, warmth = covered + more[0], heat + more[1], warmth + more[2]
            low, high = np.minimum(low, more[3]), np.maximum(high, more[4])
        return Figures(covered, low, high, heat, warmth)

    def tracks(self, profile: Profile) -> dict[str, Tracks]:
        """By limit, for those that saw anything: all runs of the closed hours and of what lies beside them."""
        hours = self._hours[profile]
        beside = self._beside(profile, hours)
        parts = sorted([*(hour for hour in hours if hour.seen), *beside], key=lambda part: part.start)
        keys = sorted({key for part in parts for key in part.seen})
        of = {key: [part.seen[key] for part in parts if key in part.seen] for key in keys}
        seen = {key: {level: r.join(getattr(one, level) for one in of[key]) for level in LEVELS} for key in keys}
        seen |= shared(profile, seen)
        return {key: Tracks({level: RunIndex(runs) for level, runs in by.items()}) for key, by in seen.items()}

    def _beside(self, profile: Profile, hours: Sequence[Summary]) -> list[Summary]:
        """What raw readings say of the read ranges before and after the closed hours."""
        out = []
        for a, b in self._ranges:
            pieces = [(a, min(b, hours[0].start)), (max(a, hours[-1].stop), b)] if hours else [(a, b)]
            out += [
                Look(_within(self._traces, start, stop), start, stop, self._silence).summary(profile)
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


def _within(traces: Mapping[str, Sequence[Trace]], start: int, stop: int) -> dict[str, list[Trace]]:
    """The readings in [start, stop), with each point's last one before."""
    out: dict[str, list[Trace]] = {}
    for quantity, mine in traces.items():
        out[quantity] = []
        for trace in mine:
            a = max(int(np.searchsorted(trace.at, start, side="right")) - 1, 0)
            b = int(np.searchsorted(trace.at, stop))
            out[quantity].append(
                replace(trace, at=trace.at[a:b], low=trace.low[a:b], high=trace.high[a:b], quality=trace.quality[a:b])
            )
    return out


@dataclass(frozen=True, slots=True)
class _Ends:
    """Intervals as [start, first) raw, hours [hour, after) by index, [last, stop) raw; else all first."""

    start: Ints
    first: Ints
    hour: Ints
    after: Ints
    last: Ints
    stop: Ints


def _ends(spans: tuple[Ints, Ints], hours: Sequence[Summary]) -> _Ends:
    starts, stops = spans
    if not hours:
        nothing = np.zeros(len(starts), np.int64)
        return _Ends(starts, stops, nothing, nothing, stops, stops)
    begin, count = hours[0].start, len(hours)
    hour = np.clip(-((begin - starts) // BUCKET), 0, count)
    after = np.clip((stops - begin) // BUCKET, 0, count)
    some = after > hour
    first = np.where(some, begin + hour * BUCKET, stops)
    last = np.where(some, begin + after * BUCKET, stops)
    return _Ends(starts, first, np.where(some, hour, 0), np.where(some, after, 0), last, stops)


def _hour_sums(hours: Sequence[Summary]) -> Sums:
    return Sums(
        np.array([hour.covered for hour in hours], np.int64),
        np.array([hour.heat for hour in hours], np.float64),
        np.array([hour.arrhenius for hour in hours], np.float64),
        np.array([np.inf if hour.lowest is None else hour.lowest for hour in hours], np.float64),
        np.array([-np.inf if hour.highest is None else hour.highest for hour in hours], np.float64),
    )


def merged(spans: Iterable[tuple[int, int]]) -> Runs:
    """Spans as runs; what lies less than an hour apart is read in one go."""
    out: Runs = []
    for a, b in sorted(spans):
        if out and a - out[-1][1] < BUCKET:
            out[-1] = (out[-1][0], max(out[-1][1], b))
        else:
            out.append((a, b))
    return out
