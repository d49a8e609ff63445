"""The life cycles of a sublot (design §5) and of a reservation.

*Held*, *expired*, *restricted* and *unjudged* are computed, never states.
"""

from typing import Any

from sqlalchemy import bindparam, text

from core.erp.kernel.errors import Refused
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import sentence
from core.erp.kernel.workflow import Move, Workflow
from core.erp.lots.events import SublotReleasing

EXPECTED, QUARANTINE, RELEASED, REJECTED = "expected", "quarantine", "released", "rejected"
REWORKED, RETURNED, DESTROYED = "reworked", "returned", "destroyed"

_OPEN_HOLDS = text(
    "SELECT h.id, h.reason, h.reason_message FROM hold h JOIN sublot s ON s.id = :sublot "
    "WHERE h.lifted_at IS NULL AND (h.sublot_id = s.id OR h.lot_id = s.lot_id) ORDER BY h.id"
).bindparams(bindparam("sublot"))


def ready_for_release(u: Unit, sublot: Any) -> None:
    """Refused while a hold stands, or while a module above vetoes (SublotReleasing)."""
    holds = u.conn.execute(_OPEN_HOLDS, {"sublot": sublot.id}).all()
    if holds:
        reasons = [sentence(row.reason, row.reason_message) for row in holds]
        raise Refused("lots.sublot_held", code=sublot.code, reasons=reasons, extra={"holds": [row.id for row in holds]})
    u.emit(SublotReleasing(sublot_id=sublot.id))


ACTIVE, PICKED, SUSPENDED, CONSUMED, CANCELLED = "active", "picked", "suspended", "consumed", "cancelled"
OVER = frozenset({CONSUMED, CANCELLED})
"""A reservation that keeps nothing any more."""

SUBLOT = Workflow(
    "sublot",
    (
        Move("arrive", frozenset({EXPECTED}), QUARANTINE, system=True),
        Move(
            "release",
            frozenset({QUARANTINE}),
            RELEASED,
            permit="batch.release",
            guard=ready_for_release,
            meaning="meaning.batch_release",
        ),
        Move("reject", frozenset({QUARANTINE, RELEASED}), REJECTED, permit="lot.disposition", reasoned=True),
        Move("retest", frozenset({RELEASED}), QUARANTINE, permit="lot.disposition", reasoned=True),
        Move("recall", frozenset({RELEASED}), QUARANTINE, reasoned=True, system=True),
        Move("take_back", frozenset({RELEASED}), QUARANTINE, reasoned=True, system=True),
        Move("rework", frozenset({REJECTED}), REWORKED, permit="lot.disposition", reasoned=True),
        Move("return", frozenset({REJECTED}), RETURNED, permit="lot.disposition", reasoned=True),
        Move("destroy", frozenset({REJECTED}), DESTROYED, permit="lot.disposition", reasoned=True),
    ),
    # what is split off begins as what it was split from; the trigger sublot_born_as lets nothing else begin so
    begins=(EXPECTED, QUARANTINE, RELEASED, REJECTED, REWORKED, RETURNED, DESTROYED),
)

RESERVATION = Workflow(
    "reservation",
    (
        Move("pick", frozenset({ACTIVE}), PICKED, permit=("stock.pick", "production.report")),
        Move("suspend", frozenset({ACTIVE, PICKED}), SUSPENDED, system=True),
        Move(
            "resume",
            frozenset({SUSPENDED}),
            ACTIVE,
            permit=("stock.pick", "shipment.dispatch", "production.release"),
        ),
        Move(
            "consume",
            frozenset({ACTIVE, PICKED}),
            CONSUMED,
            permit=("stock.move", "production.report", "shipment.dispatch"),
        ),
        Move("cancel", frozenset({ACTIVE, PICKED, SUSPENDED}), CANCELLED, permit=("stock.pick", "stock.reserve")),
        # what it was kept for has left without it or was called off: it follows from that, whoever did it
        Move("deallocate", frozenset({ACTIVE, PICKED, SUSPENDED}), CANCELLED, system=True),
    ),
    begins=(ACTIVE,),
)
