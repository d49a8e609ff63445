"""May this sublot be taken for that purpose? The one predicate, and the locks under which it is asked last."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import bindparam, func, select, text

from core.erp.kernel.errors import Forbidden, Invalid, Refused, absent
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message, from_json, sentence
from core.erp.lots.model import Lot, Reservation, StockMove, Sublot
from core.erp.lots.rules import CONTEXTUAL, POLICY, Obstacle, ObstacleKind, Purpose, forbids

# one question instead of three: what stands against each, the restrictions that a context decides, and what is on hand
_OBSTACLES = text("""
    SELECT sublot_id, kind, message, hold_id, 1 AS place, hold_id AS number
    FROM lotwise_obstacles(CAST(:ids AS bigint[]), :purpose, :at)
    UNION ALL
    SELECT sublot_id, kind, value, NULL, 2, id FROM restriction
    WHERE sublot_id = ANY (CAST(:ids AS bigint[])) AND lifted_at IS NULL AND kind = ANY (:kinds)
    UNION ALL
    SELECT one, 'on_hand', to_jsonb(CAST(lotwise_on_hand(one) AS text)), NULL, 3, NULL
    FROM unnest(CAST(:counted AS bigint[])) one
    ORDER BY sublot_id, place, number
""")
_SHIPMENT_HOLDS = text(
    "SELECT id, reason, reason_message FROM hold WHERE shipment_id = :shipment AND lifted_at IS NULL ORDER BY id"
)
_FREE = text("""
    SELECT lotwise_on_hand(:sublot) - COALESCE((SELECT sum(amount) FROM reservation
        WHERE sublot_id = :sublot AND state IN ('active', 'picked')
            AND (CAST(:reference AS text) IS NULL OR reference <> :reference)), 0)
""")


def amount_of(value: object) -> Decimal:
    """A positive amount with at most 6 decimals. Raises Invalid."""
    amount = Decimal(str(value))
    if not amount.is_finite() or amount <= 0:
        raise Invalid("lots.amount_not_positive", amount=str(value))
    if amount != round(amount, 6):
        raise Invalid("lots.amount_too_fine", amount=str(value))
    return amount


def get_sublot(u: Unit, sublot_id: int, *, lock: bool = False) -> Sublot:
    """The sublot as it stands, with its row locked if asked. Raises NotFound."""
    u.session.flush()
    found = u.get(Sublot, sublot_id, lock=lock)
    if found is None:
        raise absent("sublot", sublot_id)
    return found


def get_lot(u: Unit, lot_id: int, *, lock: bool = False) -> Lot:
    """The lot, with its row locked if asked. Raises NotFound."""
    found = u.get(Lot, lot_id, lock=lock)
    if found is None:
        raise absent("lot", lot_id)
    return found


def require_whole_lot(u: Unit, lot_id: int) -> None:
    """Raises Forbidden where another site has goods of the lot: what concerns all of it is for somebody of all those
    sites. Placing a hold asks for less, since a hold must reach all.
    """
    if u.actor.system or u.actor.sites is None:
        return
    s = table(Sublot).c
    elsewhere = select(s.id).where(s.lot_id == lot_id, s.site_id.not_in(sorted(u.actor.sites))).limit(1)
    if u.conn.execute(elsewhere).first() is not None:
        number = get_lot(u, lot_id).number
        raise Forbidden("lots.lot_of_other_sites", login=u.actor.login, number=number, extra={"lot_id": lot_id})


def lock_sublots(u: Unit, sublot_ids: Sequence[int]) -> None:
    """Locks the rows ascending: the one order everybody takes them in (design, rule 2)."""
    sublots = table(Sublot)
    u.session.flush()
    u.lock(
        select(sublots.c.id)
        .where(sublots.c.id == func.any(bindparam("ids", sorted(set(sublot_ids)))))
        .order_by(sublots.c.id)
        .with_for_update()
    )


def on_hand(u: Unit, sublot_id: int) -> Decimal:
    """What the ledger says is in stock: the sum in minus the sum out."""
    u.session.flush()
    return Decimal(u.conn.execute(select(func.lotwise_on_hand(sublot_id))).scalar_one())


def on_hand_by_sublot(u: Unit, sublot_ids: Sequence[int]) -> dict[int, Decimal]:
    """On hand of many sublots; those without moves have none."""
    moves = table(StockMove)
    u.session.flush()
    into = func.sum(moves.c.amount).filter(moves.c.target == "stock")
    out = func.sum(moves.c.amount).filter(moves.c.source == "stock")
    rows = u.conn.execute(
        select(moves.c.sublot_id, func.coalesce(into, 0) - func.coalesce(out, 0))
        .where(moves.c.sublot_id.in_(list(sublot_ids)))
        .group_by(moves.c.sublot_id)
    ).all()
    found = {row[0]: Decimal(row[1]) for row in rows}
    return {sublot_id: found.get(sublot_id, Decimal(0)) for sublot_id in sublot_ids}


def reserved(u: Unit, sublot_id: int) -> Decimal:
    """What open reservations keep of a sublot. Suspended ones keep nothing: they are to be re-allocated."""
    r = table(Reservation)
    u.session.flush()
    open_ones = select(r.c.amount).where(r.c.sublot_id == sublot_id, r.c.state.in_(("active", "picked")))
    return sum(u.conn.execute(open_ones).scalars(), Decimal(0))


def obstacles(
    u: Unit,
    sublot_ids: Sequence[int],
    purpose: str,
    *,
    context: Mapping[str, Any] | None = None,
    at: datetime | None = None,
) -> dict[int, list[Obstacle]]:
    """What stands against taking each of the sublots, at `at` (now). Empty lists: nothing does.

    `context` knows what restrictions ask for: `market`, `customer`; and `shipment_id`, whose own holds count too.
    Raises Invalid for an unknown purpose.
    """
    _require_purpose(purpose)
    return _standing(u, sublot_ids, purpose, context or {}, at or u.now)[0]


def _standing(
    u: Unit,
    sublot_ids: Sequence[int],
    purpose: str,
    context: Mapping[str, Any],
    at: datetime,
    *,
    counted: Sequence[int] = (),
) -> tuple[dict[int, list[Obstacle]], dict[int, Decimal]]:
    """(what stands against each of the sublots, what is on hand of those that are counted)."""
    policy = POLICY[Purpose(purpose)]
    found: dict[int, list[Obstacle]] = {sublot_id: [] for sublot_id in sublot_ids}
    on_hand: dict[int, Decimal] = {}
    kinds = list(CONTEXTUAL) if policy.restricted else []
    asked = {"ids": list(found), "purpose": str(purpose), "at": at, "kinds": kinds, "counted": list(counted)}
    u.session.flush()
    for row in u.conn.execute(_OBSTACLES, asked):
        if row.kind == "on_hand":
            on_hand[row.sublot_id] = Decimal(row.message)
        elif row.kind not in CONTEXTUAL:
            found[row.sublot_id].append(Obstacle(ObstacleKind(row.kind), from_json(row.message), row.hold_id))
        elif (why := _restricted(row.kind, row.message, purpose, context.get(row.kind))) is not None:
            found[row.sublot_id].append(Obstacle(ObstacleKind.RESTRICTED, why))
    if policy.held and context.get("shipment_id") is not None:
        for row in u.conn.execute(_SHIPMENT_HOLDS, {"shipment": context["shipment_id"]}):
            why = Message("lots.shipment_of_it_held", reason=sentence(row.reason, row.reason_message))
            for against in found.values():
                against.append(Obstacle(ObstacleKind.HELD, why, row.id))
    return found, on_hand


def _restricted(kind: str, value: Mapping[str, Any], purpose: str, given: str | None) -> Message | None:
    """How a market's or customer's restriction forbids a movement to the one given; None: it does not."""
    if not forbids(kind, value, purpose, given):
        return None
    condition = Message(f"restriction.{kind}")
    if given:
        return Message("lots.not_for", condition=condition, given=given)
    return Message("lots.not_for_unknown", condition=condition)


def _require_purpose(purpose: str) -> None:
    if purpose not in POLICY:
        raise Invalid("lots.purpose_unknown", purpose=purpose, known=list(map(str, POLICY)))


def unjudged(u: Unit, sublot_ids: Sequence[int]) -> dict[int, Message]:
    """Those of the sublots of which nobody knows now what they go through, and why: no point measures where they stand,
    or none has said anything good for longer than their profile allows.
    """
    against = obstacles(u, sublot_ids, Purpose.USE)
    return {
        sublot: one.message for sublot, found in against.items() for one in found if one.kind == ObstacleKind.UNJUDGED
    }


def movable(
    u: Unit,
    sublot_id: int,
    purpose: str,
    *,
    context: Mapping[str, Any] | None = None,
    at: datetime | None = None,
    amount: Decimal | None = None,
) -> list[Obstacle]:
    """The one predicate (design, rule 1): what stands against taking the sublot; an empty list means movable."""
    _require_purpose(purpose)
    counted = [] if amount is None else [sublot_id]
    standing, on_hand = _standing(u, [sublot_id], purpose, context or {}, at or u.now, counted=counted)
    against = standing[sublot_id]
    if amount is not None and on_hand[sublot_id] < amount:
        why = Message("lots.less_on_hand", have=on_hand[sublot_id], wanted=amount)
        against.append(Obstacle(ObstacleKind.INSUFFICIENT, why))
    return against


def require_movable(
    u: Unit,
    sublot_id: int,
    purpose: str,
    amount: Decimal | None = None,
    *,
    context: Mapping[str, Any] | None = None,
) -> Sublot:
    """The sublot, locked, if it may be taken now. Raises Refused with every obstacle, or NotFound."""
    sublot = get_sublot(u, sublot_id, lock=True)
    require_takeable(u, sublot, purpose, amount, context=context)
    return sublot


def require_takeable(
    u: Unit, sublot: Sublot, purpose: str, amount: Decimal | None = None, *, context: Mapping[str, Any] | None = None
) -> None:
    """Raises Refused with every obstacle against taking the locked sublot now."""
    against = movable(u, sublot.id, purpose, context=context, amount=amount)
    if against:
        raise refusal(sublot, purpose, against)


def refusal(sublot: Sublot, purpose: str, against: Sequence[Obstacle]) -> Refused:
    """The refusal that names every obstacle."""
    return Refused(
        "lots.not_movable",
        code=sublot.code,
        purpose=Message(f"purpose.{purpose}"),
        against=[obstacle.sentence for obstacle in against],
        extra={
            "sublot_id": sublot.id,
            "purpose": str(purpose),
            "obstacles": [obstacle.as_extra() for obstacle in against],
        },
    )


def _free(u: Unit, sublot_id: int, reference: str | None) -> Decimal:
    """What is on hand beside what is kept for others than the reference."""
    u.session.flush()
    kept_for = {"sublot": sublot_id, "reference": reference}
    return Decimal(u.conn.execute(_FREE, kept_for).scalar_one())


def require_free(u: Unit, sublot: Sublot, amount: Decimal, reference: str | None = None) -> None:
    """Raises Refused where so much is not on hand beside what is kept for others than the reference."""
    free = _free(u, sublot.id, reference)
    if free < amount:
        against = Obstacle(ObstacleKind.INSUFFICIENT, Message("lots.free", free=free))
        extra = {"sublot_id": sublot.id, "obstacles": [against.as_extra()]}
        raise Refused("lots.less_free", code=sublot.code, free=free, wanted=amount, extra=extra)
