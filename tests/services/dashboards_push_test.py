"""`lotwise dashboards push|diff|check` against a stand-in that answers as Grafana's documentation says."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from dashboards.alerts import MUTE, RULES
from dashboards.build import BOARDS
from dashboards.sources import ERP, METRICS, TELEMETRY, TYPES
from lotwise.boards.cli import app
from lotwise.boards.comparing import differences
from tests.services.grafana_stand_in import EDITOR, VIEWER, Grafana, grafana_stand_in

COLD_ROOM = "lotwise-cold-room"


@pytest.fixture
def grafana(monkeypatch: pytest.MonkeyPatch) -> Iterator[Grafana]:
    with grafana_stand_in() as running:
        running.sources = {uid: {"uid": uid, "type": TYPES[uid]} for uid in (ERP, TELEMETRY, METRICS)}
        running.sources[ERP]["type"] = "grafana-postgresql-datasource"  # as 11 and newer call it
        monkeypatch.setenv("LOTWISE_GRAFANA_URL", running.url)
        monkeypatch.setenv("LOTWISE_GRAFANA_TOKEN", EDITOR)
        monkeypatch.delenv("LOTWISE_INFLUX_URL", raising=False)
        yield running


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def test_pushing_twice_is_pushing_once(grafana: Grafana) -> None:
    assert run("diff").exit_code == 1
    first = run("push")
    assert first.exit_code == 0, first.output
    assert first.output.count(": made") == len(BOARDS)
    assert set(grafana.folders) == {"lotwise"}
    grafana.writes.clear()
    second = run("push")
    assert (second.exit_code, second.output.count(": same")) == (0, len(BOARDS))
    assert grafana.writes == []
    assert run("diff").exit_code == 0


def test_the_boards_of_the_other_store_take_their_places(grafana: Grafana) -> None:
    run("push")
    found = run("diff", "--store", "influx")
    assert found.exit_code == 1
    assert "cold_room: pushed by another version of this code" in found.output
    assert run("push", "--store", "influx").exit_code == 0
    assert len(grafana.boards) == len(BOARDS)
    assert TELEMETRY in json.dumps(grafana.boards[COLD_ROOM][-1]["model"])


def rename(model: dict[str, Any]) -> None:
    model["panels"][1]["title"] = "Mine"


def test_what_people_changed_is_told_and_kept_until_forced(grafana: Grafana) -> None:
    run("push")
    grafana.edit(COLD_ROOM, rename)
    for command in ("diff", "push"):
        found = run(command)
        assert found.exit_code == 1
        assert "cold_room: changed there (saved last by anna" in found.output
        assert 'panels[Every point].title: "Every point" here, "Mine" there' in found.output
    assert grafana.boards[COLD_ROOM][-1]["model"]["panels"][1]["title"] == "Mine"
    assert run("push", "--force").exit_code == 0
    assert grafana.boards[COLD_ROOM][-1]["model"]["panels"][1]["title"] == "Every point"
    assert len(grafana.boards[COLD_ROOM]) == 3, "Grafana keeps what was overwritten"


def test_a_board_saved_while_it_is_pushed_is_not_overwritten(grafana: Grafana) -> None:
    run("push")

    def meanwhile() -> None:
        grafana.before_save = lambda: None
        grafana.edit("lotwise-site", rename)

    grafana.before_save = meanwhile
    found = run("push", "--store", "influx")
    assert found.exit_code == 2
    assert "412: somebody saved it in the meantime" in found.output
    assert grafana.boards["lotwise-site"][-1]["model"]["panels"][1]["title"] == "Mine"


def test_boards_from_files_are_left_to_the_files(grafana: Grafana) -> None:
    run("push")
    grafana.provisioned.add(COLD_ROOM)
    found = run("push", "--store", "influx")
    assert found.exit_code == 1
    assert "cold_room: comes from files there" in found.output


def test_links_lead_to_the_pages_that_are_set(grafana: Grafana, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOTWISE_PUBLIC_URL", "https://lotwise.example")
    run("push")
    (variable,) = (
        one for one in grafana.boards[COLD_ROOM][-1]["model"]["templating"]["list"] if one["name"] == "lotwise"
    )
    assert variable["query"] == "https://lotwise.example"


@pytest.mark.parametrize("command", ["push", "diff", "check"])
@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("LOTWISE_GRAFANA_TOKEN", "glsa_other", "401: it refuses the token"),
        ("LOTWISE_GRAFANA_TOKEN", "", "LOTWISE_GRAFANA_TOKEN is not set"),
        ("LOTWISE_GRAFANA_URL", "", "LOTWISE_GRAFANA_URL (or --url) is not set"),
        ("LOTWISE_GRAFANA_URL", "http://127.0.0.1:9", "nothing answers"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    grafana: Grafana, monkeypatch: pytest.MonkeyPatch, command: str, setting: str, value: str, said: str
) -> None:
    if value:
        monkeypatch.setenv(setting, value)
    else:
        monkeypatch.delenv(setting)
    found = run(command)
    assert found.exit_code == 2
    assert said in found.output
    assert "Traceback" not in found.output
    assert grafana.writes == []


def test_a_wrong_path_and_a_token_without_rights_are_told(grafana: Grafana, monkeypatch: pytest.MonkeyPatch) -> None:
    found = run("push", "--url", grafana.url.removesuffix("/grafana"))
    assert (found.exit_code, "what answers is no Grafana" in found.output) == (2, True)
    monkeypatch.setenv("LOTWISE_GRAFANA_TOKEN", VIEWER)
    found = run("push")
    assert found.exit_code == 2
    assert "403: the token has no right to: give its service account the role Editor" in found.output


def test_check_tells_what_would_keep_the_boards_empty(grafana: Grafana) -> None:
    run("push", "--store", "influx")
    assert run("check", "--store", "influx").exit_code == 0
    del grafana.sources[METRICS]
    grafana.sources[TELEMETRY]["type"] = "loki"
    grafana.broken[ERP] = "password authentication failed"
    grafana.version = "9.5.1"
    found = run("check", "--store", "influx")
    assert found.exit_code == 1
    for line in (
        "Grafana 9.5.1: the boards need 10 or newer",
        f"data source {METRICS} is missing",
        f"data source {TELEMETRY} is of type loki",
        "password authentication failed",
    ):
        assert line in found.output
    grafana.boards.clear()
    assert "not there yet: site_overview" in run("check").output


def test_alert_rules_are_pushed_once_and_what_people_changed_is_kept(grafana: Grafana) -> None:
    assert run("push", "--alerts", "--mail", "eng@example.com").exit_code == 0
    assert len(grafana.rules) == len(RULES)
    assert grafana.contacts[-1]["settings"]["addresses"] == "eng@example.com"
    assert [timing["name"] for timing in grafana.mutes] == [MUTE]
    assert grafana.policy["receiver"] == "grafana-default-email", "whom the others write to stays"
    assert grafana.policy["routes"][-1] == {"receiver": "theirs"}
    grafana.writes.clear()
    assert run("push", "--alerts", "--mail", "other@example.com").exit_code == 0
    assert grafana.writes == []
    grafana.rules["lotwise-zone-out"]["for"] = "30m"
    found = run("push", "--alerts")
    assert found.exit_code == 1
    assert "rule Zone out of its band: changed there" in found.output
    assert 'for: "2m" here, "30m" there' in found.output
    assert grafana.rules["lotwise-zone-out"]["for"] == "30m"
    assert run("push", "--alerts", "--force").exit_code == 0
    assert grafana.rules["lotwise-zone-out"]["for"] == "2m"


def test_differences_are_paths() -> None:
    ours = {"a": [{"title": "x", "v": 1}], "b": 2, "id": None}
    theirs = {"a": [{"title": "x", "v": 3}, {"title": "y"}], "c": 4, "id": 7, "version": 2}
    assert list(differences(ours, theirs)) == [
        "a[x].v: 1 here, 3 there",
        "a[y]: only there",
        "b: missing there",
        "c: only there: 4",
    ]
