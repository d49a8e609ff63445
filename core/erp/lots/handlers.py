"""What lots do on others' events."""

from sqlalchemy import func, select

from core.erp.catalog.events import Withdrawing
from core.erp.catalog.withdrawal import NAMED, use
from core.erp.kernel.events import Events
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.lots.model import Lot, Sublot

_s, _l = table(Sublot).c, table(Lot).c


def uses(u: Unit, asked: Withdrawing) -> None:
    """Stock of an item, and stock that stands in a zone; what is expected too."""
    whose = {
        "item": _s.lot_id.in_(select(_l.id).where(_l.item_id == asked.record_id)),
        "zone": _s.zone_id == asked.record_id,
    }
    if asked.kind in whose:
        there = (_s.state == "expected") | (func.lotwise_on_hand(_s.id) > 0)
        found = select(_s.code).where(whose[asked.kind], there).order_by(_s.id).limit(NAMED)
        asked.uses.extend(use("sublot", list(u.conn.scalars(found))))


def register(events: Events) -> None:
    """Registers the handlers of lots."""
    events.on(Withdrawing, "lots.uses", uses)
