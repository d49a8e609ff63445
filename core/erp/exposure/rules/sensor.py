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
HOUR = 3_600_000
DAY = 24 * HOUR
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
    rises_a_day: int = 2
    """So many on most of the days before make defrosts something to expect."""
    rises_missed: int = 2
    """So many that the others had and this one had not are told."""
    near: int = HOUR // 2
    """Rises this close are of one defrost."""


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
    own: Samples, neighbours: Sequence[Samples], now: int, parameters: Parameters = Parameters()
) -> Finding | None:
    """It did not move at all for the window, though it usually does, or others in its zone did."""
    window = own.between(now - parameters.stuck_window, now)
    if not _enough(window, parameters) or movement(window) > 0:
        return None
    value = float(window.value[0])
    moved = max((movement(one.between(int(window.at[0]), now)) for one in neighbours), default=0.0)
    usual = _moving_share(own, now, parameters)
    if moved < parameters.neighbour_moves and (usual is None or usual < parameters.past_moving):
        return None
    others = np.flatnonzero(own.value != value)
    since = int(own.at[others[-1] + 1]) if others.size else int(own.at[0])
    return Finding(Kind.STUCK, since, {"value": value, "hours": (now - since) / HOUR, "neighbour": moved})


def _enough(window: Samples, parameters: Parameters) -> bool:
    """Whether its readings say something of the whole window."""
    if len(window) < parameters.least_readings:
        return False
    return int(window.at[-1] - window.at[0]) >= parameters.covered * parameters.stuck_window


def _moving_share(own: Samples, now: int, parameters: Parameters) -> float | None:
    """In which share of the earlier windows of that length it moved; None where there are too few to say."""
    starts = range(now - 2 * parameters.stuck_window, int(own.at[0]) - 1, -parameters.stuck_window)
    windows = [own.between(start, start + parameters.stuck_window) for start in starts]
    moving = [movement(window) > 0 for window in windows if _enough(window, parameters)]
    return sum(moving) / len(moving) if len(moving) >= 4 else None  # noqa: PLR2004 - a day of the default's windows


def jumps(own: Samples, now: int, parameters: Parameters = Parameters()) -> Finding | None:
    """Single readings far away from those before and after them, several times in a day."""
    day = own.between(now - DAY, now)
    if len(day) < parameters.least_readings:
        return None
    steps = np.diff(day.value)
    limit = max(parameters.jump, parameters.jump_noise * float(np.median(np.abs(steps))))
    found: list[int] = []
    place = 1
    while place < len(day):
        back = _back(day.value, place, limit, parameters.jump_back)
        if back is not None:
            found.append(place)
        place = back or place + 1
    if len(found) < parameters.jumps:
        return None
    sizes = np.abs(day.value[found] - day.value[np.array(found) - 1])
    return Finding(Kind.JUMPS, int(day.at[found[0]]), {"count": len(found), "largest": float(sizes.max())})


def _back(value: Floats, place: int, limit: float, within: int) -> int | None:
    """Where it is back at what it was before a jump at `place`; None if there is no jump, or it stays away."""
    before = value[place - 1]
    if abs(value[place] - before) < limit:
        return None
    for after in range(place + 1, min(place + 1 + within, value.size)):
        if abs(value[after] - before) < limit / 2:
            return after
    return None


def drifts(own: Samples, probe: Samples, now: int, parameters: Parameters = Parameters()) -> Finding | None:
    """The difference to a probe of the same zone has moved: its median of this day against that of the days before.

    A difference that was always there is where they hang, not drift. Of two alone nobody can say which it is.
    """
    differences = _hourly_differences(own, probe)
    hours = np.array(sorted(differences), dtype=np.int64)
    values = np.array([differences[int(hour)] for hour in hours])
    today = hours * HOUR >= now - DAY
    recent, earlier = values[today], values[~today]
    if min(recent.size, earlier.size) < parameters.drift_hours:
        return None
    before, after = float(np.median(earlier)), float(np.median(recent))
    scatter = SCALED_MAD * float(np.median(np.abs(earlier - before)))
    moved = after - before
    if abs(moved) < max(parameters.drift, parameters.drift_noise * scatter):
        return None
    return Finding(Kind.DRIFTS, now - DAY, {"before": before, "after": after, "moved": moved})


def _hourly_differences(own: Samples, probe: Samples) -> dict[int, float]:
    """By hour since 1970 in which both spoke: the median of one less that of the other."""
    mine, other = _hourly_medians(own), _hourly_medians(probe)
    return {hour: mine[hour] - other[hour] for hour in mine.keys() & other.keys()}


def _hourly_medians(samples: Samples) -> dict[int, float]:
    hours, first = np.unique(samples.at // HOUR, return_index=True)
    parts = np.split(samples.value, first[1:]) if hours.size else []
    return {int(hour): float(np.median(part)) for hour, part in zip(hours, parts, strict=True)}


def rises(samples: Samples, parameters: Parameters = Parameters()) -> list[int]:
    """When it was lifted well over what it was in the hours around and came back: as each defrost does.

    Times of the highest reading of each; those nearer than `near` are one.
    """
    if len(samples) < parameters.least_readings:
        return []
    level = float(np.median(samples.value))
    noise = SCALED_MAD * float(np.median(np.abs(samples.value - level)))
    above = samples.value >= level + max(parameters.rise, parameters.rise_noise * noise)
    edges = np.flatnonzero(np.diff(np.concatenate(([0], above.astype(np.int8), [0]))))
    peaks = [
        int(samples.at[start + int(np.argmax(samples.value[start:stop]))])
        for start, stop in edges.reshape(-1, 2)
        if stop < len(samples)  # it has come back
    ]
    return [peak for before, peak in pairwise([-DAY, *peaks]) if peak - before >= parameters.near]


def misses_defrosts(
    own: Samples, neighbours: Sequence[Samples], now: int, parameters: Parameters = Parameters()
) -> Finding | None:
    """It had a rise at each defrost on most of the days before and has none today, though others in its zone have.

    Without others that rise, a day without any is told where every one of the days before had them.
    """
    days = [rises(own.between(start, start + DAY), parameters) for start in range(now - 7 * DAY, now, DAY)]
    *before, today = days
    usual = [len(one) >= parameters.rises_a_day for one in before]
    if sum(usual) <= len(usual) / 2 or len(own.between(now - DAY, now)) < parameters.least_readings:
        return None
    theirs = max((rises(one.between(now - DAY, now), parameters) for one in neighbours), key=len, default=[])
    missed = [peak for peak in theirs if all(abs(peak - mine) > parameters.near for mine in today)]
    expected = float(np.median([len(one) for one in before]))
    if theirs:
        if len(missed) < max(parameters.rises_missed, len(theirs) / 2):
            return None
        return Finding(Kind.NO_DEFROST, missed[0], {"missed": len(missed), "expected": len(theirs)})
    if today or neighbours or not all(usual):
        return None
    last = max(peak for one in before for peak in one)
    return Finding(Kind.NO_DEFROST, last, {"missed": expected, "expected": expected})
