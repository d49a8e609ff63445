"""Whether an order has its material, and whether what went in came out: the guards of its life cycle."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import text

from core.erp.kernel.errors import Refused
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message
from core.erp.lots import service as lots
from core.erp.production.rules import Balance, Need, shortages

_NEEDS = text("""
    SELECT l.id, i.code AS item, l.needed FROM work_order_line l JOIN item i ON i.id = l.item_id
    WHERE l.order_id = :order ORDER BY l.id
""")

_MATERIAL = text("""
    SELECT m.id, m.line_id, m.sublot_id, m.reservation_id, m.amount, m.consumed, m.returned, r.state
    FROM work_order_material m LEFT JOIN reservation r ON r.id = m.reservation_id
    WHERE m.order_id = :order AND (r.state IS NULL OR r.state <> 'cancelled') ORDER BY m.id
""")

_SECURED = frozenset({"active", "picked"})
_WAITING = _SECURED | {"suspended"}
RESUMED = _WAITING
"""What secures an order's material once its planner has resumed what a hold had suspended."""


def material_needs(u: Unit, order_id: int) -> list[Need]:
    """What the order needs, line by line."""
    return [Need(row.id, row.item, row.needed) for row in u.conn.execute(_NEEDS, {"order": order_id})]


def materials(u: Unit, order_id: int) -> list[Any]:
    """Rows of what the order has taken or reserved: id, line, sublot, reservation, amounts and its state."""
    u.session.flush()
    return list(u.conn.execute(_MATERIAL, {"order": order_id}))


def material_obstacles(u: Unit, taken: Sequence[Any]) -> list[Message]:
    """What stands against using these materials now; of what is used up already only a hold matters.

    (It stands in no zone and cannot expire any more.)
    """
    against = lots.obstacles(u, sorted({row.sublot_id for row in taken}), lots.Purpose.USE) if taken else {}
    return [
        Message("production.sublot_obstacle", sublot_id=sublot, obstacle=o.sentence)
        for sublot, o in in_the_way(taken, against)
    ]


def in_the_way(taken: Sequence[Any], against: Mapping[int, Sequence[lots.Obstacle]]) -> list[tuple[int, lots.Obstacle]]:
    """(sublot, obstacle) of what stands against an order's materials, of all that stands against their sublots."""
    mine = {row.sublot_id for row in taken}
    waiting = {row.sublot_id for row in taken if row.state in _WAITING}
    return [
        (sublot, one)
        for sublot in sorted(mine)
        for one in against.get(sublot, ())
        if sublot in waiting or one.kind == lots.ObstacleKind.HELD
    ]


def lacking(needs: Sequence[Need], taken: Sequence[Any], counted: frozenset[str] = _SECURED) -> list[Message]:
    """What an order has not secured yet, by reservations in the states that are counted and by what it has used."""
    secured: dict[int, Decimal] = {}
    for row in taken:
        amount = row.amount if row.state in counted else row.consumed - row.returned
        secured[row.line_id] = secured.get(row.line_id, Decimal(0)) + amount
    return shortages(needs, secured)


def require_material(u: Unit, order: Any) -> None:
    """Refused unless every line is secured by sublots that may be used now. Suspended reservations secure nothing."""
    taken = materials(u, order.id)
    short = lacking(material_needs(u, order.id), taken)
    blocked = material_obstacles(u, taken)
    if short or blocked:
        extra = {"lacking": [{"message": one} for one in short], "obstacles": [{"message": one} for one in blocked]}
        raise Refused("production.material_missing", code=order.code, faults=[*short, *blocked], extra=extra)


_BALANCE = text("""
    SELECT i.code AS item, b.tolerance,
           COALESCE((SELECT sum(m.consumed - m.returned) FROM work_order_material m WHERE m.line_id = l.id), 0) AS used,
           l.needed / o.amount
             * (o.scrap + COALESCE((SELECT sum(w.amount) FROM work_order_output w WHERE w.order_id = o.id), 0)) AS due
    FROM work_order_line l JOIN work_order o ON o.id = l.order_id JOIN bom b ON b.id = o.bom_id
    JOIN item i ON i.id = l.item_id
    WHERE o.id = :order ORDER BY l.id
""")


def balances(u: Unit, order_id: int) -> list[Balance]:
    """The mass balance of each material: consumed net of returns against what output and scrap account for."""
    u.session.flush()
    rows = u.conn.execute(_BALANCE, {"order": order_id})
    return [Balance(row.item, row.used, Decimal(row.due), row.tolerance) for row in rows]


def require_balance(u: Unit, order: Any) -> None:
    """Refused while a material's balance is out of the bill's tolerance (rule 4): report scrap or return material."""
    out = [b for b in balances(u, order.id) if not b.holds]
    if out:
        found = [Message("production.balance_off", item=b.item, consumed=b.consumed, expected=b.expected) for b in out]
        extra = {"balances": [{"message": one} for one in found]}
        raise Refused("production.unbalanced", code=order.code, balances=found, extra=extra)
