"""What quality shows of an excursion, by the names that people know things by."""

from sqlalchemy import select

from core.erp.catalog.model import Item, Zone
from core.erp.kernel.errors import absent
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.lots.model import Hold, Lot, Sublot
from core.erp.quality.model import Disposition, Excursion
from core.erp.quality.shapes import DispositionOut, ExcursionDetail, ExcursionOut, HoldOut
from core.erp.quality.workflow import EXCURSION

_e, _s, _l, _i, _z = table(Excursion), table(Sublot), table(Lot), table(Item), table(Zone)
EXCURSIONS = (
    select(_e, _s.c.code.label("sublot"), _l.c.number.label("lot"), _i.c.code.label("item"), _z.c.address.label("zone"))
    .select_from(_e)
    .join(_s, _s.c.id == _e.c.sublot_id)
    .join(_l, _l.c.id == _s.c.lot_id)
    .join(_i, _i.c.id == _l.c.item_id)
    .outerjoin(_z, _z.c.id == _e.c.zone_id)
)
"""Excursions with the names that people know things by."""


def excursion_detail(u: Unit, excursion_id: int) -> ExcursionDetail:
    """One excursion with its holds, its dispositions and what may be done next. Raises NotFound."""
    row = u.conn.execute(EXCURSIONS.where(_e.c.id == excursion_id)).one_or_none()
    if row is None:
        raise absent("excursion", excursion_id)
    d, h = table(Disposition), table(Hold)
    made = u.conn.execute(select(d).where(d.c.excursion_id == excursion_id).order_by(d.c.id)).all()
    holds = u.conn.execute(select(h).where(h.c.excursion_id == excursion_id).order_by(h.c.id)).all()
    return ExcursionDetail(
        **ExcursionOut.model_validate(row).model_dump(),
        moves=[move.name for move in EXCURSION.available(u.actor, row.state)],
        holds=[HoldOut.model_validate(hold).in_language(u.language) for hold in holds],
        dispositions=[DispositionOut.model_validate(one) for one in made],
    )
