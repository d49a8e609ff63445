"""The wire shapes of calendars."""

from datetime import date
from typing import Annotated

from pydantic import ConfigDict, Field

from core.erp.kernel.shapes import Answer, Body, Text
from core.erp.kernel.strict import Day

SpanText = Annotated[str, Field(max_length=11, examples=["08:00-17:00"])]
WeekHours = Annotated[
    dict[str, Annotated[list[SpanText], Field(max_length=10)]],
    Field(max_length=7, examples=[{"mon": ["08:00-12:00", "13:00-17:00"], "sat": []}]),
]
"""Hours by weekday (mon, tue, wed, thu, fri, sat, sun); a day that is left out is no working day."""


class DayIn(Body):
    """A day that is otherwise: a public holiday (no hours), or a Saturday that is worked."""

    day: Day
    name: Annotated[Text, Field(max_length=100, examples=["National Day"])]
    hours: Annotated[list[SpanText], Field(max_length=10)] = Field(default_factory=list)


class DayOut(Answer):
    """A day that is otherwise. No hours: closed."""

    day: date
    name: str
    hours: list[str]


class CalendarChange(Body):
    """What changes of a calendar. What is given replaces what was: all the days that are otherwise, not one more."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"days": [{"day": "2026-10-01", "name": "National Day", "hours": []}], "version": 1}]
        }
    )
    week: WeekHours | None = None
    days: Annotated[list[DayIn], Field(max_length=2000)] | None = None


class CalendarOut(Answer):
    """When a site works."""

    id: int
    site_id: int
    timezone: str
    week: dict[str, list[str]]
    days: list[DayOut]
