"""What quality does on others' events."""

from core.erp.exposure.events import SensorStates, SublotsJudged, ZoneState, ZoneStates
from core.erp.kernel.events import Events
from core.erp.lots.events import FactBrokeRule, HoldLifted, SublotReleasing
from core.erp.quality import service


def register(events: Events) -> None:
    """Registers quality's handlers."""
    events.on(SublotsJudged, "quality.sync", service.sync_excursions)
    events.on(ZoneState, "quality.alarm", service.apply_condition)
    events.on(ZoneStates, "quality.alarms", service.apply_conditions)
    events.on(SensorStates, "quality.sensor_alarms", service.apply_sensor_conditions)
    events.on(FactBrokeRule, "quality.deviation", service.open_for_fact)
    events.on(SublotReleasing, "quality.veto", service.veto_release)
    events.on(HoldLifted, "quality.veto_hold_lift", service.veto_hold_lift)
