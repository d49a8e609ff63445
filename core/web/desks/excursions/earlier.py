"""What was decided before on the same item in the same zone."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, select

from core.erp.kernel.model import Signature
from core.erp.kernel.scope import scoped
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.lots.model import Lot, Sublot
from core.erp.quality.model import Disposition, Excursion
from core.erp.quality.scopes import EXCURSIONS

SHOWN = 10
_d, _e, _s, _l, _g = table(Disposition), table(Excursion), table(Sublot), table(Lot), table(Signature)


def earlier(u: Unit, item_id: int, zone_id: int | None, but: Sequence[int]) -> Sequence[Row[Any]]:
    """The last SHOWN decisions, newest first, as far as the reader sees them."""
    wanted = (
        select(
            _d.c.excursion_id,
            _d.c.decision,
            _d.c.reason,
            _d.c.accepted,
            _d.c.at,
            _g.c.name,
            _e.c.certainty,
            _s.c.code.label("sublot"),
        )
        .join_from(_d, _e, _e.c.id == _d.c.excursion_id)
        .join(_s, _s.c.id == _e.c.sublot_id)
        .join(_l, _l.c.id == _s.c.lot_id)
        .join(_g, _g.c.id == _d.c.signature_id)
        .where(_l.c.item_id == item_id, _e.c.zone_id.is_not_distinct_from(zone_id), _e.c.id.not_in(but))
        .order_by(_d.c.at.desc(), _d.c.id.desc())
        .limit(SHOWN)
    )
    return u.conn.execute(scoped(wanted, EXCURSIONS, u.actor)).all()
