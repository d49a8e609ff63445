"""Where instruments stand: whoever works on one belongs to the site where it is, or was at that time."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select

from core.erp.catalog.model import Installation, Point, Sensor, Zone
from core.erp.kernel.errors import Forbidden
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit

_i, _p, _z = table(Installation).c, table(Point).c, table(Zone).c
_SITES = (
    select(_z.site_id)
    .select_from(table(Installation).join(table(Point), _p.id == _i.point_id).join(table(Zone), _z.id == _p.zone_id))
    .limit(1)
)


def site_of(u: Unit, sensor_id: int, at: datetime) -> int | None:
    """The site where the sensor stood at that time; where it was taken down, that of its last place, and before its
    first, that one. None for one that was never installed.
    """
    installed = _SITES.where(_i.sensor_id == sensor_id)
    then: int | None = u.conn.scalar(installed.where(_i.from_at <= at).order_by(_i.from_at.desc()))
    return then if then is not None else u.conn.scalar(installed.order_by(_i.from_at))


def require_at_own_site(u: Unit, sensor_id: int, at: datetime | None = None) -> None:
    """Raises Forbidden for whoever belongs to another site than the one where the sensor stood at `at`, or stands now.

    A sensor that has moved is seen by the people of both: its past is theirs. Worked on it is where it is.
    """
    if u.actor.system or u.actor.sites is None:
        return
    site_id = site_of(u, sensor_id, at or u.now)
    if site_id is not None and site_id not in u.actor.sites:
        serial = u.get_one(Sensor, sensor_id).serial
        raise Forbidden("catalog.sensor_of_another_site", login=u.actor.login, serial=serial, at=at or u.now)


def check_sensor(u: Unit, fields: Mapping[str, Any]) -> None:
    """A sensor is changed where it stands."""
    if fields.get("id") is not None:
        require_at_own_site(u, fields["id"])


def check_plan(u: Unit, fields: Mapping[str, Any]) -> None:
    """A sensor's calibration is planned where it stands."""
    require_at_own_site(u, fields["sensor_id"])
