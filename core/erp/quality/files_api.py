"""Files on deviations: the evidence that their conclusion rests on."""

from sqlalchemy import select

from core.erp.kernel.attachments.record_attachments import Attachable, attachment_routes
from core.erp.kernel.errors import NotFound, Refused
from core.erp.kernel.scope import scoped
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.quality.model import Deviation
from core.erp.quality.scopes import DEVIATIONS
from core.erp.quality.workflow import DEVIATION

_d = table(Deviation)


def _state(u: Unit, deviation_id: int, *, lock: bool) -> str:
    """The state of a deviation that the actor sees. Raises NotFound."""
    statement = scoped(select(_d.c.state).where(_d.c.id == deviation_id), DEVIATIONS, u.actor)
    rows = u.lock(statement.with_for_update()) if lock else u.conn.execute(statement).all()
    if not rows:
        raise NotFound("quality.no_deviation", deviation_id=deviation_id)
    return str(rows[0].state)


def _visible(u: Unit, deviation_id: int) -> None:
    _state(u, deviation_id, lock=False)


def _open(u: Unit, deviation_id: int) -> None:
    """Locked: nothing is added behind the back of who concludes it."""
    if _state(u, deviation_id, lock=True) not in DEVIATION.begins:
        raise Refused("quality.deviation_concluded", deviation_id=deviation_id)


router = attachment_routes(
    Attachable("deviation", "deviations", "quality.read", "excursion.disposition", _visible, _open)
)
