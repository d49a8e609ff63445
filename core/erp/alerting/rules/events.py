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
    "deadline": Severity.NOTICE,
}
"""Every event that a route may name, with its severity. `unreachable`: a route that reaches nobody."""

LASTING = frozenset(EVENTS) - {"deadline"}
"""Events with an end, of which an all-clear tells; of any other nothing is told but that it is so."""

FALLBACK: dict[Severity, tuple[tuple[int, str], ...]] = {
    Severity.HARM: ((0, "excursion.assess"), (15, "alerting.manage")),
    Severity.ALARM: ((0, "alarm.acknowledge"), (15, "alerting.manage")),
    Severity.NOTICE: (),
}
"""Where no route takes an event: after so many minutes, whoever holds the permit at the site. Nothing grave goes
untold because nobody has made a route."""

TITLES = (
    "zone_high",
    "zone_high_unread",
    "zone_low",
    "zone_low_unread",
    "zone_stale",
    "ingest_stopped",
    "ingest_trouble",
)
"""Events that have a title of their own; of what else is told, the record says it."""
