"""Which alarms, excursions, incidents and deviations somebody sees: those of goods and places they see."""

from sqlalchemy import ColumnElement, or_

from core.erp.kernel.scope import Visible, all_of, linked, looked_up
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Actor
from core.erp.quality.model import BatchRelease, Deviation, Disposition, Excursion, Incident, ZoneAlarm, ZoneAlarmMode

_excursion, _incident, _deviation = table(Excursion).c, table(Incident).c, table(Deviation).c

ALARMS = linked(table(ZoneAlarm).c.zone_id, "zone")
ALARM_MODES = linked(table(ZoneAlarmMode).c.zone_id, "zone")
EXCURSIONS = linked(_excursion.sublot_id, "sublot")
DISPOSITIONS = linked(table(Disposition).c.excursion_id, "excursion")
RELEASES = linked(table(BatchRelease).c.sublot_id, "sublot")
DEVIATIONS = all_of(linked(_deviation.sublot_id, "sublot"), linked(_deviation.shipment_id, "shipment"))


def INCIDENTS(actor: Actor) -> ColumnElement[bool] | None:  # noqa: N802 - a scope like the others
    """Incidents in zones the actor sees (a silent gateway is in none), and those that goods the actor sees are in."""
    zones, excursions = linked(_incident.zone_id, "zone")(actor), EXCURSIONS(actor)
    if zones is None or excursions is None:
        return None
    return or_(zones, looked_up(_incident.id, _excursion.incident_id, excursions))


VISIBLE = (
    Visible("alarm", table(ZoneAlarm).c.id, ALARMS),
    Visible("incident", _incident.id, INCIDENTS),
    Visible("excursion", _excursion.id, EXCURSIONS),
    Visible("disposition", table(Disposition).c.id, DISPOSITIONS),
    Visible("batch_release", table(BatchRelease).c.id, RELEASES),
    Visible("deviation", _deviation.id, DEVIATIONS),
)
