"""Wall-clock times of a file as instants: offsets, time zones, the hour that comes twice in autumn. Pure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from functools import lru_cache
from itertools import islice, pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from core.telemetry.compact import EPOCH
from core.telemetry.message import Message
from core.telemetry.readers.date_formats import AmbiguousDates, DateOrder, offset_of, order_of, when
from core.telemetry.readers.instants import Instants, WallTimes
from core.telemetry.readers.text import BadFile, Unreadable, parse_time

ISO = "iso"
EPOCHS = {"unix": 1_000_000.0, "unix_ms": 1_000.0, "unix_us": 1.0, "unix_ns": 1e-3}
"""Microseconds of one count since 1970."""
_TRIED = 1000
_POSSIBLE = (1900, 2199)
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
NEWEST_FIRST = Message("telemetry.newest_first")
"""What is said of such a file, once; a step back of its clock is then one in the order of its times."""
_ORDERS = {order.value: order for order in DateOrder}
_YEAR_FIRST = re.compile(r"\d{4}\D|\d{8}(?!\d)")
_COMPACT = {14: "%Y%m%d%H%M%S", 12: "%Y%m%d%H%M"}
"""Days and times of digits alone, by their length: counts since 1970 have as many only before 2001, or after 2286."""
_NAMED = re.compile(r"\s*(?:UTC|GMT)$")
_COUNT = re.compile(r"\d{9,20}(?:\.\d*)?")
_SECONDS_MOST = 10.0**11
"""Counts of seconds stay below it until the year 5138; of milliseconds they have passed it in 1973, and so on."""


class Ambiguous(StrEnum):
    """What a wall-clock time means that comes twice, when clocks go back."""

    ORDER = "order"
    """The first pass until the file steps back, then the second; uncertain where the file never steps back."""
    FIRST = "first"
    SECOND = "second"


@dataclass(frozen=True, slots=True)
class TimeForm:
    """How a file writes its times (as `parse_wall` takes it), and what must be said of it."""

    form: str
    doubt: Message | None = None


def zone_named(name: str) -> tzinfo:
    """The time zone of that IANA name, or of an offset such as +08:00. Raises BadFile for an unknown one."""
    try:
        return offset_of(name)
    except ValueError:
        pass
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadFile(Message("telemetry.no_time_zone", name=name)) from error


def parse_wall(text: str, form: str | None) -> datetime:
    """The time as written: aware where the text has an offset or is an epoch, else naive. Raises ValueError.

    `form` is the order of the date's parts ("ymd", "dmy", "mdy"), "iso" (also the default), "unix", "unix_ms",
    "unix_us", "unix_ns", or a strptime format.
    """
    bare = text.strip()
    if form in EPOCHS:
        try:
            count = int(bare) if bare.isdecimal() else float(bare)
            wall = EPOCH + timedelta(microseconds=round(count * EPOCHS[form]))
        except OverflowError as error:
            raise Unreadable("telemetry.no_instant", text=bare) from error
    elif form in (None, ISO):
        wall = _iso(bare)
    elif form in _ORDERS:
        wall = when(bare, _ORDERS[form])
    else:
        wall = parse_time(bare, (form or ISO,))
    if not _POSSIBLE[0] <= wall.year <= _POSSIBLE[1]:
        raise Unreadable("telemetry.no_loggers_time", text=bare)
    return wall


def _iso(text: str) -> datetime:
    try:
        return datetime.fromisoformat(_NAMED.sub("+00:00", text))
    except ValueError:
        return when(text, DateOrder.YMD)  # 24:00 is ISO 8601 too


def fits(text: str, form: str | None) -> bool:
    """Whether the text is a time of that form."""
    try:
        parse_wall(text, form)
    except ValueError:
        return False
    return True


def form_of(stamps: Iterable[str]) -> TimeForm:
    """The form in which times are written: ISO 8601 (or with UTC or GMT behind it), all in digits, a count since 1970
    (by its size), or dates in one of the usual orders.

    Where several orders fit, the one with regular steps is taken and the choice said. Raises AmbiguousDates where that
    does not tell.
    """
    ahead = iter(stamps)
    some = list(islice(ahead, _TRIED))
    compact = _COMPACT.get(len(some[0]) if some else 0)
    if compact is not None and all(len(stamp) == len(some[0]) and fits(stamp, compact) for stamp in some):
        return TimeForm(compact)
    counts = [float(stamp) for stamp in some if _COUNT.fullmatch(stamp)]
    if counts and len(counts) == len(some):
        size = next((form for step, form in enumerate(EPOCHS) if max(counts) < _SECONDS_MOST * 1000**step), "unix_ns")
        return TimeForm(size)
    if any(_YEAR_FIRST.match(stamp) and fits(stamp, ISO) for stamp in some):
        return TimeForm(ISO)
    try:
        chosen = order_of(some)
    except AmbiguousDates:
        chosen = None
    if (chosen is None or chosen.doubt) and (others := list(ahead)):  # a later date may tell
        chosen = order_of([*some, *others])
    elif chosen is None:
        chosen = order_of(some)
    return TimeForm(ISO) if chosen is None else TimeForm(chosen.order, chosen.doubt)


def newest_first(moments: Sequence[datetime]) -> bool:
    """Whether a file's times run backwards, as many programs write their tables: more steps go back than on."""
    bare = moments
    if len({moment.tzinfo is None for moment in moments}) > 1:  # with an offset here, and without there
        bare = [moment.replace(tzinfo=None) for moment in moments]
    back = sum(later < earlier for earlier, later in pairwise(bare))
    on = sum(later > earlier for earlier, later in pairwise(bare))
    return back > max(on, 1)


def runs_back(times: NDArray[np.int64]) -> bool:
    """As `newest_first`, of microseconds."""
    return int((times[1:] < times[:-1]).sum()) > max(int((times[1:] > times[:-1]).sum()), 1)


def resolve(walls: Iterable[datetime], zone: tzinfo, rule: Ambiguous, now: datetime) -> Instants:
    """Each wall-clock time as an instant, in the file's order; `now` tells what lies in the future.

    Of a file with the newest first, the hour that comes twice is read from the end.
    """
    walls = walls if isinstance(walls, WallTimes) else WallTimes(walls)
    if runs_back(walls.comparable()):
        return _resolve(walls.backwards(), zone, rule, now).backwards()
    return _resolve(walls, zone, rule, now)


def _resolve(walls: WallTimes, zone: tzinfo, rule: Ambiguous, now: datetime) -> Instants:
    twice = bytearray(_twice(wall, zone) for wall in walls)
    stepped = _days_that_step(walls, twice)
    out = Instants()
    latest = now + timedelta(days=1)
    second: set[tuple[int, int]] = set()
    before: datetime | None = None
    for wall, ambiguous in zip(walls, twice, strict=True):
        fold, doubt = 0, ""
        if ambiguous:
            key = (wall.year, wall.timetuple().tm_yday)
            if rule is Ambiguous.ORDER:
                if before is not None and before.date() == wall.date() and wall <= before and _twice(before, zone):
                    second.add(key)
                fold = int(key in second)
                doubt = "" if key in stepped else "ambiguous_time"
            else:
                fold = int(rule is Ambiguous.SECOND)
        elif wall.tzinfo is None and not _exists(wall, zone):
            doubt = "nonexistent_time"
        aware = wall if wall.tzinfo is not None else wall.replace(tzinfo=zone, fold=fold)
        at = aware.astimezone(UTC)
        if not _EARLIEST <= at <= latest:
            doubt = "absurd_time"
        out.add(at, doubt)
        before = wall if wall.tzinfo is None else None
    return out


def _twice(wall: datetime, zone: tzinfo) -> bool:
    """Whether the naive time comes twice in the zone."""
    if wall.tzinfo is not None or not _changes(wall.date(), zone):
        return False
    first, second = wall.replace(tzinfo=zone, fold=0).utcoffset(), wall.replace(tzinfo=zone, fold=1).utcoffset()
    return first is not None and second is not None and first > second


@lru_cache(maxsize=4096)
def _changes(day: date, zone: tzinfo) -> bool:
    """Whether the zone's clocks change on the day, or in the night before or after it."""
    noon = datetime.combine(day, time(12), zone)
    return (noon - timedelta(days=1)).utcoffset() != (noon + timedelta(days=1)).utcoffset()


def _exists(wall: datetime, zone: tzinfo) -> bool:
    """Whether clocks of the zone ever show the naive time."""
    if not _changes(wall.date(), zone):
        return True
    return wall.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None) == wall


def _days_that_step(walls: WallTimes, twice: Sequence[int]) -> set[tuple[int, int]]:
    """The days on which the file itself goes through the doubled hour a second time."""
    days: set[tuple[int, int]] = set()
    for index in range(1, len(walls)):
        if twice[index] and twice[index - 1] and walls[index] <= walls[index - 1]:
            days.add((walls[index].year, walls[index].timetuple().tm_yday))
    return days
