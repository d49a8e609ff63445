"""Open shipments as they stand: when they are due, what stops them, how warm it is around them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, lateral, or_, select, true

from core.erp.kernel.scope import scoped
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.lots.model import Hold, Sublot
from core.erp.shipments.model import Shipment, ShipmentLeg, ShipmentLine, ShipmentLogger
from core.erp.shipments.queries import HELD
from core.erp.shipments.scopes import SHIPMENTS
from core.erp.shipments.workflow import ARRIVED, DISPATCHED, IN_TRANSIT, PICKED, PLANNED, PUT_BACK, REQUIRED
from core.web.desks.plant.queries import ZoneNow, zones

_s, _l, _g, _r = table(Shipment), table(ShipmentLine), table(ShipmentLeg), table(ShipmentLogger)
_h, _sub = table(Hold), table(Sublot)
LANES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("web.lane_to_pick", (PLANNED,)),
    ("web.lane_to_send", (PICKED,)),
    ("web.lane_on_way", (DISPATCHED, IN_TRANSIT)),
    ("web.lane_arrived", (ARRIVED,)),
)
"""(the id of a lane's name, its states) in the order of the way."""
MOST = 25
"""Cards of a lane; the rest is behind a link to the list."""


@dataclass(frozen=True, slots=True)
class Card:
    """One open shipment, and the zone it travels in."""

    row: Any
    zone: ZoneNow | None
    late: bool

    @property
    def stopped(self) -> bool:
        """Whether a hold stands on it, or on goods in it."""
        return bool(self.row.held or self.row.held_lines)


@dataclass(frozen=True, slots=True)
class Lane:
    """Shipments in like states, the most urgent first; whether there are more than are shown."""

    name: str
    states: tuple[str, ...]
    cards: Sequence[Card]
    more: bool


def _statement() -> Select[Any]:
    stands = and_(_h.c.lifted_at.is_(None), or_(_h.c.sublot_id == _sub.c.id, _h.c.lot_id == _sub.c.lot_id))
    goods = lateral(
        select(
            func.count().label("lines"),
            func.count().filter(select(1).where(stands).exists()).label("held_lines"),
        )
        .select_from(_l.join(_sub, _sub.c.id == _l.c.sublot_id))
        .where(_l.c.shipment_id == _s.c.id, _l.c.state != PUT_BACK)
    )
    # the leg it is on, or the one it is to leave on
    leg = lateral(
        select(_g.c.number, _g.c.destination, _g.c.carrier, _g.c.vehicle_zone_id)
        .where(_g.c.shipment_id == _s.c.id, _g.c.arrived_at.is_(None))
        .order_by(_g.c.number)
        .limit(1)
    )
    unread = (
        select(func.count())
        .where(_r.c.shipment_id == _s.c.id, _r.c.state == REQUIRED)
        .correlate(_s)
        .scalar_subquery()
        .label("unread")
    )
    fields = [_s.c[name] for name in ("id", "code", "kind", "consignee", "state", "due_at", "receiving_zone_id")]
    return (
        select(*fields, HELD.label("held"), goods.c.lines, goods.c.held_lines, unread, *leg.c)
        .select_from(_s)
        .join(goods, true())
        .outerjoin(leg, true())
    )


def lanes(u: Unit, kind: str = "") -> list[Lane]:
    """Open shipments of a kind (all kinds: empty) by how far they are, first due first."""
    found = [(name, states, due_first(u, states, kind)) for name, states in LANES]
    wanted = {zone for _, _, rows in found for row in rows if (zone := _zone_of(row)) is not None}
    by_id = {zone.id: zone for zone in zones(u, {}, wanted)} if wanted and u.actor.may("exposure.read") else {}
    return [
        Lane(name, states, [_card(row, by_id, u.now) for row in rows[:MOST]], len(rows) > MOST)
        for name, states, rows in found
    ]


def due_first(u: Unit, states: tuple[str, ...], kind: str = "") -> Sequence[Any]:
    """Shipments in these states, the first due first, and one more than MOST of them at most."""
    where: list[ColumnElement[bool]] = [_s.c.state.in_(states)]
    if kind:
        where.append(_s.c.kind == kind)
    # which ones first: what is asked of each would be asked of all that there are, and then be sorted
    first = scoped(select(_s.c.id), SHIPMENTS, u.actor).where(*where).order_by(_s.c.due_at, _s.c.id).limit(MOST + 1)
    ids = u.conn.scalars(first).all()
    wanted = _statement().where(_s.c.id.in_(ids)).order_by(_s.c.due_at, _s.c.id)
    return u.conn.execute(wanted).all() if ids else []


def _zone_of(row: Any) -> int | None:
    """Where its climate is watched now."""
    if row.state == ARRIVED:
        return row.receiving_zone_id  # type: ignore[no-any-return]  # a row's columns have no types
    return row.vehicle_zone_id if row.state in (DISPATCHED, IN_TRANSIT) else None


def _card(row: Any, by_id: dict[int, ZoneNow], now: datetime) -> Card:
    zone = _zone_of(row)
    late = row.due_at is not None and row.due_at < now and row.state != ARRIVED
    return Card(row, by_id.get(zone) if zone is not None else None, late)
