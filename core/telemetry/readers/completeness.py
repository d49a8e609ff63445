"""Whether a logger's report is whole, and whether its times can be: what is in doubt, each with its line. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import pairwise

from core.telemetry.message import Message
from core.telemetry.readers.report import DeviceDay, Limit, Sample
from core.telemetry.readers.text import Doubt
from core.telemetry.readers.tree import Node
from core.telemetry.readers.wall_time import NEWEST_FIRST, newest_first

_RECORDS = ("Hist", "Res", "Data")
_SECTIONS = ("Conf", *_RECORDS)
_FIRST_YEAR, _LAST_YEAR = 2000, 2098
_USUAL_INTERVAL = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Claim:
    """From when to when the report says it goes, and how often it logged, as far as it says so."""

    activated: datetime | None
    created: datetime | None
    interval: timedelta | None


def end_doubts(
    root: Node, lines: Sequence[str], samples: Sequence[Sample], days: Sequence[DeviceDay], claim: Claim
) -> Iterator[Doubt]:
    """A report ends with its signature. One without it was cut if its log, its days or its last line say so."""
    if root.text("Sig") is not None:
        return
    last = max((number for number, line in enumerate(lines, start=1) if line.strip()), default=0)
    yield Doubt(last, "unsigned", Message("telemetry.report_unsigned"))
    for sign in _signs(root, lines, samples, days, claim):
        yield Doubt(last, "truncated", Message("telemetry.cut_short", sign=sign), damage=True)
        return


def _signs(
    root: Node, lines: Sequence[str], samples: Sequence[Sample], days: Sequence[DeviceDay], claim: Claim
) -> Iterator[Message]:
    """What shows that an unsigned report is not whole, the plainest first."""
    if not any(root.get(name) for name in _RECORDS):
        yield Message("telemetry.configuration_only")
    if lines[-1].strip():
        yield Message("telemetry.last_line_open")
    if root.get("Cert") or root.get("Sig Cert"):
        yield Message("telemetry.certificate_unsigned")
    if claim.interval and not samples:
        yield Message("telemetry.log_missing")
    newest = max((sample.at for sample in samples), default=None)
    if newest and claim.created and claim.created - newest > 2 * (claim.interval or _USUAL_INTERVAL):
        yield Message("telemetry.log_ends_early", end=_minute(newest), made=_minute(claim.created))
    kept = root.text("Conf", "Report history length")
    full = kept is not None and kept.isdigit() and len(days) >= int(kept)
    oldest = min((day.day for day in days), default=None)
    if not samples and oldest and claim.activated and oldest > claim.activated.date() and not full:
        yield Message("telemetry.history_short", first=oldest, started=claim.activated.date())


def section_doubts(root: Node) -> Iterator[Doubt]:
    """Sections that hold nothing, as where the indentation was lost, and second ones, of which only a log is read."""
    for name in _SECTIONS:
        for number, section in enumerate(root.all(name)):
            if number and name != "Data":
                yield Doubt(section.line, "second", Message("telemetry.second_section", name=name), damage=True)
            elif number:
                yield Doubt(section.line, "second", Message("telemetry.second_log"))
            elif not section.children and not section.rows:
                empty = Message("telemetry.section_empty", name=name)
                yield Doubt(section.line, "malformed", empty, damage=name != "Data")


def day_doubts(days: Sequence[DeviceDay]) -> Iterator[Doubt]:
    """Days that the device notes twice, as after its clock was set back."""
    seen: dict[date, DeviceDay] = {}
    for day in days:
        first = seen.setdefault(day.day, day)
        if first is not day:
            yield Doubt(day.line, "duplicate", Message("telemetry.day_again", day=day.day, line=first.line))


def mark_doubts(samples: Sequence[Sample], judged: int, limits: Sequence[Limit]) -> Iterator[Doubt]:
    """Readings that the device marked as out of its limits and that are not, or the other way: all as one."""
    if not limits:
        return
    odd = [
        sample
        for sample in samples
        if (value := sample.values[judged]) is not None and any(limit.out(value) for limit in limits) != sample.flagged
    ]
    if odd:
        yield Doubt(odd[0].line, "marks", Message("telemetry.marks_otherwise", count=len(odd)))


def time_doubts(samples: Sequence[Sample], created: datetime | None) -> Iterator[Doubt]:
    """Doubled times, steps back and absurd times of the log."""
    seen: dict[datetime, Sample] = {}
    latest: datetime | None = None
    if created is not None:
        latest = datetime.combine(created.date() + timedelta(days=2), time(0, 0), created.tzinfo)
    for sample in samples:
        stamp = _minute(sample.at)
        twin = seen.setdefault(sample.at, sample)
        if twin is not sample:
            same = twin.values == sample.values
            kind, said = (
                ("duplicate", "telemetry.time_again") if same else ("conflict", "telemetry.time_again_otherwise")
            )
            yield Doubt(sample.line, kind, Message(said, time=stamp, line=twin.line))
        if not _FIRST_YEAR <= sample.at.year <= _LAST_YEAR or (latest is not None and sample.at > latest):
            yield Doubt(sample.line, "absurd_time", Message("telemetry.absurd_time", time=stamp, year=_FIRST_YEAR))
    yield from _steps_back(samples)


def _steps_back(samples: Sequence[Sample]) -> Iterator[Doubt]:
    ordered = samples
    if newest_first([sample.at for sample in samples]):
        yield Doubt(samples[0].line, "newest_first", NEWEST_FIRST)
        ordered = samples[::-1]
    for before, sample in pairwise(ordered):
        if sample.at < before.at:
            back = Message("telemetry.step_back", before=_minute(before.at), after=_minute(sample.at))
            yield Doubt(sample.line, "step_back", back)


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"
