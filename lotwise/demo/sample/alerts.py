"""Who was told of what happened last in the sample, by rota and routes, and what they answered."""

from datetime import timedelta
from typing import Any

from sqlalchemy import select

from core.erp.alerting import running
from core.erp.alerting.model import Alert, AlertRoute, OnCallRota
from core.erp.alerting.service import intake, taking
from core.erp.catalog.model import Site
from core.erp.kernel.model import OutboxRow
from core.erp.kernel.outbox import OutboxMessage
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from lotwise.demo.sample.site import Sample

LATELY = timedelta(days=1)
MOST = 400
ANSWERS = ("Door stood open, closed it; watching.", "压缩机已重启，正在观察。")


def tell(sample: Sample) -> None:
    """What the last day told the outbox becomes alerts, and messages on the page; two of them are taken."""
    sample.do(_routes)
    sample.do(_take_in)
    running.run(sample.engine, sample.events, sample.now)
    for place, comment in enumerate(ANSWERS):
        sample.do(lambda u, n=place, said=comment: _answer(u, n, said), who="engineer")
    running.run(sample.engine, sample.events, sample.now)


def _routes(u: Unit) -> None:
    site = u.conn.scalars(select(table(Site).c.id).order_by(table(Site).c.id)).first()
    assert site is not None
    rota = OnCallRota(
        name="Cold rooms", site_id=site, first_day=(u.now - timedelta(days=30)).date(), logins=["engineer", "qa"]
    )
    u.session.add(rota)
    u.session.flush()
    steps: list[dict[str, Any]] = [{"after_minutes": 0, "rota_id": rota.id}, {"after_minutes": 10, "role": "qa"}]
    u.session.add(AlertRoute(name="Cold rooms", steps=steps, repeat_minutes=30))


def _take_in(u: Unit) -> None:
    o = table(OutboxRow).c
    for pattern, take_in in intake.SOURCES.items():
        wanted = select(o.id, o.at, o.topic, o.key, o.payload).where(o.topic.like(pattern), o.at > u.now - LATELY)
        rows = [OutboxMessage(*row) for row in u.conn.execute(wanted.order_by(o.id.desc()).limit(MOST))]
        if rows:
            take_in(u, rows[::-1])


def _answer(u: Unit, place: int, said: str) -> None:
    a = table(Alert).c
    found = u.conn.scalars(select(a.id).where(a.state == "standing").order_by(a.id).offset(place * 2).limit(1)).first()
    if found is not None:
        taking.take(u, found, reason=said)
