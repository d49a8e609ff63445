"""Which places, points and instruments somebody sees: those of their own sites. Items and profiles are everybody's."""

from sqlalchemy import ColumnElement, not_, or_

from core.erp.catalog.model import (
    Calibration,
    CalibrationPlan,
    Installation,
    Item,
    Point,
    ProfileVersion,
    Sensor,
    Site,
    StorageProfile,
    Zone,
    ZoneNesting,
)
from core.erp.kernel.scope import Visible, all_of, everything, linked, looked_up, sites
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Actor

_sensor, _installation, _point = table(Sensor).c, table(Installation).c, table(Point).c
_nesting = table(ZoneNesting).c

SITES = sites(table(Site).c.id)
ZONES = sites(table(Zone).c.site_id)
NESTINGS = all_of(linked(_nesting.zone_id, "zone"), linked(_nesting.parent_id, "zone"))
POINTS = linked(_point.zone_id, "zone")
INSTALLATIONS = linked(_installation.point_id, "point")


def SENSORS(actor: Actor) -> ColumnElement[bool] | None:  # noqa: N802 - a scope like the others
    """Sensors that were ever installed at a point the actor sees, and those that never were installed."""
    condition = INSTALLATIONS(actor)
    if condition is None:
        return None
    seen = looked_up(_sensor.id, _installation.sensor_id, condition)
    return seen if actor.outside else or_(seen, not_(looked_up(_sensor.id, _installation.sensor_id)))


CALIBRATIONS = linked(table(Calibration).c.sensor_id, "sensor")
CALIBRATION_PLANS = linked(table(CalibrationPlan).c.sensor_id, "sensor")
ITEMS = PROFILES = everything

VISIBLE = (
    Visible("site", table(Site).c.id, SITES, label=table(Site).c.code),
    Visible("zone", table(Zone).c.id, ZONES, label=table(Zone).c.address),
    Visible("zone_nesting", _nesting.id, NESTINGS, "nesting"),
    Visible("point", _point.id, POINTS, label=_point.address),
    Visible("sensor", _sensor.id, SENSORS, label=_sensor.serial),
    Visible("installation", _installation.id, INSTALLATIONS),
    Visible("calibration", table(Calibration).c.id, CALIBRATIONS),
    Visible("calibration_plan", table(CalibrationPlan).c.id, CALIBRATION_PLANS),
    Visible("item", table(Item).c.id, ITEMS),
    Visible("storage_profile", table(StorageProfile).c.id, PROFILES, "profile"),
    Visible("profile_version", table(ProfileVersion).c.id, PROFILES, "version"),
)
