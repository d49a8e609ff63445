"""Which goods somebody sees: those of their own sites, and whatever hangs on them."""

from sqlalchemy import ColumnElement, not_, or_

from core.erp.kernel.scope import Visible, all_of, linked, looked_up, sites
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Actor
from core.erp.lots.model import Genealogy, Hold, Lot, Reservation, Restriction, StockMove, StockTask, Sublot

_lot, _sublot, _hold, _edge = table(Lot).c, table(Sublot).c, table(Hold).c, table(Genealogy).c
# under a name of its own: a statement that reads lots together with their sublots asks it too
_part = table(Sublot).alias("part_of_lot").c

SUBLOTS = sites(_sublot.site_id)


def LOTS(actor: Actor) -> ColumnElement[bool] | None:  # noqa: N802 - a scope like the others
    """Lots of which the actor sees a sublot, and lots that have none yet."""
    condition = sites(_part.site_id)(actor)
    if condition is None:
        return None
    seen = looked_up(_lot.id, _part.lot_id, condition)
    return seen if actor.outside else or_(seen, not_(looked_up(_lot.id, _part.lot_id)))


HOLDS = all_of(linked(_hold.sublot_id, "sublot"), linked(_hold.lot_id, "lot"), linked(_hold.shipment_id, "shipment"))
RESTRICTIONS = linked(table(Restriction).c.sublot_id, "sublot")
MOVES = linked(table(StockMove).c.sublot_id, "sublot")
RESERVATIONS = linked(table(Reservation).c.sublot_id, "sublot")
STOCK_TASKS = linked(table(StockTask).c.sublot_id, "sublot")
GENEALOGY = all_of(linked(_edge.parent_id, "sublot"), linked(_edge.child_id, "sublot"))

VISIBLE = (
    Visible("lot", _lot.id, LOTS, label=_lot.number),
    Visible("sublot", _sublot.id, SUBLOTS, label=_sublot.code),
    Visible("hold", _hold.id, HOLDS),
    Visible("restriction", table(Restriction).c.id, RESTRICTIONS),
    Visible("stock_move", table(StockMove).c.id, MOVES, "move"),
    Visible("reservation", table(Reservation).c.id, RESERVATIONS),
    Visible("stock_task", table(StockTask).c.id, STOCK_TASKS, "task"),
    Visible("genealogy", _edge.id, GENEALOGY),
)
