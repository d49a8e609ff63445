"""Messages: who is told what by every way that is to be taken, and in a flood in summaries. Each is a row, and a row of
the outbox that carries it.

Three things are told apart, so that none drowns another: harm to goods, whatever else is wrong, and that it is over.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, insert, select, text, update

from core.erp.alerting import texts
from core.erp.alerting.model import Alert, AlertMessage
from core.erp.alerting.rules import timing, ways
from core.erp.alerting.rules.events import RANK, Severity
from core.erp.alerting.rules.ways import Way
from core.erp.alerting.service.channels import channels_down
from core.erp.alerting.service.goods import facts_of, listed_of
from core.erp.alerting.service.people import People
from core.erp.alerting.texts import LISTED, Reader, Told, Wording
from core.erp.alerting.workflow import QUEUED, SENT
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import sentence

_message = table(AlertMessage)
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


@dataclass(frozen=True, slots=True)
class _Stream:
    """What is counted for itself: of whom, whether that it is over, and whether of harm."""

    login: str | None
    called: str
    over: bool
    harm: bool

    @property
    def kind(self) -> str:
        """Of its summaries."""
        return ALL_CLEAR if self.over else SUMMARY


_Item = tuple[Alert, str, timedelta | None]


@dataclass(slots=True)
class Tellings:
    """What everybody is to be told now, in order: each alert once, with how, and how late."""

    _found: dict[_Stream, tuple[Receiver, dict[int, _Item]]] = field(default_factory=dict)

    def add(self, receiver: Receiver, alert: Alert, kind: str, late: timedelta | None = None) -> None:
        """The receiver is told of it; who is told of it already is not told twice."""
        harm = alert.severity == Severity.HARM and kind != ALL_CLEAR
        stream = _Stream(receiver.login, receiver.called, kind == ALL_CLEAR, harm)
        self._found.setdefault(stream, (receiver, {}))[1].setdefault(alert.id, (alert, kind, late))

    def __iter__(self) -> Iterator[tuple[_Stream, Receiver, list[_Item]]]:
        for stream, (receiver, items) in sorted(self._found.items(), key=lambda one: (not one[0].harm, one[0].over)):
            yield stream, receiver, list(items.values())


@dataclass(slots=True)
class _Writing:
    """The rows that are being made, and what is asked once for all of them."""

    u: Unit
    people: People
    down: frozenset[str]
    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(
        self,
        receiver: Receiver,
        alerts: Sequence[Alert],
        kind: str,
        wording: Wording,
        when: datetime | None = None,
    ) -> None:
        """One message by each way to be taken, not before `when`, and on the page."""
        severity = min((Severity(one.severity) for one in alerts), key=RANK.__getitem__)
        calendar = self.people.calendar(alerts[0].site_id)
        ids = [one.id for one in alerts]
        sites = {one.site_id for one in alerts}
        same = {
            "alert_ids": ids,
            "site_id": next(iter(sites)) if len(sites) == 1 else None,
            "kind": kind,
            "severity": str(severity),
            "login": receiver.login,
            "called": receiver.called,
            "language": receiver.language,
            "subject": wording.subject,
            "body": wording.body,
            "short": wording.short,
            "drill": all(one.drill for one in alerts),
            "created_at": self.u.now,
        }
        if receiver.login is not None:
            self.rows.append(same | _by(None, when, self.u.now))
        for way in ways.chosen(receiver.ways, severity, self.down):
            quiet = ways.not_before(way, severity, calendar, self.u.now)
            later = max((at for at in (when, quiet) if at is not None), default=None)
            self.rows.append(same | _by(way, later, self.u.now))


def _by(way: Way | None, when: datetime | None, now: datetime) -> dict[str, Any]:
    there = way is None and when is None  # on the page it is at once
    return {
        "channel": PAGE if way is None else way.kind,
        "way_id": None if way is None else way.id,
        "not_before": when,
        "state": SENT if there else QUEUED,
        "sent_at": now if there else None,
    }


def write(u: Unit, people: People, tellings: Tellings) -> int:
    """Makes the messages; gives how many."""
    wanted = list(tellings)
    lately = _told_lately(u, [receiver for _, receiver, _ in wanted])
    writing = _Writing(u, people, channels_down(u))
    singly, summed = list[tuple[Receiver, _Item]](), []
    for stream, receiver, items in wanted:
        told_at, summaries = lately[stream]
        room = len(items)
        if timing.is_flood(told_at, len(items), u.now):
            room = max(timing.FLOOD_COUNT - sum(u.now - timing.FLOOD_SPAN < at for at in told_at), 0)
            summed.append((stream, receiver, [alert for alert, _, _ in items[room:]], summaries))
        singly += [(receiver, item) for item in items[:room]]
    facts = facts_of(u, list({alert.id: alert for _, (alert, _, _) in singly}.values()))
    for receiver, (alert, kind, late) in singly:
        reader = Reader(receiver.language, people.calendar(alert.site_id).zone)
        wording = texts.message_of(kind, facts[alert.id], alert.severity, reader, late=late, drill=alert.drill)
        writing.add(receiver, [alert], kind, wording)
    for one in summed:
        _sum_up(writing, *one)
    return _insert(u, writing.rows)


_LATELY = text("""
    SELECT login, called, kind = 'all_clear' AS over, severity = 'harm' AND kind <> 'all_clear' AS harm, created_at,
        kind = 'summary' OR cardinality(alert_ids) > 1 AS summed
    FROM alert_message
    WHERE created_at > :since
        AND (login = ANY (CAST(:logins AS text[])) OR login IS NULL AND called = ANY (CAST(:places AS text[])))
    GROUP BY login, called, kind, severity, created_at, alert_ids
""")
_Lately = dict[_Stream, tuple[list[datetime], list[datetime]]]


def _told_lately(u: Unit, receivers: Sequence[Receiver]) -> _Lately:
    """When each was told something by itself, and when in a summary."""
    found: _Lately = defaultdict(lambda: ([], []))
    logins = sorted({one.login for one in receivers if one.login is not None})
    places = sorted({one.called for one in receivers if one.login is None})
    asked = {"since": u.now - timing.FLOOD_SPAN, "logins": logins, "places": places}
    for row in u.conn.execute(_LATELY, asked):
        found[_Stream(row.login, row.called, row.over, row.harm)][row.summed].append(row.created_at)
    return found


def _sum_up(
    writing: _Writing, stream: _Stream, receiver: Receiver, alerts: Sequence[Alert], summaries: Sequence[datetime]
) -> None:
    """One message for all of them; one that is kept back still, since summaries are to be apart, gains them."""
    u = writing.u
    waiting = _waiting(u, stream)
    if waiting:
        _gain(writing, stream, receiver, alerts, waiting)
        return
    when = timing.next_summary(summaries, u.now, harm=stream.harm)
    wording = _summed_up(writing, stream, receiver, alerts[:LISTED], len(alerts))
    writing.add(receiver, alerts, stream.kind, wording, when if when > u.now else None)


def _summed_up(writing: _Writing, stream: _Stream, receiver: Receiver, first: Sequence[Alert], count: int) -> Wording:
    told = [Told(one.event, sentence(one.title, one.title_message), one.began_at, "") for one in first]
    reader = Reader(receiver.language, writing.people.calendar(first[0].site_id).zone)
    return texts.summary_of(told, count, reader, over=stream.over, drill=all(one.drill for one in first))


def _waiting(u: Unit, stream: _Stream) -> Sequence[AlertMessage]:
    m = _message.c
    whose = m.login == stream.login if stream.login is not None else (m.login.is_(None) & (m.called == stream.called))
    harm: ColumnElement[bool] = m.severity == Severity.HARM
    which = m.kind == stream.kind if stream.over else (m.kind == stream.kind) & (harm if stream.harm else ~harm)
    wanted = select(AlertMessage).where(m.state == QUEUED, m.not_before > u.now, whose, which)
    return u.session.scalars(wanted.order_by(m.id).with_for_update().execution_options(populate_existing=True)).all()


def _gain(
    writing: _Writing, stream: _Stream, receiver: Receiver, alerts: Sequence[Alert], waiting: Sequence[AlertMessage]
) -> None:
    """What waits is written anew: in a flood it is of thousands, of which only those that it names are read."""
    ids = list(dict.fromkeys([*waiting[0].alert_ids, *(one.id for one in alerts)]))
    wording = _summed_up(writing, stream, receiver, listed_of(writing.u, ids), len(ids))
    for one in waiting:
        one.alert_ids, one.subject, one.body, one.short = ids, wording.subject, wording.body, wording.short
        one.drill = one.drill and all(alert.drill for alert in alerts)
        writing.u.session.add(one)
    writing.u.session.flush()


def _insert(u: Unit, rows: Sequence[dict[str, Any]]) -> int:
    if not rows:
        return 0
    ids = list(u.conn.scalars(insert(_message).returning(_message.c.id, sort_by_parameter_order=True), list(rows)))
    for number, row in zip(ids, rows, strict=True):
        if row["not_before"] is None:
            _hand_over(u, number, row["channel"], row["severity"], row["alert_ids"])
    return len(ids)


def _hand_over(u: Unit, number: int, channel: str, severity: str, alert_ids: Sequence[int]) -> None:
    """To its channel's lane: harm to goods before all else."""
    if severity == Severity.HARM:
        u.outbox(f"alert_harm.{channel}", number, {"alert_ids": alert_ids})
    else:
        u.outbox(f"alert_message.{channel}", number, {"alert_ids": alert_ids})


def release(u: Unit, most: int) -> int:
    """Messages that were kept back and whose time has come go out; gives how many."""
    m = _message.c
    wanted = select(m.id, m.channel, m.severity, m.alert_ids).where(m.not_before <= u.now, m.state == QUEUED)
    rows = u.lock(wanted.order_by(m.not_before).limit(most).with_for_update(skip_locked=True))
    if rows:
        here = m.id.in_([row.id for row in rows])
        u.conn.execute(update(_message).where(here).values(not_before=None))
        u.conn.execute(update(_message).where(here, m.channel == PAGE).values(state=SENT, sent_at=u.now))
    for row in rows:
        _hand_over(u, row.id, row.channel, row.severity, row.alert_ids)
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
