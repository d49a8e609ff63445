"""Reading lots: sublots with what is on hand and what stands on them."""

from typing import Any

from sqlalchemy import Select, exists, func, or_, select

from core.erp.catalog.model import Item
from core.erp.kernel.errors import NotFound
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.lots.model import Hold, Lot, Sublot
from core.erp.lots.shapes import SublotOut

_S, _L, _I, _H = table(Sublot), table(Lot), table(Item), table(Hold)
_STANDS = (_H.c.lifted_at.is_(None), or_(_H.c.sublot_id == _S.c.id, _H.c.lot_id == _S.c.lot_id))


def sublots() -> Select[Any]:
    """Every sublot as `SublotOut` wants it."""
    holds = select(func.coalesce(func.array_agg(_H.c.id), [])).where(*_STANDS).correlate(_S).scalar_subquery()
    return (
        select(
            _S,
            _L.c.number.label("lot_number"),
            _L.c.expiry,
            _L.c.item_id,
            _I.c.code.label("item_code"),
            func.lotwise_on_hand(_S.c.id).label("on_hand"),
            holds.label("hold_ids"),
        )
        .join(_L, _L.c.id == _S.c.lot_id)
        .join(_I, _I.c.id == _L.c.item_id)
    )


def filtered(
    *,
    state: str | None,
    zone_id: int | None,
    lot_id: int | None,
    item_id: int | None,
    held: bool | None,
    code: str | None,
) -> Select[Any]:
    """Sublots that pass every filter given."""
    given = {_S.c.state: state, _S.c.zone_id: zone_id, _S.c.lot_id: lot_id, _L.c.item_id: item_id, _S.c.code: code}
    statement = sublots().where(*(column == value for column, value in given.items() if value is not None))
    if held is not None:
        stands = exists().where(*_STANDS)
        statement = statement.where(stands if held else ~stands)
    return statement


def sublot_answer(row: Any) -> SublotOut:
    """A row of `sublots` as it is answered."""
    fields = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public way to a row's dict
    fields["hold_ids"] = sorted(fields["hold_ids"])
    return SublotOut.model_validate({**fields, "held": bool(fields["hold_ids"])})


def sublot_by_id(u: Unit, sublot_id: int) -> SublotOut:
    """One sublot. Raises NotFound."""
    u.session.flush()
    row = u.conn.execute(sublots().where(_S.c.id == sublot_id)).one_or_none()
    if row is None:
        raise NotFound("lots.no_sublot", sublot_id=sublot_id)
    return sublot_answer(row)
