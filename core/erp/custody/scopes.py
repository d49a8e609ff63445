"""Which stays and handling units somebody sees: those of goods and places they see."""

from sqlalchemy import ColumnElement, not_, or_

from core.erp.custody.model import CustodyFact, HandlingUnit, HandlingUnitContent
from core.erp.kernel.scope import Visible, linked, looked_up
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Actor

_unit, _content = table(HandlingUnit).c, table(HandlingUnitContent).c

FACTS = linked(table(CustodyFact).c.sublot_id, "sublot")
CONTENTS = linked(_content.sublot_id, "sublot")


def HANDLING_UNITS(actor: Actor) -> ColumnElement[bool] | None:  # noqa: N802 - a scope like the others
    """Handling units that are a zone the actor sees, or ever held goods the actor sees, or neither nor."""
    goods, zones = CONTENTS(actor), linked(_unit.zone_id, "zone", empty=False)(actor)
    if goods is None or zones is None:
        return None
    seen = or_(looked_up(_unit.id, _content.handling_unit_id, goods), zones)
    if actor.outside:
        return seen
    return or_(seen, _unit.zone_id.is_(None) & not_(looked_up(_unit.id, _content.handling_unit_id)))


VISIBLE = (
    Visible("custody_fact", table(CustodyFact).c.id, FACTS, "fact"),
    Visible("handling_unit", _unit.id, HANDLING_UNITS, label=_unit.sscc),
    Visible("handling_unit_content", _content.id, CONTENTS),
)
