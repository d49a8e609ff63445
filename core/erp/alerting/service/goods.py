"""What a message says of an alert: since when, where, which goods. Read for many at once."""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import bindparam, func, select, text
from sqlalchemy.dialects.postgresql import array

from core.erp.alerting.model import Alert
from core.erp.alerting.rules.events import RANK
from core.erp.alerting.texts import LISTED, Told
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import sentence

_SITES = text("SELECT id, name FROM site WHERE id = ANY (:ids)")
_GOODS = text("""
    WITH wanted AS (
        SELECT p.alert_id, s.lot_id FROM alert_part p JOIN excursion e ON e.id = p.entity_id
            JOIN sublot s ON s.id = e.sublot_id
        WHERE p.entity = 'excursion' AND p.alert_id = ANY (:ids)
        UNION SELECT p.alert_id, coalesce(h.lot_id, s.lot_id) FROM alert_part p JOIN hold h ON h.id = p.entity_id
            LEFT JOIN sublot s ON s.id = h.sublot_id
        WHERE p.entity = 'hold' AND p.alert_id = ANY (:ids)
        UNION SELECT a.id, s.lot_id FROM alert a JOIN sublot s ON s.zone_id = a.zone_id
        WHERE a.id = ANY (:ids) AND a.event LIKE 'zone%'
    )
    SELECT w.alert_id, i.code || ' ' || l.number AS goods FROM wanted w
    JOIN lot l ON l.id = w.lot_id JOIN item i ON i.id = l.item_id ORDER BY w.alert_id, i.code, l.number
""")


_WORST = array([str(one) for one in RANK])
"""The gravest first."""


def listed_of(u: Unit, ids: Sequence[int]) -> Sequence[Alert]:
    """Of many, those that a summary names: the gravest, of these the oldest."""
    a = table(Alert).c
    wanted = select(Alert).where(a.id == func.any(bindparam("ids", list(ids))))
    return u.session.scalars(wanted.order_by(func.array_position(_WORST, a.severity), a.id).limit(LISTED)).all()


def facts_of(u: Unit, alerts: Sequence[Alert]) -> dict[int, Told]:
    """By alert, what is said of it."""
    if not alerts:
        return {}
    places = {alert.site_id for alert in alerts if alert.site_id is not None}
    sites = {row.id: row.name for row in u.conn.execute(_SITES, {"ids": sorted(places)})}
    goods: dict[int, list[str]] = defaultdict(list)
    for alert_id, called in u.conn.execute(_GOODS, {"ids": [one.id for one in alerts]}):
        goods[alert_id].append(called)
    return {
        one.id: Told(
            one.event,
            sentence(one.title, one.title_message),
            one.began_at,
            sites.get(one.site_id, "") if one.site_id is not None else "",
            tuple(goods[one.id][:LISTED]),
            len(goods[one.id]),
        )
        for one in alerts
    }
