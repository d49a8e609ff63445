"""Raising alerts and letting them end: one a cause, with the steps of its routes as they are at that moment."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import bindparam, func, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert

from core.erp.alerting.model import Alert, AlertPart, AlertRoute, AlertStep
from core.erp.alerting.rules import routes as rules
from core.erp.alerting.rules.events import EVENTS, Severity
from core.erp.alerting.rules.routes import Happened, Route, Step
from core.erp.alerting.rules.timing import FLAPPING
from core.erp.alerting.workflow import ACTIVE, STANDING, TAKEN
from core.erp.kernel.calendars import service as calendars
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message, kept

_alert, _part, _step, _route = table(Alert), table(AlertPart), table(AlertStep), table(AlertRoute)

UNTOLD_REPEAT = timedelta(minutes=30)
"""How often harm to goods is said again where no route says it."""
Part = tuple[str, int]
"""A record, by its kind and id."""


@dataclass(frozen=True, slots=True)
class Raise:
    """A cause that people are told of, or are told of already; what of it they are to know."""

    event: str
    cause: str
    title: Message | str
    began_at: datetime
    entity: str | None = None
    entity_id: int | None = None
    site_id: int | None = None
    zone_id: int | None = None
    sites: frozenset[int] = frozenset()
    """Where its goods are, of what is at no one site: a lot that stands at several is held."""
    items: frozenset[int] = frozenset()
    parts: tuple[Part, ...] = ()
    silenced_until: datetime | None = None
    steps: tuple[Step, ...] | None = None
    """In place of the routes': of a drill."""
    drill: bool = False
    over_at: datetime | None = None
    lasts: timedelta = FLAPPING
    """How long what is over stands."""

    @property
    def severity(self) -> Severity:
        """How grave it is."""
        return EVENTS[self.event]


@dataclass(slots=True)
class _Routes:
    """The routes as they stand, and when sites work: read once."""

    u: Unit
    known: list[Route]
    _working: dict[int | None, bool] = field(default_factory=dict)

    def of(self, one: Raise) -> list[Route]:
        """Those that take it."""
        if one.site_id not in self._working:
            self._working[one.site_id] = rules.works(calendars.of(self.u, one.site_id), self.u.now)
        here = frozenset(() if one.site_id is None else (one.site_id,))
        happened = Happened(one.event, one.sites or here, one.zone_id, one.items)
        return rules.chosen(self.known, happened, working=self._working[one.site_id])


def routes_of(u: Unit) -> list[Route]:
    """Every route in use."""
    return [
        Route(
            row.id,
            row.name,
            row.site_id,
            row.zone_id,
            row.item_id,
            frozenset(row.events),
            row.hours,
            tuple(step_of(one) for one in row.steps),
            timedelta(minutes=row.repeat_minutes) if row.repeat_minutes else None,
        )
        for row in u.conn.execute(select(_route).where(_route.c.state == ACTIVE).order_by(_route.c.id))
    ]


def step_of(kept_step: dict[str, object]) -> Step:
    """A step as its route keeps it: after so many minutes the one target that is named."""
    for target in ("rota_id", "login", "role", "way_id"):
        value = kept_step.get(target)
        if value not in {None, ""}:
            names = {"rota_id": "rota", "login": "person", "way_id": "way"}
            return Step(int(str(kept_step["after_minutes"])), names.get(target, target), str(value))
    raise ValueError("a step names nobody")


def open_alerts(u: Unit, causes: Collection[str]) -> dict[str, Alert]:
    """Those of the causes that are not over, locked, ascending."""
    a = _alert.c
    wanted = select(Alert).where(
        a.cause == func.any(bindparam("causes", sorted(causes))), a.state.in_((STANDING, TAKEN))
    )
    found = u.session.scalars(wanted.order_by(a.id).with_for_update().execution_options(populate_existing=True))
    return {one.cause: one for one in found}


def raise_all(u: Unit, wanted: Sequence[Raise]) -> list[int]:
    """Raises what is not raised yet; what is gains the parts. Gives the ids of those made, due at once."""
    if not wanted:
        return []
    known = open_alerts(u, {one.cause for one in wanted})
    fresh: dict[str, Raise] = {}
    for one in wanted:
        if one.cause in known:
            _goes_on(u, known[one.cause], one)
        else:
            fresh.setdefault(one.cause, one)
    ids = _insert(u, list(fresh.values()))
    by_cause = {cause: alert.id for cause, alert in known.items()} | dict(zip(fresh, ids, strict=True))
    _add_parts(u, ((by_cause[one.cause], part) for one in wanted for part in one.parts))
    return ids


def _goes_on(u: Unit, alert: Alert, again: Raise) -> None:
    """It has come back before it was over: it is the same, and no all-clear is told."""
    if again.over_at is None and alert.over_at is not None:
        alert.over_at = alert.clear_at = None
        alert.next_at = u.now
        u.session.add(alert)
        u.session.flush()
        u.audit("alert.goes_on", "alert", alert.id, after={"since": again.began_at})


def _insert(u: Unit, fresh: Sequence[Raise]) -> list[int]:
    if not fresh:
        return []
    routes = _Routes(u, routes_of(u))
    rows, plans = [], []
    for one in fresh:
        taken = routes.of(one) if one.steps is None else []
        steps = rules.plan(taken, one.event, u.now) if one.steps is None else _given(one.steps, u.now)
        repeat = rules.repeated_every(taken) or (
            UNTOLD_REPEAT if not taken and one.severity is Severity.HARM and not one.drill else None
        )
        rows.append(_row(u, one, repeat))
        plans.append(steps)
    ids = list(u.conn.scalars(insert(_alert).returning(_alert.c.id, sort_by_parameter_order=True), rows))
    made = [
        {
            "alert_id": number,
            "route_id": due.route_id,
            "at": due.at,
            "target": due.target,
            "value": due.value,
            "people": [],
        }
        for number, steps in zip(ids, plans, strict=True)
        for due in steps
    ]
    if made:
        u.conn.execute(insert(_step), made)
    for number, row in zip(ids, rows, strict=True):
        shown = {name: row[name] for name in ("event", "severity", "cause", "site_id", "zone_id", "title", "began_at")}
        u.audit("alert.create", "alert", number, after=shown)
        u.outbox("alert.create", number, {name: row[name] for name in ("event", "severity", "entity", "entity_id")})
    return ids


def _given(steps: Sequence[Step], now: datetime) -> list[rules.Due]:
    return [rules.Due(now + timedelta(minutes=one.after), one.target, one.value, None) for one in steps]


def _row(u: Unit, one: Raise, repeat: timedelta | None) -> dict[str, object]:
    title, message = kept(one.title)
    return {
        "event": one.event,
        "severity": str(one.severity),
        "cause": one.cause,
        "entity": one.entity,
        "entity_id": one.entity_id,
        "site_id": one.site_id,
        "zone_id": one.zone_id,
        "title": title,
        "title_message": message,
        "began_at": one.began_at,
        "raised_at": u.now,
        "state": STANDING,
        "over_at": one.over_at,
        "clear_at": u.now + one.lasts if one.over_at is not None else None,
        "silenced_until": one.silenced_until,
        "repeat": repeat,
        "next_at": u.now,
        "failures": 0,
        "drill": one.drill,
    }


def _add_parts(u: Unit, parts: Iterable[tuple[int, Part]]) -> None:
    rows = [
        {"alert_id": alert, "entity": entity, "entity_id": number, "at": u.now}
        for alert, (entity, number) in dict.fromkeys(parts)
    ]
    if rows:
        u.conn.execute(upsert(_part).on_conflict_do_nothing(), rows)


def condition_over(u: Unit, over: dict[str, datetime]) -> None:
    """The conditions of these causes are over: so are their alerts in a while, unless they come back."""
    for cause, alert in open_alerts(u, over.keys()).items():
        if alert.over_at is None:
            alert.over_at, alert.clear_at = over[cause], max(over[cause] + FLAPPING, u.now)
            alert.next_at = u.now if alert.next_at is None else min(alert.next_at, alert.clear_at)
            u.session.add(alert)
    u.session.flush()


def silence(u: Unit, cause: str, until: datetime | None) -> None:
    """Messages of a cause, and of all that it is divided into, are kept back until then (None: no more). The judge goes
    on.
    """
    a = _alert.c
    same = (a.cause == cause) | a.cause.startswith(f"{cause}:", autoescape=True)
    found = u.conn.scalars(select(a.cause).where(same, a.state.in_((STANDING, TAKEN)))).all()
    for alert in open_alerts(u, found).values():
        alert.silenced_until, alert.next_at = until, u.now
        u.session.add(alert)
    u.session.flush()


def wanted(u: Unit, one: Raise) -> bool:
    """Whether a route takes it: for what nobody is told of without one."""
    return bool(_Routes(u, routes_of(u)).of(one))
