"""Which stays and handling units somebody sees: those of goods and places they see."""

from sqlalchemy import ColumnElement, not_, or_, select

from core.erp.custody.model import CustodyFact, HandlingUnit, HandlingUnitContent
from core.erp.kernel.scope import Visible, linked
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Actor

_unit, _content = table(HandlingUnit).c, table(HandlingUnitContent).c

FACTS = linked(table(CustodyFact).c.sublot_id, "sublot")
CONTENTS = linked(_content.sublot_id, "sublot")


def HANDLING_UNITS(actor: Actor) -> ColumnElement[bool] | None:  # noqa: N802 - a scope like the others
    """Handling units that are a zone the actor sees, or ever held goods the actor sees, or neither nor."""
    goods, zones = CONTENTS(actor), linked(_unit.zone_id, "zone")(actor)
    if goods is None or zones is None:
        return None
    held = select(_content.handling_unit_id)
    seen = or_(_unit.id.in_(held.where(goods)), zones & _unit.zone_id.is_not(None))
    if actor.outside:
        return seen
    return or_(seen, _unit.zone_id.is_(None) & not_(_unit.id.in_(held)))


VISIBLE = (
    Visible("custody_fact", table(CustodyFact).c.id, FACTS, "fact"),
    Visible("handling_unit", _unit.id, HANDLING_UNITS, label=_unit.sscc),
    Visible("handling_unit_content", _content.id, CONTENTS),
)
