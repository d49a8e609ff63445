"""What is in doubt of a table as a whole: its times, values given twice, silences, humidity in fractions. Pure."""

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from core.telemetry.batch import Gap
from core.telemetry.compact import Readings, Values, moment_of
from core.telemetry.message import Message
from core.telemetry.quality import Quality
from core.telemetry.readers.csv_mapping import Column
from core.telemetry.readers.instants import Instants, WallTimes
from core.telemetry.readers.text import Doubt
from core.telemetry.readers.wall_time import NEWEST_FIRST, runs_back

GAP_FACTOR = 1.5
"""Without an allowed gap, a silence longer than this many usual steps is one."""
_TIMES = {
    "ambiguous_time": "telemetry.time_twice",
    "nonexistent_time": "telemetry.time_skipped",
    "absurd_time": "telemetry.time_impossible",
}
_FRACTION = 1.0


def check_times(lines: Sequence[int], walls: WallTimes, instants: Instants, doubts: list[Doubt]) -> None:
    """Doubtful times, and steps back of the clock, each with its line. `walls` are the times as written."""
    for place, doubt in instants.doubts.items():
        doubts.append(Doubt(lines[place], doubt, Message(_TIMES[doubt], time=str(walls[place]))))
    times = np.frombuffer(instants.at, np.int64)
    if runs_back(times):
        doubts.append(Doubt(lines[0], "newest_first", NEWEST_FIRST))
        steps = [(place + 1, place) for place in np.flatnonzero(times[:-1] < times[1:])[::-1].tolist()]
    else:
        steps = [(place, place + 1) for place in np.flatnonzero(times[1:] < times[:-1]).tolist()]
    for before, after in steps:
        one, other = str(moment_of(instants.at[before])), str(moment_of(instants.at[after]))
        doubts.append(Doubt(lines[after], "step_back", Message("telemetry.step_back", before=one, after=other)))


def check_duplicates(readings: Readings, lines: Sequence[int], doubts: list[Doubt]) -> None:
    """A second value at one time of one point: equal is a duplicate, different a conflict. Both stay."""
    begin = 0
    places: dict[str, list[range]] = {}
    times: dict[str, list[NDArray[np.int64]]] = {}
    for column in readings.points:
        end = begin + len(column.values)
        places.setdefault(column.point, []).append(range(begin, end))
        times.setdefault(column.point, []).append(column.values.times())
        begin = end
    for point, found in times.items():
        if len(found) == 1 and (_rising(found[0]) or _rising(found[0][::-1])):
            continue  # most files, and no copy of their times
        at, place = np.concatenate(found), np.concatenate([np.array(each) for each in places[point]])
        order = np.argsort(at, kind="stable")
        at, place = at[order], place[order]
        again = np.flatnonzero(at[1:] == at[:-1]) + 1
        firsts = np.searchsorted(at, at[again])
        for twin, first in sorted(zip(place[again].tolist(), place[firsts].tolist(), strict=True)):
            one, other = readings[first], readings[twin]
            kind = "duplicate" if (one.value, one.quality) == (other.value, other.quality) else "conflict"
            said = Message("telemetry.point_again", point=point, time=str(other.at), line=lines[first])
            doubts.append(Doubt(lines[twin], kind, said))


def check_fractions(readings: Readings, columns: Sequence[Column], line: int, doubts: list[Doubt]) -> None:
    """Percentages that all lie between 0 and 1, as where a spreadsheet shows 0.45 as 45 %: taken as they are."""
    for column in columns:
        if column.unit != "%":
            continue
        values = np.concatenate([[], *(one.values.numbers() for one in readings.points if one.point == column.point)])
        values = values[~np.isnan(values)]
        if values.any() and bool(((values >= 0) & (values <= _FRACTION)).all()):
            doubts.append(Doubt(line, "fractions", Message("telemetry.fractions", column=str(column.column))))


def _rising(times: NDArray[np.int64]) -> bool:
    """Whether each is later than the one before."""
    return bool((times[1:] > times[:-1]).all())


def _good_times(values: Values) -> NDArray[np.int64]:
    good = values.of_quality(Quality.GOOD)
    return values.times() if good.all() else values.times()[good]


def silences(
    readings: Readings, columns: Sequence[Column], allowed_gap: float | None
) -> tuple[list[Gap], dict[str, timedelta]]:
    """The silences of each point between good values (an uncertain one is no coverage), and its usual step.

    `allowed_gap` in minutes is no silence yet; without it 1.5 usual steps are not.
    """
    gaps: list[Gap] = []
    steps: dict[str, timedelta] = {}
    for column in columns:
        mine = [_good_times(one.values) for one in readings.points if one.point == column.point]
        moments = mine[0] if len(mine) == 1 and _rising(mine[0]) else np.unique(np.concatenate(mine))
        if len(moments) < 2:  # noqa: PLR2004 - two make a distance
            continue
        distances = np.diff(moments)
        middle = (len(distances) - 1) // 2
        steps[column.point] = timedelta(microseconds=int(np.partition(distances, middle)[middle]))
        allowed = steps[column.point] * GAP_FACTOR
        if allowed_gap is not None:
            allowed = timedelta(minutes=allowed_gap)
        for place in np.flatnonzero(distances > allowed // timedelta(microseconds=1)).tolist():
            start, stop = moment_of(int(moments[place])), moment_of(int(moments[place + 1]))
            gaps.append(Gap(column.point, start, stop, "silence"))
    return gaps, steps
