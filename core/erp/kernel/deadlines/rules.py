"""Which steps a deadline has, and when. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from core.erp.kernel.calendars.rules import Calendar, Count, shifted


class StepKind(StrEnum):
    """What a step does: warns before, has the effect when it is due, tells somebody higher up behind."""

    WARN = "warn"
    DUE = "due"
    ESCALATE = "escalate"


_ORDER = {kind: number for number, kind in enumerate(StepKind)}


@dataclass(frozen=True, slots=True)
class Escalation:
    """So long after the deadline whoever holds this permit is told, unless it was met by then."""

    after: Count
    permit: str


@dataclass(frozen=True, slots=True)
class Planned:
    """A step to come. `permit`: of those it is for, where they are not the deadline's own."""

    kind: StepKind
    at: datetime
    permit: str | None = None


def plan(
    calendar: Calendar, due_at: datetime, now: datetime, warnings: Sequence[Count], escalations: Sequence[Escalation]
) -> tuple[Planned, ...]:
    """The steps of a deadline that begins now, in their order.

    Of warnings whose time has passed already the last one is given at once; none where it is due already.
    """
    steps = [
        *_warnings(calendar, due_at, now, warnings),
        Planned(StepKind.DUE, due_at),
        *(Planned(StepKind.ESCALATE, shifted(calendar, due_at, one.after), one.permit) for one in escalations),
    ]
    return tuple(sorted(steps, key=lambda step: (step.at, _ORDER[step.kind])))


def _warnings(calendar: Calendar, due_at: datetime, now: datetime, warnings: Sequence[Count]) -> Iterator[Planned]:
    times = sorted({shifted(calendar, due_at, one, back=True) for one in warnings})
    if times and times[0] < now < due_at:
        yield Planned(StepKind.WARN, now)
    yield from (Planned(StepKind.WARN, at) for at in times if now <= at < due_at)


def late_by(at: datetime, now: datetime) -> timedelta:
    """How long behind its time something is done; nothing where it is in time."""
    return now - at if now > at else timedelta(0)


FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=10), timedelta(hours=1)


def wait_after(failures: int) -> timedelta:
    """How long a step that has failed so often (1: once) waits before it is tried again."""
    return min(FIRST_WAIT * (1 << min(failures - 1, 20)), LONGEST_WAIT)
