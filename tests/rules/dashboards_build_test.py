"""The boards: committed JSON is what the code builds; every query names a source that is provisioned."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.alerting import ContactPoint, MuteTiming, NotificationPolicy, Rule
from ruamel.yaml import YAML

from core.outbound.board_functions import FUNCTIONS
from core.outbound.ddl import VIEWS
from dashboards import build
from dashboards.alerts import RULES, contact_bodies, mute_bodies, policy_body, rule_body, rules_file
from dashboards.queries import NEAR, NEAR_OF_ALL, Span, all_queries, panel_queries, substitute
from dashboards.sources import ERP, METRICS, MIXED, TELEMETRY, TYPES, Store

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
SPAN = Span(NOW - timedelta(hours=1), NOW)
CHOSEN = {
    "site": ["s1"],
    "area": ["a"],
    "zone": ["s1/a/cold-1", "s1/a/cold-2"],
    "gateway": ["gw-1"],
    "item": ["I1"],
    "lot": ["L1"],
}
EXPECTED = {
    "site_overview",
    "cold_room",
    "gateway_health",
    "machines",
    "excursions_and_holds",
    "shipments",
    "lot_history",
    "lotwise_itself",
    "kpis",
}
PROVISIONING = Path(build.__file__).parent / "provisioning"


def test_committed_json_is_what_the_code_builds() -> None:
    assert build.stale() == []
    assert build.main(["--check"]) == 0


def test_check_finds_a_changed_a_missing_and_a_foreign_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = build.write(tmp_path)
    assert build.stale(tmp_path) == []
    changed = tmp_path / "json" / "influx" / "cold_room.json"
    changed.write_text(changed.read_text().replace("Cold room", "Warm room"))
    (tmp_path / "json" / "postgres" / "cold_room.json").unlink()
    (tmp_path / "provisioning" / "alerting" / "other.json").write_text("{}")
    assert build.stale(tmp_path) == [
        "json/influx/cold_room.json",
        "json/postgres/cold_room.json",
        "provisioning/alerting/other.json",
    ]
    assert len(paths) == 2 * len(EXPECTED) + 4
    assert capsys.readouterr().out == ""


def test_every_board_is_there_for_either_store_and_asks_it_alone() -> None:
    assert build.BOARDS.keys() == EXPECTED
    for store in Store:
        sources = {query.datasource for query in all_queries(store, SPAN, CHOSEN)}
        assert sources == {ERP, METRICS} | ({TELEMETRY} if store is Store.INFLUX else set())
    uids = {store: [build.board(name, store)["uid"] for name in build.BOARDS] for store in Store}
    assert uids[Store.INFLUX] == uids[Store.POSTGRES], "links between boards must not depend on the store"
    assert len(set(uids[Store.INFLUX])) == len(EXPECTED)


def test_boards_have_what_grafana_needs() -> None:
    for name, text in build.rendered().items():
        model = json.loads(text)
        assert model["uid"]
        assert model["schemaVersion"] >= 36
        assert model["description"]
        ids = [panel["id"] for panel in model["panels"]]
        assert len(set(ids)) == len(ids) > 0
        for panel in model["panels"]:
            assert panel["title"]
            assert panel["description"]
            assert panel["datasource"]["uid"] in {TELEMETRY, ERP, METRICS, MIXED}
            if panel["type"] in {"timeseries", "stat"}:
                assert panel["fieldConfig"]["defaults"]["unit"], f"{name}: {panel['title']} has no unit"
        assert model["annotations"]["list"][0]["target"]["tags"] == ["lotwise"]
        assert model["links"][0]["url"] == "${lotwise}"


def test_no_panel_shows_a_mean_of_what_was_measured_and_gaps_stay_open() -> None:
    for store in Store:
        for query in all_queries(store, SPAN, CHOSEN):
            assert "mean(" not in query.query, query
        for panel in build.board("cold_room", store)["panels"]:
            if panel["type"] == "timeseries":
                assert panel["fieldConfig"]["defaults"]["custom"]["spanNulls"] is False


def test_links_lead_to_the_pages_of_what_a_row_shows() -> None:
    leads = set()
    for text in build.rendered().values():
        for panel in json.loads(text)["panels"]:
            for override in panel["fieldConfig"].get("overrides", []):
                for one in override["properties"]:
                    if one["id"] == "links":
                        leads |= {link["url"] for link in one["value"]}
            leads |= {link["url"] for link in panel.get("links") or ()}
    assert leads == {
        "${lotwise}/zones/${__data.fields.zone_id}",
        "${lotwise}/sublots/${__data.fields.sublot_id}",
        "${lotwise}/sublots/${__data.fields.id}",
        "${lotwise}/alarms/${__data.fields.id}",
        "${lotwise}/excursions/${__data.fields.id}",
        "${lotwise}/excursions/${__data.fields.excursion_id}",
        "${lotwise}/shipments/${__data.fields.id}",
        "${lotwise}/work-orders/${__data.fields.id}",
        "${lotwise}/plant",
        "${lotwise}/excursions",
        "${lotwise}/holds",
        "${lotwise}/logistics",
        "${lotwise}/dead-letters",
    }


def test_telemetry_is_influxql_and_the_erp_is_views_and_functions_alone() -> None:
    functions = {signature.partition("(")[0] for signature in FUNCTIONS}
    for store in Store:
        for query in all_queries(store, SPAN, CHOSEN):
            assert "$" not in query.query.replace("$/", "/")
            if query.datasource == ERP:
                plain = re.sub(r"extract\(epoch from|DISTINCT FROM", "", query.query, flags=re.IGNORECASE)
                own = set(re.findall(r"(?:WITH|,) (\w+) AS \(", plain))
                tables = set(re.findall(r"(?:FROM|JOIN) (\w+)", plain))
                assert tables <= {*VIEWS, *functions, *own}, query
            elif query.datasource == TELEMETRY:
                assert query.query.startswith("SELECT ")
                assert "time >=" in query.query


@pytest.mark.parametrize(
    ("zones", "days", "near"), [(2, 7, True), (2, 7.01, False), (10, 7, True), (11, 7, False), (100, 0.7, True)]
)
def test_influxdb_is_asked_for_readings_where_they_are_few(zones: int, days: float, near: bool) -> None:
    chosen = CHOSEN | {"zone": [f"s1/a/z{number}" for number in range(zones)]}
    asked = panel_queries("cold_room", Store.INFLUX, Span(NOW - timedelta(days=days), NOW), chosen)
    (telemetry,) = (q for q in asked if q.panel == "Every point" and q.datasource == TELEMETRY and q.ref == "A")
    assert ('"zone" =~ /^-$/' not in telemetry.query) == near
    assert f"interval '{NEAR.days} days'" in next(q for q in asked if q.panel == "variable near").query
    assert f"interval '{NEAR_OF_ALL.days} days'" in next(q for q in asked if q.panel == "variable near").query


def test_panel_queries_by_board() -> None:
    assert {query.board for query in panel_queries("cold_room", Store.INFLUX, SPAN, CHOSEN)} == {"cold_room"}
    with pytest.raises(KeyError):
        panel_queries("cold_room", Store.POSTGRES, SPAN, {})
    with pytest.raises(KeyError):
        panel_queries("no_board", Store.POSTGRES, SPAN, CHOSEN)
    with pytest.raises(ValueError, match="aware"):
        Span(datetime(2026, 1, 1), NOW)  # noqa: DTZ001 - that is what is refused


def test_values_cannot_break_out_of_a_query() -> None:
    sql = substitute("SELECT 1 WHERE zone IN (${zone:sqlstring})", ERP, SPAN, {"zone": ["a'b", "c"]})
    assert sql == "SELECT 1 WHERE zone IN ('a''b','c')"
    influx = substitute("/^${zone:regex}$/ AND $timeFilter", TELEMETRY, SPAN, {"zone": ["s/a.b"]})
    assert influx.startswith("/^s\\/a\\.b$/ AND time >= ")
    with pytest.raises(ValueError, match="not known here"):
        substitute("SELECT $__unixEpochFilter(x)", ERP, SPAN, {})


def test_provisioning_names_the_same_sources_and_no_secret() -> None:
    yaml = YAML(typ="safe", pure=True)
    sources: list[dict[str, Any]] = yaml.load(PROVISIONING / "datasources" / "lotwise.yaml")["datasources"]
    assert {source["uid"] for source in sources} == {TELEMETRY, ERP, METRICS}
    for source in sources:
        assert all("${" in value for value in source.get("secureJsonData", {}).values())
    (provider,) = yaml.load(PROVISIONING / "dashboards" / "lotwise.yaml")["providers"]
    assert provider["options"]["path"]


def test_panels_lie_side_by_side_within_the_board_and_ask_under_names_of_their_own() -> None:
    """What Grafana takes without a word and then shows wrong: overlaps, two queries of one name, a foreign source."""
    yaml = YAML(typ="safe", pure=True)
    sources = yaml.load(PROVISIONING / "datasources" / "lotwise.yaml")["datasources"]
    kinds = {source["uid"]: source["type"] for source in sources} | {MIXED: TYPES[MIXED]}
    for text in build.rendered().values():
        model = json.loads(text)
        taken: set[tuple[int, int]] = set()
        for panel in model["panels"]:
            place = panel["gridPos"]
            assert place["x"] + place["w"] <= 24, panel["title"]
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert not cells & taken, f"{panel['title']} lies over another panel"
            taken |= cells
            names = [target["refId"] for target in panel["targets"]]
            assert len(set(names)) == len(names) > 0, panel["title"]
            for asked in (panel, *panel["targets"]):
                assert kinds[asked["datasource"]["uid"]] == asked["datasource"]["type"], panel["title"]
        used = set(re.findall(r"\$\{?(\w+)", json.dumps(model["panels"])))
        known = {variable["name"] for variable in model["templating"]["list"]}
        # of Grafana's own: macros ($__…), the time filter, and an InfluxQL alias' tags
        assert {name for name in used if not name.startswith(("__", "timeFilter", "tag_", "col"))} <= known


def test_alert_rules_are_grafanas_and_lead_to_boards() -> None:
    """Read by the models that Grafana publishes: what they do not know would be lost."""
    for body in map(rule_body, RULES):
        read = json.loads(json.dumps(Rule.from_json(body), cls=JSONEncoder))
        assert {key: read.get(key) for key in body} == body
        assert re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", str(body["uid"]))
        names = set(re.findall(r"\$labels\.(\w+)", body["annotations"]["summary"]))
        assert all(f" AS {name}" in body["data"][0]["model"]["rawSql"] for name in names)
    for body in contact_bodies():
        read = json.loads(json.dumps(ContactPoint.from_json(body), cls=JSONEncoder))
        assert {key: read.get(key) for key in body} == body
    # what stands within intervals and routes the published models write otherwise than the API takes it
    for kind, body in ((MuteTiming, mute_bodies()[0]), (NotificationPolicy, policy_body())):
        assert body.keys() <= kind.from_json(body).to_json().keys()
    boards = {build.board(name, Store.POSTGRES)["uid"] for name in build.BOARDS}
    assert {rule.board for rule in RULES} <= boards
    assert len({rule.uid for rule in RULES}) == len(RULES)


def test_harm_to_goods_is_never_muted() -> None:
    routes = policy_body()["routes"]
    critical = next(route for route in routes if ["severity", "=", "critical"] in route["object_matchers"])
    assert "mute_time_intervals" not in critical
    assert {rule.severity for rule in RULES} == {"critical", "warning"}


def test_a_files_dollar_begins_no_variable_of_the_environment() -> None:
    for rule in rules_file()["groups"][0]["rules"]:
        assert re.search(r"(?<!\$)\$(?!\$)", rule["annotations"]["summary"]) is None
        assert "$" not in rule["data"][0]["model"]["rawSql"]
