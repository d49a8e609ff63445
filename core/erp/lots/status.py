"""What becomes of a sublot that is not released, or no longer: the moves of its life cycle that QA decides."""

from core.erp.kernel.unit import Unit
from core.erp.lots.holds import suspend_reservations
from core.erp.lots.model import Sublot
from core.erp.lots.predicate import get_sublot
from core.erp.lots.workflow import RELEASED, SUBLOT


def change_status(u: Unit, sublot_id: int, move: str, reason: str) -> Sublot:
    """Makes one of the life cycle's moves: reject, retest, rework, return, destroy.

    It decides and moves no stock: what is returned or destroyed leaves by a posting of its own, for that purpose.
    What waited for goods that were released waits for a re-allocation, as when they are held. Raises NotFound,
    IllegalMove, Forbidden (`lot.disposition`), Invalid (no reason).
    """
    sublot = get_sublot(u, sublot_id, lock=True)
    was = sublot.state
    SUBLOT.apply(u, sublot, move, reason=reason)
    if was == RELEASED:
        suspend_reservations(u, [sublot_id])
    return sublot
