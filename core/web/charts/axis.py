"""The time axis of charts: which hours are drawn, how far they can be moved, and what the clocks there say."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from babel.dates import format_skeleton

from core.erp.kernel.errors import Invalid
from core.web.charts.curves import ms
from core.web.charts.document import Offset, TimeAxis
from core.web.frame.templating import Words

HOUR = timedelta(hours=1)
SHORTEST = timedelta(minutes=1)
INSTANT = timedelta(milliseconds=1)
"""What is read now is shown: charts end so much later."""
BEFORE, AFTER = 0.4, 0.15
"""Of the hours that decide, so much is shown before and after them: what came before says more."""
MOST_COLUMNS, FEWEST_COLUMNS = 2400, 200
_LOOK = timedelta(days=7)
"""No place changes its clocks twice within it."""


@dataclass(frozen=True, slots=True)
class Window:
    """[start, stop) is drawn, within [first, last); `focus` are the hours that decide."""

    start: datetime
    stop: datetime
    first: datetime
    last: datetime
    focus: tuple[datetime, datetime] | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for: an end that is empty is the chart's own; `width` in pixels."""

    start: datetime | None = None
    stop: datetime | None = None
    width: int = 800

    @property
    def columns(self) -> int:
        """Columns that a curve as wide as the chart has at most."""
        return min(max(self.width, FEWEST_COLUMNS), MOST_COLUMNS)


def window(asked: Asked, own: Window) -> Window:
    """What is asked for, as far as it lies in the chart's own span. Raises Invalid where nothing is left."""
    start = max(asked.start or own.start, own.first)
    stop = min(asked.stop or own.stop, own.last)
    if asked.start is not None and asked.stop is not None and asked.start >= asked.stop:
        raise Invalid("exposure.start_after_stop")
    if stop - start < SHORTEST:  # what lies outside of the chart's own span is answered with its nearest end
        stop = min(max(start, own.first) + SHORTEST, max(own.last, own.first + SHORTEST))
        start = stop - SHORTEST
    return Window(start, stop, own.first, max(own.last, stop), own.focus)


def around(started: datetime, ended: datetime, first: datetime, last: datetime) -> Window:
    """The hours that decide, with room before and after: at least an hour and half an hour, as far as there are any."""
    length = ended - started
    start = max(started - max(length * BEFORE, HOUR), first)
    stop = min(ended + max(length * AFTER, HOUR / 2), last)
    return Window(start, max(stop, start + SHORTEST), first, max(last, first + SHORTEST), (started, ended))


def time_axis(words: Words, shown: Window, now: datetime) -> TimeAxis:
    """The axis as the document has it, by the clocks of the reader's zone."""
    return TimeAxis(
        start=ms(shown.start),
        stop=ms(shown.stop),
        first=ms(shown.first),
        last=ms(shown.last),
        focus=(ms(shown.focus[0]), ms(shown.focus[1])) if shown.focus else None,
        now=ms(now),
        place=words.offset(shown.stop),
        offsets=offsets(words.zone, shown.first, shown.last),
    )


def moment(words: Words, at: datetime) -> str:
    """An instant as short as a label has it: `30 Nov 03:42`, by the clocks of the reader's zone."""
    local = at.astimezone(words.zone)
    return f"{format_skeleton('MMMd', local, locale=words.locale)} {local:%H:%M}"


def offsets(zone: ZoneInfo, first: datetime, last: datetime) -> list[Offset]:
    """The offsets from UTC in force over [first, last], the first of them since `first`, to the minute."""
    found = [Offset(since=ms(first), minutes=_minutes(zone, first))]
    at = first
    while at < last:
        after = min(at + _LOOK, last)
        if _minutes(zone, after) != found[-1].minutes:
            changed = _change(zone, at, after)
            found.append(Offset(since=ms(changed), minutes=_minutes(zone, changed)))
        at = after
    return found


def _change(zone: ZoneInfo, low: datetime, high: datetime) -> datetime:
    """The instant in (low, high] from which the offset is that of `high`."""
    before = _minutes(zone, low)
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        low, high = (middle, high) if _minutes(zone, middle) == before else (low, middle)
    return high.replace(microsecond=0)


def _minutes(zone: ZoneInfo, at: datetime) -> int:
    offset = at.astimezone(zone).utcoffset() or timedelta(0)
    return int(offset.total_seconds()) // 60
