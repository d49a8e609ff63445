"""The verbs of lots, in one place for the modules above. They take a Unit and never commit."""

from core.erp.lots.creation import arrive, create_lot, link, merge, name_maker, receive, split
from core.erp.lots.hold_rows import LIFT_PERMITS, NewHold
from core.erp.lots.holds import inherit_holds, lift_hold, open_holds, place_hold, place_holds
from core.erp.lots.ledger import move, post_fact, post_found, post_lost, reverse
from core.erp.lots.predicate import (
    amount_of,
    get_lot,
    get_sublot,
    lock_sublots,
    movable,
    obstacles,
    on_hand,
    on_hand_by_sublot,
    refusal,
    require_movable,
    reserved,
    unjudged,
)
from core.erp.lots.reservations import (
    abandon_reservation,
    cancel_reservation,
    close_task,
    consume,
    deallocate,
    pick,
    reserve,
    resume_reservation,
)
from core.erp.lots.restrictions import lift_restriction, restrict
from core.erp.lots.rules import Obstacle, ObstacleKind, Purpose, balanced
from core.erp.lots.status import change_status
from core.erp.lots.workflow import SUBLOT

__all__ = [
    "LIFT_PERMITS",
    "SUBLOT",
    "NewHold",
    "Obstacle",
    "ObstacleKind",
    "Purpose",
    "abandon_reservation",
    "amount_of",
    "arrive",
    "balanced",
    "cancel_reservation",
    "change_status",
    "close_task",
    "consume",
    "create_lot",
    "deallocate",
    "get_lot",
    "get_sublot",
    "inherit_holds",
    "lift_hold",
    "lift_restriction",
    "link",
    "lock_sublots",
    "merge",
    "movable",
    "move",
    "name_maker",
    "obstacles",
    "on_hand",
    "on_hand_by_sublot",
    "open_holds",
    "pick",
    "place_hold",
    "place_holds",
    "post_fact",
    "post_found",
    "post_lost",
    "receive",
    "refusal",
    "require_movable",
    "reserve",
    "reserved",
    "restrict",
    "resume_reservation",
    "reverse",
    "split",
    "unjudged",
]
