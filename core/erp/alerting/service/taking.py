"""Taking an alert: somebody does something about it, and says what."""

from datetime import datetime

from core.erp.alerting.model import Alert, AlertMessage
from core.erp.alerting.service.alerts import open_alerts
from core.erp.alerting.workflow import ALERT, STANDING
from core.erp.kernel.errors import absent
from core.erp.kernel.unit import Unit


def take(u: Unit, alert_id: int, *, reason: str) -> Alert:
    """Whoever takes it says what is done; nobody else is called for it. That it is over is told all the same."""
    found = u.get(Alert, alert_id, lock=True)
    if found is None:
        raise absent("alert", alert_id)
    with u.session.no_autoflush:
        found.taken_at, found.taken_by, found.comment = u.now, u.actor.login, reason.strip() or None
        found.next_at = u.now
        ALERT.apply(u, found, "take", reason=reason, also={"entity": found.entity, "entity_id": found.entity_id})
    return found


def taken_elsewhere(u: Unit, cause: str, login: str, at: datetime, said: str = "") -> None:
    """The record itself was acknowledged, on its own page: that takes its alert too."""
    alert = open_alerts(u, [cause]).get(cause)
    if alert is None or alert.state != STANDING:
        return
    with u.session.no_autoflush:
        alert.taken_by, alert.taken_at, alert.comment, alert.next_at = login, at, said, u.now
        ALERT.apply(u, alert, "take_there", also={"taken_by": login})


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
