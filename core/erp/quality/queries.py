"""What of quality is read together: records with the names that people know things by, and their parts."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, func, select

from core.erp.catalog.model import Item, Point, Zone
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.lots.model import Hold, Lot, Sublot
from core.erp.quality.model import Disposition, Excursion, Incident, ZoneAlarm
from core.erp.quality.shapes import HoldOut
from core.erp.quality.workflow import ASSESSED, ENDED, OPEN, SUPERSEDED

_excursion, _incident, _alarm, _zone = table(Excursion), table(Incident), table(ZoneAlarm), table(Zone)
_sublot, _lot, _item, _point = table(Sublot), table(Lot), table(Item), table(Point)
# an incident's excursions, under a name of their own: its scope asks for excursions too
_part = _excursion.alias("excursion_of_incident")

UNDECIDED = (OPEN, ENDED, ASSESSED)
"""States of an excursion about which QA has still to decide."""

EXCURSIONS = (
    select(
        _excursion,
        _sublot.c.code.label("sublot"),
        _sublot.c.lot_id,
        _lot.c.number.label("lot"),
        _item.c.code.label("item"),
        _zone.c.address.label("zone"),
    )
    .join_from(_excursion, _sublot, _sublot.c.id == _excursion.c.sublot_id)
    .join(_lot, _lot.c.id == _sublot.c.lot_id)
    .join(_item, _item.c.id == _lot.c.item_id)
    .outerjoin(_zone, _zone.c.id == _excursion.c.zone_id)
)
"""Excursions with the names that people know things by."""

ALARMS = (
    select(_alarm, _zone.c.address.label("zone"), _point.c.address.label("point"))
    .join_from(_alarm, _zone, _zone.c.id == _alarm.c.zone_id)
    .outerjoin(_point, _point.c.id == _alarm.c.point_id)
)
"""Zone alarms with their zone, and the point whose sensor they are about."""


def _of_incident(*conditions: ColumnElement[bool]) -> Select[Any]:
    return select(func.count()).select_from(_part).where(_part.c.incident_id == _incident.c.id, *conditions)


HAS_UNDECIDED = _of_incident(_part.c.state.in_(UNDECIDED)).correlate(_incident).scalar_subquery() > 0
"""Whether something of the incident awaits a decision."""

INCIDENTS = select(
    _incident,
    _zone.c.address.label("zone"),
    _of_incident(_part.c.state != SUPERSEDED).correlate(_incident).scalar_subquery().label("excursions"),
    _of_incident(_part.c.state.in_(UNDECIDED)).correlate(_incident).scalar_subquery().label("undecided"),
).outerjoin_from(_incident, _zone, _zone.c.id == _incident.c.zone_id)
"""Incidents, with how many excursions each has and how many await a decision."""


def holds(u: Unit, row: Any) -> list[HoldOut]:
    """The holds that an excursion placed, in the reader's language."""
    h = table(Hold)
    found = u.conn.execute(select(h).where(h.c.excursion_id == row.id).order_by(h.c.id))
    return [HoldOut.model_validate(hold).in_language(u.language) for hold in found]


def dispositions(u: Unit, row: Any) -> Sequence[Row[Any]]:
    """What was decided on an excursion."""
    d = table(Disposition)
    return u.conn.execute(select(d).where(d.c.excursion_id == row.id).order_by(d.c.id)).all()
