"""Master data that nobody shall use any more: withdrawn, never deleted, and only once nothing uses it."""

from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Select, bindparam, or_, select
from sqlmodel import SQLModel

from core.erp.catalog.events import Withdrawing
from core.erp.catalog.instruments import require_at_own_site
from core.erp.catalog.model import (
    CalibrationPlan,
    Installation,
    Item,
    Point,
    Sensor,
    Site,
    StorageProfile,
    Zone,
    ZoneNesting,
)
from core.erp.kernel.errors import Refused
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message
from core.erp.kernel.workflow import Move, Workflow

ACTIVE, WITHDRAWN = "active", "withdrawn"
NAMED = 5
"""So many of what uses a record are named."""

LABELS: dict[str, str] = {"zone": "address", "point": "address", "sensor": "serial"}
"""The columns that people know a record by, where it is not its code."""


def life_cycle(noun: str, permit: str) -> Workflow:
    """Active until it is withdrawn; reinstated, since its code is taken for good and a withdrawal may be a mistake."""
    return Workflow(
        noun,
        (
            Move("withdraw", frozenset({ACTIVE}), WITHDRAWN, permit=permit, reasoned=True, guard=unused),
            Move("reinstate", frozenset({WITHDRAWN}), ACTIVE, permit=permit, reasoned=True, guard=stands_on_active),
        ),
        begins=(ACTIVE,),
    )


def require_active(row: SQLModel) -> None:
    """Raises Refused for what is withdrawn: nothing new begins with it."""
    kind = str(table(type(row)).name)
    if row.state == WITHDRAWN:  # type: ignore[attr-defined]  # of what has a life cycle
        raise Refused("catalog.withdrawn", record=Message(f"record.{kind}"), name=_label(kind, row))


def use(kind: str, names: list[str]) -> list[Message]:
    """What a record is used by, as a refusal tells it: the first of them, none if there are none."""
    return [Message("catalog.use", kind=Message(f"records.{kind}"), names=names[:NAMED])] if names else []


def unused(u: Unit, row: Any) -> None:
    """Refused while anything uses the record, in this module or in those above, which are asked."""
    kind = str(table(type(row)).name)
    if kind == "sensor":
        require_at_own_site(u, row.id)
    uses: list[Message] = []
    for user, statement in _USES.get(kind, ()):
        uses.extend(use(user, list(map(str, u.conn.scalars(statement, {"id": row.id, "now": u.now})))))
    u.emit(Withdrawing(kind, row.id, uses))
    if uses:
        record = Message(f"record.{kind}")
        raise Refused("catalog.in_use", record=record, name=_label(kind, row), uses=uses)


def stands_on_active(u: Unit, row: Any) -> None:
    """Refused while what the record belongs to is withdrawn."""
    model, column = _PARENTS.get(str(table(type(row)).name), (None, ""))
    parent_id = getattr(row, column) if model is not None else None
    if model is not None and parent_id is not None:
        require_active(u.get_one(model, parent_id))


def _label(kind: str, row: Any) -> str:
    return str(getattr(row, LABELS.get(kind, "code")))


_PARENTS: dict[str, tuple[type[SQLModel], str]] = {
    "zone": (Site, "site_id"),
    "point": (Zone, "zone_id"),
    "item": (StorageProfile, "profile_id"),
    "work_centre": (Zone, "zone_id"),
}

_z, _p, _n, _i, _s = table(Zone).c, table(Point).c, table(ZoneNesting).c, table(Installation).c, table(Sensor).c
_item, _plan = table(Item).c, table(CalibrationPlan).c
_id: BindParameter[int] = bindparam("id")
_now: BindParameter[datetime] = bindparam("now")
_STANDS, _SPEAKS = or_(_n.to_at.is_(None), _n.to_at > _now), or_(_i.to_at.is_(None), _i.to_at > _now)
_WITHIN = select(_n.zone_id).where(_n.parent_id == _id, _STANDS)
_AROUND = select(_n.parent_id).where(_n.zone_id == _id, _STANDS)


def _first(name: ColumnElement[Any], *where: ColumnElement[bool]) -> Select[Any]:
    return select(name).where(*where).order_by(name).limit(NAMED)


_USES: dict[str, tuple[tuple[str, Select[Any]], ...]] = {
    "site": (("zone", _first(_z.address, _z.site_id == _id, _z.state == ACTIVE)),),
    "zone": (
        ("point", _first(_p.address, _p.zone_id == _id, _p.state == ACTIVE)),
        ("zone", _first(_z.address, or_(_z.id.in_(_WITHIN), _z.id.in_(_AROUND)))),
    ),
    "point": (("sensor", _first(_s.serial, _s.id.in_(select(_i.sensor_id).where(_i.point_id == _id, _SPEAKS)))),),
    "sensor": (
        ("point", _first(_p.address, _p.id.in_(select(_i.point_id).where(_i.sensor_id == _id, _SPEAKS)))),
        ("calibration_plan", _first(_plan.id, _plan.sensor_id == _id, _plan.state == ACTIVE)),
    ),
    "storage_profile": (("item", _first(_item.code, _item.profile_id == _id, _item.state == ACTIVE)),),
}
"""By kind: what of the catalog uses a record, and the statement that names it."""
