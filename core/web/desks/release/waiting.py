"""Goods that wait for release, the most urgent first: what is waited for, then what expires, then what is oldest."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, false, func, literal, literal_column, select, union_all

from core.erp.catalog.model import Item, Zone
from core.erp.kernel.records.declare import as_permits
from core.erp.kernel.records.registry import entities
from core.erp.kernel.scope import scoped, sees
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Actor, Unit
from core.erp.lots.model import Lot, Sublot
from core.erp.lots.scopes import SUBLOTS
from core.erp.lots.workflow import QUARANTINE
from core.erp.production.model import WorkOrder, WorkOrderMaterial
from core.erp.shipments.model import Shipment, ShipmentLine

ROWS = 25
LOOKED_AT = 2000
"""Of the goods in quarantine, those that are put in order: the ones that have been there longest."""
_s, _l, _i, _z = table(Sublot).c, table(Lot).c, table(Item).c, table(Zone).c
_sh, _ln, _o, _m = table(Shipment).c, table(ShipmentLine).c, table(WorkOrder).c, table(WorkOrderMaterial).c


def _goods(*columns: Any) -> Select[Any]:
    return (
        select(*columns).join_from(table(Sublot), table(Lot), _l.id == _s.lot_id).join(table(Item), _i.id == _l.item_id)
    )


def _awaited(actor: Actor, waits: Any) -> Any:
    """What waits for just these goods, the next due first: a shipment that has not left, an order that is not over; of
    those that the reader may know of.
    """
    shipments = (
        select(literal("shipment").label("kind"), _sh.id, _sh.code, _sh.due_at)
        .join(table(ShipmentLine), _ln.shipment_id == _sh.id)
        .where(_ln.sublot_id == waits.c.id, _ln.state.in_(("planned", "picked")), _sh.state.in_(("planned", "picked")))
        .where(_seen(actor, "shipment"))
    )
    orders = (
        select(literal("work_order"), _o.id, _o.code, _o.due_at)
        .join(table(WorkOrderMaterial), _m.order_id == _o.id)
        .where(_m.sublot_id == waits.c.id, _o.state.in_(("planned", "material_ok", "released", "blocked", "held")))
        .where(_seen(actor, "work_order"))
    )
    both = union_all(shipments.correlate(waits), orders.correlate(waits))
    return both.order_by(literal_column("due_at").asc().nulls_last(), literal_column("id")).limit(1).lateral("awaited")


def _seen(actor: Actor, name: str) -> ColumnElement[bool]:
    entity = entities()[name]
    return sees(entity.scope, actor) if any(map(actor.may, as_permits(entity.read))) else false()


def waiting(u: Unit, item_id: int | None = None, after: int = 0) -> tuple[Sequence[Row[Any]], int]:
    """(ROWS of them beyond the first `after`; how many there are, at most LOOKED_AT + 1), as far as the reader sees."""
    inside: list[ColumnElement[bool]] = [_s.state == QUARANTINE]
    if item_id is not None:
        inside.append(_l.item_id == item_id)
    oldest = _goods(_s.id, _s.created_at, _l.expiry).where(*inside).order_by(_s.created_at, _s.id).limit(LOOKED_AT + 1)
    g = scoped(oldest, SUBLOTS, u.actor).subquery()
    one = _awaited(u.actor, g)
    urgency = (
        one.c.id.is_(None),
        one.c.due_at.asc().nulls_last(),
        g.c.expiry.asc().nulls_last(),
        g.c.created_at,
        g.c.id,
    )
    awaited = (one.c.kind, one.c.id.label("by_id"), one.c.code.label("by"), one.c.due_at)
    place = func.row_number().over(order_by=urgency).label("place")
    ordered = (
        select(g.c.id, g.c.created_at, *awaited, func.count().over().label("total"), place)
        .select_from(g)
        .outerjoin(one, literal(True))
        .order_by(place)
        .offset(after)
        .limit(ROWS)
        .subquery()
    )
    rows = u.conn.execute(shown(ordered)).all()
    return rows, rows[0].total if rows else 0


def shown(chosen: Any) -> Select[Any]:
    """The chosen ones with the names that people know things by, in their order."""
    return (
        _goods(*_NAMES, *(column for column in chosen.c if column.name not in {"id", "created_at"}))
        .join(chosen, chosen.c.id == _s.id)
        .outerjoin(table(Zone), _z.id == _s.zone_id)
        .order_by(chosen.c.place)
    )


_NAMES = (
    _s.id,
    _s.code,
    _s.state,
    _s.created_at,
    _s.lot_id,
    _s.serial,
    _l.number.label("lot"),
    _l.expiry,
    _l.maker,
    _l.maker_id,
    _l.item_id,
    _i.code.label("item"),
    _i.name.label("item_name"),
    _i.uom,
    func.coalesce(_z.name, _z.address).label("zone"),
    _s.zone_id,
    func.lotwise_on_hand(_s.id).label("on_hand"),
)


def named(u: Unit, sublot_ids: Sequence[int]) -> Sequence[Row[Any]]:
    """These sublots, whatever their state, of those that the reader sees; in order of their number."""
    wanted = _goods(*_NAMES).outerjoin(table(Zone), _z.id == _s.zone_id).where(_s.id.in_(sublot_ids)).order_by(_s.id)
    return u.conn.execute(scoped(wanted, SUBLOTS, u.actor)).all()
