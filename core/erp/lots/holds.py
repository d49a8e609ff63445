"""Holds: placed on everything they must reach in one transaction, lifted one by one (design, rule 2).

Locks are taken in one order: lots, then sublots, each ascending, again and again until no descendant is new; the
modules above lock work orders and shipments in their handlers of HoldPlaced.

An inherited hold names the hold it came from (`origin_hold_id`) and carries no excursion: a disposition lifts the hold
of its own excursion and nothing else, and every inherited hold is lifted by itself, by whom it names.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, bindparam, func, insert, select, text

from core.erp.kernel.errors import IllegalMove, Invalid, absent
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message
from core.erp.lots import hold_rows as rows
from core.erp.lots.events import HoldLifted, HoldPlaced
from core.erp.lots.hold_reach import lock_lots, reach, require_sublots, sublots_of
from core.erp.lots.hold_rows import NewHold, PlacedHold
from core.erp.lots.model import Hold, Reservation, StockTask, Sublot
from core.erp.lots.predicate import lock_sublots, require_whole_lot
from core.erp.lots.workflow import ACTIVE, PICKED, RESERVATION


def place_hold(
    u: Unit,
    *,
    kind: str,
    reason: str | Message,
    since_at: datetime,
    lot_id: int | None = None,
    sublot_id: int | None = None,
    shipment_id: int | None = None,
    certainty: str | None = None,
    excursion_id: int | None = None,
    lift_permit: str = "hold.lift",
) -> list[PlacedHold]:
    """Places one hold and those its descendants inherit; the one asked for comes first. See `place_holds`."""
    return place_holds(
        u,
        [
            NewHold(
                kind=kind,
                reason=reason,
                since_at=since_at,
                lot_id=lot_id,
                sublot_id=sublot_id,
                shipment_id=shipment_id,
                certainty=certainty,
                excursion_id=excursion_id,
                lift_permit=lift_permit,
            )
        ],
    )


def place_holds(u: Unit, wanted: Sequence[NewHold]) -> list[PlacedHold]:
    """Places the holds, with everything they must reach, in this transaction; set-based.

    An exposure hold reaches what was made from its sublot at or after `since_at`; a lot's hold all its sublots and
    every descendant; any other sublot hold every descendant. Reservations of what is reached are suspended, with a
    task to re-allocate (or to put back, where goods are picked). HoldPlaced stops work orders and shipments.

    An open hold of the same excursion (or, without one, of the same kind, reason and cause's time) on the same thing
    is not doubled: its certainty grows if the new one is surer. Returns the holds asked for, in order (those that
    stood already included), then the inherited ones. Raises NotFound.
    """
    if not wanted:
        return []
    u.session.flush()
    lock_lots(u, [h.lot_id for h in wanted if h.lot_id is not None])
    require_sublots(u, wanted)
    reached = reach(u, wanted)
    direct, fresh = _insert_direct(u, wanted)
    inherited = _insert_inherited(u, wanted, direct, reached)
    _apply_effects(u, [*fresh, *inherited], sublots_of(u, fresh))
    return [*direct, *inherited]


def _apply_effects(u: Unit, placed: Sequence[PlacedHold], of_lots: Iterable[int] = ()) -> None:
    """What follows from holds just written, on sublots and on lots whose sublots are given: reservations wait, it is
    written down and told, and what else stands on the goods is stopped.
    """
    if not placed:
        return
    sublots = tuple(sorted({*of_lots, *(hold.sublot_id for hold in placed if hold.sublot_id is not None)}))
    shipments = tuple(sorted({hold.shipment_id for hold in placed if hold.shipment_id is not None}))
    suspend_reservations(u, sublots)
    for hold in placed:
        _record_placed(u, hold)
    u.emit(HoldPlaced(tuple(hold.id for hold in placed), sublots, shipments))


def _insert_direct(u: Unit, wanted: Sequence[NewHold]) -> tuple[list[PlacedHold], list[PlacedHold]]:
    """(one hold for each asked for, in order; those of them that are new)."""
    existing = rows.open_direct_holds(u, wanted)
    new: dict[rows.HoldKey, NewHold] = {}
    for hold in wanted:
        if rows.hold_key(hold) not in existing:
            new.setdefault(rows.hold_key(hold), hold)
    fresh = rows.insert_holds(u, [rows.hold_values(u, hold) for hold in new.values()])
    by_key = {**rows.upgrade_certainty(u, existing, wanted), **dict(zip(new, fresh, strict=True))}
    return [by_key[rows.hold_key(hold)] for hold in wanted], fresh


_INHERITED = text(
    "SELECT origin_hold_id, sublot_id FROM hold WHERE origin_hold_id = ANY(:origins) AND lifted_at IS NULL"
)


def _insert_inherited(
    u: Unit, wanted: Sequence[NewHold], direct: Sequence[PlacedHold], reached: set[tuple[int, int]]
) -> list[PlacedHold]:
    if not reached:
        return []
    origins = sorted({direct[index].id for index, _ in reached})
    have = {tuple(row) for row in u.conn.execute(_INHERITED, {"origins": origins})}
    made = []
    for index, sublot_id in sorted(reached, key=lambda pair: (pair[1], pair[0])):
        origin = direct[index].id
        if (origin, sublot_id) in have:
            continue
        have.add((origin, sublot_id))
        made.append(
            {
                **rows.hold_values(u, wanted[index]),
                "lot_id": None,
                "sublot_id": sublot_id,
                "excursion_id": None,
                "origin_hold_id": origin,
            }
        )
    return rows.insert_holds(u, made)


def inherit_holds(u: Unit, parent_id: int, child_id: int) -> list[PlacedHold]:
    """A birth copies what stands on its parent: sublot holds, and the lot's where the child is of another lot.

    Both rows must be locked. Holds the child inherited already are not doubled.
    """
    holds, sublots = table(Hold), table(Sublot)
    rows_of = u.conn.execute(select(sublots.c.id, sublots.c.lot_id).where(sublots.c.id.in_((parent_id, child_id))))
    lot_of = {row.id: row.lot_id for row in rows_of}
    if len(lot_of) < 2:  # noqa: PLR2004 - parent and child
        raise absent("sublot", min({parent_id, child_id} - set(lot_of)))
    on = holds.c.sublot_id == parent_id
    if lot_of[parent_id] != lot_of[child_id]:
        on = on | (holds.c.lot_id == lot_of[parent_id])
    theirs = u.conn.execute(select(holds).where(on, holds.c.lifted_at.is_(None)).order_by(holds.c.id)).all()
    have = set(
        u.conn.execute(
            select(holds.c.origin_hold_id).where(holds.c.sublot_id == child_id, holds.c.lifted_at.is_(None))
        ).scalars()
    )
    made = []
    for hold in theirs:
        origin = hold.origin_hold_id or hold.id
        if origin not in have:
            have.add(origin)
            made.append(
                {
                    "lot_id": None,
                    "sublot_id": child_id,
                    "shipment_id": None,
                    "kind": hold.kind,
                    "certainty": hold.certainty,
                    "reason": hold.reason,
                    "reason_message": hold.reason_message,
                    "excursion_id": None,
                    "origin_hold_id": origin,
                    "since_at": hold.since_at,
                    "placed_at": u.now,
                    "placed_by": u.actor.login,
                    "lift_permit": hold.lift_permit,
                }
            )
    placed = rows.insert_holds(u, made)
    _apply_effects(u, placed)
    return placed


def suspend_reservations(u: Unit, sublot_ids: Sequence[int]) -> None:
    """Open reservations wait: active ones are proposed for re-allocation, picked goods go back to their place."""
    r = table(Reservation)
    # nobody else moves them meanwhile: whoever does has locked their sublots
    hit = u.conn.execute(
        select(r).where(
            r.c.sublot_id == func.any(bindparam("sublots", list(sublot_ids))), r.c.state.in_((ACTIVE, PICKED))
        )
    ).all()
    RESERVATION.apply_many(u, Reservation, [row.id for row in hit], "suspend")
    tasks = [
        {
            "kind": kind,
            "reservation_id": row.id,
            "sublot_id": row.sublot_id,
            "reference": row.reference,
            "amount": row.amount,
            "created_at": u.now,
        }
        for row in sorted(hit, key=lambda row: row.id)
        for kind in (("put_back", "reallocate") if row.state == PICKED else ("reallocate",))
    ]
    if tasks:
        u.conn.execute(insert(StockTask), tasks)
    for task in tasks:
        u.outbox(f"stock.{task['kind']}", task["reservation_id"], task)


def _record_placed(u: Unit, hold: PlacedHold) -> None:
    facts = {
        "hold_id": hold.id,
        "lot_id": hold.lot_id,
        "sublot_id": hold.sublot_id,
        "shipment_id": hold.shipment_id,
        "kind": hold.kind,
        "certainty": hold.certainty,
        "reason": hold.reason,
        "reason_message": hold.reason_message,
        "excursion_id": hold.excursion_id,
        "origin_hold_id": hold.origin_hold_id,
        "since_at": hold.since_at,
        "placed_at": hold.placed_at,
    }
    u.audit("hold.place", "hold", hold.id, after=facts, reason=hold.reason)
    u.outbox("hold.placed", hold.id, facts)


def lift_hold(u: Unit, hold_id: int, reason: str) -> Hold:
    """Lifts this one hold, by whom it names; nothing else moves with it, holds inherited from it included.

    Suspended reservations stay suspended until someone resumes them. Raises NotFound, Forbidden (also for a whole
    lot of which another site has some), Invalid, IllegalMove.
    """
    seen = u.session.get(Hold, hold_id)
    if seen is None:
        raise absent("hold", hold_id)
    u.need(seen.lift_permit)
    if not reason.strip():
        raise Invalid("lots.lift_without_reason")
    if seen.lot_id is not None:
        lock_lots(u, [seen.lot_id])
        require_whole_lot(u, seen.lot_id)
    reached = sorted({seen.sublot_id} if seen.sublot_id is not None else sublots_of(u, [seen]))
    lock_sublots(u, reached)
    hold = u.get_one(Hold, hold_id, lock=True)
    if hold.lifted_at is not None:
        raise IllegalMove("lots.hold_lifted", hold_id=hold_id, extra={"state": "lifted"})
    hold.lifted_at, hold.lifted_by, hold.lift_reason = u.now, u.actor.login, reason
    u.session.add(hold)
    u.session.flush()
    u.audit("hold.lift", "hold", hold_id, reason=reason, after={"lifted_at": u.now, "lifted_by": u.actor.login})
    u.outbox(
        "hold.lifted",
        hold_id,
        {
            "hold_id": hold_id,
            "lot_id": hold.lot_id,
            "sublot_id": hold.sublot_id,
            "shipment_id": hold.shipment_id,
            "reason": reason,
            "excursion_id": hold.excursion_id,
        },
    )
    u.emit(HoldLifted(hold_id, tuple(reached), hold.shipment_id))
    return hold


def open_holds(u: Unit, *, sublot_id: int | None = None, shipment_id: int | None = None) -> list[Hold]:
    """What stands on a sublot (its lot's holds included) or a shipment, oldest first."""
    holds, sublots = table(Hold), table(Sublot)
    u.session.flush()
    if sublot_id is not None:
        lot = select(sublots.c.lot_id).where(sublots.c.id == sublot_id).scalar_subquery()
        on: ColumnElement[bool] = (holds.c.sublot_id == sublot_id) | (holds.c.lot_id == lot)
    else:
        on = holds.c.shipment_id == shipment_id
    ids = u.conn.execute(select(holds.c.id).where(on, holds.c.lifted_at.is_(None)).order_by(holds.c.id)).scalars().all()
    return [u.session.get_one(Hold, hold_id, populate_existing=True) for hold_id in ids]
