"""Telling people: the steps of alerts whose time has come are done, each once; who is told what becomes messages.

Many alerts are told in one transaction, so that a flood is seen as one.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import bindparam, func, select

from core.erp.alerting.model import Alert, AlertStep
from core.erp.alerting.rules import timing
from core.erp.alerting.rules.events import RANK, Severity
from core.erp.alerting.service import ending, messages
from core.erp.alerting.service.messages import REPEATED, TOLD, Receiver, Tellings
from core.erp.alerting.service.people import People
from core.erp.alerting.workflow import OVER, STANDING
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit

_step = table(AlertStep)


def tell(u: Unit, due: Sequence[Alert]) -> int:
    """Does what is due of these locked alerts; gives the number of messages made."""
    people = People(u)
    steps = _steps_of(u, [one.id for one in due])
    tellings = Tellings()
    over: list[Alert] = []
    for alert in sorted(due, key=lambda one: (RANK[Severity(one.severity)], one.id)):
        if alert.clear_at is not None and alert.clear_at <= u.now:
            over.append(alert)
        if _silenced(u, alert):
            continue
        for receiver, kind, late in _due_now(u, people, alert, steps[alert.id]):
            tellings.add(receiver, alert, kind, late)
    for alert in over:
        _void(u, (one for one in steps[alert.id] if one.done_at is None))
    ending.end(u, people, over, tellings)
    made = messages.write(u, people, tellings)
    for alert in due:
        _go_on(u, alert, steps[alert.id])
    u.session.flush()
    return made


def _silenced(u: Unit, alert: Alert) -> bool:
    return alert.silenced_until is not None and alert.silenced_until > u.now


def _steps_of(u: Unit, ids: Sequence[int]) -> dict[int, list[AlertStep]]:
    found: dict[int, list[AlertStep]] = defaultdict(list)
    wanted = select(AlertStep).where(_step.c.alert_id == func.any(bindparam("ids", list(ids))))
    for step in u.session.scalars(wanted.order_by(_step.c.at, _step.c.id).execution_options(populate_existing=True)):
        found[step.alert_id].append(step)
    return found


def _due_now(
    u: Unit, people: People, alert: Alert, steps: list[AlertStep]
) -> Iterable[tuple[Receiver, str, timedelta | None]]:
    """Whom the alert is told to now, and how; its steps are done with it. The first step is told whoever has taken it
    meanwhile, and though it be over: what could not be told in time is told late.
    """
    waiting = [one for one in steps if one.done_at is None]
    first = all(one.outcome != "told" for one in steps)
    if alert.state != STANDING and not first:
        _void(u, waiting)
        return
    if _is_back(alert) and not first:
        return
    for step in (one for one in waiting if one.at <= u.now):
        told = _receivers(people, step, alert)
        step.done_at, step.outcome, step.people = u.now, "told" if told else "nobody", [one.called for one in told]
        u.session.add(step)
        if not told:
            _hurry(u, waiting)
        for receiver in told:
            yield receiver, TOLD, timing.late(step.at, u.now)
    if not _open(steps) and _repeats_now(u, alert, steps):
        alert.repeated_at = u.now
        for step in steps:
            for receiver in _receivers(people, step, alert):
                yield receiver, REPEATED, None


def _hurry(u: Unit, waiting: Iterable[AlertStep]) -> None:
    """Nobody is there: whoever comes next is told now."""
    following = next((one for one in waiting if one.done_at is None), None)
    if following is not None and following.at > u.now:
        following.at = u.now
        u.session.add(following)


def _repeats_now(u: Unit, alert: Alert, steps: list[AlertStep]) -> bool:
    last = _last_told(alert, steps)
    again = timing.next_repeat(last, alert.repeat) if last is not None else None
    return alert.state == STANDING and alert.over_at is None and again is not None and again <= u.now


def _is_back(alert: Alert) -> bool:
    """Whether its condition is over, and it stands only because that may come back: nobody else is called."""
    return alert.over_at is not None and not alert.drill


def _open(steps: Iterable[AlertStep]) -> bool:
    return any(one.done_at is None for one in steps)


def _last_told(alert: Alert, steps: Iterable[AlertStep]) -> datetime | None:
    return max((at for at in (alert.repeated_at, *(one.done_at for one in steps)) if at is not None), default=None)


def _void(u: Unit, steps: Iterable[AlertStep]) -> None:
    for step in steps:
        step.done_at, step.outcome = u.now, "void"
        u.session.add(step)


def _receivers(people: People, step: AlertStep, alert: Alert) -> list[Receiver]:
    if step.target == "way":
        place = people.place(int(step.value))
        return [Receiver(None, place.name, place.language, (place.way,))] if place is not None else []
    return [
        Receiver(one.login, one.name, one.language, tuple(people.ways(one.login)))
        for one in people.target(step.target, step.value, alert.site_id)
    ]


def _go_on(u: Unit, alert: Alert, steps: list[AlertStep]) -> None:
    """When there is something to do next; nothing for what is over."""
    if alert.state == OVER:
        alert.next_at = None
    else:
        coming = [alert.clear_at]
        waiting = [one.at for one in steps if one.done_at is None]
        last = _last_told(alert, steps)
        if alert.state == STANDING and not (_is_back(alert) and last is not None):
            coming += [min(waiting)] if waiting else []
            if not waiting and last is not None and alert.over_at is None:
                coming.append(timing.next_repeat(last, alert.repeat))
        found = [at for at in coming if at is not None]
        if _silenced(u, alert):
            assert alert.silenced_until is not None
            found = [max(at, alert.silenced_until) if at != alert.clear_at else at for at in found]
        alert.next_at = min(found, default=None)
    alert.failures = 0
    u.session.add(alert)
