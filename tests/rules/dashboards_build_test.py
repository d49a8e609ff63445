"""The boards: committed JSON is what the code builds; every query names a source that is provisioned."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from core.outbound.ddl import VIEWS
from dashboards import build
from dashboards.queries import Span, all_queries, panel_queries, substitute
from dashboards.sources import ERP, TELEMETRY

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
SPAN = Span(NOW - timedelta(hours=1), NOW)
CHOSEN = {"zone": ["s1/a/cold-1", "s1/a/cold-2"], "gateway": ["gw-1"]}
PROVISIONING = Path(build.__file__).parent / "provisioning"


def test_committed_json_is_what_the_code_builds() -> None:
    assert build.stale() == []
    assert build.main(["--check"]) == 0


def test_check_finds_a_changed_a_missing_and_a_foreign_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = build.write(tmp_path)
    assert build.stale(tmp_path) == []
    paths[0].write_text(paths[0].read_text().replace("Cold room", "Warm room"))
    paths[1].unlink()
    (tmp_path / "other.json").write_text("{}")
    assert build.stale(tmp_path) == ["cold_room", "gateway_health", "other"]
    assert capsys.readouterr().out == ""


def test_boards_have_what_grafana_needs() -> None:
    for text in build.rendered().values():
        model = json.loads(text)
        assert model["uid"]
        assert model["schemaVersion"] >= 36
        ids = [panel["id"] for panel in model["panels"]]
        assert len(set(ids)) == len(ids) > 0
        for panel in model["panels"]:
            assert panel["title"]
            assert panel["description"]
            assert panel["datasource"]["uid"] in {TELEMETRY, ERP}
        assert model["annotations"]["list"][0]["target"]["tags"] == ["lotwise"]


def test_telemetry_is_influxql_and_the_erp_is_views_alone() -> None:
    queries = all_queries(SPAN, CHOSEN)
    assert {query.datasource for query in queries} == {TELEMETRY, ERP}
    for query in queries:
        assert "$" not in query.query.replace("$/", "/")
        if query.datasource == ERP:
            tables = set(re.findall(r"(?:FROM|JOIN) (\w+)", query.query.replace("extract(epoch from", "")))
            assert tables <= set(VIEWS), query
        else:
            assert query.query.startswith("SELECT ")
            assert "time >=" in query.query


def test_panel_queries_by_board() -> None:
    assert {query.board for query in panel_queries("cold_room", SPAN, CHOSEN)} == {"cold_room"}
    with pytest.raises(KeyError):
        panel_queries("cold_room", SPAN, {})
    with pytest.raises(KeyError):
        panel_queries("no_board", SPAN, CHOSEN)
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
    assert {source["uid"] for source in sources} == {TELEMETRY, ERP}
    for source in sources:
        assert all("${" in value for value in source["secureJsonData"].values())
    (provider,) = yaml.load(PROVISIONING / "dashboards" / "lotwise.yaml")["providers"]
    assert provider["options"]["path"]


def test_panels_lie_side_by_side_within_the_board_and_ask_under_names_of_their_own() -> None:
    """What Grafana takes without a word and then shows wrong: overlaps, two queries of one name, a foreign source."""
    yaml = YAML(typ="safe", pure=True)
    sources = yaml.load(PROVISIONING / "datasources" / "lotwise.yaml")["datasources"]
    kinds = {source["uid"]: source["type"] for source in sources}
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
        assert {name for name in used if not name.startswith(("__", "timeFilter", "tag_"))} <= known
