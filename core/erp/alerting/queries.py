"""What of alerting is read together: an alert's steps, parts and messages, a message's attempts, who is on call."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, select

from core.erp.alerting.model import AlertDelivery, AlertMessage, AlertPart, AlertStep
from core.erp.alerting.service.people import People
from core.erp.alerting.shapes import TellingOut
from core.erp.kernel.tables import select_for, table
from core.erp.kernel.unit import Unit

_step, _part, _message, _delivery = (table(m).c for m in (AlertStep, AlertPart, AlertMessage, AlertDelivery))
MOST = 500
"""Messages of one record that are shown with it; all are in the list of messages."""


def steps(u: Unit, row: Any) -> Sequence[Row[Any]]:
    """An alert's steps, in order."""
    return u.conn.execute(select(table(AlertStep)).where(_step.alert_id == row.id).order_by(_step.at, _step.id)).all()


def parts(u: Unit, row: Any) -> Sequence[Row[Any]]:
    """What belongs to an alert."""
    return u.conn.execute(select(table(AlertPart)).where(_part.alert_id == row.id).order_by(_part.id).limit(MOST)).all()


def tellings(u: Unit, row: Any) -> Sequence[Row[Any]]:
    """Who was told of an alert."""
    wanted = select_for(TellingOut, AlertMessage).where(_message.alert_ids.contains([row.id]))
    return u.conn.execute(wanted.order_by(_message.created_at, _message.id).limit(MOST)).all()


def attempts(u: Unit, row: Any) -> Sequence[Row[Any]]:
    """A message's attempts."""
    mine = select(table(AlertDelivery)).where(_delivery.message_id == row.id)
    return u.conn.execute(mine.order_by(_delivery.attempt)).all()


def on_call_now(u: Unit, row: Any) -> str | None:
    """Who is on call of a rota now, with deputies and swaps."""
    found = People(u).target("rota", str(row.id), row.site_id)
    return found[0].name if found else None
