"""Reading lots: sublots with what is on hand and what stands on them."""

from typing import Any

from sqlalchemy import Row, case, func, not_, or_, select, union
from sqlalchemy.dialects.postgresql import aggregate_order_by

from core.erp.catalog.model import Item
from core.erp.kernel.scope import looked_up
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.lots.model import Hold, Lot, StockMove, Sublot

_sublot, _lot, _item, _hold, _move = table(Sublot), table(Lot), table(Item), table(Hold), table(StockMove)
_stands = (_hold.c.lifted_at.is_(None), or_(_hold.c.sublot_id == _sublot.c.id, _hold.c.lot_id == _sublot.c.lot_id))
_hold_ids = func.coalesce(func.array_agg(aggregate_order_by(_hold.c.id, _hold.c.id)), [])

_open = _hold.c.lifted_at.is_(None)
_is_held = or_(looked_up(_sublot.c.id, _hold.c.sublot_id, _open), looked_up(_sublot.c.lot_id, _hold.c.lot_id, _open))
FREE = not_(_is_held)
"""Whether none does, looked up row by row: for the many."""

HELD_IDS = union(
    select(_hold.c.sublot_id).where(_hold.c.lifted_at.is_(None), _hold.c.sublot_id.is_not(None)),
    select(_sublot.c.id).join(_hold, _hold.c.lot_id == _sublot.c.lot_id).where(_hold.c.lifted_at.is_(None)),
)
"""Ids of the sublots on which a hold stands, or on their lot."""
AMONG_HELD = _sublot.c.id == func.any(func.array(HELD_IDS.scalar_subquery()))
"""Whether a hold stands on it, for the few of many: found from the holds' side, however many others there are."""

_signed = case((_move.c.target == "stock", _move.c.amount), (_move.c.source == "stock", -_move.c.amount))
_on_hand = (
    select(func.coalesce(func.sum(_signed), 0)).where(_move.c.sublot_id == _sublot.c.id).correlate(_sublot)
).scalar_subquery()
"""As `lotwise_on_hand`: a function is entered anew for every row, which for a hundred takes as long as all the rest."""

SUBLOTS = (
    select(
        _sublot,
        _lot.c.number.label("lot_number"),
        _lot.c.expiry,
        _lot.c.item_id,
        _item.c.code.label("item_code"),
        _on_hand.label("on_hand"),
        _is_held.label("held"),
        select(_hold_ids).where(*_stands).correlate(_sublot).scalar_subquery().label("hold_ids"),
    )
    .join(_lot, _lot.c.id == _sublot.c.lot_id)
    .join(_item, _item.c.id == _lot.c.item_id)
)
"""Every sublot as `SublotOut` wants it."""


def sublot_row(u: Unit, sublot_id: int) -> Row[Any]:
    """A sublot that is there, with what this transaction has written of it."""
    u.session.flush()
    return u.conn.execute(SUBLOTS.where(_sublot.c.id == sublot_id)).one()
