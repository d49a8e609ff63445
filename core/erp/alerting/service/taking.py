"""Taking an alert: somebody does something about it, and says what."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from core.erp.alerting.model import Alert, AlertMessage, AlertPart
from core.erp.alerting.rules.events import ENDS_WHEN_TAKEN
from core.erp.alerting.workflow import ALERT, STANDING
from core.erp.kernel.errors import absent
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.quality import service as quality
from core.erp.quality.model import ZoneAlarm
from core.erp.quality.workflow import RETURNED, UNACKNOWLEDGED

_alert, _part, _alarm = table(Alert).c, table(AlertPart).c, table(ZoneAlarm).c


def take(u: Unit, alert_id: int, *, reason: str) -> Alert:
    """Whoever takes it says what is done; nobody else is called for it. That it is over is told all the same.

    Acknowledging the zone alarm itself asks the same, and takes its alert (`follow_alarm`).
    """
    found = u.get(Alert, alert_id, lock=True)
    if found is None:
        raise absent("alert", alert_id)
    _take(u, found, u.actor.login, reason)
    _acknowledge_alarms(u, alert_id, reason)
    return found


def _take(u: Unit, found: Alert, by: str, reason: str) -> None:
    with u.session.no_autoflush:
        found.taken_at, found.taken_by, found.comment = u.now, by, reason.strip() or None
        found.next_at = u.now
        if found.event in ENDS_WHEN_TAKEN:
            found.over_at = found.clear_at = u.now
        ALERT.apply(u, found, "take", reason=reason, also={"entity": found.entity, "entity_id": found.entity_id})


def follow_alarms(u: Unit, acknowledged: Sequence[Any]) -> None:
    """Zone alarms that somebody has acknowledged, and said what is done: nobody else is called for their alerts."""
    by_id = {one.id: one for one in acknowledged}
    part = table(AlertPart)
    mine = (_part.entity == "alarm", _part.entity_id.in_(sorted(by_id)), _alert.state == STANDING)
    wanted = select(Alert, _part.entity_id).join(part, _part.alert_id == _alert.id).where(*mine).order_by(_alert.id)
    for found, alarm_id in u.session.execute(wanted.with_for_update(of=table(Alert))).all():
        alarm = by_id[alarm_id]
        if found.state == STANDING and alarm.comment is not None:
            _take(u, found, alarm.acknowledged_by, alarm.comment)
    u.session.flush()


def _acknowledge_alarms(u: Unit, alert_id: int, reason: str) -> None:
    """The zone alarms that it is of are acknowledged with it, where whoever takes it may do that."""
    if not u.actor.may("alarm.acknowledge"):
        return
    wanted = select(_alarm.id).join(table(AlertPart), _part.entity_id == _alarm.id)
    mine = (_part.alert_id == alert_id, _part.entity == "alarm", _alarm.state.in_((UNACKNOWLEDGED, RETURNED)))
    for alarm_id in u.conn.scalars(wanted.where(*mine).order_by(_alarm.id)).all():
        quality.acknowledge(u, alarm_id, reason=reason)


def see(u: Unit, message_id: int) -> None:
    """Its reader has opened what the message is about: seen, the first time."""
    found = u.get(AlertMessage, message_id, lock=True)
    if found is None or found.login != u.actor.login or found.seen_at is not None:
        return
    found.seen_at = u.now
    u.session.add(found)
    u.session.flush()
    u.audit("alert_message.see", "alert_message", found.id, after={"seen_at": u.now})
    u.outbox("alert_message.seen", found.id, {"alert_ids": found.alert_ids})
