"""When an alert is told again, is over, and what is a flood. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta

IN_TIME = timedelta(minutes=1)
"""What is told within that of its time is not called late."""
FLAPPING = timedelta(minutes=5)
"""A condition that comes back within that is the same: no all-clear, no new alarm."""
FLOOD_COUNT, FLOOD_SPAN = 10, timedelta(minutes=10)
"""So many messages to one person in that time are a flood (ISA-18.2): what comes then is told in summaries."""
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=2), timedelta(seconds=60)
"""Between two summaries to one person."""
EVEN = 10
"""So many summaries come at the first pause, so that each alarm of a burst is known in seconds; then it doubles."""


def late(at: datetime, now: datetime) -> timedelta | None:
    """How long behind its time something is told; None in time."""
    return now - at if now - at > IN_TIME else None


def next_repeat(last_told: datetime, every: timedelta | None) -> datetime | None:
    """When it is said again: once, however many times were missed meanwhile."""
    return None if every is None else last_told + every


def is_flood(told: Sequence[datetime], coming: int, now: datetime) -> bool:
    """Whether so many more messages to somebody, told of these lately, would be too many."""
    return sum(now - FLOOD_SPAN < at <= now for at in told) + coming > FLOOD_COUNT


def pause(summaries: int) -> timedelta:
    """How long after so many summaries of a flood the next one comes."""
    return min(FIRST_PAUSE * (1 << min(max(summaries - EVEN, 0), 10)), LONGEST_PAUSE)


def next_summary(summaries: Sequence[datetime], now: datetime, *, harm: bool = False) -> datetime:
    """When the next summary may be told to somebody who was told these lately; harm to goods never waits for long."""
    recent = [at for at in summaries if now - FLOOD_SPAN < at]
    return max(now, max(recent) + (FIRST_PAUSE if harm else pause(len(recent)))) if recent else now
