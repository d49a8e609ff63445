"""Conditions of the system itself that are looked at again and again: an alert while one is so, over when it is not."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from core.erp.alerting.model import Alert
from core.erp.alerting.service import alerts
from core.erp.alerting.service.alerts import Raise
from core.erp.alerting.workflow import OVER
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message

_alert = table(Alert).c
_SYSTEM = "system:"


@dataclass(frozen=True, slots=True)
class Condition:
    """What is wrong: `name` tells it from others of the event."""

    event: str
    name: str
    title: Message

    @property
    def cause(self) -> str:
        """By which its alert is known."""
        return f"{_SYSTEM}{self.event}:{self.name}"


def follow(u: Unit, found: Sequence[Condition]) -> None:
    """Raises an alert of each, and lets those end of which nothing is found any more."""
    alerts.raise_all(u, [Raise(one.event, one.cause, one.title, u.now) for one in found])
    standing = select(_alert.cause).where(
        _alert.cause.startswith(_SYSTEM), _alert.state != OVER, _alert.over_at.is_(None)
    )
    gone = set(u.conn.scalars(standing)) - {one.cause for one in found}
    alerts.condition_over(u, dict.fromkeys(gone, u.now))
