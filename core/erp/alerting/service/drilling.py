"""A drill: a marked alert through every route, which goes on until somebody takes it; and who did, how soon."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from core.erp.alerting.model import Alert
from core.erp.alerting.service import alerts
from core.erp.alerting.service.alerts import Raise
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message

LASTS = timedelta(hours=1)
"""Whoever has not answered by then has not."""
_alert = table(Alert).c


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a drill: who has answered, and how soon; nobody yet."""

    alert_id: int
    title: str
    raised_at: datetime
    by: str | None
    after: timedelta | None


def drill(u: Unit) -> list[int]:
    """Raises one alert a route, marked; gives their ids."""
    return alerts.raise_all(
        u,
        [
            Raise(
                "drill",
                f"drill:{route.id}:{u.now.isoformat()}",
                Message("alerting.drill", route=route.name),
                u.now,
                "alert_route",
                route.id,
                site_id=route.site_id,
                steps=route.steps,
                drill=True,
                over_at=u.now,
                lasts=LASTS,
            )
            for route in alerts.routes_of(u)
        ],
    )


def answers(u: Unit, most: int = 100) -> list[Answer]:
    """The newest drills first."""
    wanted = select(_alert.id, _alert.title, _alert.raised_at, _alert.taken_by, _alert.taken_at).where(_alert.drill)
    return [
        Answer(row.id, row.title, row.raised_at, row.taken_by, row.taken_at - row.raised_at if row.taken_at else None)
        for row in u.conn.execute(wanted.order_by(_alert.id.desc()).limit(most))
    ]
