"""Summaries: what a profile's limits saw in a zone over [start, stop). They add up: (a + b) + c = a + (b + c).

The runs of a summary hold what head, tail and interior runs would: a run at its start goes on from the summary
before, a run at its stop goes on into the next (`runs.join`).
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import msgspec

from core.erp.exposure.rules import runs as r
from core.erp.exposure.rules.profile import Limit, Profile
from core.erp.exposure.rules.runs import Runs
from core.erp.exposure.rules.signal import Climate, Signal, Trace, climate, signal, tracks


class LimitRuns(msgspec.Struct, frozen=True, array_like=True):
    """One limit's runs: proven, uncertain, worst case, open (see signal.Tracks)."""

    proven: Runs
    uncertain: Runs
    worst: Runs
    open: Runs


NO_RUNS = LimitRuns([], [], [], [])


class Summary(msgspec.Struct, frozen=True, array_like=True):
    """What a profile's limits saw over [start, stop) microseconds, and the climate of it.

    `seen` has only limits that saw something. `covered` … `arrhenius` as in signal.Climate.
    """

    start: int
    stop: int
    seen: dict[str, LimitRuns]
    covered: int
    lowest: float | None
    highest: float | None
    heat: float
    arrhenius: float

    @property
    def clean(self) -> bool:
        """Covered throughout by good readings, and no limit saw anything."""
        return not self.seen and self.covered == self.stop - self.start

    def of(self, key: str) -> LimitRuns:
        """What a limit saw."""
        return self.seen.get(key, NO_RUNS)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Summary)
_many = msgspec.msgpack.Decoder(list[Summary])


def encode(summary: Summary) -> bytes:
    """For the table."""
    return _encoder.encode(summary)


def decode(data: bytes) -> Summary:
    """From the table. Raises msgspec.MsgspecError for anything else."""
    return _decoder.decode(data)


def decode_many(data: bytes, count: int) -> list[Summary]:
    """`count` encoded summaries, one behind the other. Raises msgspec.MsgspecError for anything else."""
    # MessagePack's array 32 is a byte, the count, and the members one behind the other
    return _many.decode(b"\xdd" + count.to_bytes(4, "big") + data)


def empty(start: int, stop: int) -> Summary:
    """A summary of a span of which nothing is known, and nothing counted either."""
    return Summary(start, stop, {}, 0, None, None, 0.0, 0.0)


def add(parts: Sequence[Summary]) -> Summary:
    """The summary of neighbours in order. Raises ValueError if they do not touch, or if there are none."""
    if not parts:
        raise ValueError("no summaries to add")
    for before, after in pairwise(parts):
        if before.stop != after.start:
            raise ValueError(f"summaries do not touch: {before.stop} and {after.start}")
    if len(parts) == 1:
        return parts[0]
    return Summary(
        parts[0].start,
        parts[-1].stop,
        join_runs(parts),
        sum(part.covered for part in parts),
        min((part.lowest for part in parts if part.lowest is not None), default=None),
        max((part.highest for part in parts if part.highest is not None), default=None),
        sum(part.heat for part in parts),
        sum(part.arrhenius for part in parts),
    )


def with_runs_reaching(summary: Summary, past: int) -> Summary:
    """The same span with only those runs that go on past its stop, or end past an instant within it."""
    stop = min(summary.stop, past + 1)
    kept = {
        key: LimitRuns(*([run for run in runs if run[1] >= stop] for runs in (s.proven, s.uncertain, s.worst, s.open)))
        for key, s in summary.seen.items()
    }
    return msgspec.structs.replace(summary, seen={key: seen for key, seen in kept.items() if seen.open})


def join_runs(parts: Sequence[Summary]) -> dict[str, LimitRuns]:
    """The runs of summaries in order of time, by limit; what was left out between them saw nothing."""
    if len(parts) == 1:
        return parts[0].seen
    out = {}
    for key in sorted({key for part in parts for key in part.seen}):
        seen = [part.of(key) for part in parts]
        out[key] = LimitRuns(
            r.join(part.proven for part in seen),
            r.join(part.uncertain for part in seen),
            r.join(part.worst for part in seen),
            r.join(part.open for part in seen),
        )
    return out


_Alike = tuple[str, int, bool, int, int]
"""Quantity, allowed gap, direction and rank of a limit: those of the same see the same."""


class ZoneView:
    """A zone's readings over [start, stop), looked at by any number of profiles: signals are made once per gap, and
    limits between whose thresholds no value lies share what they saw.

    `traces` gives for each quantity the points that measure it; each trace may carry one reading from before
    `start`. `silence_known_to` as in signal.tracks: one past the watermark, which speaks for its own instant too.
    """

    def __init__(self, traces: Mapping[str, Sequence[Trace]], start: int, stop: int, silence_known_to: int) -> None:
        self._traces = traces
        self.start = start
        self.stop = stop
        self._silence = silence_known_to
        self._signals: dict[tuple[str, int], Signal] = {}
        self._seen: dict[_Alike, LimitRuns] = {}
        self._climates: dict[tuple[int, float], Climate] = {}
        self._summaries: dict[tuple[object, ...], Summary] = {}
        self._nothing = empty(start, start)

    def signal(self, quantity: str, gap: int) -> Signal:
        """The quantity's signal under an allowed gap."""
        key = (quantity, gap)
        if key not in self._signals:
            self._signals[key] = signal(self._traces.get(quantity, ()), gap, self.start, self.stop, self._silence)
        return self._signals[key]

    def summary(self, profile: Profile) -> Summary:
        """What the profile's limits saw. Profiles that saw the same are given one and the same summary."""
        if self.stop <= self.start:
            return self._nothing
        gap = profile.allowed_gap
        alike = [(limit.key, self._alike(limit, gap)) for limit in profile.limits]
        key = (gap, profile.activation_energy, *(each for each in alike if each[1] is not None))
        if key not in self._summaries:
            seen = {limit: self._seen[each] for limit, each in alike if each is not None}
            figures = self._climate(profile)
            self._summaries[key] = Summary(
                self.start,
                self.stop,
                seen,
                figures.covered,
                figures.lowest,
                figures.highest,
                figures.heat,
                figures.arrhenius,
            )
        return self._summaries[key]

    def _alike(self, limit: Limit, gap: int) -> "_Alike | None":
        """Under what the limit's runs are kept in `_seen`; None if it saw nothing."""
        made = self.signal(limit.quantity, gap)
        if made.whole and not limit.not_back(made.highest if limit.high else made.lowest):
            return None
        key = (limit.quantity, gap, limit.high, *made.rank(limit))
        if key not in self._seen:
            found = tracks(made, limit, self._silence)
            self._seen[key] = LimitRuns(found.proven, found.uncertain, found.worst, found.open)
        return key if self._seen[key].open else None

    def _climate(self, profile: Profile) -> Climate:
        key = (profile.allowed_gap, profile.activation_energy)
        if key not in self._climates:
            self._climates[key] = climate(self.signal("temperature", profile.allowed_gap), profile.activation_energy)
        return self._climates[key]


def clip_runs(seen: Mapping[str, LimitRuns], start: int, stop: int) -> dict[str, LimitRuns]:
    """What each limit saw within [start, stop) (runs only: climate does not divide)."""
    return {
        key: LimitRuns(
            r.clip(of.proven, start, stop),
            r.clip(of.uncertain, start, stop),
            r.clip(of.worst, start, stop),
            r.clip(of.open, start, stop),
        )
        for key, of in seen.items()
    }
