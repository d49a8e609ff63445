"""Taking an alert: somebody does something about it, and says what."""

from sqlalchemy import select

from core.erp.alerting.model import Alert, AlertMessage, AlertPart
from core.erp.alerting.rules.events import ENDS_WHEN_TAKEN
from core.erp.alerting.workflow import ALERT
from core.erp.kernel.errors import absent
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.quality import service as quality
from core.erp.quality.model import ZoneAlarm
from core.erp.quality.workflow import RETURNED, UNACKNOWLEDGED

_part, _alarm = table(AlertPart).c, table(ZoneAlarm).c


def take(u: Unit, alert_id: int, *, reason: str) -> Alert:
    """Whoever takes it says what is done; nobody else is called for it. That it is over is told all the same.

    Acknowledging the zone alarm itself, which asks nothing, takes no alert: what is asked here is asked by every door.
    """
    found = u.get(Alert, alert_id, lock=True)
    if found is None:
        raise absent("alert", alert_id)
    with u.session.no_autoflush:
        found.taken_at, found.taken_by, found.comment = u.now, u.actor.login, reason.strip() or None
        found.next_at = u.now
        if found.event in ENDS_WHEN_TAKEN:
            found.over_at = found.clear_at = u.now
        ALERT.apply(u, found, "take", reason=reason, also={"entity": found.entity, "entity_id": found.entity_id})
    _acknowledge_alarms(u, alert_id)
    return found


def _acknowledge_alarms(u: Unit, alert_id: int) -> None:
    """The zone alarms that it is of are acknowledged with it, where whoever takes it may do that."""
    if not u.actor.may("alarm.acknowledge"):
        return
    wanted = select(_alarm.id).join(table(AlertPart), _part.entity_id == _alarm.id)
    mine = (_part.alert_id == alert_id, _part.entity == "alarm", _alarm.state.in_((UNACKNOWLEDGED, RETURNED)))
    for alarm_id in u.conn.scalars(wanted.where(*mine).order_by(_alarm.id)).all():
        quality.acknowledge(u, alarm_id)


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
