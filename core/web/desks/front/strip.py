"""The plant in one line: zones, what is held, how far everything is judged."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from core.erp.catalog.model import Zone
from core.erp.catalog.scopes import ZONES
from core.erp.kernel.scope import scoped
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.lots.model import Hold, Sublot, ZoneJudged
from core.erp.lots.scopes import SUBLOTS
from core.erp.quality.model import ZoneAlarm

_z, _j, _a, _s, _h = table(Zone).c, table(ZoneJudged).c, table(ZoneAlarm).c, table(Sublot).c, table(Hold).c
NORMAL = "normal"
STALE = ("stale", "silent_gateway")
MOST = 10_000


@dataclass(frozen=True, slots=True)
class Strip:
    """How many zones are as they should be, out of their band, silent, or unknown; sublots held; judged up to."""

    well: int
    out: int
    silent: int
    unknown: int
    held: int
    judged_to: datetime | None


def strip(u: Unit) -> Strip:
    """The plant as its reader may see it."""
    alarmed = (
        select(
            _a.zone_id,
            func.bool_or(_a.kind.in_(STALE)).label("silent"),
            func.bool_or(_a.kind.not_in(STALE)).label("out"),
        )
        .where(_a.state.not_in((NORMAL,)), _a.returned_at.is_(None))
        .group_by(_a.zone_id)
        .subquery()
    )
    zones = (
        select(_z.id, _j.last_value, _j.judged_to, alarmed.c.silent, alarmed.c.out)
        .outerjoin(table(ZoneJudged), _j.zone_id == _z.id)
        .outerjoin(alarmed, alarmed.c.zone_id == _z.id)
    )
    rows: list[Any] = list(u.conn.execute(scoped(zones, ZONES, u.actor)))
    out = sum(1 for row in rows if row.out)
    silent = sum(1 for row in rows if row.silent and not row.out)
    unknown = sum(1 for row in rows if row.last_value is None and not row.silent and not row.out)
    judged = [row.judged_to for row in rows if row.judged_to is not None]
    held = select(_s.id).where(
        select(1).where(_h.lifted_at.is_(None), (_h.sublot_id == _s.id) | (_h.lot_id == _s.lot_id)).exists()
    )
    counted = select(func.count()).select_from(scoped(held, SUBLOTS, u.actor).limit(MOST).subquery())
    well = len(rows) - out - silent - unknown
    return Strip(well, out, silent, unknown, int(u.conn.scalar(counted) or 0), min(judged, default=None))
