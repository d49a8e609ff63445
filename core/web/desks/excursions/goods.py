"""Goods of a decision as they stand now, with what was made of them since, and every hold on them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, literal, or_, select

from core.erp.catalog.model import Item, Zone
from core.erp.kernel.scope import scoped
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message, sentence
from core.erp.lots.model import Genealogy, Hold, Lot, Sublot
from core.erp.lots.scopes import SUBLOTS
from core.erp.quality.model import Excursion
from core.erp.quality.queries import UNDECIDED

MOST = 200
"""Goods that are looked at."""
_s, _l, _i, _z = table(Sublot), table(Lot), table(Item), table(Zone)
_h, _e, _g = table(Hold), table(Excursion), table(Genealogy)


@dataclass(frozen=True, slots=True)
class StandingHold:
    """A hold that stands on goods; `excursion_id` is the excursion that is to be decided before it lifts, if any is."""

    id: int
    kind: str
    why: str | Message
    since_at: datetime
    excursion_id: int | None
    lift_permit: str


@dataclass(frozen=True, slots=True)
class Good:
    """One sublot: `own`, if the decision is on it, and not on what it was made of."""

    id: int
    code: str
    state: str
    place: str | None
    zone_id: int | None
    on_hand: Decimal
    uom: str
    own: bool
    holds: tuple[StandingHold, ...]

    def held_after(self, lifted: Collection[int]) -> list[StandingHold]:
        """The holds that stay when these are lifted."""
        return [hold for hold in self.holds if hold.id not in lifted]


def goods_of(u: Unit, sublot_ids: Sequence[int], since: datetime) -> list[Good]:
    """The sublots, then what was made of them at or after `since`, as far as the reader sees them; MOST at most."""
    rows = u.conn.execute(_statement(u, sublot_ids, since)).all()
    holds = _holds(u, {row.id: row.lot_id for row in rows})
    return [
        Good(row.id, row.code, row.state, row.place, row.zone_id, row.on_hand, row.uom, row.own, tuple(holds[row.id]))
        for row in rows
    ]


def _statement(u: Unit, sublot_ids: Sequence[int], since: datetime) -> Select[Any]:
    made = select(_s.c.id).where(_s.c.id.in_(sublot_ids)).cte("made", recursive=True)
    made = made.union(select(_g.c.child_id).where(_g.c.parent_id == made.c.id, _g.c.at >= since))
    own: ColumnElement[bool] = _s.c.id.in_(sublot_ids)
    statement = (
        select(
            _s.c.id,
            _s.c.code,
            _s.c.state,
            _s.c.zone_id,
            _s.c.lot_id,
            func.coalesce(_z.c.name, _z.c.address).label("place"),
            func.lotwise_on_hand(_s.c.id).label("on_hand"),
            _i.c.uom,
            own.label("own"),
        )
        .join_from(_s, _l, _l.c.id == _s.c.lot_id)
        .join(_i, _i.c.id == _l.c.item_id)
        .outerjoin(_z, _z.c.id == _s.c.zone_id)
        .where(_s.c.id.in_(select(made.c.id)))
        .order_by(own.desc(), _s.c.id)
        .limit(MOST + 1)
    )
    return scoped(statement, SUBLOTS, u.actor)


def _holds(u: Unit, lot_of: dict[int, int]) -> dict[int, list[StandingHold]]:
    """By sublot: what stands on it and on its lot."""
    found: dict[int, list[StandingHold]] = {one: [] for one in lot_of}
    on = or_(_h.c.sublot_id.in_(lot_of), and_(_h.c.lot_id.in_(set(lot_of.values())), literal(bool(lot_of))))
    statement = (
        select(
            _h.c.id,
            _h.c.sublot_id,
            _h.c.lot_id,
            _h.c.kind,
            _h.c.reason,
            _h.c.reason_message,
            _h.c.since_at,
            _e.c.id.label("excursion_id"),
            _h.c.lift_permit,
        )
        .outerjoin(_e, and_(_e.c.id == _h.c.excursion_id, _e.c.state.in_(UNDECIDED)))
        .where(_h.c.lifted_at.is_(None), on)
        .order_by(_h.c.id)
    )
    for row in u.conn.execute(statement):
        hold = StandingHold(
            row.id,
            row.kind,
            sentence(row.reason, row.reason_message),
            row.since_at,
            row.excursion_id,
            row.lift_permit,
        )
        if row.sublot_id is not None:
            found[row.sublot_id].append(hold)
        else:
            for sublot, lot in lot_of.items():
                if lot == row.lot_id:
                    found[sublot].append(hold)
    return found
