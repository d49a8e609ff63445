"""What goods went through, worked out from their readings by the words of the design, and by none of the judge's code.

A good value speaks until its point's next reading, at most for the allowed gap; then nothing is known. An uncertain
value counts as it reads, in the worse counts only; a bad one says nothing. One required point a zone, no hysteresis.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from lotwise.torture.plan import Profile
from lotwise.torture.truth import BAD, GOOD, SentValue

SECOND = 1_000_000
PROVEN, UNCERTAIN, UNPROVEN = "proven", "uncertain", "unproven"
OPEN = "open"
"""Where nothing good says that it is in range: what was broken goes on, and counts nothing by that."""
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class JudgedInterval:
    """The goods stood among a zone's readings (sorted by time) over [start, stop)."""

    readings: Sequence[SentValue]
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Broken:
    """A limit was broken: at which instant, and how surely."""

    at: int
    certainty: str


def pieces(values: Sequence[SentValue], start: int, stop: int, gap: int) -> list[tuple[int, int, SentValue | None]]:
    """[start, stop) cut where what is known changes: (from, to, who speaks; None where nothing is known)."""
    times = [each.at for each in values]
    out: list[tuple[int, int, SentValue | None]] = []
    at = start
    while at < stop:
        index = bisect_right(times, at) - 1
        following = times[index + 1] if index + 1 < len(times) else stop
        speaker = values[index] if index >= 0 else None
        silent_at = speaker.at + gap if speaker is not None and speaker.quality != BAD else at
        if speaker is not None and at < silent_at:
            end = min(silent_at, following, stop)
            out.append((at, end, speaker))
        else:
            end = min(following, stop)
            out.append((at, end, None))
        at = end
    return out


def _out(intervals: Sequence[JudgedInterval], threshold: float, gap: int, certainty: str) -> list[Span]:
    """Where it was out, as far as counts at that certainty; neighbours joined."""
    spans: list[Span] = []
    for stay in intervals:
        for start, stop, speaker in pieces(stay.readings, stay.start, stay.stop, gap):
            if speaker is None:
                out = certainty in {UNPROVEN, OPEN}
            elif certainty == OPEN and speaker.quality != GOOD:
                out = True
            else:
                out = speaker.value > threshold and (certainty != PROVEN or speaker.quality == GOOD)
            if out and spans and spans[-1][1] == start:
                spans[-1] = (spans[-1][0], stop)
            elif out:
                spans.append((start, stop))
    return spans


def broken(profile: Profile, intervals: Sequence[JudgedInterval], gap: int) -> list[Broken]:
    """Every excursion that there should be, in order. `gap` in microseconds."""
    levels = {name: _out(intervals, profile.threshold, gap, name) for name in (PROVEN, UNCERTAIN, UNPROVEN)}
    delay = profile.delay * SECOND
    if profile.kind == "cumulative":
        for certainty, spans in levels.items():
            spent = 0
            for start, stop in spans:
                if spent + stop - start >= delay:
                    return [Broken(start + delay - spent, certainty)]
                spent += stop - start
        return []
    found = (_strongest(levels, run, delay) for run in _out(intervals, profile.threshold, gap, OPEN))
    return [each for each in found if each is not None]


def _strongest(levels: dict[str, list[Span]], run: Span, delay: int) -> Broken | None:
    """One excursion of a stretch that nothing good interrupts: by the surest count that is full within it."""
    for certainty, spans in levels.items():
        first = bisect_left(spans, (run[0], run[0]))
        for start, stop in spans[first:]:
            if start >= run[1]:
                break
            if stop - start >= delay:
                return Broken(start + delay, certainty)
    return None
