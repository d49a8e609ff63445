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
from core.erp.lots.model import Sublot, ZoneJudged
from core.erp.lots.queries import AMONG_HELD, HELD_IDS
from core.erp.lots.scopes import SUBLOTS
from core.erp.quality.model import ZoneAlarm

_z, _j, _a, _s = table(Zone).c, table(ZoneJudged).c, table(ZoneAlarm).c, table(Sublot).c
NORMAL = "normal"
STALE = ("stale", "silent_gateway")
OUT = ("high", "low")
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
            func.bool_or(_a.kind.in_(OUT)).label("out"),
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
    well = len(rows) - out - silent - unknown
    return Strip(well, out, silent, unknown, _held(u), min(judged, default=None))


def _held(u: Unit) -> int:
    held = HELD_IDS.limit(MOST).subquery()
    if u.actor.scoped:
        held = scoped(select(_s.id).where(AMONG_HELD), SUBLOTS, u.actor).limit(MOST).subquery()
    return int(u.conn.scalar(select(func.count()).select_from(held)) or 0)
