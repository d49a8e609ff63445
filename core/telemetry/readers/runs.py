"""Alarms of one limit from a log: runs out of the limit, when each triggers, how sure that is. Pure.

A log shows a device's acquisitions only every few minutes. A run from its first to its last reading out is proven;
from the last reading in before it to the first in after it is what it can have been at most ("samples × interval" and
"first to last sample" give different alarms, facts §1). `METHOD` says what is done, and goes with every result.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from core.telemetry.readers.report import AlarmKind, Limit
from core.telemetry.readers.series import Span

METHOD = (
    "strictly beyond the threshold; consecutive: first to last reading out of the limit, reset by a reading in it or "
    "by a gap, one trigger a day, running on across midnight; cumulative: each reading out counts until the next, "
    "never reset"
)


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch out of the limit. `first`, `last`: its first and last reading out; `stop`: until when the last speaks.

    From `begin`, the reading before it, to `stop` is what it can have been at most.
    """

    first: datetime
    last: datetime
    stop: datetime
    begin: datetime
    minutes: float


@dataclass(frozen=True, slots=True)
class Trigger:
    """An alarm by our count. `certain` is false where the run is long enough only at its most."""

    day: date
    at: datetime
    certain: bool
    ran_on: bool
    run: Run


def runs_of(limit: Limit, spans: Sequence[Span]) -> list[Run]:
    """The runs out of the limit, in the order of time; a gap ends one."""
    return list(_runs(limit, spans))


def _runs(limit: Limit, spans: Sequence[Span]) -> Iterator[Run]:
    current: list[Span] = []
    for span in spans:
        if current and (not span.out(limit) or not span.joined):
            yield _run(current)
            current = []
        if span.out(limit):
            current.append(span)
    if current:
        yield _run(current)


def _run(spans: list[Span]) -> Run:
    first, last = spans[0], spans[-1]
    minutes = sum((span.stop - span.start).total_seconds() for span in spans) / 60
    begin = first.before if first.joined and first.before else first.start
    return Run(first.start, last.start, last.stop, begin, minutes)


def triggers_of(limit: Limit, spans: Sequence[Span]) -> list[Trigger]:
    """When the limit's alarm goes on, by our count: at most one a day for runs, one in all for a cumulative limit."""
    runs = runs_of(limit, spans)
    if limit.kind is AlarmKind.CUMULATIVE:
        return _cumulative(limit, runs)
    out: dict[date, Trigger] = {}
    for run in runs:
        for trigger in _of_run(limit, run):
            best = out.get(trigger.day)
            if best is None or (trigger.certain and not best.certain):
                out[trigger.day] = trigger
    return [out[day] for day in sorted(out)]


def single_triggers(limit: Limit, spans: Sequence[Span]) -> list[Trigger]:
    """One trigger for each run that is long enough, as a Q-tag records them; days play no part."""
    if limit.kind is AlarmKind.CUMULATIVE:
        return triggers_of(limit, spans)
    return [trigger for run in runs_of(limit, spans) for trigger in _of_run(limit, run) if not trigger.ran_on]


def _of_run(limit: Limit, run: Run) -> Iterator[Trigger]:
    """The run's trigger, and one at midnight of every later day on which it still runs."""
    certain = run.last - run.first >= limit.delay
    if not certain and run.stop - run.begin < limit.delay:
        return
    at = run.first + limit.delay
    yield Trigger(at.date(), at, certain, ran_on=False, run=run)
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    while certain and midnight < run.stop:
        yield Trigger(midnight.date(), midnight, certain=True, ran_on=True, run=run)
        midnight += timedelta(days=1)


def _cumulative(limit: Limit, runs: Sequence[Run]) -> list[Trigger]:
    left = limit.delay
    for run in runs:
        length = timedelta(minutes=run.minutes)
        if length >= left and length > timedelta(0):
            at = run.first + left
            return [Trigger(at.date(), at, certain=True, ran_on=False, run=run)]
        left -= length
    return []


def minutes_by_day(limit: Limit, spans: Sequence[Span]) -> dict[date, float]:
    """Minutes out of the limit on each day of the device's clock; a span over midnight counts on both days."""
    out: dict[date, float] = {}
    for span in spans:
        if not span.out(limit):
            continue
        start = span.start
        while start < span.stop:
            midnight = start.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
            stop = min(span.stop, midnight)
            out[start.date()] = out.get(start.date(), 0.0) + (stop - start).total_seconds() / 60
            start = stop
    return out
