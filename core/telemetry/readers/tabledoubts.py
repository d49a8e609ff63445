"""What is in doubt of a table as a whole: its times, values given twice, silences, humidity in fractions. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median_low

from core.telemetry.batch import Gap
from core.telemetry.quality import Quality
from core.telemetry.readers.csvmapping import Column
from core.telemetry.readers.text import Doubt
from core.telemetry.readers.walltime import NEWEST_FIRST, Instant, newest_first
from core.telemetry.reading import Reading

GAP_FACTOR = 1.5
"""Without an allowed gap, a silence longer than this many usual steps is one."""
_TIMES = {
    "ambiguous_time": "comes twice when clocks go back: taken as the first, uncertain",
    "nonexistent_time": "is skipped when clocks go forward: uncertain",
    "absurd_time": "lies before 2000 or in the future: uncertain",
}
_FRACTION = 1.0


def look_at_times(rows: Sequence[tuple[int, datetime]], instants: Sequence[Instant], doubts: list[Doubt]) -> None:
    """Doubtful times, and steps back of the clock, each with its line. `rows` are lines and times as written."""
    for (line, wall), instant in zip(rows, instants, strict=True):
        if instant.doubt:
            doubts.append(Doubt(line, instant.doubt, f"{wall} {_TIMES[instant.doubt]}"))
    timed = [(instant.at, line) for (line, _), instant in zip(rows, instants, strict=True)]
    if newest_first([at for at, _ in timed]):
        doubts.append(Doubt(timed[0][1], "newest_first", NEWEST_FIRST))
        timed.reverse()
    for (before, _), (at, line) in pairwise(timed):
        if at < before:
            doubts.append(Doubt(line, "step_back", f"the clock steps back from {before} to {at}"))


def look_for_twins(readings: Sequence[Reading], lines: Sequence[int], doubts: list[Doubt]) -> None:
    """A second value at one time of one point: equal is a duplicate, different a conflict. Both stay."""
    seen: dict[tuple[str, datetime], tuple[Reading, int]] = {}
    for reading, line in zip(readings, lines, strict=True):
        first, at = seen.setdefault((reading.point, reading.at), (reading, line))
        if first is reading:
            continue
        same = (first.value, first.quality) == (reading.value, reading.quality)
        kind = "duplicate" if same else "conflict"
        doubts.append(Doubt(line, kind, f"{reading.point} at {reading.at} again (first on line {at})"))


def look_at_fractions(readings: Sequence[Reading], columns: Sequence[Column], line: int, doubts: list[Doubt]) -> None:
    """Percentages that all lie between 0 and 1, as where a spreadsheet shows 0.45 as 45 %: taken as they are."""
    for column in columns:
        values = [r.value for r in readings if column.unit == "%" and r.point == column.point and r.value is not None]
        if any(values) and all(0 <= float(value) <= _FRACTION for value in values):
            message = f"{column.column!r}: no value is above 1 %; if these are fractions, they are 100 times too small"
            doubts.append(Doubt(line, "fractions", message))


def silences(
    readings: Sequence[Reading], columns: Sequence[Column], allowed_gap: float | None
) -> tuple[list[Gap], dict[str, timedelta]]:
    """The silences of each point between good values (an uncertain one is no coverage), and its usual step.

    `allowed_gap` in minutes is no silence yet; without it 1.5 usual steps are not.
    """
    gaps: list[Gap] = []
    steps: dict[str, timedelta] = {}
    for column in columns:
        moments = sorted({r.at for r in readings if r.point == column.point and r.quality is Quality.GOOD})
        distances = [later - earlier for earlier, later in pairwise(moments)]
        if not distances:
            continue
        steps[column.point] = median_low(distances)
        allowed = steps[column.point] * GAP_FACTOR
        if allowed_gap is not None:
            allowed = timedelta(minutes=allowed_gap)
        gaps += [Gap(column.point, a, b, "silence") for a, b in pairwise(moments) if b - a > allowed]
    return gaps, steps
