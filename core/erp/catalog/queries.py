"""Reading the catalog: a profile's versions with their limits, and by which of them an item was judged."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, case, select

from core.erp.catalog import service
from core.erp.catalog.model import (
    Calibration,
    CalibrationPlan,
    CalibrationReview,
    ItemProfile,
    ProfileVersion,
    Sensor,
)
from core.erp.catalog.shapes import AssignOut, VersionOut
from core.erp.catalog.withdrawal import ACTIVE
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit

_c, _r = table(Calibration), table(CalibrationReview)
_STATE = case(
    (_r.c.accepted, "signed"), (_r.c.accepted.is_(False), "refused"), (_c.c.to_sign, "to_sign"), else_="recorded"
)
CALIBRATIONS = select(_c, _STATE.label("state"), _r.c.reviewed_by, _r.c.reviewed_at).select_from(
    _c.outerjoin(_r, _r.c.calibration_id == _c.c.id)
)
"""Calibrations with a second person's word on them."""


def is_planned(planned: bool) -> ColumnElement[bool]:
    """Sensors that have a calibration plan, or have none."""
    p = table(CalibrationPlan).c
    own = select(p.id).where(p.sensor_id == table(Sensor).c.id, p.state == ACTIVE).exists()
    return own if planned else ~own


def versions_of(u: Unit, profile: Any) -> list[VersionOut]:
    """The versions of a profile's row with their limits, oldest first."""
    v = table(ProfileVersion)
    rows = u.conn.execute(select(v).where(v.c.profile_id == profile.id).order_by(v.c.version)).all()
    return with_limits(u, rows)


def newest_of(u: Unit, profile_id: int) -> VersionOut | None:
    """The newest version of a profile with its limits; None where it has none yet."""
    v = table(ProfileVersion)
    newest = select(v).where(v.c.profile_id == profile_id).order_by(v.c.version.desc()).limit(1)
    return next(iter(with_limits(u, u.conn.execute(newest).all())), None)


def with_limits(u: Unit, versions: Sequence[Any]) -> list[VersionOut]:
    """Rows of versions, each with its limits."""
    limits = service.limits_of(u, [version.id for version in versions])
    shown = [VersionOut.model_validate(version) for version in versions]
    return [VersionOut.model_validate({**dict(one), "limits": limits[one.id]}) for one in shown]


def profiles_of(u: Unit, item: Any) -> list[AssignOut]:
    """By which profile versions an item's row was judged, from when."""
    t = table(ItemProfile)
    rows = u.conn.execute(select(t).where(t.c.item_id == item.id).order_by(t.c.from_at, t.c.id))
    return [AssignOut.model_validate(row) for row in rows]
