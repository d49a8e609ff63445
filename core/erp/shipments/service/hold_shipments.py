"""What a hold does to shipments: those that carry held goods are held, in the hold's own transaction."""

from collections.abc import Sequence

from sqlalchemy import text

from core.erp.kernel.errors import absent
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message, sentence
from core.erp.lots import service as lots
from core.erp.lots.events import HoldPlaced
from core.erp.quality.service.release import acting_as_system
from core.erp.shipments.rules import OPEN

GOODS_HELD = "shipments.goods_held"
"""What the reason of a hold says that a shipment has because of its goods."""

_KNOWN = text("SELECT id FROM shipment WHERE id = ANY (CAST(:shipments AS bigint[]))")
_CARRYING = text("""
    SELECT id FROM shipment s WHERE s.state = ANY (CAST(:open AS text[])) AND EXISTS (
        SELECT FROM shipment_line l WHERE l.shipment_id = s.id AND l.state <> 'put_back'
            AND l.sublot_id = ANY (CAST(:sublots AS bigint[])))
    ORDER BY id FOR UPDATE
""")

_AGAINST = text("""
    SELECT l.shipment_id, h.kind, h.reason, h.reason_message, h.since_at, h.certainty, s.code
    FROM shipment_line l
    JOIN sublot s ON s.id = l.sublot_id
    JOIN hold h ON h.lifted_at IS NULL AND (h.sublot_id = s.id OR h.lot_id = s.lot_id)
    WHERE l.shipment_id = ANY (CAST(:shipments AS bigint[])) AND l.state <> 'put_back'
      AND NOT EXISTS (SELECT FROM hold o WHERE o.shipment_id = l.shipment_id AND o.lifted_at IS NULL
                      AND o.reason_message ->> 'id' = :mark)
    ORDER BY l.shipment_id, h.since_at, h.id
""")


def on_hold_placed(u: Unit, placed: HoldPlaced) -> None:
    """Holds every open shipment that carries one of the sublots. It may arrive, into quarantine; never be accepted.

    Raises NotFound for a hold on a shipment that nobody knows.
    """
    known = u.conn.scalars(_KNOWN, {"shipments": list(placed.shipment_ids)}).all() if placed.shipment_ids else []
    if len(known) < len(placed.shipment_ids):
        raise absent("shipment", min(set(placed.shipment_ids) - set(known)))
    if not placed.sublot_ids:
        return
    u.session.flush()
    found = u.lock(_CARRYING, {"open": list(OPEN), "sublots": list(placed.sublot_ids)})
    hold_those_with_held_goods(u, [row.id for row in found])


def hold_those_with_held_goods(u: Unit, shipment_ids: Sequence[int]) -> None:
    """Holds those of these shipments whose goods are held. One such hold stands on a shipment at a time.

    It names the goods and the reason of the oldest cause; each sublot's own holds say the rest.
    """
    if not shipment_ids:
        return
    u.session.flush()
    first: dict[int, lots.NewHold] = {}
    for row in u.conn.execute(_AGAINST, {"shipments": sorted(shipment_ids), "mark": GOODS_HELD}):
        first.setdefault(
            row.shipment_id,
            lots.NewHold(
                shipment_id=row.shipment_id,
                kind=row.kind,
                reason=Message("shipments.goods_held", code=row.code, reason=sentence(row.reason, row.reason_message)),
                since_at=row.since_at,
                certainty=row.certainty,
            ),
        )
    with acting_as_system(u, "shipments"):
        lots.place_holds(u, [first[shipment] for shipment in sorted(first)])
