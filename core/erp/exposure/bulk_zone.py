"""One zone under several profiles, ready to be asked for any number of intervals at once."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from core.erp.exposure.bulk_raw import load_traces
from core.erp.exposure.places import Place
from core.erp.exposure.rules import runs as r
from core.erp.exposure.rules.profile import Profile
from core.erp.exposure.rules.runs import Runs
from core.erp.exposure.rules.signal import Signal, Trace, signal
from core.erp.exposure.rules.summary import Look, Summary, decode
from core.erp.exposure.times import BUCKET, bucket, moment
from core.telemetry.mkt import GAS_CONSTANT, KELVIN

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
LEVELS = ("proven", "uncertain", "worst")


@dataclass(frozen=True, slots=True)
class Figures:
    """Additive figures over an interval, as rules.signal.Climate."""

    covered: int = 0
    lowest: float | None = None
    highest: float | None = None
    heat: float = 0.0
    arrhenius: float = 0.0


class Least:
    """The least of any range of an array, by a sparse table; an empty range gives infinity."""

    def __init__(self, values: Floats) -> None:
        self._rows = [values]
        width = 1
        while 2 * width <= len(values):
            before = self._rows[-1]
            self._rows.append(np.minimum(before[:-width], before[width:]))
            width *= 2

    def of(self, first: Ints, after: Ints) -> Floats:
        """Of [first, after) for each."""
        out = np.full(len(first), np.inf)
        level = np.zeros(len(first), np.int64)
        some = after > first
        level[some] = np.frexp((after - first)[some].astype(np.float64))[1] - 1
        for which in np.unique(level[some]):
            mine = some & (level == which)
            row = self._rows[which]
            out[mine] = np.minimum(row[first[mine]], row[after[mine] - (1 << which)])
        return out


class RunIndex:
    """Runs of one level, to be clipped to many intervals at once."""

    def __init__(self, runs: Runs) -> None:
        pairs = np.array(runs, np.int64).reshape(-1, 2)
        self._start, self._stop = pairs[:, 0], pairs[:, 1]
        self._sum = np.concatenate(([0], np.cumsum(self._stop - self._start)))
        self._longest = Least(-(self._stop - self._start).astype(np.float64))

    def _upto(self, at: Ints) -> Ints:
        """Microseconds of runs before each instant."""
        index = np.searchsorted(self._start, at, side="right")
        last = np.maximum(index - 1, 0)
        over = np.where(index > 0, np.maximum(self._stop[last] - at, 0), 0) if len(self._stop) else 0
        return np.asarray(self._sum[index] - over, np.int64)

    def length(self, starts: Ints, stops: Ints) -> Ints:
        """Microseconds of runs within each [start, stop)."""
        return self._upto(stops) - self._upto(starts)

    def stretches(self, starts: Ints, stops: Ints) -> tuple[Ints, Ints, Ints]:
        """Within each [start, stop): the longest run, the one that begins at the start, the one that ends at stop."""
        if not len(self._start):
            nothing = np.zeros(len(starts), np.int64)
            return nothing, nothing, nothing
        first = np.searchsorted(self._stop, starts, side="right")
        after = np.searchsorted(self._start, stops, side="left")
        a, b = np.minimum(first, len(self._start) - 1), np.maximum(after - 1, 0)
        some = after > first
        opening = np.where(some, np.minimum(self._stop[a], stops) - np.maximum(self._start[a], starts), 0)
        closing = np.where(some, np.minimum(self._stop[b], stops) - np.maximum(self._start[b], starts), 0)
        inner = self._longest.of(first + 1, np.maximum(after - 1, first + 1))
        inside = np.where(np.isinf(inner), 0, -inner).astype(np.int64)
        longest = np.maximum(np.maximum(opening, closing), inside)
        head = np.where(some & (self._start[a] <= starts), opening, 0)
        tail = np.where(some & (self._stop[b] >= stops), closing, 0)
        return longest, head, tail


@dataclass(frozen=True, slots=True)
class Tracks:
    """One limit's runs in a zone, by level."""

    runs: Mapping[str, RunIndex]


class Sums:
    """Figures of neighbouring stretches, to be added over index ranges."""

    def __init__(self, covered: Ints, heat: Floats, arrhenius: Floats, low: Floats, high: Floats) -> None:
        self.covered = np.concatenate(([0], np.cumsum(covered)))
        self.heat = np.concatenate(([0.0], np.cumsum(heat)))
        self.arrhenius = np.concatenate(([0.0], np.cumsum(arrhenius)))
        self.low, self.high = Least(low), Least(-high)


class Curve:
    """A temperature signal, to be added over any intervals within what was read."""

    def __init__(self, seen: Signal, activation_energy: float) -> None:
        self._edges = seen.edges
        self._covered = seen.covered
        high = np.where(seen.good, seen.high, -np.inf).max(axis=0)
        low = np.where(seen.good, seen.low, np.inf).min(axis=0)
        self._value = np.where(seen.covered, high, 0.0)
        factor = np.exp(-activation_energy / (GAS_CONSTANT * (self._value + KELVIN)))
        self._factor = np.where(seen.covered, factor, 0.0)
        widths = np.where(seen.covered, seen.widths(), 0)
        self._sums = Sums(
            widths, self._value * widths, self._factor * widths,
            np.where(seen.covered, low, np.inf), np.where(seen.covered, high, -np.inf),
        )  # fmt: skip

    def add(self, starts: Ints, stops: Ints) -> tuple[Ints, Floats, Floats, Floats, Floats]:
        """(covered, heat, arrhenius, lowest, highest) of each [start, stop); nothing of an empty one."""
        some = stops > starts
        first = np.searchsorted(self._edges, starts, side="right") - 1
        last = np.searchsorted(self._edges, stops, side="left") - 1
        sums = self._sums
        before, after = starts - self._edges[first], stops - self._edges[last]
        cover = self._covered.astype(np.int64)
        covered = sums.covered[last] - sums.covered[first] + cover[last] * after - cover[first] * before
        heat = sums.heat[last] - sums.heat[first] + self._value[last] * after - self._value[first] * before
        warmth = sums.arrhenius[last] - sums.arrhenius[first]
        warmth = warmth + self._factor[last] * after - self._factor[first] * before
        ends = np.where(some, last + 1, first)
        return (
            np.where(some, covered, 0), np.where(some, heat, 0.0), np.where(some, warmth, 0.0),
            sums.low.of(first, ends), -sums.high.of(first, ends),
        )  # fmt: skip


_HOURS = text(
    "SELECT version_id, data FROM zone_summary WHERE zone_id = :zone AND version_id = ANY(:versions)"
    " AND start_at >= :start AND start_at < :stop ORDER BY start_at"
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
        found: dict[int, list[Summary]] = defaultdict(list)
        bounds = {
            "start": moment(bucket(min(int(starts.min()) for starts, _ in asked.values()))),
            "stop": moment(max(int(stops.max()) for _, stops in asked.values())),
        }
        versions = [profile.version_id for profile in asked]
        for version, data in conn.execute(_HOURS, {"zone": place.zone_id, "versions": versions, **bounds}):
            found[version].append(decode(data))
        for hours in found.values():
            if hours[-1].stop - hours[0].start != len(hours) * BUCKET:
                raise ValueError(f"closed hours of zone {place.zone_id} are missing")
        return {profile: found[profile.version_id] for profile in asked}

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

    def figures(self, profile: Profile, starts: Ints, stops: Ints) -> list[Figures]:
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
        return [
            Figures(each[0], each[1], each[2], each[3], each[4]) if each[0] else Figures()
            for each in zip(
                covered.tolist(), low.tolist(), high.tolist(), heat.tolist(), warmth.tolist(), strict=True
            )
        ]  # fmt: skip

    def tracks(self, profile: Profile) -> dict[str, Tracks]:
        """By limit, for those that saw anything: all runs of the closed hours and of what lies beside them."""
        hours = self._hours[profile]
        beside = self._beside(profile, hours)
        parts = sorted([*(hour for hour in hours if hour.seen), *beside], key=lambda part: part.start)
        keys = sorted({key for part in parts for key in part.seen})
        return {
            key: Tracks(
                {
                    level: RunIndex(r.join(getattr(part.seen[key], level) for part in parts if key in part.seen))
                    for level in LEVELS
                }
            )
            for key in keys
        }

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


def _within(traces: Mapping[str, Sequence[Trace]], start: int, stop: int) -> dict[str, list[Trace]]:
    """The readings in [start, stop), with each point's last one before."""
    out: dict[str, list[Trace]] = {}
    for quantity, mine in traces.items():
        out[quantity] = []
        for trace in mine:
            a = max(int(np.searchsorted(trace.at, start, side="right")) - 1, 0)
            b = int(np.searchsorted(trace.at, stop))
            out[quantity].append(
                Trace(trace.required, trace.at[a:b], trace.low[a:b], trace.high[a:b], trace.quality[a:b])
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
