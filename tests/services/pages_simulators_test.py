"""The simulators' pages on a test instance: scenarios, their runs, and what is made to happen, all in the trail."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import Engine, text

from core.app import create_app
from core.settings import Settings
from core.web.desks.simulators.port import Asked
from core.web.frame.installing import install
from tests.pages import Browser, filled, pages, text_of
from tests.serving import serving
from tests.simulating import HOSTILE, ROOM, FakeSimulators

PEOPLE = {"tess": ["tester"], "eng": ["plant_engineer"], "adm": ["admin"], "aud": ["auditor"]}


@pytest.fixture(scope="module")
def fake() -> FakeSimulators:
    return FakeSimulators()


@pytest.fixture(scope="module")
def people(
    module_engine: Engine, tmp_path_factory: pytest.TempPathFactory, fake: FakeSimulators
) -> Iterator[dict[str, Browser]]:
    with pages(module_engine, tmp_path_factory.mktemp("pages"), PEOPLE, simulators=fake) as found:
        yield found


@pytest.fixture(autouse=True)
def at_rest(fake: FakeSimulators) -> None:
    fake.asked, fake.going, fake.away, fake.refuses = [], [], False, ""


def started(tess: Browser, **figures: str) -> str:
    answer = tess.send("/simulators/scenarios/cold_room_failure", figures)
    return answer.headers["location"]


def trail(engine: Engine) -> list[tuple[str, dict[str, Any]]]:
    with engine.connect() as conn:
        rows = conn.execute(text("SELECT action, after FROM audit WHERE entity = 'simulation' ORDER BY id"))
        return [(row[0], row[1]) for row in rows]


def test_a_tester_finds_every_scenario_with_what_it_shows(people: dict[str, Browser]) -> None:
    page = people["tess"].get("/simulators")
    read = text_of(page)
    assert 'href="/simulators" aria-current="page"' in page
    assert "Cold room failure The compressor of one of two cold rooms fails" in read
    assert "No simulated device is running." in read
    about = text_of(people["tess"].get("/simulators/scenarios/all_faults"))
    assert "4 s probe-json Fault · Readings get lost" in about
    assert HOSTILE in text_of(people["tess"].get("/simulators/scenarios/broken"))


def test_one_is_started_with_its_figures_once_and_the_trail_says_so(
    people: dict[str, Browser], fake: FakeSimulators, module_engine: Engine
) -> None:
    tess = people["tess"]
    form = filled(tess.form("/simulators/scenarios/cold_room_failure"))
    assert (form["minutes"], form["speed_up"], form["seed"], form["broker"]) == ("1", "600", "7", "127.0.0.1:1883")
    sent = {**form, "minutes": "2.5", "broker": "broker.plant:1884"}
    first = tess.client.post("/simulators/scenarios/cold_room_failure", data=sent)
    again = tess.client.post("/simulators/scenarios/cold_room_failure", data=sent)
    assert first.headers["location"] == again.headers["location"]
    assert fake.asked == [Asked("cold_room_failure", 150.0, 600.0, 7, "broker.plant:1884")]
    done = [after for action, after in trail(module_engine) if action == "simulation.start"]
    assert done[-1]["scenario"] == "cold_room_failure"
    assert done[-1]["minutes"] == "2.5"
    read = text_of(tess.get(first.headers["location"]))
    assert "Running" in read
    assert f"{ROOM} 5" in read
    assert "1,234" in read
    assert HOSTILE in read, "what others wrote is text"
    assert "Cold room failure Running" in text_of(tess.get("/simulators/runs"))


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("minutes", "soon", "is no number"),
        ("minutes", "-1", "must be above 0 and at most 1440"),
        ("minutes", "1e9", "must be above 0"),
        ("speed_up", "inf", "is no number"),
        ("seed", "²", "is no number"),
        ("broker", "nowhere", "is no host and port"),
    ],
)
def test_figures_that_cannot_be_are_told_beside_their_field(
    people: dict[str, Browser], fake: FakeSimulators, field: str, value: str, why: str
) -> None:
    answer = people["tess"].send("/simulators/scenarios/cold_room_failure", {field: value}, 422)
    assert f'href="#f-{field}"' in answer.text
    assert why in text_of(answer.text)
    assert filled(answer.text)[field] == value, "what was typed stays"
    assert fake.asked == []


def test_what_the_simulators_refuse_is_told_and_nothing_typed_is_lost(
    people: dict[str, Browser], fake: FakeSimulators
) -> None:
    fake.refuses = "port 15020 is taken"
    answer = people["tess"].send("/simulators/scenarios/cold_room_failure", {"minutes": "3"}, 422)
    assert "The simulators refuse: port 15020 is taken" in text_of(answer.text)
    assert filled(answer.text)["minutes"] == "3"
    fake.refuses, fake.away = "", True
    answer = people["tess"].send("/simulators/scenarios/cold_room_failure", {}, 503)
    assert "being started again" in text_of(answer.text)
    assert "does not answer" in text_of(people["tess"].get("/simulators"))


def test_things_are_made_to_happen_by_click(
    people: dict[str, Browser], fake: FakeSimulators, module_engine: Engine
) -> None:
    tess = people["tess"]
    at = started(tess)
    run_id = at.rpartition("/")[2]
    page = tess.get(at)
    buttons = {
        text_of(re.findall(r"(?s)<button.*", one)[0]): filled(one)
        for one in re.findall(rf'(?s)<form[^>]*action="{at}/act">.*?</form>', page)
    }
    tess.client.post(f"{at}/act", data=buttons[f"Open the door : {ROOM}"])
    tess.client.post(f"{at}/act", data=buttons["Broker away : 127.0.0.1:1883"])
    tess.client.post(f"{at}/act", data=buttons["End: Value stands still : box.2"])
    tess.client.post(f"{at}/act", data=buttons["Let it speak : box.2"])
    tess.client.post(f"{at}/act", data={"_key": "k-figure", "zone": ROOM, "do": "set_temperature", "to": "12.5"})
    tess.client.post(f"{at}/act", data={"_key": "k-f", "device": "probe-1", "fault": "freeze", "seconds": "30"})
    assert fake.asked[1:] == [
        (run_id, {"do": "door_open", "zone": ROOM}),
        (run_id, {"device": "probe-1", "fault": "disconnect"}),
        (run_id, {"device": "box", "unit": 2, "over": "freeze"}),
        (run_id, {"device": "box", "unit": 2, "do": "resume"}),
        (run_id, {"do": "set_temperature", "zone": ROOM, "to": 12.5}),
        (run_id, {"device": "probe-1", "fault": "freeze", "for": 30.0}),
    ]
    assert sum(action == "simulation.act" for action, _ in trail(module_engine)) == 6
    wrong = tess.client.post(f"{at}/act", data={"_key": "k-w", "zone": ROOM, "do": "setpoint", "to": "warm"})
    assert (wrong.status_code, 'href="#f-to"' in wrong.text) == (422, True)
    tess.client.post(f"{at}/stop", data={"_key": "k-stop"})
    assert trail(module_engine)[-1][0] == "simulation.stop"
    stopped = tess.get(at)
    assert "Stopped" in text_of(stopped)
    assert f'action="{at}/act"' not in stopped


def test_a_run_that_is_gone_says_so(people: dict[str, Browser]) -> None:
    assert "There is no such run" in text_of(people["tess"].get("/simulators/runs/00000000", 404))
    people["tess"].get("/simulators/scenarios/nothing", 404)


def test_only_a_tester_may(people: dict[str, Browser], fake: FakeSimulators) -> None:
    for login in ("eng", "adm", "aud"):
        assert 'href="/simulators"' not in people[login].get("/setup")
        people[login].get("/simulators", 403)
        people[login].get("/simulators/runs", 403)
        for path in ("scenarios/truck_door", "runs/00000000/act", "runs/00000000/stop"):
            assert people[login].client.post(f"/simulators/{path}", data={"_key": "k"}).status_code == 403
    assert fake.asked == []


def installed(instance: Any, folder: Path, engine: Engine) -> FastAPI:
    settings = Settings(instance=instance, secret_key=SecretStr("s" * 40), data_dir=folder)
    app = create_app(settings, engine, run_background=False)
    install(app, None, FakeSimulators())
    return app


def test_a_live_instance_has_no_such_page(engine: Engine, tmp_path: Path) -> None:
    assert [installed(one, tmp_path, engine).state.simulators is None for one in ("live", "test")] == [True, False]
    with serving(installed("live", tmp_path, engine)) as client:
        assert client.get("/simulators", headers={"accept": "text/html"}).status_code == 404
    with serving(installed("test", tmp_path, engine)) as client:
        assert client.get("/simulators", headers={"accept": "text/html"}).status_code == 303, "to the sign-in page"
