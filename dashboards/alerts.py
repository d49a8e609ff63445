"""Alert rules, contact points, policy and mute timings: as provisioning files, and as bodies of Grafana's API.

Lotwise tells people by itself (docs/alerting.md), with receipts and escalation. These rules are for a plant whose
people look to Grafana, and for what Lotwise cannot say of itself: that it has stopped.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dashboards.sources import ERP

FOLDER, GROUP = "lotwise", "Lotwise"
FOLDER_TITLE = "Lotwise"
EVERY_SECONDS = 60
CONTACT = "lotwise-plant"
MUTE = "lotwise-maintenance"
LOOKED_BACK = 600
"""Seconds of the range that a rule's query is given; it asks of now."""
_EXPRESSION = "__expr__"


@dataclass(frozen=True, slots=True)
class AlertRule:
    """What is looked at: the query gives a row for each thing that is wrong, with its names as text columns and a
    number `value`, and one with value 0 where nothing is.
    """

    uid: str
    title: str
    sql: str
    summary: str
    severity: str
    board: str
    lasts: str = "0s"
    labels: Mapping[str, str] = field(default_factory=dict)


def _or_nothing(rows: str, *names: str) -> str:
    """The rows, or one with value 0 where there are none: no data is an alarm of its own."""
    empty = ", ".join(f"'none' AS {name}" for name in names)
    return (
        f"WITH wrong AS ({rows}) SELECT * FROM wrong "  # noqa: S608 - constants of this file
        f"UNION ALL SELECT {empty}, 0 AS value WHERE NOT EXISTS (SELECT FROM wrong)"
    )


RULES: tuple[AlertRule, ...] = (
    AlertRule(
        "lotwise-zone-out",
        "Zone out of its band",
        _or_nothing(
            "SELECT zone, status, 1 AS value FROM v_zone_status WHERE status IN ('high', 'low') LIMIT 200",
            "zone",
            "status",
        ),
        "{{ $labels.zone }} is {{ $labels.status }}: its last reading is outside the room's band.",
        "critical",
        "lotwise-cold-room",
        "2m",
    ),
    AlertRule(
        "lotwise-zone-silent",
        "Zone silent",
        _or_nothing("SELECT zone, 1 AS value FROM v_zone_status WHERE status = 'silent' LIMIT 200", "zone"),
        "{{ $labels.zone }} says nothing: its goods are not judged.",
        "critical",
        "lotwise-site",
        "2m",
    ),
    AlertRule(
        "lotwise-excursion",
        "Excursion waits for a decision",
        _or_nothing(
            "SELECT coalesce(zone, 'none') AS zone, item, count(*) AS value FROM v_open_excursions GROUP BY 1, 2 "
            "ORDER BY 3 DESC LIMIT 200",
            "zone",
            "item",
        ),
        "{{ $labels.item }} in {{ $labels.zone }}: excursions that QA has not decided.",
        "critical",
        "lotwise-goods",
    ),
    AlertRule(
        "lotwise-gateway-silent",
        "Gateway silent",
        _or_nothing(
            "SELECT gateway, max(extract(epoch FROM now() - received_at))::float8 AS value FROM v_watermarks "
            "GROUP BY gateway HAVING max(received_at) < now() - interval '2 minutes'",
            "gateway",
        ),
        "{{ $labels.gateway }} has sent nothing for two minutes, not even a watermark.",
        "critical",
        "lotwise-gateways",
    ),
    AlertRule(
        "lotwise-part-dead",
        "Part of the core without a sign of life",
        _or_nothing("SELECT part, seconds AS value FROM v_heartbeats WHERE overdue", "part"),
        "{{ $labels.part }} has not come round in time.",
        "critical",
        "lotwise-itself",
        "1m",
    ),
    AlertRule(
        "lotwise-outbox",
        "Outbox waits",
        _or_nothing("SELECT handler, seconds AS value FROM v_outbox WHERE seconds > 300", "handler"),
        "{{ $labels.handler }}: what is committed has not been told for five minutes.",
        "warning",
        "lotwise-itself",
    ),
    AlertRule(
        "lotwise-archive",
        "Database log not archived",
        _or_nothing(
            "SELECT 'archive' AS part, archive_failures AS value FROM v_database WHERE archive_failures > 0 "
            "AND coalesce(archived_at, '-infinity') < last_failed_time",
            "part",
        ),
        "The last attempt to archive the database's log failed: a backup would not be complete.",
        "warning",
        "lotwise-itself",
        "10m",
    ),
    AlertRule(
        "lotwise-calibration",
        "Sensor not to be trusted",
        _or_nothing(
            "SELECT zone, point, trust, 1 AS value FROM v_sensor_trust "
            "WHERE trust NOT IN ('trusted', 'calibration due within 30 days') LIMIT 200",
            "zone",
            "point",
            "trust",
        ),
        "{{ $labels.point }}: {{ $labels.trust }}.",
        "warning",
        "lotwise-cold-room",
    ),
)


def rule_body(rule: AlertRule) -> dict[str, Any]:
    """A rule as POST /api/v1/provisioning/alert-rules takes it."""
    return {
        "uid": rule.uid,
        "orgID": 1,
        "folderUID": FOLDER,
        "ruleGroup": GROUP,
        "title": rule.title,
        "condition": "B",
        "data": _data(rule),
        "noDataState": "Alerting",
        "execErrState": "Error",
        "for": rule.lasts,
        "annotations": _annotations(rule),
        "labels": _labels(rule),
        "isPaused": False,
    }


def _labels(rule: AlertRule) -> dict[str, str]:
    return {"source": "lotwise", "severity": rule.severity, **rule.labels}


def _annotations(rule: AlertRule) -> dict[str, str]:
    return {"summary": rule.summary, "__dashboardUid__": rule.board, "__panelId__": "1"}


def _data(rule: AlertRule) -> list[dict[str, Any]]:
    asked = {
        "datasource": {"type": "postgres", "uid": ERP},
        "editorMode": "code",
        "format": "table",
        "rawQuery": True,
        "rawSql": rule.sql,
        "refId": "A",
    }
    above = {
        "datasource": {"type": _EXPRESSION, "uid": _EXPRESSION},
        "type": "threshold",
        "expression": "A",
        "conditions": [{"type": "query", "evaluator": {"type": "gt", "params": [0]}}],
        "refId": "B",
    }
    span = {"from": LOOKED_BACK, "to": 0}
    return [
        {"refId": "A", "relativeTimeRange": span, "datasourceUid": ERP, "model": asked},
        {"refId": "B", "relativeTimeRange": {"from": 0, "to": 0}, "datasourceUid": _EXPRESSION, "model": above},
    ]


def rules_file() -> dict[str, Any]:
    """The rules as a provisioning file has them."""
    only_api = {"orgID", "folderUID", "ruleGroup"}
    rules = [{key: value for key, value in rule_body(rule).items() if key not in only_api} for rule in RULES]
    for rule in rules:
        # in a file a `$` begins a variable of the environment, and `$$` is one
        rule["annotations"] = {key: text.replace("$", "$$") for key, text in rule["annotations"].items()}
    return {
        "apiVersion": 1,
        "groups": [
            {
                "orgId": 1,
                "name": GROUP,
                "folder": FOLDER_TITLE,
                "interval": f"{EVERY_SECONDS}s",
                "rules": rules,
            }
        ],
    }


def contact_bodies() -> list[dict[str, Any]]:
    """Contact points as POST /api/v1/provisioning/contact-points takes them; the address is the installer's."""
    return [
        {
            "uid": CONTACT,
            "name": CONTACT,
            "type": "email",
            "settings": {"addresses": "${LOTWISE_GRAFANA_MAIL}", "singleEmail": True},
            "disableResolveMessage": False,
        }
    ]


def contacts_file() -> dict[str, Any]:
    """The contact points as a provisioning file has them."""
    return {
        "apiVersion": 1,
        "contactPoints": [
            {
                "orgId": 1,
                "name": body["name"],
                "receivers": [{key: value for key, value in body.items() if key != "name"}],
            }
            for body in contact_bodies()
        ],
    }


def policy_body() -> dict[str, Any]:
    """The notification policy as PUT /api/v1/provisioning/policies takes it: one message of one cause, repeated while
    it lasts; only what is no harm to goods is muted at the hours of maintenance.
    """
    ours = [["source", "=", "lotwise"]]
    return {
        "receiver": CONTACT,
        "group_by": ["alertname", "severity"],
        "group_wait": "10s",
        "group_interval": "1m",
        "repeat_interval": "4h",
        "routes": [
            {"receiver": CONTACT, "object_matchers": [*ours, ["severity", "=", "critical"]], "repeat_interval": "1h"},
            {
                "receiver": CONTACT,
                "object_matchers": [*ours, ["severity", "=", "warning"]],
                "mute_time_intervals": [MUTE],
                "repeat_interval": "24h",
            },
        ],
    }


def policies_file() -> dict[str, Any]:
    """The policy as a provisioning file has it."""
    return {"apiVersion": 1, "policies": [{"orgId": 1, **policy_body()}]}


def mute_bodies() -> list[dict[str, Any]]:
    """Mute timings as POST /api/v1/provisioning/mute-timings takes them: an hour a week, for the installer to move."""
    hour = {"times": [{"start_time": "06:00", "end_time": "07:00"}], "weekdays": ["sunday"], "location": "UTC"}
    return [{"name": MUTE, "time_intervals": [hour]}]


def mutes_file() -> dict[str, Any]:
    """The mute timings as a provisioning file has them."""
    return {"apiVersion": 1, "muteTimes": [{"orgId": 1, **body} for body in mute_bodies()]}
