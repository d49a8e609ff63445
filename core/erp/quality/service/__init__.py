"""What quality does, inside a transaction somebody else opened."""

from core.erp.quality.service.alarms import (
    acknowledge,
    follow,
    follow_all,
    out_of_service,
    raise_alarm,
    return_alarm,
    shelve,
    suppress,
    unshelve,
)
from core.erp.quality.service.deviations import close_deviation, open_deviation, open_for_fact
from core.erp.quality.service.excursions import (
    Restrict,
    assess,
    close,
    dispose_many,
    disposing,
    disposing_many,
    disposition,
    keep_hold,
)
from core.erp.quality.service.incident_acts import assess_incident, dispose_incident, disposing_incident, undecided
from core.erp.quality.service.release import Against, against, auto_release, gaps, release, releasing, review, veto
from core.erp.quality.service.sync import sync

__all__ = [
    "Against",
    "Restrict",
    "acknowledge",
    "against",
    "assess",
    "assess_incident",
    "auto_release",
    "close",
    "close_deviation",
    "dispose_incident",
    "dispose_many",
    "disposing",
    "disposing_incident",
    "disposing_many",
    "disposition",
    "follow",
    "follow_all",
    "gaps",
    "keep_hold",
    "open_deviation",
    "open_for_fact",
    "out_of_service",
    "raise_alarm",
    "release",
    "releasing",
    "return_alarm",
    "review",
    "shelve",
    "suppress",
    "sync",
    "undecided",
    "unshelve",
    "veto",
]
