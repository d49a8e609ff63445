"""Telling people: the steps of alerts whose time has come become messages, each step once.

Many alerts are told in one transaction, so that a flood is seen as one: beyond so many messages to a person what comes
is told in summaries.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, func, insert, select, text, update

from core.erp.alerting import texts
from core.erp.alerting.model import Alert, AlertMessage, AlertStep
from core.erp.alerting.rules import timing, ways
from core.erp.alerting.rules.events import LASTING, RANK, Severity
from core.erp.alerting.rules.ways import Way
from core.erp.alerting.service.channels import channels_down
from core.erp.alerting.service.goods import facts_of
from core.erp.alerting.service.people import People, Person
from core.erp.alerting.texts import Reader, Told, Wording
from core.erp.alerting.workflow import ALERT, OVER, QUEUED, SENT, STANDING
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import sentence

_message, _step = table(AlertMessage), table(AlertStep)
PAGE = "page"
"""The channel that everybody who signs in has."""
TOLD, REPEATED, ALL_CLEAR, SUMMARY = "told", "repeated", "all_clear", "summary"


@dataclass(frozen=True, slots=True)
class Receiver:
    """Whom a message goes to: a person, or a place by its one way."""

    login: str | None
    called: str
    language: str
    ways: tuple[Way, ...]


@dataclass(slots=True)
class _Telling:
    """What one receiver is to be told now: each alert with how, and how late."""

    receiver: Receiver
    alerts: list[tuple[Alert, str, timedelta | None]] = field(default_factory=list)


def tell(u: Unit, due: Sequence[Alert]) -> int:
    """Does what is due of these locked alerts; gives the number of messages made."""
    people = People(u)
    steps = _steps_of(u, [one.id for one in due])
    for_whom: dict[tuple[str | None, str], _Telling] = {}
    ending: list[Alert] = []
    for alert in sorted(due, key=lambda one: (RANK[Severity(one.severity)], one.id)):
        if alert.clear_at is not None and alert.clear_at <= u.now:
            ending.append(alert)
        if _silenced(u, alert):
            continue
        for receiver, kind, late in _due_now(u, people, alert, steps[alert.id]):
            key = (receiver.login, receiver.called)
            telling = for_whom.setdefault(key, _Telling(receiver))
            if all(other.id != alert.id for other, _, _ in telling.alerts):
                telling.alerts.append((alert, kind, late))
    made = _write(u, people, list(for_whom.values()))
    made += _end(u, people, ending)
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
        return [Receiver(None, place.name, "en", (place.way,))] if place is not None else []
    return [_person(people, one) for one in people.target(step.target, step.value, alert.site_id)]


def _person(people: People, one: Person) -> Receiver:
    return Receiver(one.login, one.name, one.language, tuple(people.ways(one.login)))


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


# --- messages


def _write(u: Unit, people: People, tellings: Sequence[_Telling]) -> int:
    """Message rows for everybody, by every way that is to be taken; in a flood summaries."""
    lately = _told_lately(u, [one.receiver for one in tellings])
    facts = facts_of(u, [alert for one in tellings for alert, _, _ in one.alerts])
    down = channels_down(u)
    rows: list[dict[str, Any]] = []
    for telling in tellings:
        told_at, summaries = lately.get((telling.receiver.login, telling.receiver.called), ([], []))
        singly = telling.alerts
        if timing.is_flood(told_at, len(telling.alerts), u.now):
            room = max(timing.FLOOD_COUNT - sum(u.now - timing.FLOOD_SPAN < at for at in told_at), 0)
            singly, rest = telling.alerts[:room], telling.alerts[room:]
            rows += _summary(u, people, telling.receiver, [alert for alert, _, _ in rest], summaries, down)
        for alert, kind, late in singly:
            reader = Reader(telling.receiver.language, people.calendar(alert.site_id).zone)
            wording = texts.message_of(kind, facts[alert.id], alert.severity, reader, late=late, drill=alert.drill)
            rows += _messages(u, people, telling.receiver, alert, kind, wording, down)
    return _insert(u, rows)


_LATELY = text("""
    SELECT login, called, kind, created_at FROM alert_message
    WHERE created_at > :since AND kind <> 'all_clear'
        AND (login = ANY (CAST(:logins AS text[])) OR login IS NULL AND called = ANY (CAST(:places AS text[])))
    GROUP BY login, called, kind, created_at, alert_ids
""")
_Lately = dict[tuple[str | None, str], tuple[list[datetime], list[datetime]]]


def _told_lately(u: Unit, receivers: Sequence[Receiver]) -> _Lately:
    """When each was told something by itself, and when in a summary."""
    found: _Lately = defaultdict(lambda: ([], []))
    logins = [one.login for one in receivers if one.login is not None]
    places = [one.called for one in receivers if one.login is None]
    asked = {"since": u.now - timing.FLOOD_SPAN, "logins": logins, "places": places}
    for row in u.conn.execute(_LATELY, asked):
        found[row.login, row.called][row.kind == SUMMARY].append(row.created_at)
    return found


def _messages(
    u: Unit, people: People, receiver: Receiver, alert: Alert, kind: str, wording: Wording, down: frozenset[str]
) -> list[dict[str, Any]]:
    severity = Severity(alert.severity)
    calendar = people.calendar(alert.site_id)
    rows = [_row(u, receiver, [alert], kind, wording, None, None)] if receiver.login is not None else []
    taken = ways.chosen(receiver.ways, severity, down)
    later = [ways.not_before(way, severity, calendar, u.now) for way in taken]
    return [*rows, *(_row(u, receiver, [alert], kind, wording, *one) for one in zip(taken, later, strict=True))]


def _row(
    u: Unit,
    receiver: Receiver,
    alerts: Sequence[Alert],
    kind: str,
    wording: Wording,
    way: Way | None,
    not_before: datetime | None,
) -> dict[str, Any]:
    sites = {alert.site_id for alert in alerts}
    return {
        "alert_ids": [alert.id for alert in alerts],
        "site_id": next(iter(sites)) if len(sites) == 1 else None,
        "kind": kind,
        "login": receiver.login,
        "called": receiver.called,
        "channel": PAGE if way is None else way.kind,
        "way_id": None if way is None else way.id,
        "language": receiver.language,
        "subject": wording.subject,
        "body": wording.body,
        "short": wording.short,
        "drill": all(alert.drill for alert in alerts),
        "created_at": u.now,
        "not_before": not_before,
        "state": SENT if way is None and not_before is None else QUEUED,
        "sent_at": u.now if way is None and not_before is None else None,
    }


def _summary(
    u: Unit,
    people: People,
    receiver: Receiver,
    alerts: Sequence[Alert],
    summaries: Sequence[datetime],
    down: frozenset[str],
) -> list[dict[str, Any]]:
    """One message for all of them; one that is kept back still, since summaries are to be apart, gains them."""
    waiting = _waiting(u, receiver)
    if waiting:
        return _gain(u, people, receiver, alerts, waiting)
    worst, site = _worst(alerts), alerts[0].site_id
    wording = _summed_up(people, receiver, alerts)
    when = timing.next_summary(summaries, u.now)
    rows = [_row(u, receiver, alerts, SUMMARY, wording, None, when)] if receiver.login is not None else []
    for way in ways.chosen(receiver.ways, worst, down):
        quiet = ways.not_before(way, worst, people.calendar(site), u.now)
        rows.append(_row(u, receiver, alerts, SUMMARY, wording, way, max(when, quiet or when)))
    return rows


def _worst(alerts: Iterable[Alert]) -> Severity:
    return min((Severity(alert.severity) for alert in alerts), key=RANK.__getitem__)


def _summed_up(people: People, receiver: Receiver, alerts: Sequence[Alert]) -> Wording:
    told = [Told(one.event, sentence(one.title, one.title_message), one.began_at, "") for one in alerts]
    reader = Reader(receiver.language, people.calendar(alerts[0].site_id).zone)
    return texts.summary_of(told, reader, drill=all(alert.drill for alert in alerts))


def _waiting(u: Unit, receiver: Receiver) -> Sequence[AlertMessage]:
    m = _message.c
    whose = (
        m.login == receiver.login if receiver.login is not None else (m.login.is_(None) & (m.called == receiver.called))
    )
    wanted = select(AlertMessage).where(m.state == QUEUED, m.kind == SUMMARY, m.not_before > u.now, whose)
    return u.session.scalars(wanted.order_by(m.id).with_for_update().execution_options(populate_existing=True)).all()


def _gain(
    u: Unit, people: People, receiver: Receiver, alerts: Sequence[Alert], waiting: Sequence[AlertMessage]
) -> list[dict[str, Any]]:
    before = select(Alert).where(table(Alert).c.id == func.any(bindparam("ids", list(waiting[0].alert_ids))))
    known = {one.id: one for one in (*u.session.scalars(before), *alerts)}
    both = sorted(known.values(), key=lambda one: (RANK[Severity(one.severity)], one.id))
    wording = _summed_up(people, receiver, both)
    for one in waiting:
        one.alert_ids, one.subject, one.body, one.short = list(known), wording.subject, wording.body, wording.short
        u.session.add(one)
    u.session.flush()
    return []


def _insert(u: Unit, rows: Sequence[dict[str, Any]]) -> int:
    if not rows:
        return 0
    ids = list(u.conn.scalars(insert(_message).returning(_message.c.id, sort_by_parameter_order=True), list(rows)))
    for number, row in zip(ids, rows, strict=True):
        if row["not_before"] is None:
            u.outbox(f"alert_message.{row['channel']}", number, {"alert_ids": row["alert_ids"]})
    return len(ids)


def release(u: Unit, most: int) -> int:
    """Messages that were kept back and whose time has come go out; gives how many."""
    m = _message.c
    wanted = select(m.id, m.channel, m.alert_ids).where(m.not_before <= u.now, m.state == QUEUED).order_by(m.not_before)
    rows = u.lock(wanted.limit(most).with_for_update(skip_locked=True))
    if rows:
        here = m.id == func.any(bindparam("ids", [row.id for row in rows]))
        u.conn.execute(update(_message).where(here).values(not_before=None))
        u.conn.execute(update(_message).where(here, m.channel == PAGE).values(state=SENT, sent_at=u.now))
    for row in rows:
        u.outbox(f"alert_message.{row.channel}", row.id, {"alert_ids": row.alert_ids})
    return len(rows)


def otherwise(u: Unit, failed: AlertMessage) -> None:
    """The person is told by a way that was not taken yet, where they have one that works: this one does not."""
    if failed.login is None:
        return
    m = _message.c
    same = (m.login == failed.login, m.kind == failed.kind, m.created_at == failed.created_at)
    taken = set(u.conn.scalars(select(m.way_id).where(*same, m.alert_ids == failed.alert_ids)))
    down = channels_down(u) | {failed.channel}
    left = [way for way in People(u).ways(failed.login) if way.id not in taken and way.kind not in down]
    if not left:
        return
    way = ways.chosen(left, Severity.ALARM)[0]
    copied = failed.model_dump(exclude={"id", "failure", "sent_at", "seen_at"})
    _insert(u, [copied | {"channel": way.kind, "way_id": way.id, "state": QUEUED, "not_before": None}])


# --- the end


def _end(u: Unit, people: People, ending: Sequence[Alert]) -> int:
    """They are over: whoever was told is told so, once."""
    if not ending:
        return 0
    told = _told_of(u, [one.id for one in ending])
    facts = facts_of(u, ending)
    down = channels_down(u)
    rows: list[dict[str, Any]] = []
    for alert in ending:
        steps = select(AlertStep).where(_step.c.alert_id == alert.id, _step.c.done_at.is_(None))
        _void(u, u.session.scalars(steps).all())
        ALERT.apply(u, alert, "end", also={"entity": alert.entity, "entity_id": alert.entity_id})
        if alert.event not in LASTING:
            continue
        for login, called, language, way_ids in told.get(alert.id, ()):
            receiver = _still(people, login, called, language, way_ids)
            reader = Reader(receiver.language, people.calendar(alert.site_id).zone)
            wording = texts.message_of(ALL_CLEAR, facts[alert.id], alert.severity, reader, late=None, drill=alert.drill)
            rows += _messages(u, people, receiver, alert, ALL_CLEAR, wording, down)
    return _insert(u, rows)


def _still(people: People, login: str | None, called: str, language: str, way_ids: Sequence[int]) -> Receiver:
    """Whom it was told to, by the ways that there are now."""
    if login is None:
        places = [place.way for one in way_ids if one is not None and (place := people.place(one)) is not None]
        return Receiver(None, called, language, tuple(places))
    return Receiver(login, called, language, tuple(people.ways(login)))


_TOLD_OF = text("""
    SELECT a.id, m.login, m.called, min(m.language) AS language, array_agg(DISTINCT m.way_id) AS ways
    FROM unnest(CAST(:ids AS bigint[])) AS a(id) JOIN alert_message m ON m.alert_ids @> ARRAY[a.id]
    WHERE m.kind <> 'all_clear' GROUP BY a.id, m.login, m.called ORDER BY a.id, m.login, m.called
""")


def _told_of(u: Unit, ids: Sequence[int]) -> dict[int, list[tuple[str | None, str, str, list[int]]]]:
    found: dict[int, list[tuple[str | None, str, str, list[int]]]] = defaultdict(list)
    for alert, *receiver in u.conn.execute(_TOLD_OF, {"ids": list(ids)}):
        found[alert].append((receiver[0], receiver[1], receiver[2], receiver[3]))
    return found
