"""What quality does, inside a transaction somebody else opened."""

from core.erp.quality.rules import ReleaseObstacle
from core.erp.quality.service.alarms import (
    acknowledge,
    apply_condition,
    apply_conditions,
    apply_sensor_conditions,
    out_of_service,
    raise_alarm,
    return_alarm,
    shelve,
    suppress,
    unshelve,
)
from core.erp.quality.service.deviations import close_deviation, open_deviation, open_for_fact
from core.erp.quality.service.excursions import (
    NewRestriction,
    assess,
    close,
    dispose_many,
    disposition,
    disposition_signing,
    dispositions_signing,
    holds_of_cause,
    veto_hold_lift,
)
from core.erp.quality.service.incident_disposition import (
    assess_incident,
    assessable,
    dispose_incident,
    incident_disposition_signing,
    undecided,
)
from core.erp.quality.service.release import (
    auto_release,
    part_release_signing,
    release,
    release_obstacles,
    release_obstacles_of,
    release_signing,
    releases_signing,
    veto_release,
)
from core.erp.quality.service.release_review import review, trails, unfilled_gaps
from core.erp.quality.service.sync import sync_excursions

__all__ = [
    "NewRestriction",
    "ReleaseObstacle",
    "acknowledge",
    "apply_condition",
    "apply_conditions",
    "apply_sensor_conditions",
    "assess",
    "assess_incident",
    "assessable",
    "auto_release",
    "close",
    "close_deviation",
    "dispose_incident",
    "dispose_many",
    "disposition",
    "disposition_signing",
    "dispositions_signing",
    "holds_of_cause",
    "incident_disposition_signing",
    "open_deviation",
    "open_for_fact",
    "out_of_service",
    "part_release_signing",
    "raise_alarm",
    "release",
    "release_obstacles",
    "release_obstacles_of",
    "release_signing",
    "releases_signing",
    "return_alarm",
    "review",
    "shelve",
    "suppress",
    "sync_excursions",
    "trails",
    "undecided",
    "unfilled_gaps",
    "unshelve",
    "veto_hold_lift",
    "veto_release",
]
