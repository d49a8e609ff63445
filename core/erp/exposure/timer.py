"""The core's own timer: gateways that fall silent, and zones that nobody measures.

An overdue watermark is a silent gateway: one alarm, goods there are unjudged, no sensor is blamed and no hold placed
for a patience, since its spool may still tell. Then the timer stands in and the worst case runs. Goods in zones
without points run on this timer from the start (design §2.3).
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text

from core.erp.exposure.events import SublotsJudged, ZoneState
from core.erp.exposure.handlers import judge_items
from core.erp.exposure.judge import Judge
from core.erp.exposure.look_again import judged
from core.erp.exposure.places import versions_of
from core.erp.exposure.times import micros
from core.erp.exposure.ways import Ways
from core.erp.kernel.unit import Unit


@dataclass(frozen=True, slots=True)
class Patience:
    """`overdue`: a watermark this old is a silent gateway. `patience`: from then on silence counts as out."""

    overdue: timedelta = timedelta(minutes=2)
    patience: timedelta = timedelta(hours=24)


def tick(u: Unit, judge: Judge, rules: Patience, silent: set[int]) -> set[int]:
    """One beat of the timer. `silent` are the zones whose gateway was silent at the last beat; returns who is now."""
    rows = u.conn.execute(
        text(
            # where all sources are retired nobody speaks any more: that is silence too
            "SELECT zone_id, upto FROM (SELECT zone_id,"
            " coalesce(min(upto) FILTER (WHERE retired_at IS NULL), max(upto)) AS upto"
            " FROM source_watermark GROUP BY zone_id) z"
            " WHERE upto < CAST(:now AS timestamptz) - CAST(:overdue AS interval) ORDER BY zone_id"
        ),
        {"now": u.now, "overdue": rules.overdue},
    ).all()
    now_silent = {row.zone_id for row in rows}
    for row in rows:
        if row.zone_id not in silent:
            u.emit(ZoneState(row.zone_id, "silent_gateway", active=True, at=row.upto, value=None))
    for zone in sorted(silent - now_silent):
        u.emit(ZoneState(zone, "silent_gateway", active=False, at=u.now, value=None))
    stand_in = micros(u.now - rules.overdue)
    judge.stand_in(u, {row.zone_id: stand_in for row in rows if row.upto < u.now - rules.patience})
    blind(u)
    return now_silent


def in_force(u: Unit, since: datetime) -> None:
    """Judges the goods of items whose next profile came into force after `since`, as if it had been assigned now."""
    items = u.conn.execute(
        text("SELECT DISTINCT item_id FROM item_profile WHERE from_at > :since AND from_at <= :now ORDER BY 1"),
        {"since": since, "now": u.now},
    ).scalars()
    judge_items(u, items.all())


def blind(u: Unit) -> None:
    """Judges the goods that stand where nobody measures, up to now."""
    ids = [
        row.id
        for row in u.conn.execute(
            text(
                "SELECT s.id FROM sublot s WHERE s.zone_id IS NOT NULL AND NOT EXISTS ("
                " SELECT 1 FROM point p WHERE p.zone_id = s.zone_id AND p.role = 'required')"
                " AND s.state NOT IN ('destroyed', 'returned') ORDER BY s.id"
            )
        )
    ]
    by_version: dict[int, list[int]] = defaultdict(list)
    for sublot, version in versions_of(u.conn, ids, u.now).items():
        by_version[version].append(sublot)
    ways = Ways(u.conn, u.now)
    items = judged(ways, ways.verdicts(by_version))
    if items:
        u.emit(SublotsJudged(tuple(items)))
