"""A log in the order of time: one value span per instant, gaps between them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median_low

from core.telemetry.readers.report import Limit, Report, Side

GAP_FACTOR = 1.5
"""A silence longer than this many logging intervals is a gap: a reading at least is missing."""
DEFAULT_INTERVAL = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Span:
    """What was known in [start, stop): the lowest and highest value given for `start` (they differ in a conflict).

    `logged` is false where the device judged a value and did not log it: the values are then those of the first one it
    did log. `joined` is false where a gap lies before the span; `before` is the reading before it.
    """

    start: datetime
    stop: datetime
    low: float
    high: float
    joined: bool
    before: datetime | None
    logged: bool

    def out(self, limit: Limit) -> bool:
        """Whether the worse of its values is beyond the limit."""
        return limit.out(self.low if limit.side is Side.LOW else self.high)


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing is known between two readings: [start, stop) from the last before to the first after."""

    start: datetime
    stop: datetime

    @property
    def minutes(self) -> float:
        """Its length."""
        return (self.stop - self.start).total_seconds() / 60


def interval_of(report: Report) -> timedelta:
    """The logging interval: as configured, else the usual distance between readings, else 5 minutes."""
    return report.interval or usual_step(report) or DEFAULT_INTERVAL


def usual_step(report: Report) -> timedelta | None:
    """The usual distance between readings; None where there are not two."""
    moments = sorted({sample.at for sample in report.samples})
    steps = [later - earlier for earlier, later in pairwise(moments)]
    return median_low(steps) if steps else None


def gaps_of(moments: Sequence[datetime], interval: timedelta) -> list[Silence]:
    """The silences longer than 1.5 intervals between neighbouring moments, which are in the order of time."""
    allowed = interval * GAP_FACTOR
    return [Silence(a, b) for a, b in pairwise(moments) if b - a > allowed]


def spans_of(report: Report) -> list[Span]:
    """The judged column in the order of time, every value speaking until the next, at most for 1.5 intervals.

    Before a gap a value speaks for one interval. A second value at one time widens the span to both, so that the worse
    counts. A line without a value is silence, except in the measurement delay after the start: there the device
    judged what it did not log yet, and its own mark counts.
    """
    interval = interval_of(report)
    allowed = interval * GAP_FACTOR
    values: dict[datetime, tuple[float, float] | None] = {}
    for sample in report.samples:
        value = sample.values[report.judged_column] if sample.values else None
        if value is None:
            if sample.flagged and report.activated and sample.at <= report.activated + report.measurement_delay:
                values.setdefault(sample.at, None)
            continue
        known = values.get(sample.at)
        values[sample.at] = (min(value, known[0]), max(value, known[1])) if known else (value, value)
    moments = sorted(values)
    first = next((pair for at in moments if (pair := values[at]) is not None), None)
    if first is None:
        return []
    out: list[Span] = []
    for index, at in enumerate(moments):
        following = moments[index + 1] if index + 1 < len(moments) else None
        before = moments[index - 1] if index else None
        pair = values[at]
        low, high = pair or first
        stop = following if following is not None and following - at <= allowed else at + interval
        joined = before is not None and at - before <= allowed
        out.append(Span(at, stop, low, high, joined, before, logged=pair is not None))
    return out
