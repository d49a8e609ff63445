"""Which routes an event takes, and when each of their steps is due. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.erp.alerting.rules.events import EVENTS, FALLBACK, FALLBACK_OF
from core.erp.kernel.calendars.rules import Calendar


@dataclass(frozen=True, slots=True)
class Step:
    """After so many minutes the target is told: a person, rota, role, permit or way, by `value`."""

    after: int
    target: str
    value: str


@dataclass(frozen=True, slots=True)
class Route:
    """A route as it stands. What is None or empty narrows nothing."""

    id: int
    name: str
    site_id: int | None
    zone_id: int | None
    item_id: int | None
    events: frozenset[str]
    hours: str
    steps: tuple[Step, ...]
    repeat: timedelta | None


@dataclass(frozen=True, slots=True)
class Happened:
    """An event with what routes go by: where it was, or its goods are, and the items of the goods it is about."""

    event: str
    sites: frozenset[int]
    zone_id: int | None
    items: frozenset[int]


@dataclass(frozen=True, slots=True)
class Due:
    """A step of an alert: who is told, when, by which route (None: by none, since there was none)."""

    at: datetime
    target: str
    value: str
    route_id: int | None


def works(calendar: Calendar, at: datetime) -> bool:
    """Whether the site works at that instant."""
    day = calendar.today(at)
    return any(calendar.at(day, one.opens) <= at < calendar.at(day, one.closes) for one in calendar.hours(day))


def takes(route: Route, what: Happened, *, working: bool) -> bool:
    """Whether the route takes the event."""
    fits = {"always": True, "working": working, "off": not working}
    return (
        (not route.events or what.event in route.events)
        and (route.site_id is None or route.site_id in what.sites)
        and route.zone_id in {None, what.zone_id}
        and (route.item_id is None or route.item_id in what.items)
        and fits[route.hours]
    )


def chosen(routes: Collection[Route], what: Happened, *, working: bool) -> list[Route]:
    """Every route that takes the event, in order."""
    return [route for route in sorted(routes, key=lambda one: one.id) if takes(route, what, working=working)]


def plan(routes: Sequence[Route], event: str, raised_at: datetime) -> list[Due]:
    """The steps of an alert, the earliest first: those of its routes, or of nobody's route; none twice at one time."""
    if not routes:
        called = FALLBACK_OF.get(event) or FALLBACK[EVENTS[event]]
        return [Due(raised_at + timedelta(minutes=m), "permit", permit, None) for m, permit in called]
    found = {
        (step.after, step.target, step.value): Due(
            raised_at + timedelta(minutes=step.after), step.target, step.value, route.id
        )
        for route in reversed(routes)
        for step in route.steps
    }
    return [found[key] for key in sorted(found)]


def repeated_every(routes: Sequence[Route]) -> timedelta | None:
    """How often it is said again: as the most urgent of the routes says; None: not again."""
    return min((route.repeat for route in routes if route.repeat is not None), default=None)
