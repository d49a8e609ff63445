"""Whether every route reaches somebody today: one that does not is an alert of its own."""

from dataclasses import dataclass

from sqlalchemy import select

from core.erp.alerting.model import Alert
from core.erp.alerting.rules.routes import Route, Step
from core.erp.alerting.service import alerts
from core.erp.alerting.service.alerts import Raise
from core.erp.alerting.service.channels import channels_down
from core.erp.alerting.service.people import People
from core.erp.alerting.workflow import OVER
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message

_alert = table(Alert).c


@dataclass(frozen=True, slots=True)
class Unreached:
    """A route that reaches nobody today, and why: nobody is there, or no way to them works."""

    route: Route
    why: Message


def unreached(u: Unit) -> list[Unreached]:
    """Routes of which no step reaches anybody by a channel that works."""
    people, down = People(u), channels_down(u)
    found = []
    for route in alerts.routes_of(u):
        kinds = [_kinds(people, step, route.site_id) for step in route.steps]
        if not any(one is not None for one in kinds):
            found.append(Unreached(route, Message("alerting.route_empty", route=route.name)))
        elif not any(one - down for one in kinds if one is not None):
            found.append(Unreached(route, Message("alerting.route_down", route=route.name)))
    return found


def _kinds(people: People, step: Step, site_id: int | None) -> set[str] | None:
    """Kinds of ways by which a step reaches people; None where it finds nobody."""
    if step.target == "way":
        place = people.place(int(step.value))
        return None if place is None else {place.way.kind}
    told = people.target(step.target, step.value, site_id)
    return {way.kind for one in told for way in people.ways(one.login)} if told else None


def check_routes(u: Unit) -> None:
    """Raises an alert for each that reaches nobody, and ends that of one that reaches somebody again."""
    missing = {f"unreachable:{one.route.id}": one for one in unreached(u)}
    alerts.raise_all(
        u,
        [
            Raise("unreachable", cause, one.why, u.now, "alert_route", one.route.id, site_id=one.route.site_id)
            for cause, one in missing.items()
        ],
    )
    standing = u.conn.scalars(select(_alert.cause).where(_alert.event == "unreachable", _alert.state != OVER))
    alerts.condition_over(u, {cause: u.now for cause in standing if cause not in missing})
