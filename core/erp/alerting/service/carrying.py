"""Handing messages to their channels: written down before, and what came of it after. At least once, and not twice
within the time that an attempt may take.
"""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Engine, func, insert, select, update

from core.erp.alerting.model import AlertDelivery, AlertMessage, ContactWay
from core.erp.alerting.service.messages import otherwise
from core.erp.alerting.service.replying import proof_of
from core.erp.alerting.workflow import ALERT_MESSAGE, QUEUED
from core.erp.kernel.events import Events
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit, When, system, transact

_delivery, _way = table(AlertDelivery), table(ContactWay)
_SYSTEM = system("messages")
GIVEN_UP = timedelta(days=2)
"""A message that no channel has taken by then is failed: its alert has long been told otherwise, or is over."""


PATIENCE = 2
"""So many attempts that came to nothing, and the person is told by another way too."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """A message as a channel gets it. `key` is the same at every attempt: by it a receiver knows a repetition."""

    message_id: int
    delivery_id: int
    key: str
    kind: str
    address: str
    language: str
    subject: str
    body: str
    short: str
    path: str
    drill: bool
    proof: str
    """What only its receiver knows: a mail that answers it bears it."""


def begin(engine: Engine, events: Events, message_id: int, when: When = None) -> Parcel | None:
    """The message with its address, its attempt written down; None where there is nothing to be sent any more."""

    def work(u: Unit) -> Parcel | None:
        found = u.get(AlertMessage, message_id, lock=True)
        if found is None or found.state != QUEUED:
            return None
        way = u.conn.execute(select(_way.c.address, _way.c.state).where(_way.c.id == found.way_id)).first()
        open_ones = (_delivery.c.message_id == message_id, _delivery.c.ended_at.is_(None))
        u.conn.execute(update(_delivery).where(*open_ones).values(ended_at=u.now, outcome="unknown"))
        row = {
            "message_id": message_id,
            "channel": found.channel,
            "attempt": _attempts(u, message_id) + 1,
            "began_at": u.now,
        }
        delivery = u.conn.scalar(insert(_delivery).values(**row, detail="").returning(_delivery.c.id))
        assert delivery is not None
        assert way is not None
        return Parcel(
            message_id,
            delivery,
            f"message-{message_id}",
            found.kind,
            way.address,
            found.language,
            found.subject,
            found.body,
            found.short,
            f"/told/{message_id}",
            found.drill,
            proof_of(u.conn, message_id),
        )

    return transact(engine, _SYSTEM, events, work, when)


def _attempts(u: Unit, message_id: int) -> int:
    return int(u.conn.scalar(select(func.count()).where(_delivery.c.message_id == message_id)) or 0)


def finish(engine: Engine, events: Events, parcel: Parcel, outcome: str, detail: str = "", when: When = None) -> bool:
    """What came of an attempt: sent, later, or refused for good. Gives whether the message still waits."""

    def work(u: Unit) -> bool:
        found = u.get_one(AlertMessage, parcel.message_id, lock=True)
        mine = (_delivery.c.id == parcel.delivery_id, _delivery.c.ended_at.is_(None))
        u.conn.execute(update(_delivery).where(*mine).values(ended_at=u.now, outcome=outcome, detail=detail[:500]))
        if found.state != QUEUED:
            return False
        gone = {"alert_ids": found.alert_ids}
        if outcome == "sent":
            found.sent_at = u.now
            ALERT_MESSAGE.apply(u, found, "send", also=gone)
        elif outcome == "refused" or u.now - found.created_at > GIVEN_UP:
            found.failure = detail[:500]
            ALERT_MESSAGE.apply(u, found, "fail", also=gone)
        if outcome == "refused" or (outcome == "later" and _attempts(u, parcel.message_id) == PATIENCE):
            otherwise(u, found)
        return found.state == QUEUED

    return transact(engine, _SYSTEM, events, work, when)
