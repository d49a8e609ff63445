"""What a signature would do, by the very rules that the acts go by, said before it is given."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select, text

from core.erp.kernel.records.declare import as_permits
from core.erp.kernel.records.registry import entities
from core.erp.kernel.scope import scoped
from core.erp.kernel.tables import table, values_of
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message, sentence
from core.erp.lots import service as lots
from core.erp.lots.model import Hold
from core.erp.lots.rules import Purpose
from core.erp.lots.workflow import SUBLOT
from core.erp.production.material import RESUMED, in_the_way, lacking, material_needs, materials
from core.erp.production.model import WorkOrder, WorkOrderMaterial
from core.erp.production.workflow import BLOCKED, HELD
from core.erp.quality import service as quality
from core.erp.shipments.model import Shipment, ShipmentLine
from core.erp.shipments.rules import OPEN, PURPOSE
from core.erp.shipments.service.planning import restriction_context
from core.erp.shipments.workflow import ARRIVED, IN_TRANSIT, PICKED, PLANNED, outstanding
from core.web.desks.excursions.cases import Case
from core.web.desks.excursions.goods import Good, goods_of

FEW = 8
"""Shipments and orders that are looked through; how many more there are is said."""
_sh, _ln, _h = table(Shipment), table(ShipmentLine), table(Hold)
_wo, _m = table(WorkOrder), table(WorkOrderMaterial)
_RESTORED = text("SELECT EXISTS (SELECT FROM restoration WHERE signature_id IS NULL)")
Against = Mapping[int, Sequence[lots.Obstacle]]


@dataclass(frozen=True, slots=True)
class Why:
    """One reason why something stays as it is, and where it is done away with."""

    text: str | Message
    address: str = ""
    goods: str = ""
    """The sublot it is of; empty for a reason of the thing itself."""
    more: str | Message = ""
    """What else is to be said of it."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """A shipment or an order with goods of the decision: what is then still in its way, nothing if it may go on."""

    kind: str
    id: int
    code: str
    state: str
    due_at: datetime | None
    still: tuple[Why, ...]
    own: tuple[int, ...] = ()
    """Holds on the thing itself: no decision on goods lifts them."""

    @property
    def address(self) -> str:
        """Its page."""
        return f"/{entities()[self.kind].path}/{self.id}"

    @property
    def arrives(self) -> bool:
        """Whether what is next of the shipment is that it is accepted, and not that it goes."""
        return self.state in {IN_TRANSIT, ARRIVED}


@dataclass(frozen=True, slots=True)
class Effects:
    """What becomes of the goods, and of what waits for them, if the decision releases; and what, if it rejects."""

    goods: Sequence[Good]
    lifted: frozenset[int]
    free: Mapping[str, Sequence[str]]
    """Goods that may then be taken at once: under `sale` for sale and production, under `use` for production only."""
    stays: Mapping[tuple[Why, ...], Sequence[str]]
    """Goods that stay stopped, by what stands against them."""
    quarantined: Sequence[Good]
    rejected: tuple[str, ...]
    """Goods that a rejecting decision makes rejected; the others are already, or are past it."""
    stopped: Sequence[Stopped]
    more: int
    """Shipments and orders beyond those that were looked through."""
    restored: bool
    """The database came back from a backup: nothing moves until that is signed."""

    @property
    def unheld(self) -> list[Good]:
        """Goods of which a hold lifts."""
        return [good for good in self.goods if any(hold.id in self.lifted for hold in good.holds)]


def effects_of(u: Unit, case: Case) -> Effects:
    """What a decision on all that may be decided of the case would do, or once assessed, on what waits."""
    ids = case.decidable or [one.id for one in case.waiting]
    about = [one for one in case.excursions if one.id in ids] or list(case.excursions)
    lifted = frozenset(hold for holds in quality.holds_of_cause(u, ids).values() for hold in holds)
    goods = goods_of(u, sorted({one.sublot_id for one in about}), min(one.started_at for one in about))
    here = [good for good in goods if good.on_hand > 0]
    free, stays = _after(u, [good for good in here if good.state != "quarantine"], lifted)
    shipments, orders = _shipments(u, goods), _orders(u, goods)
    stopped = [_shipment(u, row, goods, lifted) for row in shipments[:FEW]]
    stopped += _each_order(u, orders[:FEW], goods, lifted)
    rejectable = SUBLOT.moves["reject"].sources
    return Effects(
        goods,
        lifted,
        free,
        stays,
        [good for good in here if good.state == "quarantine"],
        tuple(good.code for good in goods if good.own and good.state in rejectable),
        stopped,
        max(len(shipments) - FEW, 0) + max(len(orders) - FEW, 0),
        u.conn.scalar(_RESTORED) is True,
    )


def still_against(found: Sequence[lots.Obstacle], lifted: Collection[int]) -> list[lots.Obstacle]:
    """What of it stays when these holds are lifted. That a restored database waits is of no goods in particular."""
    return [
        one
        for one in found
        if (one.hold_id is None or one.hold_id not in lifted) and one.kind != lots.ObstacleKind.RESTORED
    ]


def _after(
    u: Unit, goods: Sequence[Good], lifted: Collection[int]
) -> tuple[dict[str, list[str]], dict[tuple[Why, ...], list[str]]]:
    """(goods that are free then, by what for; the others by what stands against that)."""
    free: dict[str, list[str]] = {"sale": [], "use": []}
    stays: dict[tuple[Why, ...], list[str]] = {}
    sale = _left(u, goods, Purpose.SALE, lifted)
    bound = [good for good in goods if {one.kind for one in sale[good.id]} == {lots.ObstacleKind.RESTRICTED}]
    use = _left(u, bound, Purpose.USE, lifted)
    for good in goods:
        left = use.get(good.id, sale[good.id])
        if left:
            stays.setdefault(tuple(dict.fromkeys(_why(one, good) for one in left)), []).append(good.code)
        else:
            free["use" if good.id in use else "sale"].append(good.code)
    return free, stays


def _left(u: Unit, goods: Sequence[Good], purpose: Purpose, lifted: Collection[int]) -> dict[int, list[lots.Obstacle]]:
    """By sublot: what is still in the way of the purpose when these holds are lifted."""
    against = lots.obstacles(u, [good.id for good in goods], purpose) if goods else {}
    return {sublot: still_against(found, lifted) for sublot, found in against.items()}


def _why(one: lots.Obstacle, good: Good | None = None) -> Why:
    """An obstacle, with the page on which it is done away with."""
    if one.hold_id is None:
        return Why(one.message)
    hold = next((hold for hold in good.holds if hold.id == one.hold_id), None) if good is not None else None
    if hold is not None and hold.excursion_id is not None:
        return Why(Message("web.by_excursion", number=hold.excursion_id), f"/excursions/{hold.excursion_id}")
    return _hold(one.hold_id, hold.why if hold is not None else one.message)


def _hold(number: int, why: str | Message) -> Why:
    return Why(Message("web.by_hold", number=number), f"/holds/{number}", more=why)


# --- shipments


def _shipments(u: Unit, goods: Sequence[Good]) -> Sequence[Row[Any]]:
    """Open shipments that carry the goods, the next due first, of those that the reader may know of."""
    if not _may_read(u, "shipment"):
        return []
    lines = select(_ln.c.shipment_id).where(_ln.c.sublot_id.in_([good.id for good in goods]), _ln.c.state != "put_back")
    wanted = select(_sh).where(_sh.c.id.in_(lines), _sh.c.state.in_(OPEN)).order_by(_sh.c.due_at, _sh.c.id)
    return u.conn.execute(scoped(wanted, entities()["shipment"].scope, u.actor)).all()


def _shipment(u: Unit, row: Row[Any], goods: Sequence[Good], lifted: Collection[int]) -> Stopped:
    """By the guard of its next move: its own holds; before it is sent also what stands against its goods; loggers once
    it has arrived.
    """
    shipment = Shipment(**values_of(row))
    context, still = {**restriction_context(shipment), "shipment_id": None}, list[Why]()
    holds = u.conn.execute(
        select(_h.c.id, _h.c.reason, _h.c.reason_message).where(_h.c.shipment_id == row.id, _h.c.lifted_at.is_(None))
    ).all()
    still += [_hold(hold.id, sentence(hold.reason, hold.reason_message)) for hold in holds]
    if row.state in {PLANNED, PICKED} and row.kind != "inbound":
        lines = select(_ln.c.sublot_id).where(_ln.c.shipment_id == row.id, _ln.c.state != "put_back")
        ids = sorted(set(u.conn.scalars(lines)))
        still += _of_goods(u, lots.obstacles(u, ids, PURPOSE[row.kind], context=context), goods, lifted)
    if row.state == ARRIVED:
        still += [Why(Message("web.logger_unread", serial=serial)) for serial in outstanding(u, row.id)]
    return Stopped("shipment", row.id, row.code, row.state, row.due_at, tuple(still), tuple(hold.id for hold in holds))


def _of_goods(u: Unit, against: Against, goods: Sequence[Good], lifted: Collection[int]) -> list[Why]:
    """What stays in the way of goods, each by the name that the reader may know it by."""
    left = {sublot: still_against(found, lifted) for sublot, found in against.items()}
    known = {good.id: good for good in goods}
    names = _names(u, [sublot for sublot, found in left.items() if found])
    return [
        replace(_why(one, known.get(sublot)), goods=names[sublot])
        for sublot, found in left.items()
        for one in found
        if sublot in names
    ] + [Why(Message("web.goods_elsewhere")) for sublot, found in left.items() if found and sublot not in names][:1]


def _names(u: Unit, sublot_ids: Sequence[int]) -> dict[int, str]:
    if not sublot_ids:
        return {}
    sublots = entities()["sublot"]
    c = sublots.rows.c
    wanted = scoped(select(c.id, c.code).where(c.id.in_(sublot_ids)), sublots.scope, u.actor)
    return {row.id: row.code for row in u.conn.execute(wanted)}


# --- work orders


def _orders(u: Unit, goods: Sequence[Good]) -> Sequence[Row[Any]]:
    """Work orders that are stopped and take from the goods, the next due first."""
    if not _may_read(u, "work_order"):
        return []
    taken = select(_m.c.order_id).where(_m.c.sublot_id.in_([good.id for good in goods]))
    wanted = select(_wo).where(_wo.c.id.in_(taken), _wo.c.state.in_((HELD, BLOCKED))).order_by(_wo.c.due_at, _wo.c.id)
    return u.conn.execute(scoped(wanted, entities()["work_order"].scope, u.actor)).all()


def _each_order(u: Unit, orders: Sequence[Row[Any]], goods: Sequence[Good], lifted: Collection[int]) -> list[Stopped]:
    """By the guard of resuming: every line secured, once suspended reservations count again, by goods free for use."""
    taken = {row.id: materials(u, row.id) for row in orders}
    ids = sorted({one.sublot_id for rows in taken.values() for one in rows})
    against = lots.obstacles(u, ids, Purpose.USE) if ids else {}
    found = []
    for row in orders:
        mine: dict[int, list[lots.Obstacle]] = {}
        for sublot, one in in_the_way(taken[row.id], against):
            mine.setdefault(sublot, []).append(one)
        short = [Why(one) for one in lacking(material_needs(u, row.id), taken[row.id], RESUMED)]
        still = (*_of_goods(u, mine, goods, lifted), *short)
        found.append(Stopped("work_order", row.id, row.code, row.state, row.due_at, still))
    return found


def _may_read(u: Unit, name: str) -> bool:
    return any(map(u.actor.may, as_permits(entities()[name].read)))
