"""What is asked of many intervals at once: runs to be clipped, figures to be added, by prefix sums and searching."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.erp.exposure.rules.runs import Runs
from core.erp.exposure.rules.signal import Signal
from core.telemetry.mkt import GAS_CONSTANT, KELVIN

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
LEVELS = ("proven", "uncertain", "worst")


@dataclass(frozen=True, slots=True)
class Figures:
    """Additive figures over many intervals, a column each, as rules.signal.Climate.

    Where no value was good, `lowest` is infinity and `highest` minus infinity.
    """

    covered: Ints
    lowest: Floats
    highest: Floats
    heat: Floats
    arrhenius: Floats

    @classmethod
    def empty(cls, count: int) -> "Figures":
        """Of `count` intervals that nobody measured."""
        zero = np.zeros(count)
        return cls(np.zeros(count, np.int64), np.full(count, np.inf), np.full(count, -np.inf), zero, zero)


class RangeMinimum:
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
        inner = RangeMinimum(-(self._stop - self._start).astype(np.float64)).of(
            first + 1, np.maximum(after - 1, first + 1)
        )
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
        self.low, self.high = RangeMinimum(low), RangeMinimum(-high)


class TemperatureIntegral:
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
            widths,
            self._value * widths,
            self._factor * widths,
            low,
            high,
        )

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
            np.where(some, covered, 0),
            np.where(some, heat, 0.0),
            np.where(some, warmth, 0.0),
            sums.low.of(first, ends),
            -sums.high.of(first, ends),
        )
