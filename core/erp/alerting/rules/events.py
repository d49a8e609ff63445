"""What people are told of, and how grave it is. Pure."""

from enum import StrEnum


class Severity(StrEnum):
    """harm: goods may be spoiled; alarm: something is wrong; notice: something is to be done."""

    HARM = "harm"
    ALARM = "alarm"
    NOTICE = "notice"


RANK = {Severity.HARM: 0, Severity.ALARM: 1, Severity.NOTICE: 2}

EVENTS: dict[str, Severity] = {
    "excursion": Severity.HARM,
    "hold": Severity.HARM,
    "zone_high": Severity.ALARM,
    "zone_low": Severity.ALARM,
    "zone_stale": Severity.ALARM,
    "silent_gateway": Severity.ALARM,
    "ingest_stopped": Severity.ALARM,
    "ingest_trouble": Severity.ALARM,
    "unreachable": Severity.ALARM,
    "readings_refused": Severity.ALARM,
    "two_gateways": Severity.ALARM,
    "heartbeat_missing": Severity.ALARM,
    "clock_wrong": Severity.ALARM,
    "disk_filling": Severity.ALARM,
    "backup_failed": Severity.ALARM,
    "audit_finding": Severity.ALARM,
    "certificate_ending": Severity.NOTICE,
    "import_refused": Severity.NOTICE,
    "sensor": Severity.NOTICE,
    "drill": Severity.ALARM,
    "deadline": Severity.NOTICE,
}
"""Every event, with its severity. `unreachable`: a route that reaches nobody; `sensor`: one not to be trusted."""

LASTING = frozenset(EVENTS) - {"deadline", "drill", "import_refused", "readings_refused"}
"""Events with an end, of which an all-clear tells; of any other nothing is told but that it is so."""

ENDS_WHEN_TAKEN = frozenset({"deadline", "drill", "ingest_trouble", "import_refused", "readings_refused"})
"""Events of which nobody tells that they are over: whoever takes one sees to it."""

FALLBACK: dict[Severity, tuple[tuple[int, str], ...]] = {
    Severity.HARM: ((0, "excursion.assess"), (15, "alerting.manage")),
    Severity.ALARM: ((0, "alarm.acknowledge"), (15, "alerting.manage")),
    Severity.NOTICE: ((0, "alarm.acknowledge"),),
}
FALLBACK_OF: dict[str, tuple[tuple[int, str], ...]] = {
    "audit_finding": ((0, "audit.review"), (15, "alerting.manage")),
    "backup_failed": ((0, "user.manage"), (15, "alerting.manage")),
    "certificate_ending": ((0, "user.manage"),),
    "disk_filling": ((0, "user.manage"), (15, "alerting.manage")),
}
"""The same for events that are somebody else's than the plant engineer's."""
"""Where no route takes an event: after so many minutes, whoever holds the permit at the site. Nothing grave goes
untold because nobody has made a route."""

TITLES = (
    "zone_high",
    "zone_high_unread",
    "zone_low",
    "zone_low_unread",
    "zone_stale",
    "sensor",
    "ingest_stopped",
    "ingest_trouble",
    "readings_refused",
    "two_gateways",
    "heartbeat_missing",
    "no_worker",
    "clock_ahead",
    "clock_behind",
    "disk_low",
    "disk_filling",
    "certificate_ending",
    "certificate_ended",
    "backup_failed",
    "audit_finding",
    "import_refused",
)
"""Events that have a title of their own; of what else is told, the record says it."""
