"""Holds: placed on everything they must reach in one transaction, lifted one by one (design, rule 2).

Locks are taken in one order: lots, then sublots, each ascending, again and again until no descendant is new; the
modules above lock work orders and shipments in their handlers of HoldPlaced.

An inherited hold names the hold it came from (`origin_hold_id`) and carries no excursion: a disposition lifts the hold
of its own excursion and nothing else, and every inherited hold is lifted by itself, by whom it names.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, insert, select, text, update

from core.erp.kernel.errors import IllegalMove, Invalid, NotFound
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.lots.events import HoldLifted, HoldPlaced
from core.erp.lots.model import Hold, Lot, Reservation, StockTask, Sublot
from core.erp.lots.predicate import lock_sublots
from core.erp.lots.rules import HISTORY_KINDS, stronger


@dataclass(frozen=True, slots=True)
class NewHold:
    """A hold to be placed, on exactly one of lot, sublot and shipment. `since_at` is when its cause was so."""

    kind: str
    reason: str
    since_at: datetime
    lot_id: int | None = None
    sublot_id: int | None = None
    shipment_id: int | None = None
    certainty: str | None = None
    excursion_id: int | None = None
    lift_permit: str = "hold.lift"

    def __post_init__(self) -> None:
        if sum(x is not None for x in (self.lot_id, self.sublot_id, self.shipment_id)) != 1:
            raise Invalid("a hold is on one lot, one sublot or one shipment")
        if not self.reason.strip():
            raise Invalid("a hold needs a reason")


_REACHED = text("""
    WITH RECURSIVE root AS (
        SELECT * FROM unnest(CAST(:roots AS bigint[]), CAST(:sinces AS timestamptz[])) AS r(id, since)
    ), reach(root, id, since) AS (
        SELECT id, id, since FROM root
        UNION
        SELECT reach.root, g.child_id, reach.since FROM reach JOIN genealogy g
            ON g.parent_id = reach.id AND (reach.since IS NULL OR g.at >= reach.since)
    )
    SELECT root, id FROM reach WHERE root <> id ORDER BY id, root
""")


def place_hold(
    u: Unit,
    *,
    kind: str,
    reason: str,
    since_at: datetime,
    lot_id: int | None = None,
    sublot_id: int | None = None,
    shipment_id: int | None = None,
    certainty: str | None = None,
    excursion_id: int | None = None,
    lift_permit: str = "hold.lift",
) -> list[Hold]:
    """Places one hold and those its descendants inherit; the one asked for comes first. See `place_holds`."""
    return place_holds(u, [NewHold(
        kind=kind, reason=reason, since_at=since_at, lot_id=lot_id, sublot_id=sublot_id, shipment_id=shipment_id,
        certainty=certainty, excursion_id=excursion_id, lift_permit=lift_permit,
    )])  # fmt: skip


def place_holds(u: Unit, wanted: Sequence[NewHold]) -> list[Hold]:
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
    _lock_lots(u, [h.lot_id for h in wanted if h.lot_id is not None])
    reach = _reach(u, wanted)
    direct, fresh = _insert_direct(u, wanted)
    inherited = _insert_inherited(u, wanted, direct, reach)
    placed = [*fresh, *inherited]
    if placed:
        sublots = sorted({h for hold in placed if (h := hold.sublot_id) is not None} | _of_lots(u, fresh))
        _suspend(u, sublots)
        for hold in placed:
            _announce(u, hold)
        ids = tuple(hold.id for hold in placed if hold.id is not None)
        u.emit(HoldPlaced(ids, tuple(sublots), tuple(sorted({s for h in placed if (s := h.shipment_id) is not None}))))
    return [*direct, *inherited]


def _lock_lots(u: Unit, lot_ids: Iterable[int]) -> None:
    lots, ids = table(Lot), sorted(set(lot_ids))
    if ids:
        found = u.conn.execute(select(lots.c.id).where(lots.c.id.in_(ids)).order_by(lots.c.id).with_for_update()).all()
        if len(found) < len(ids):
            raise NotFound(f"no such lot among {ids}")


def _of_lots(u: Unit, holds: Iterable[Hold | NewHold]) -> set[int]:
    """The sublots of the lots these holds are on."""
    lot_ids = [h.lot_id for h in holds if h.lot_id is not None]
    if not lot_ids:
        return set()
    sublots = table(Sublot)
    return set(u.conn.execute(select(sublots.c.id).where(sublots.c.lot_id.in_(lot_ids))).scalars())


def _roots(u: Unit, wanted: Sequence[NewHold]) -> list[tuple[int, int, datetime | None]]:
    """(index of the hold, sublot it starts from, since when its descendants count; None: all of them)."""
    sublots = table(Sublot)
    lots: dict[int, list[int]] = {}
    lot_ids = [h.lot_id for h in wanted if h.lot_id is not None]
    if lot_ids:
        for row in u.conn.execute(select(sublots.c.lot_id, sublots.c.id).where(sublots.c.lot_id.in_(lot_ids))):
            lots.setdefault(row.lot_id, []).append(row.id)
    found: list[tuple[int, int, datetime | None]] = []
    for index, hold in enumerate(wanted):
        since = hold.since_at if hold.kind in HISTORY_KINDS else None
        if hold.sublot_id is not None:
            found.append((index, hold.sublot_id, since))
        elif hold.lot_id is not None:
            found += [(index, sublot_id, since) for sublot_id in lots.get(hold.lot_id, [])]
    return found


def _reach(u: Unit, wanted: Sequence[NewHold]) -> set[tuple[int, int]]:
    """(index of the hold, descendant it reaches), with all rows locked: repeated until nothing new appears."""
    locked: set[int] = set()
    while True:
        roots = _roots(u, wanted)
        reached = _descend(u, roots)
        everything = {sublot_id for _, sublot_id, _ in roots} | {sublot_id for _, sublot_id in reached}
        if everything <= locked:
            own = {(index, sublot_id) for index, sublot_id, _ in roots}
            return reached - own
        lock_sublots(u, sorted(everything - locked))
        locked |= everything


def _descend(u: Unit, roots: Sequence[tuple[int, int, datetime | None]]) -> set[tuple[int, int]]:
    starts = sorted({(sublot_id, since) for _, sublot_id, since in roots}, key=str)
    reached: set[tuple[int, int]] = set()
    for since in {since for _, since in starts}:
        ids = [sublot_id for sublot_id, s in starts if s == since]
        rows = u.conn.execute(_REACHED, {"roots": ids, "sinces": [since] * len(ids)}).all()
        by_root: dict[int, list[int]] = {}
        for row in rows:
            by_root.setdefault(row.root, []).append(row.id)
        for index, sublot_id, s in roots:
            if s == since:
                reached |= {(index, child) for child in by_root.get(sublot_id, [])}
    return reached


def _columns(u: Unit, hold: NewHold) -> dict[str, Any]:
    return {
        "lot_id": hold.lot_id, "sublot_id": hold.sublot_id, "shipment_id": hold.shipment_id, "kind": hold.kind,
        "certainty": hold.certainty, "reason": hold.reason, "excursion_id": hold.excursion_id, "origin_hold_id": None,
        "since_at": hold.since_at, "placed_at": u.now, "placed_by": u.actor.login, "lift_permit": hold.lift_permit,
    }  # fmt: skip


def _insert(u: Unit, rows: Sequence[dict[str, Any]]) -> list[Hold]:
    if not rows:
        return []
    holds = table(Hold)
    ids = u.conn.execute(insert(Hold).returning(holds.c.id, sort_by_parameter_order=True), list(rows)).scalars()
    return [Hold(id=hold_id, **row) for hold_id, row in zip(ids, rows, strict=True)]


def _same(hold: Row[Any] | NewHold) -> tuple[Any, ...]:
    """What makes two open holds the same one."""
    on = (hold.lot_id, hold.sublot_id, hold.shipment_id)
    if hold.excursion_id is not None:
        return (*on, hold.excursion_id)
    return (*on, hold.kind, hold.reason, hold.since_at)


def _open_on(u: Unit, wanted: Sequence[NewHold]) -> dict[tuple[Any, ...], Row[Any]]:
    holds = table(Hold)
    found: dict[tuple[Any, ...], Row[Any]] = {}
    for column in ("lot_id", "sublot_id", "shipment_id"):
        ids = sorted({value for h in wanted if (value := getattr(h, column)) is not None})
        if ids:
            where = (holds.c[column].in_(ids), holds.c.lifted_at.is_(None), holds.c.origin_hold_id.is_(None))
            found.update({_same(row): row for row in u.conn.execute(select(holds).where(*where))})
    return found


def _insert_direct(u: Unit, wanted: Sequence[NewHold]) -> tuple[list[Hold], list[Hold]]:
    """(one hold for each asked for, in order; those of them that are new)."""
    standing = _open_on(u, wanted)
    new: dict[tuple[Any, ...], NewHold] = {}
    for hold in wanted:
        if _same(hold) not in standing:
            new.setdefault(_same(hold), hold)
    fresh = _insert(u, [_columns(u, hold) for hold in new.values()])
    by_key = dict(zip(new, fresh, strict=True))
    direct: list[Hold] = []
    for hold in wanted:
        stood = standing.get(_same(hold))
        if stood is None:
            direct.append(by_key[_same(hold)])
        else:
            _upgrade(u, stood.id, stood.certainty, hold.certainty)
            direct.append(u.session.get_one(Hold, stood.id, populate_existing=True))
    return direct, fresh


def _upgrade(u: Unit, hold_id: int, before: str | None, now: str | None) -> None:
    """A surer hold takes the place of an unsure one: proof upgrades, it does not add a second one."""
    after = stronger(before, now)
    if after == before:
        return
    holds = table(Hold)
    u.conn.execute(
        update(holds)
        .where(holds.c.lifted_at.is_(None), (holds.c.id == hold_id) | (holds.c.origin_hold_id == hold_id))
        .values(certainty=after)
    )
    u.audit("hold.upgrade", "hold", hold_id, before={"certainty": before}, after={"certainty": after})
    u.outbox("hold.upgraded", hold_id, {"hold_id": hold_id, "from": before, "to": after})


def upgrade_hold(u: Unit, hold_id: int, certainty: str) -> None:
    """Makes an open hold surer; weaker or equal changes nothing. Raises NotFound."""
    hold = u.session.get(Hold, hold_id, populate_existing=True, with_for_update=True)
    if hold is None:
        raise NotFound(f"no hold {hold_id}", hold_id=hold_id)
    if hold.lifted_at is None:
        _upgrade(u, hold_id, hold.certainty, certainty)


def _insert_inherited(
    u: Unit, wanted: Sequence[NewHold], direct: Sequence[Hold], reach: set[tuple[int, int]]
) -> list[Hold]:
    holds = table(Hold)
    origins = [hold.id for hold in direct]
    have = {
        (row.origin_hold_id, row.sublot_id)
        for row in u.conn.execute(
            select(holds.c.origin_hold_id, holds.c.sublot_id).where(
                holds.c.origin_hold_id.in_(origins), holds.c.lifted_at.is_(None)
            )
        )
    }
    rows = []
    for index, sublot_id in sorted(reach, key=lambda pair: (pair[1], pair[0])):
        origin = direct[index].id
        if (origin, sublot_id) in have:
            continue
        have.add((origin, sublot_id))
        rows.append({
            **_columns(u, wanted[index]), "lot_id": None, "sublot_id": sublot_id, "excursion_id": None,
            "origin_hold_id": origin,
        })  # fmt: skip
    return _insert(u, rows)


def inherit_holds(u: Unit, parent_id: int, child_id: int) -> list[Hold]:
    """A birth copies what stands on its parent: sublot holds, and the lot's where the child is of another lot.

    Both rows must be locked. Holds the child inherited already are not doubled.
    """
    holds, sublots = table(Hold), table(Sublot)
    rows_of = u.conn.execute(select(sublots.c.id, sublots.c.lot_id).where(sublots.c.id.in_((parent_id, child_id))))
    lot_of = {row.id: row.lot_id for row in rows_of}
    if len(lot_of) < 2:  # noqa: PLR2004 - parent and child
        raise NotFound(f"no sublot {parent_id} or {child_id}")
    on = holds.c.sublot_id == parent_id
    if lot_of[parent_id] != lot_of[child_id]:
        on = on | (holds.c.lot_id == lot_of[parent_id])
    theirs = u.conn.execute(select(holds).where(on, holds.c.lifted_at.is_(None)).order_by(holds.c.id)).all()
    have = set(
        u.conn.execute(
            select(holds.c.origin_hold_id).where(holds.c.sublot_id == child_id, holds.c.lifted_at.is_(None))
        ).scalars()
    )
    rows = []
    for hold in theirs:
        origin = hold.origin_hold_id or hold.id
        if origin not in have:
            have.add(origin)
            rows.append({
                "lot_id": None, "sublot_id": child_id, "shipment_id": None, "kind": hold.kind,
                "certainty": hold.certainty, "reason": hold.reason, "excursion_id": None, "origin_hold_id": origin,
                "since_at": hold.since_at, "placed_at": u.now, "placed_by": u.actor.login,
                "lift_permit": hold.lift_permit,
            })  # fmt: skip
    placed = _insert(u, rows)
    if placed:
        _suspend(u, [child_id])
        for one in placed:
            _announce(u, one)
        u.emit(HoldPlaced(tuple(h.id for h in placed if h.id is not None), (child_id,), ()))
    return placed


def _suspend(u: Unit, sublot_ids: Sequence[int]) -> None:
    """Open reservations wait: active ones are proposed for re-allocation, picked goods go back to their place."""
    r = table(Reservation)
    hit = u.conn.execute(
        select(r).where(r.c.sublot_id.in_(list(sublot_ids)), r.c.state.in_(("active", "picked"))).order_by(r.c.id)
        .with_for_update()
    ).all()  # fmt: skip
    if not hit:
        return
    u.conn.execute(update(r).where(r.c.id.in_([row.id for row in hit])).values(state="suspended"))
    tasks = [
        {"kind": kind, "reservation_id": row.id, "sublot_id": row.sublot_id, "reference": row.reference,
         "amount": row.amount, "created_at": u.now}
        for row in hit for kind in (("put_back", "reallocate") if row.state == "picked" else ("reallocate",))
    ]  # fmt: skip
    u.conn.execute(insert(StockTask), tasks)
    for row in hit:
        u.audit("reservation.suspend", "reservation", row.id, before={"state": row.state}, after={"state": "suspended"})
    for task in tasks:
        u.outbox(f"stock.{task['kind']}", task["reservation_id"], task)


def _announce(u: Unit, hold: Hold) -> None:
    facts = {
        "hold_id": hold.id, "lot_id": hold.lot_id, "sublot_id": hold.sublot_id, "shipment_id": hold.shipment_id,
        "kind": hold.kind, "certainty": hold.certainty, "reason": hold.reason, "excursion_id": hold.excursion_id,
        "origin_hold_id": hold.origin_hold_id, "since_at": hold.since_at, "placed_at": hold.placed_at,
    }  # fmt: skip
    u.audit("hold.place", "hold", hold.id, after=facts, reason=hold.reason)
    u.outbox("hold.placed", hold.id, facts)


def lift_hold(u: Unit, hold_id: int, reason: str) -> Hold:
    """Lifts this one hold, by whom it names; nothing else moves with it, holds inherited from it included.

    Suspended reservations stay suspended until someone resumes them. Raises NotFound, Forbidden, Invalid, IllegalMove.
    """
    seen = u.session.get(Hold, hold_id)
    if seen is None:
        raise NotFound(f"no hold {hold_id}", hold_id=hold_id)
    u.need(seen.lift_permit)
    if not reason.strip():
        raise Invalid("to lift a hold needs a reason")
    if seen.lot_id is not None:
        _lock_lots(u, [seen.lot_id])
    reached = sorted({seen.sublot_id} if seen.sublot_id is not None else _of_lots(u, [seen]))
    lock_sublots(u, reached)
    hold = u.session.get_one(Hold, hold_id, populate_existing=True, with_for_update=True)
    if hold.lifted_at is not None:
        raise IllegalMove(f"hold {hold_id} is lifted already", state="lifted")
    hold.lifted_at, hold.lifted_by, hold.lift_reason = u.now, u.actor.login, reason
    u.session.add(hold)
    u.session.flush()
    u.audit("hold.lift", "hold", hold_id, reason=reason, after={"lifted_at": u.now, "lifted_by": u.actor.login})
    u.outbox("hold.lifted", hold_id, {
        "hold_id": hold_id, "lot_id": hold.lot_id, "sublot_id": hold.sublot_id, "shipment_id": hold.shipment_id,
        "reason": reason, "excursion_id": hold.excursion_id,
    })  # fmt: skip
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
