"""A site's calendar: begun with the site, changed by whoever plans, read by whatever counts days."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from sqlalchemy import select

from core.erp.kernel.calendars.model import WorkCalendar
from core.erp.kernel.calendars.rules import STANDARD, STANDARD_WEEK, BadCalendar, Calendar, read_calendar
from core.erp.kernel.calendars.shapes import DayIn
from core.erp.kernel.errors import Invalid
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit, json_value
from core.erp.kernel.words import Message


def of(u: Unit, site_id: int | None) -> Calendar:
    """The site's calendar as it stands; STANDARD without a site, or for one without a calendar."""
    c = table(WorkCalendar).c
    row = u.conn.execute(select(c.timezone, c.week, c.days).where(c.site_id == site_id)).first() if site_id else None
    return _read(row.timezone, row.week, row.days) if row is not None else STANDARD


def today(u: Unit, site_id: int | None) -> date:
    """The day it is at the site: what a number's year goes by."""
    return of(u, site_id).today(u.now)


def begin(u: Unit, site_id: int, timezone: str) -> WorkCalendar:
    """A new site's calendar: Monday to Friday in its time zone, until somebody says otherwise. Raises Invalid."""
    made = WorkCalendar(
        site_id=site_id, timezone=timezone, week={day: list(hours) for day, hours in STANDARD_WEEK.items()}, days=[]
    )
    _checked(timezone, made.week, made.days)
    u.session.add(made)
    u.session.flush()
    u.audit("work_calendar.create", "work_calendar", made.id, after=made.model_dump())
    return made


def change(
    u: Unit, calendar_id: int, *, week: Mapping[str, list[str]] | None = None, days: Sequence[DayIn] | None = None
) -> WorkCalendar:
    """Replaces the week's hours, or the days that are otherwise. What is due already stays due. Raises Invalid."""
    found = u.get_one(WorkCalendar, calendar_id, lock=True)
    before = {"week": found.week, "days": found.days}
    if week is not None:
        found.week = {name: sorted(hours) for name, hours in week.items()}
    if days is not None:
        found.days = json_value([one.model_dump() for one in sorted(days, key=lambda one: one.day)])
    _checked(found.timezone, found.week, found.days)
    after = {"week": found.week, "days": found.days}
    changed = [name for name, value in after.items() if value != before[name]]
    if changed:
        u.session.add(found)
        u.session.flush()
        old, now = ({name: values[name] for name in changed} for values in (before, after))
        u.audit("work_calendar.change", "work_calendar", calendar_id, before=old, after=now)
    return found


def _checked(timezone: str, week: Mapping[str, list[str]], days: Sequence[Mapping[str, Any]]) -> None:
    named = [str(one["day"]) for one in days]
    if len(set(named)) != len(named):
        twice = next(day for day in named if named.count(day) > 1)
        raise Invalid(Message("calendars.day_twice", day=twice))
    try:
        _read(timezone, week, days)
    except BadCalendar as error:
        raise Invalid(error.message) from error


def _read(timezone: str, week: Mapping[str, list[str]], days: Sequence[Mapping[str, Any]]) -> Calendar:
    return read_calendar(timezone, week, {str(one["day"]): one["hours"] for one in days})
