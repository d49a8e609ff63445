"""Devices' books beside the series: what was lost, doubled, stamped anew, or given another quality or value.

What each protocol promises, and no more: an MQTT message that its broker has acknowledged is never lost; a value of an
OPC UA server with history is there or its time is a gap on record; an answer to a Modbus request is there with a time
at which it came, unless the gateway or the line was broken right then.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise

from lotwise.torture.truth import BAD, GOOD, Device, SentValue

LATE = 2_000_000
"""Microseconds after its answer at which a Modbus reading may be stamped, on a busy machine."""


@dataclass(frozen=True, slots=True)
class Row:
    """A reading of the series; times in microseconds."""

    at: int
    value: float | None
    quality: int
    source_at: int | None


@dataclass(frozen=True, slots=True)
class Gap:
    """A span of a point for which it is on record that there is nothing; `stop` None while that lasts."""

    point: str
    start: int
    stop: int | None

    def covers(self, point: str, at: int) -> bool:
        """Whether the instant of the point lies in it."""
        return self.point == point and self.start <= at and (self.stop is None or at < self.stop)


@dataclass(slots=True)
class SeriesFindings:
    """Counts. All but the last three must be 0."""

    lost: int = 0
    duplicate: int = 0
    restamped: int = 0
    invented: int = 0
    wrong_quality: int = 0
    wrong_value: int = 0
    checked: int = 0
    in_gap: int = 0
    unkept_answers: int = 0
    notes: list[str] = field(default_factory=list)

    def add(self, other: "SeriesFindings") -> None:
        """Adds another's counts."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))

    def note(self, kind: str, what: str) -> None:
        """Counts a fault and says which."""
        setattr(self, kind, getattr(self, kind) + 1)
        self.notes.append(f"{kind}: {what}")


@dataclass(frozen=True, slots=True)
class CoreReadings:
    """What the series has of a device: rows of its two points, gaps, and (from, to) of what broke its connection."""

    temperature: Sequence[Row]
    sequence: Sequence[Row]
    gaps: Sequence[Gap] = ()
    broken: Sequence[tuple[int, int]] = ()


def compare(book: Device, seen: CoreReadings, upto: int) -> SeriesFindings:
    """One device's book beside the series, as far as `upto`."""
    return _polled(book, seen, upto) if book.protocol == "modbus" else _stamped(book, seen, upto)


def _stamped(book: Device, seen: CoreReadings, upto: int) -> SeriesFindings:
    """A device that stamps what it says: every value at its stamp, and none anywhere else."""
    found = SeriesFindings()
    by_time = {each.at: each for each in book.sent}
    _numbers_once(found, book, seen.sequence, {each.number: each.at for each in book.sent})
    for point, rows in ((book.temperature, seen.temperature), (book.sequence, seen.sequence)):
        by_at = {row.at: row for row in rows}
        for each in book.promised(upto):
            found.checked += 1
            row = by_at.get(each.at)
            if row is not None:
                _same(found, point, each, row, float(each.number) if point == book.sequence else each.value)
            elif any(gap.covers(point, each.at) for gap in seen.gaps):
                found.in_gap += 1
            else:
                found.note("lost", f"{point} number {each.number} of {each.at}")
        for row in rows:
            # a gateway may say itself, with a time of its own, that nothing good is to be had
            if row.at not in by_time and row.quality != BAD and row.at < upto and point == book.temperature:
                found.note("invented", f"{point} {row.value} at {row.at}")
    return found


def _same(found: SeriesFindings, point: str, sent: SentValue, row: Row, value: float) -> None:
    if row.quality != sent.quality:
        found.note("wrong_quality", f"{point} at {sent.at}: {row.quality}, said {sent.quality}")
    if row.value != value and sent.quality != BAD:
        found.note("wrong_value", f"{point} at {sent.at}: {row.value}, said {value}")
    if row.source_at != sent.at:
        found.note("restamped", f"{point} at {sent.at}: its source's time is {row.source_at}")


def _numbers_once(found: SeriesFindings, book: Device, rows: Sequence[Row], counts: dict[int, int]) -> None:
    """Each number once, and where it was said; a bad one may have lost its value."""
    numbers = Counter(int(row.value) for row in rows if row.value is not None)
    for number, times in numbers.items():
        if times > 1:
            found.note("duplicate", f"{book.sequence} number {number}, {times} times")
    for row in rows:
        if row.value is None:
            continue
        at = counts.get(int(row.value))
        if at is None:
            found.note("invented", f"{book.sequence} number {row.value}")
        elif book.protocol != "modbus" and row.at != at:
            found.note("restamped", f"{book.sequence} number {row.value} at {row.at}, said at {at}")
        elif book.protocol == "modbus" and not at - 1000 <= row.at <= at + LATE:
            found.note("restamped", f"{book.sequence} number {row.value} at {row.at}, answered at {at}")


def _polled(book: Device, seen: CoreReadings, upto: int) -> SeriesFindings:
    """A device that is asked: every answer once, with the temperature that was answered along."""
    found = SeriesFindings()
    _numbers_once(found, book, seen.sequence, {each.number: each.at for each in book.sent})
    at_of = {int(row.value): row.at for row in seen.sequence if row.value is not None}
    temperatures = {row.at: row for row in seen.temperature}
    for each in book.promised(upto):
        found.checked += 1
        at = at_of.get(each.number)
        if at is None:
            if any(start <= each.at <= stop for start, stop in seen.broken):
                found.unkept_answers += 1
            else:
                found.note("lost", f"{book.sequence} number {each.number}, answered at {each.at}")
            continue
        row = temperatures.get(at)
        if row is None:
            found.note("lost", f"{book.temperature} beside number {each.number}")
        elif row.quality != GOOD:
            found.note("wrong_quality", f"{book.temperature} beside number {each.number}: {row.quality}")
        elif row.value != each.value:
            found.note("wrong_value", f"{book.temperature} beside number {each.number}: {row.value}, said {each.value}")
    return found


def unrecorded(point: str, rows: Sequence[Row], gaps: Sequence[Gap], allowed: int, upto: int) -> list[tuple[int, int]]:
    """Silences of a point longer than allowed that no gap on record covers: (from, to)."""
    known = [row for row in rows if row.at < upto]
    out = []
    for before, after in pairwise(known):
        # a bad value speaks for no time at all
        start = before.at + (0 if before.quality == BAD else allowed)
        if after.at - before.at > allowed and not any(
            gap.point == point and gap.start <= start and (gap.stop or upto) >= after.at for gap in gaps
        ):
            out.append((start, after.at))
    return out
