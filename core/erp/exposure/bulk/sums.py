"""Adding up what many goods saw in the zones they stood in, a column at a time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from core.erp.exposure.bulk.index import Figures, Ints
from core.erp.exposure.rules.kinetic import kinetic_mean
from core.erp.exposure.rules.profile import Profile
from core.erp.exposure.service import Exposure, LimitExposure, budget_of, frozen
from core.erp.exposure.times import moment


@dataclass(frozen=True, slots=True)
class ZoneIntervals:
    """When wanted goods were in one zone under one profile, a column each: [start, stop) microseconds.

    `wanted` says whose they are, `order` their places on those goods' ways.
    """

    wanted: Ints
    order: Ints
    start: Ints
    stop: Ints

    def only(self, which: NDArray[np.bool_]) -> "ZoneIntervals":
        """Those at the places that are true."""
        return ZoneIntervals(self.wanted[which], self.order[which], self.start[which], self.stop[which])


@dataclass(frozen=True, slots=True)
class IntervalResults:
    """What was seen over intervals: their figures; by limit (those that saw anything) the time out and the runs at the
    ends.

    A limit's rows: proven, uncertain, worst, longest proven, proven from the start on, proven until the stop.
    """

    intervals: ZoneIntervals
    figures: Figures
    limits: Mapping[str, Ints]


def summed(
    profile: Profile, results: Sequence[IntervalResults], sublots: Sequence[int]
) -> Iterator[tuple[int, Exposure]]:
    """(index into `sublots`, exposure) of all goods whose intervals, all under one profile, these are."""
    wanted = np.concatenate([each.intervals.wanted for each in results])
    by = np.lexsort((np.concatenate([each.intervals.order for each in results]), wanted))
    wanted = wanted[by]
    first = np.flatnonzero(np.concatenate(([True], wanted[1:] != wanted[:-1])))
    last = np.concatenate((first[1:], [len(wanted)])) - 1
    start, stop = (
        np.concatenate([getattr(each.intervals, name) for each in results])[by] for name in ("start", "stop")
    )
    column = {
        name: np.concatenate([getattr(each.figures, name) for each in results])[by]
        for name in ("covered", "lowest", "highest", "heat", "arrhenius")
    }
    limits = []
    for limit in profile.limits:
        rows = _rows(results, limit.key)[:, by]
        spent = rows if limit.allowance is None else _rows(results, f"allowance:{limit.allowance}")[:, by]
        budget: Sequence[timedelta | None] = [None] * len(first)
        if limit.kind == "cumulative":
            allowed, _ = budget_of(profile, limit)
            budget = _spans(np.maximum(allowed - np.add.reduceat(spent[2], first), 0))
        limits.append(_limits(limit.key, rows, budget, start, stop, first, last))
    meaningful = not frozen(profile)
    columns = zip(
        wanted[first].tolist(),
        start[first].tolist(),
        stop[last].tolist(),
        np.add.reduceat(stop - start, first).tolist(),
        np.add.reduceat(column["covered"], first).tolist(),
        np.minimum.reduceat(column["lowest"], first).tolist(),
        np.maximum.reduceat(column["highest"], first).tolist(),
        np.add.reduceat(column["heat"], first).tolist(),
        np.add.reduceat(column["arrhenius"], first).tolist(),
        zip(*limits, strict=True) if limits else ((),) * len(first),
        strict=True,
    )
    for index, begin, end, length, covered, lowest, highest, heat, arrhenius, seen in columns:
        whole = meaningful and 0 < covered == length
        yield (
            index,
            Exposure(
                sublot_id=sublots[index],
                version_id=profile.version_id,
                start=moment(begin),
                stop=moment(end),
                lowest=lowest if isfinite(lowest) else None,
                highest=highest if isfinite(highest) else None,
                mean=heat / covered if covered else None,
                mkt=kinetic_mean(arrhenius, covered, profile.activation_energy) if whole else None,
                covered=covered / length if length else 0.0,
                limits=seen,
            ),
        )


def _rows(results: Sequence[IntervalResults], key: str) -> Ints:
    nothing = [np.zeros((6, len(each.intervals.wanted)), np.int64) for each in results]
    return np.concatenate([each.limits.get(key, none) for each, none in zip(results, nothing, strict=True)], axis=1)


def _limits(
    key: str,
    rows: Ints,
    budget: Sequence[timedelta | None],
    start: Ints,
    stop: Ints,
    first: Ints,
    last: Ints,
) -> list[LimitExposure]:
    """One limit of each goods, whose intervals are [first, last]."""
    proven, uncertain, worst = (np.add.reduceat(rows[row], first) for row in range(3))
    longest = np.maximum.reduceat(rows[3], first)
    head, tail = rows[4], rows[5]
    # a run at the end of one stay goes on at the start of the next
    on = np.concatenate(([False], (tail[:-1] > 0) & (head[1:] > 0) & (stop[:-1] == start[1:])))
    on[first] = False
    for group in np.flatnonzero(np.add.reduceat(on, first)):
        running = 0
        for k in range(first[group], last[group] + 1):
            before = running if on[k] else 0
            longest[group] = max(longest[group], before + head[k])
            running = before + int(tail[k]) if tail[k] == stop[k] - start[k] else int(tail[k])
    times = [_spans(column) for column in (proven, uncertain, worst, longest)]
    return [LimitExposure(key, *row) for row in zip(*times, budget, strict=True)]


def _spans(microseconds: Ints) -> list[timedelta]:
    spans: list[timedelta] = microseconds.astype("m8[us]").tolist()
    return spans
