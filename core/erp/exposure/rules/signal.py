"""What a zone was like: the readings of its points as one piecewise-constant signal per quantity.

A good value speaks until its point's next reading, at most for the allowed gap. At each instant a limit is *out*
if any counted point is out, else *unknown* if a required point is and no good spare stands in, else *in*
(design §2.7). Where no point is required, its spares are all there is: good while one is good, unknown while none
speaks. An uncertain value out of range counts in the worse tracks only; in range it covers nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from core.erp.exposure.rules.profile import Limit
from core.erp.exposure.rules.runs import Runs
from core.telemetry.mkt import GAS_CONSTANT, KELVIN

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Bool1 = NDArray[np.bool_]

GOOD, UNCERTAIN, BAD = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Trace:
    """One point's readings, sorted by `at`; the first may lie before the span that is looked at (carried in).

    `value` is in the quantity's canonical unit, NaN where there is none (quality bad). `quality` is the quality
    judged by: calibration and all. `low`/`high` are the least and the greatest the value may stand for (as-found
    error, a second value at the same time); equal to `value` otherwise.
    """

    required: bool
    at: Ints
    low: Floats
    high: Floats
    quality: NDArray[np.int8]
    since: int = 0
    """From when on it is required (its sensor was installed); until then it is a spare."""


def within(traces: Mapping[str, Sequence[Trace]], start: int, stop: int) -> dict[str, list[Trace]]:
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


@dataclass(slots=True)
class Signal:
    """A quantity of a zone over [start, stop): for each edge, what holds from there to the next edge."""

    start: int
    stop: int
    edges: Ints
    low: Floats
    """points × edges; NaN where the point says nothing."""
    high: Floats
    good: Bools
    covered: Bool1 = field(default_factory=lambda: np.zeros(0, np.bool_))
    unknown: Bool1 = field(default_factory=lambda: np.zeros(0, np.bool_))
    lowest: float = np.nan
    highest: float = np.nan
    whole: bool = False
    """Covered throughout."""
    settled: bool = False
    """Every required point is good throughout, by itself: no watermark and no spare has a say in it."""
    _ranked: dict[bool, list[float]] = field(default_factory=dict)

    def spans(self, mask: Bools) -> Runs:
        """The stretches where the mask is true, as runs."""
        if not mask.any():
            return []
        change = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
        bounds = np.append(self.edges, self.stop)
        return [(int(bounds[a]), int(bounds[b])) for a, b in zip(change[::2], change[1::2], strict=True)]

    def rank(self, limit: Limit) -> tuple[int, int]:
        """See Limit.rank: limits of one direction and rank have the same tracks."""
        if limit.high not in self._ranked:
            values = self.high if limit.high else self.low
            self._ranked[limit.high] = np.unique(values[~np.isnan(values)]).tolist()
        return limit.rank(self._ranked[limit.high])

    def widths(self) -> Ints:
        """Length of each stretch, microseconds."""
        return np.diff(np.append(self.edges, self.stop))


def signal(traces: Sequence[Trace], gap: int, start: int, stop: int, silence_known_to: int) -> Signal:
    """The signal of one quantity over [start, stop). Without traces every instant is unknown.

    `silence_known_to` is an edge of it, so that `tracks` can tell real silence from what is only not yet told.
    """
    edges = _edges(traces, gap, start, stop, silence_known_to)
    shape = (max(len(traces), 1), len(edges))
    low, high = np.full(shape, np.nan), np.full(shape, np.nan)
    known, good = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
    for row, trace in enumerate(traces):
        if not len(trace.at):
            continue
        index = np.searchsorted(trace.at, edges, side="right") - 1
        held = np.maximum(index, 0)
        quality = trace.quality[held]
        speaks = (index >= 0) & (edges < trace.at[held] + gap) & (quality != BAD)
        known[row] = speaks
        good[row] = speaks & (quality == GOOD)
        low[row] = np.where(speaks, trace.low[held], np.nan)
        high[row] = np.where(speaks, trace.high[held], np.nan)
    made = Signal(start, stop, edges, low, high, good)
    _cover(made, traces, known)
    return made


def _edges(traces: Sequence[Trace], gap: int, start: int, stop: int, silence_known_to: int) -> Ints:
    """Every instant in [start, stop) at which something may change: readings, and the ends of what they say."""
    first = [start, silence_known_to] if start < silence_known_to < stop else [start]
    parts = [np.array(first, np.int64)]
    for trace in traces:
        if start < trace.since < stop:
            parts.append(np.array([trace.since], np.int64))
        if not len(trace.at):
            continue
        parts.append(trace.at[(trace.at > start) & (trace.at < stop)])
        ends = trace.at + gap
        silent = ends[:-1] < trace.at[1:]
        silent = np.append(silent, True)
        parts.append(ends[silent & (ends > start) & (ends < stop)])
    return np.unique(np.concatenate(parts))


def _cover(made: Signal, traces: Sequence[Trace], known: Bools) -> None:
    required = np.array([trace.required for trace in traces], np.bool_)
    if any(trace.required and trace.since > made.start for trace in traces):
        _cover_dated(made, traces, known)
    elif required.any():
        spare = made.good[: len(traces)][~required].any(axis=0)
        made.covered = np.asarray((made.good[required] | spare).all(axis=0), np.bool_)
        made.unknown = np.asarray(~(known[required] | spare).all(axis=0), np.bool_)
        made.settled = bool(made.good[required].all())
    else:
        # of a quantity that no point is required to measure, its spares are all that can be known
        made.covered = np.asarray(made.good.any(axis=0), np.bool_)
        made.unknown = np.asarray(~known.any(axis=0), np.bool_)
        made.settled = bool(made.covered.all())
    made.whole = bool(made.covered.all())
    if known.any():
        made.lowest, made.highest = float(np.nanmin(made.low)), float(np.nanmax(made.high))


def _cover_dated(made: Signal, traces: Sequence[Trace], known: Bools) -> None:
    """As `_cover`, where a point comes to be required within the span or after it."""
    required = np.array([trace.required for trace in traces], np.bool_)[:, None]
    asked = required & (made.edges >= np.array([trace.since for trace in traces], np.int64)[:, None])
    spare = (made.good & ~asked).any(axis=0)
    some = asked.any(axis=0)
    made.covered = np.asarray((some & (made.good | ~asked).all(axis=0)) | spare, np.bool_)
    made.unknown = np.asarray(np.where(some, ~(known | ~asked).all(axis=0) & ~spare, ~known.any(axis=0)), np.bool_)


@dataclass(frozen=True, slots=True)
class Tracks:
    """What one limit saw: proven out; out if uncertain values are believed; out in the worst case (unknown is out);
    and not yet back (hysteresis, uncertain and unknown keep an excursion open). Each holds the one before it.
    """

    proven: Runs
    uncertain: Runs
    worst: Runs
    open: Runs

    def __bool__(self) -> bool:
        return bool(self.open)


NOTHING = Tracks([], [], [], [])


def tracks(seen: Signal, limit: Limit, silence_known_to: int) -> Tracks:
    """The limit's tracks over the signal. Silence at or after `silence_known_to` is not yet silence: no track
    takes it as out, since a spool may still tell (watermarks, design §2.3).
    """
    extreme = seen.highest if limit.high else seen.lowest
    if seen.whole and not limit.not_back(extreme):
        return NOTHING
    values = seen.high if limit.high else seen.low
    out = limit.out(values)
    proven = (out & seen.good).any(axis=0)
    uncertain = out.any(axis=0)
    passed = seen.edges < silence_known_to
    worst = uncertain | (seen.unknown & passed)
    still = limit.not_back(values).any(axis=0) | worst | (~seen.covered & passed)
    return Tracks(seen.spans(proven), seen.spans(uncertain), seen.spans(worst), seen.spans(still))


@dataclass(frozen=True, slots=True)
class Climate:
    """Additive figures of a signal: microseconds covered by good readings, and over the covered time the sums of
    microseconds × value and of microseconds × e^(−ΔH/RT), of the warmest good point.

    `lowest` and `highest` are the least and greatest good value of any counted point at any instant, covered or not:
    what proven minutes count is never left out of them.
    """

    covered: int = 0
    lowest: float | None = None
    highest: float | None = None
    heat: float = 0.0
    arrhenius: float = 0.0


def climate(seen: Signal, activation_energy: float) -> Climate:
    """The additive figures; arrhenius per USP <1079.2> with ΔH in kJ/mol."""
    if not seen.good.any():
        return Climate()
    warmest = np.where(seen.good, seen.high, -np.inf).max(axis=0)
    coldest = np.where(seen.good, seen.low, np.inf).min(axis=0)
    widths, high = seen.widths()[seen.covered], warmest[seen.covered]
    return Climate(
        covered=int(widths.sum()),
        lowest=float(coldest.min()),
        highest=float(warmest.max()),
        heat=float((high * widths).sum()),
        arrhenius=float((np.exp(-activation_energy / (GAS_CONSTANT * (high + KELVIN))) * widths).sum()),
    )
