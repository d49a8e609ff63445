"""Whether a sensor still says what it measures: it stands still, jumps, drifts from its probe, or misses the defrosts.

All rules are robust: they compare medians, so that a door that was open, a loose contact of one sample or a cold truck
do not decide. They say something of the *sensor*, for the engineer, and never of goods: nothing here holds anything.
Parameters have defaults of the house; each finding carries the figures it was found by.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.int64]
"""Milliseconds since 1970."""
Floats = NDArray[np.float64]
MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
FULL_DAY = 18
"""Hours in which a sensor spoke for the day to be compared by: with a quarter missing, so may be its defrosts."""
SCALED_MAD = 1.4826
"""The median of absolute deviations of normal noise, times this, is its standard deviation."""


class Kind(StrEnum):
    """What is wrong with a sensor."""

    STUCK = "stuck"
    JUMPS = "jumps"
    DRIFTS = "drifts"
    NO_DEFROST = "no_defrost"


@dataclass(frozen=True, slots=True)
class Parameters:
    """How long is looked at and what counts; values are in the quantity's canonical unit (°C, %RH)."""

    stuck_window: int = 6 * HOUR
    """Milliseconds without any movement."""
    least_readings: int = 12
    """With fewer in the window nothing is said."""
    covered: float = 0.8
    """The share of the window that readings must lie in."""
    past_moving: float = 0.9
    """The share of earlier windows in which the sensor moved, for its standing still to mean anything."""
    neighbour_moves: float = 0.3
    """How far another point of the zone must have moved meanwhile to speak against one that did not."""
    jump: float = 2.0
    """The least step that is a jump."""
    jump_noise: float = 8.0
    """A jump is also so many times the usual step."""
    jump_rate: float = 0.5
    """And so much a minute: a defrost or an open door warms the air, but not so fast between two readings."""
    jump_back: int = 2
    """Within so many readings it is back: what stays where it went was measured."""
    jumps: int = 3
    """So many in a day are told."""
    drift: float = 0.5
    """By so much the difference to the probe beside it has moved, compared with the days before."""
    drift_noise: float = 3.0
    """And by so many times the usual scatter of its hourly medians."""
    drift_hours: int = 12
    """Hours that both must have spoken in, now and before."""
    rise: float = 0.8
    """A defrost lifts a sensor at least so far over what it was."""
    rise_noise: float = 4.0
    rise_scatter: float = 0.3
    """With more scatter in a day a defrost does not stand out (told of none of 4 800 well sensors, simulated)."""
    rises_a_day: int = 2
    """So many on most of the days before make defrosts something to expect."""
    rises_missed: int = 2
    """So many that the others had and this one had not are told."""
    near: int = HOUR // 2
    """Rises this close are of one defrost."""


HOUSE = Parameters()
"""The house's defaults."""


@dataclass(frozen=True, slots=True)
class Samples:
    """One point's good readings, by time; `at` and `value` have one length."""

    at: Times
    value: Floats

    def between(self, start: int, stop: int) -> "Samples":
        """Those in [start, stop)."""
        first, last = np.searchsorted(self.at, (start, stop))
        return Samples(self.at[first:last], self.value[first:last])

    def __len__(self) -> int:
        return int(self.at.size)


@dataclass(frozen=True, slots=True)
class Hour:
    """What is kept of a point's good readings of one hour that is over; `start` is in milliseconds."""

    start: int
    low: float
    high: float
    median: float
    count: int
    rises: int
    """How many rises as a defrost's had their highest reading in it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of a sensor; `figures` are what the message says, by name."""

    kind: Kind
    since: int
    """Milliseconds: the last time that it was well, or the first at which it was not."""
    figures: dict[str, float] = field(default_factory=dict)


def movement(samples: Samples) -> float:
    """How far it moved: highest less lowest; 0 where nothing was said."""
    return float(np.ptp(samples.value)) if len(samples) else 0.0


def stuck(
    day: Samples, past: Sequence[Hour], neighbours: Sequence[Samples], now: int, parameters: Parameters = HOUSE
) -> Finding | None:
    """It did not move at all for the window, though it usually does, or others in its zone did.

    `day` are its readings of the last 24 hours, `past` the hours before now that are kept.
    """
    window = day.between(now - parameters.stuck_window, now)
    if not _enough(window, parameters) or movement(window) > 0:
        return None
    value = float(window.value[0])
    moved = max((movement(one.between(int(window.at[0]), now)) for one in neighbours), default=0.0)
    usual = _moving_share(past, now, parameters)
    if moved < parameters.neighbour_moves and (usual is None or usual < parameters.past_moving):
        return None
    others = np.flatnonzero(day.value != value)
    since = int(day.at[others[-1] + 1]) if others.size else int(day.at[0])
    return Finding(Kind.STUCK, since, {"value": value, "hours": (now - since) / HOUR, "neighbour": moved})


def _enough(window: Samples, parameters: Parameters) -> bool:
    """Whether its readings say something of the whole window."""
    if len(window) < parameters.least_readings:
        return False
    return int(window.at[-1] - window.at[0]) >= parameters.covered * parameters.stuck_window


def _moving_share(past: Sequence[Hour], now: int, parameters: Parameters) -> float | None:
    """In which share of the earlier windows of that length it moved; None where there are too few to say."""
    by_window: dict[int, list[Hour]] = {}
    for hour in past:
        age = now - parameters.stuck_window - hour.start
        if age > 0:
            by_window.setdefault(age // parameters.stuck_window, []).append(hour)
    needed = parameters.covered * parameters.stuck_window / HOUR
    moving = [
        max(hour.high for hour in hours) > min(hour.low for hour in hours)
        for hours in by_window.values()
        if len(hours) >= needed
    ]
    return sum(moving) / len(moving) if len(moving) >= 4 else None  # noqa: PLR2004 - a day of the default's windows


def jumps(day: Samples, neighbours: Sequence[Samples], now: int, parameters: Parameters = HOUSE) -> Finding | None:
    """Single readings far away from those before and after, faster than air warms, several times in a day.

    Where another sensor of the zone moved at the same time, the room did.
    """
    day = day.between(now - DAY, now)
    if len(day) < parameters.least_readings:
        return None
    usual = float(np.median(np.abs(np.diff(day.value))))
    limit = max(parameters.jump, parameters.jump_noise * usual)
    found: list[int] = []
    place = 1
    while place < len(day):
        back = _back(day, place, limit, parameters)
        if back is not None and not any(_moved_too(one, day, place, back, limit / 2) for one in neighbours):
            found.append(place)
        place = back or place + 1
    if len(found) < parameters.jumps:
        return None
    sizes = np.abs(day.value[found] - day.value[np.array(found) - 1])
    return Finding(Kind.JUMPS, int(day.at[found[0]]), {"count": len(found), "largest": float(sizes.max())})


def _back(day: Samples, place: int, limit: float, parameters: Parameters) -> int | None:
    """Where it is back at what it was before a jump at `place`; None if there is no jump, or it stays away."""
    before, step = day.value[place - 1], abs(day.value[place] - day.value[place - 1])
    minutes = (day.at[place] - day.at[place - 1]) / MINUTE
    if step < max(limit, parameters.jump_rate * minutes):
        return None
    for after in range(place + 1, min(place + 1 + parameters.jump_back, len(day))):
        if abs(day.value[after] - before) < limit / 2:
            return after
    return None


def _moved_too(neighbour: Samples, day: Samples, place: int, back: int, by: float) -> bool:
    """Whether the other moved as well between the readings before and behind the jump."""
    return movement(neighbour.between(int(day.at[place - 1]), int(day.at[back]) + 1)) >= by


def drifts(own: Sequence[Hour], probe: Sequence[Hour], now: int, parameters: Parameters = HOUSE) -> Finding | None:
    """The difference to a probe of the same zone has moved: its median of this day against that of the days before.

    A difference that was always there is where they hang, not drift. Of two alone nobody can say which it is.
    """
    theirs = {hour.start: hour.median for hour in probe}
    both = [(hour.start, hour.median - theirs[hour.start]) for hour in own if hour.start in theirs]
    recent = np.array([difference for start, difference in both if start >= now - DAY])
    earlier = np.array([difference for start, difference in both if start < now - DAY])
    if min(recent.size, earlier.size) < parameters.drift_hours:
        return None
    before, after = float(np.median(earlier)), float(np.median(recent))
    scatter = SCALED_MAD * float(np.median(np.abs(earlier - before)))
    moved = after - before
    if abs(moved) < max(parameters.drift, parameters.drift_noise * scatter):
        return None
    return Finding(Kind.DRIFTS, now - DAY, {"before": before, "after": after, "moved": moved})


def rises(samples: Samples, parameters: Parameters = HOUSE) -> list[int]:
    """When it was lifted well over what it was in the hours around and came back: as each defrost does.

    Times of the highest reading of each; those nearer than `near` are one.
    """
    if len(samples) < parameters.least_readings:
        return []
    lifted = max(parameters.rise, parameters.rise_noise * _noise(samples))
    above = samples.value >= float(np.median(samples.value)) + lifted
    edges = np.flatnonzero(np.diff(np.concatenate(([0], above.astype(np.int8), [0]))))
    peaks = [
        int(samples.at[start + int(np.argmax(samples.value[start:stop]))])
        for start, stop in edges.reshape(-1, 2)
        if stop < len(samples)  # it has come back
    ]
    return [peak for before, peak in pairwise([-DAY, *peaks]) if peak - before >= parameters.near]


def _noise(samples: Samples) -> float:
    """The standard deviation of the values, robustly."""
    return SCALED_MAD * float(np.median(np.abs(samples.value - np.median(samples.value))))


def misses_defrosts(
    day: Samples, past: Sequence[Hour], neighbours: Sequence[Samples], now: int, parameters: Parameters = HOUSE
) -> Finding | None:
    """It had a rise at each defrost on most of the days before and has none today, though others in its zone have.

    Without others in its zone, a day without any is told where every one of the days before had them. Nothing is said
    of a sensor that scatters so much that a defrost does not stand out: it would miss some by chance.
    """
    counts = _rises_by_day(past, now)
    usual = [count >= parameters.rises_a_day for count in counts]
    if len(usual) < 3 or sum(usual) <= len(usual) / 2 or len(day) < parameters.least_readings:  # noqa: PLR2004 - days
        return None
    if _noise(day) > parameters.rise_scatter:
        return None
    today = rises(day, parameters)
    theirs = max((rises(one, parameters) for one in neighbours), key=len, default=[])
    missed = [peak for peak in theirs if all(abs(peak - mine) > parameters.near for mine in today)]
    if theirs:
        if len(missed) < max(parameters.rises_missed, len(theirs)):
            return None
        return Finding(Kind.NO_DEFROST, missed[0], {"missed": len(missed), "expected": len(theirs)})
    if today or neighbours or not all(usual):
        return None
    expected = float(np.median(counts))
    last = max(hour.start for hour in past if hour.rises)
    return Finding(Kind.NO_DEFROST, last, {"missed": expected, "expected": expected})


def _rises_by_day(past: Sequence[Hour], now: int) -> list[int]:
    """The rises of each of the days before the last 24 hours that was spoken of for most of it, newest first."""
    hours: dict[int, list[Hour]] = {}
    for hour in past:
        age = now - DAY - hour.start
        if age > 0:
            hours.setdefault(age // DAY, []).append(hour)
    return [sum(hour.rises for hour in hours[day]) for day in sorted(hours) if len(hours[day]) >= FULL_DAY]


def digest(day: Samples, start: int, parameters: Parameters = HOUSE) -> Hour | None:
    """What is kept of the hour from `start` on, seen in the day around it; None where nothing was said in it."""
    hour = day.between(start, start + HOUR)
    if not len(hour):
        return None
    return Hour(
        start,
        float(hour.value.min()),
        float(hour.value.max()),
        float(np.median(hour.value)),
        len(hour),
        sum(start <= peak < start + HOUR for peak in rises(day, parameters)),
    )
