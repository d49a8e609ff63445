"""The verbs of lots, in one place for the modules above. They take a Unit and never commit."""

from core.erp.lots.births import arrive, create_lot, link, merge, receive, split
from core.erp.lots.deciding import decide
from core.erp.lots.hold_rows import NewHold
from core.erp.lots.holds import inherit_holds, lift_hold, open_holds, place_hold, place_holds, upgrade_hold
from core.erp.lots.ledger import (
    cancel,
    close_task,
    consume,
    found,
    give_up,
    lost,
    move,
    pick,
    post_fact,
    reserve,
    reserved,
    resume,
    reverse,
)
from core.erp.lots.predicate import (
    amount_of,
    get_lot,
    get_sublot,
    lock_sublots,
    movable,
    obstacles,
    on_hand,
    on_hands,
    refusal,
    require_movable,
)
from core.erp.lots.restrictions import lift_restriction, restrict
from core.erp.lots.rules import Obstacle, ObstacleKind, Purpose, balanced
from core.erp.lots.workflow import SUBLOT

__all__ = [
    "SUBLOT",
    "NewHold",
    "Obstacle",
    "ObstacleKind",
    "Purpose",
    "amount_of",
    "arrive",
    "balanced",
    "cancel",
    "close_task",
    "consume",
    "create_lot",
    "decide",
    "found",
    "get_lot",
    "get_sublot",
    "give_up",
    "inherit_holds",
    "lift_hold",
    "lift_restriction",
    "link",
    "lock_sublots",
    "lost",
    "merge",
    "movable",
    "move",
    "obstacles",
    "on_hand",
    "on_hands",
    "open_holds",
    "pick",
    "place_hold",
    "place_holds",
    "post_fact",
    "receive",
    "refusal",
    "require_movable",
    "reserve",
    "reserved",
    "restrict",
    "resume",
    "reverse",
    "split",
    "upgrade_hold",
]
