"""Who is on call, and who stands in for whom. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from core.erp.kernel.calendars.rules import Calendar

CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Rota:
    """People in turn, `days` each, from the handover (minutes after midnight) of `first_day` on."""

    first_day: date
    handover: int
    days: int
    logins: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Swap:
    """From–until (half-open) somebody else is on call. `id` grows with what was agreed later."""

    id: int
    start: datetime
    stop: datetime
    login: str


@dataclass(frozen=True, slots=True)
class Away:
    """From–until (half-open) somebody is away, and their deputy is told."""

    id: int
    login: str
    start: datetime
    stop: datetime
    deputy: str


def minutes(clock: str) -> int | None:
    """Minutes after midnight of a time of day (`08:00`); None for what is none."""
    found = CLOCK.fullmatch(clock)
    return int(found[1]) * 60 + int(found[2]) if found is not None else None


def turn(rota: Rota, calendar: Calendar, at: datetime) -> int | None:
    """Which turn it is, from 0 on; None before the first. By the site's clock: each handover is at its time of day,
    whatever the clocks do in between, so a turn over a change of clocks is an hour shorter or longer.
    """
    day = calendar.today(at)
    if at < calendar.at(day, rota.handover):
        day -= _DAY
    return (day - rota.first_day).days // rota.days if day >= rota.first_day else None


def on_call(rota: Rota, swaps: Sequence[Swap], calendar: Calendar, at: datetime) -> str | None:
    """Whose turn it is, or who stands in: of several the newest; None where nobody is."""
    agreed = [one for one in swaps if one.start <= at < one.stop]
    if agreed:
        return max(agreed, key=lambda one: one.id).login
    number = turn(rota, calendar, at)
    return rota.logins[number % len(rota.logins)] if number is not None and rota.logins else None


def stand_in(login: str, absences: Sequence[Away], at: datetime) -> str | None:
    """Who is told in somebody's place: they themselves, a deputy, a deputy's deputy; None where the ring is closed."""
    seen: set[str] = set()
    while login not in seen:
        seen.add(login)
        away = [one for one in absences if one.login == login and one.start <= at < one.stop]
        if not away:
            return login
        login = max(away, key=lambda one: one.id).deputy
    return None
