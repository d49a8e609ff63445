"""How sublots begin: receipt, output, split, merge. A birth locks its parents and copies what stands on them."""

import uuid
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import insert, select, text
from sqlalchemy.dialects.postgresql import insert as upsert

from core.erp.catalog.model import Item
from core.erp.catalog.service import active, require_zones
from core.erp.kernel.errors import Conflict, Invalid, Refused
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message
from core.erp.lots.events import SublotCreated, ZonesToLock
from core.erp.lots.holds import inherit_holds
from core.erp.lots.ledger import post
from core.erp.lots.model import Genealogy, Lot, Restriction, Sublot
from core.erp.lots.predicate import amount_of, get_lot, get_sublot, lock_sublots, on_hand, require_whole_lot, reserved
from core.erp.lots.rules import InternalPurpose
from core.erp.lots.workflow import SUBLOT
from core.erp.partners.service import require_partner


def create_lot(
    u: Unit, item_id: int, number: str, maker: str = "", expiry: date | None = None, maker_id: int | None = None
) -> Lot:
    """A new lot. Raises Conflict if the item's lot of that maker and number is there, NotFound, Invalid, Refused."""
    if not number.strip():
        raise Invalid("lots.lot_unnumbered")
    active(u, Item, item_id)
    if maker_id is not None:
        require_partner(u, maker_id, "maker")
    values: dict[str, Any] = {"item_id": item_id, "number": number, "maker": maker, "maker_id": maker_id}
    values |= {"expiry": expiry, "created_at": u.now}
    lot_id = u.conn.execute(upsert(Lot).values(**values).on_conflict_do_nothing().returning(table(Lot).c.id)).scalar()
    if lot_id is None:
        raise Conflict("lots.lot_exists", item_id=item_id, number=number)
    u.audit("lot.create", "lot", lot_id, after=values)
    return get_lot(u, lot_id)


def name_maker(u: Unit, lot_id: int, maker_id: int | None) -> Lot:
    """Says which partner the lot's maker is, or that it is none we know. What was received stays as it was.

    Raises NotFound, Forbidden (goods of it at another site), Refused (a partner that is blocked, or makes nothing).
    """
    require_whole_lot(u, lot_id)
    lot = get_lot(u, lot_id, lock=True)
    if maker_id is not None:
        require_partner(u, maker_id, "maker")
    before, lot.maker_id = lot.maker_id, maker_id
    u.session.add(lot)
    u.session.flush()
    u.audit("lot.name_maker", "lot", lot_id, before={"maker_id": before}, after={"maker_id": maker_id})
    return lot


def receive(
    u: Unit,
    lot_id: int,
    amount: Decimal,
    zone_id: int | None,
    *,
    at: datetime | None = None,
    source: str = "supplier",
    code: str | None = None,
    state: str = "quarantine",
    reason: str | Message = "",
    serial: str | None = None,
    handling_unit: str | None = None,
    reference: str = "",
    parents: Sequence[tuple[int, Decimal]] = (),
    transformation: str = "",
) -> Sublot:
    """A sublot is born in quarantine (or expected: no stock, no custody yet), from `source`, standing in the zone.

    `parents` (sublot, amount) are what it was made of: it inherits their open holds and restrictions, and the
    genealogy is written. `at` may lie in the past. Raises Invalid, NotFound.
    """
    if state not in {"quarantine", "expected"}:
        raise Invalid("lots.receipt_begins_otherwise", state=Message(f"state.sublot.{state}"))
    if source == "stock":
        raise Invalid("lots.receipt_from_stock")
    amount = amount_of(amount)
    if at is not None and at > u.now:
        raise Invalid("kernel.not_yet", at=at)
    if serial is not None and amount != 1:
        raise Invalid("lots.unit_of_several", amount=amount, extra={"serial": serial})
    require_zones(u, zone_id)
    u.emit(ZonesToLock((), () if zone_id is None else (zone_id,)))
    lot = get_lot(u, lot_id, lock=True)
    lock_sublots(u, [parent for parent, _ in parents])
    at = at or u.now
    if serial is not None:
        _require_new(u, lot, serial)
    sublot = _create_sublot(
        u,
        Sublot(
            code=code or f"S-{uuid.uuid4().hex[:12].upper()}",
            lot_id=lot_id,
            state=state,
            serial=serial,
            handling_unit=handling_unit,
            created_at=u.now,
        ),
    )
    for parent, used in parents:
        link(u, parent, sublot.id, transformation, used, at=at)
    if state == "quarantine":
        _arrive(u, sublot.id, amount, zone_id, at, source, reason, reference, tuple(p for p, _ in parents))
    u.audit(
        "sublot.receive",
        "sublot",
        sublot.id,
        reason=reason or None,
        after={
            "code": sublot.code,
            "lot_id": lot_id,
            "amount": amount,
            "zone_id": zone_id,
            "at": at,
            "source": source,
            "state": state,
            "parents": [parent for parent, _ in parents],
        },
    )
    return get_sublot(u, sublot.id)


def arrive(
    u: Unit,
    sublot_id: int,
    amount: Decimal,
    zone_id: int | None,
    *,
    at: datetime | None = None,
    source: str = "supplier",
    reason: str | Message = "",
    reference: str = "",
) -> Sublot:
    """An expected sublot is here: stock and custody begin, in quarantine. Raises IllegalMove."""
    u.emit(ZonesToLock((), () if zone_id is None else (zone_id,)))
    sublot = get_sublot(u, sublot_id, lock=True)
    SUBLOT.apply(u, sublot, "arrive", reason=reason)
    _arrive(u, sublot_id, amount_of(amount), zone_id, at or u.now, source, reason, reference, ())
    return get_sublot(u, sublot_id)


def _arrive(
    u: Unit,
    sublot_id: int,
    amount: Decimal,
    zone_id: int | None,
    at: datetime,
    source: str,
    reason: str | Message,
    reference: str,
    parents: tuple[int, ...],
) -> None:
    post(u, sublot_id, source, "stock", amount, purpose=InternalPurpose.RECEIPT, reference=reference, at=at, fact=True)
    u.emit(SublotCreated(sublot_id, "receipt", parents, zone_id, at, reason))


_SAME_SERIAL = text("""
    SELECT s.code FROM sublot s JOIN lot l ON l.id = s.lot_id
    WHERE l.item_id = :item AND s.serial = :serial AND (s.state = 'expected' OR lotwise_on_hand(s.id) > 0) LIMIT 1
""")


def _require_new(u: Unit, lot: Lot, serial: str) -> None:
    """Raises Conflict where a unit of the item with that serial number is on hand or on its way to us already."""
    found = u.conn.scalar(_SAME_SERIAL, {"item": lot.item_id, "serial": serial})
    if found is not None:
        raise Conflict("lots.unit_here_already", serial=serial, code=found)


def _create_sublot(u: Unit, sublot: Sublot) -> Sublot:
    codes = table(Sublot)
    if u.conn.execute(select(codes.c.id).where(codes.c.code == sublot.code)).first() is not None:
        raise Conflict("lots.sublot_exists", code=sublot.code)
    u.session.add(sublot)
    u.session.flush()
    return sublot


def link(
    u: Unit, parent_id: int, child_id: int, transformation: str, amount: Decimal, *, at: datetime | None = None
) -> None:
    """Parent → child, by a quantity of the parent. The child inherits the parent's open holds and restrictions.

    A second link of the same three is refused (Conflict); a circle is refused by the database (Refused).
    """
    if not transformation:
        raise Invalid("lots.transformation_unnamed")
    if parent_id == child_id:
        raise Invalid("lots.made_of_itself")
    lock_sublots(u, [parent_id, child_id])
    inherit_holds(u, parent_id, child_id)
    _inherit_restrictions(u, parent_id, child_id)
    edge = {
        "parent_id": parent_id,
        "child_id": child_id,
        "transformation": transformation,
        "amount": amount_of(amount),
        "at": at or u.now,
    }
    new = u.conn.execute(upsert(Genealogy).values(**edge).on_conflict_do_nothing().returning(table(Genealogy).c.id))
    if new.scalar() is None:
        raise Conflict("lots.linked_already", transformation=transformation, parent_id=parent_id, child_id=child_id)
    u.audit("genealogy.link", "sublot", child_id, after=edge)


def _inherit_restrictions(u: Unit, parent_id: int, child_id: int) -> None:
    r = table(Restriction)
    theirs = u.conn.execute(select(r).where(r.c.sublot_id == parent_id, r.c.lifted_at.is_(None)).order_by(r.c.id))
    present = [
        (row.kind, row.value)
        for row in u.conn.execute(select(r).where(r.c.sublot_id == child_id, r.c.lifted_at.is_(None)))
    ]
    copies = [
        {
            "sublot_id": child_id,
            "kind": row.kind,
            "value": row.value,
            "placed_at": u.now,
            "placed_by": u.actor.login,
            "reason": row.reason,
        }
        for row in theirs
        if (row.kind, row.value) not in present
    ]
    if copies:
        u.conn.execute(insert(Restriction), copies)


def split(u: Unit, sublot_id: int, amount: Decimal, *, code: str | None = None, gone: bool = False) -> Sublot:
    """Part of a sublot becomes a sublot of its own, with the whole history.

    Raises Refused if it has not that much; and, unless the part is `gone` (a fact), if it has not that much apart
    from what is reserved, or is a serialised unit.
    """
    amount = amount_of(amount)
    u.emit(ZonesToLock((sublot_id,)))
    parent = get_sublot(u, sublot_id, lock=True)
    if parent.serial is not None and not gone:
        raise Refused("lots.unit_not_split", serial=parent.serial, extra={"sublot_id": sublot_id})
    if (have := on_hand(u, sublot_id)) < amount:
        raise Refused("lots.has_less", code=parent.code, have=have, wanted=amount, extra={"sublot_id": sublot_id})
    if not gone and (free := have - reserved(u, sublot_id)) < amount:
        raise Refused("lots.less_free", code=parent.code, free=free, wanted=amount, extra={"sublot_id": sublot_id})
    child = _create_sublot(
        u,
        Sublot(
            code=code or f"S-{uuid.uuid4().hex[:12].upper()}",
            lot_id=parent.lot_id,
            state=parent.state,
            site_id=parent.site_id,
            handling_unit=parent.handling_unit,
            created_at=u.now,
        ),
    )
    name = f"split:{child.id}"
    post(u, sublot_id, "stock", "split", amount, purpose=InternalPurpose.SPLIT, reference=name)
    post(u, child.id, "split", "stock", amount, purpose=InternalPurpose.SPLIT, reference=name)
    link(u, sublot_id, child.id, name, amount)
    u.emit(
        SublotCreated(
            child.id, "split", (sublot_id,), parent.zone_id, u.now, Message("lots.split_of", code=parent.code)
        )
    )
    u.audit("sublot.split", "sublot", sublot_id, after={"into": child.id, "amount": amount})
    return get_sublot(u, child.id)


_MERGED_ALIKE = {
    "lot_id": "lots.merge_across_lots",
    "state": "lots.merge_across_states",
    "zone_id": "lots.merge_across_zones",
}
"""What the parts of a merger have in common → what is told where they have not."""


def merge(u: Unit, sublot_ids: Sequence[int], *, code: str | None = None) -> Sublot:
    """Sublots of one lot, one status and one place become one, with all holds and restrictions of its parts.

    From then on it is judged by what each of them went through, the worst of them, whenever that becomes known.
    Refused across lots, states or zones, for parts that are empty, reserved for somebody, or serialised units.
    """
    ids = sorted(set(sublot_ids))
    if len(ids) < 2:  # noqa: PLR2004 - a merge needs two
        raise Invalid("lots.merge_of_one")
    u.emit(ZonesToLock(tuple(ids)))
    lock_sublots(u, ids)
    parts = [get_sublot(u, sublot_id) for sublot_id in ids]
    for what, differ in _MERGED_ALIKE.items():
        values = {getattr(part, what) for part in parts}
        if len(values) > 1:
            raise Refused(differ, extra={what: sorted(map(str, values))})
    amounts = {part.id: on_hand(u, part.id) for part in parts}
    units = [part.serial for part in parts if part.serial is not None]
    if units:
        raise Refused("lots.units_not_merged", units=units)
    empty = [part.code for part in parts if amounts[part.id] <= 0]
    if empty:
        raise Refused("lots.nothing_on_hand", codes=empty)
    waited_for = [part.code for part in parts if reserved(u, part.id) > 0]
    if waited_for:
        raise Refused("lots.reserved_as_they_are", codes=waited_for)
    child = _create_sublot(
        u,
        Sublot(
            code=code or f"S-{uuid.uuid4().hex[:12].upper()}",
            lot_id=parts[0].lot_id,
            state=parts[0].state,
            site_id=parts[0].site_id,
            created_at=u.now,
        ),
    )
    name = f"merge:{child.id}"
    for sublot_id, amount in amounts.items():
        post(u, sublot_id, "stock", "split", amount, purpose=InternalPurpose.MERGE, reference=name)
        post(u, child.id, "split", "stock", amount, purpose=InternalPurpose.MERGE, reference=name)
        link(u, sublot_id, child.id, name, amount)
    u.emit(SublotCreated(child.id, "merge", tuple(ids), parts[0].zone_id, u.now, Message("lots.merged")))
    u.audit("sublot.merge", "sublot", child.id, after={"of": ids, "amounts": {str(k): v for k, v in amounts.items()}})
    return get_sublot(u, child.id)
