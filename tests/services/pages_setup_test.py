"""The set-up desk: what is not complete is named with its records; what was put aside is told and tried again."""

import re
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text

from core.erp.catalog.model import Item
from core.ingest.transaction import IngestTransaction
from tests.pages import Browser, pages, text_of
from tests.services.ingest_support import ZONE, Gateway, RecordingJudge, add_points, fold, mark, reading
from tests.world import OVER_8_FOR_60, judging

PEOPLE = {"adm": ["admin"], "eng": ["plant_engineer"], "qa": ["qa"], "aud": ["auditor"], "wes": ["warehouse"]}
NEW = f"{ZONE}/probe_2/temperature"


@pytest.fixture(scope="module")
def people(module_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Browser]]:
    world = judging(module_engine)
    world.zone("blind", points=())
    world.zone("declared", points=(), worst_temperature=7.0)
    world.zone("quiet", points=("p9",))
    world.item(OVER_8_FOR_60)
    world._add(Item(code="LOOSE", name="without limits"))
    add_points(module_engine)
    work = IngestTransaction(judge=RecordingJudge(), live=False)
    fold(module_engine, work, Gateway().cut([reading(0), reading(1, point=NEW), reading(2, point=NEW)], [mark(1)]))
    with pages(module_engine, tmp_path_factory.mktemp("pages"), PEOPLE) as found:
        yield found


def test_what_is_not_complete_is_named_and_what_is_complete_is_not(people: dict[str, Browser]) -> None:
    read = text_of(people["eng"].get("/setup"))
    told = read.partition("What is not complete")[2].partition("Zone Address")[0]
    assert "Zones without a point: 1" in told
    assert "s1/a/blind" in told
    assert "s1/a/declared" not in told, "its worst temperature is declared"
    assert "Items without limits: 1 LOOSE" in told
    assert "s1/a/quiet/p9/temperature" in told
    assert NEW not in told
    assert "Users without a site" not in told, "an engineer may not read users"


def test_zones_stand_under_their_site_with_what_is_measured_there(people: dict[str, Browser]) -> None:
    page = people["adm"].get("/setup")
    read = text_of(page)
    assert "counts as 7 °C throughout" in read.replace("\u202f", " ")
    assert re.search(r"blind s1/a/blind – .*? No sensor", read)
    assert 'href="/zones/new?site_id=' in page
    assert 'href="/zones/new?site_id=' not in people["qa"].get("/setup")


def test_a_gateway_that_has_fallen_silent_says_so(people: dict[str, Browser]) -> None:
    read = text_of(people["eng"].get("/setup"))
    assert re.search(r"gw-1 Silent", read)


def test_unknown_points_are_told_made_and_tried_again(people: dict[str, Browser], module_engine: Engine) -> None:
    page = people["adm"].get("/setup")
    assert f"The point is not in the catalog {NEW} 2" in text_of(page)
    assert f'href="/points/new?address={NEW}"' in page
    assert "/setup/replay" not in people["eng"].get("/setup"), "an engineer makes the point, an administrator replays"
    assert people["eng"].client.post("/setup/replay", data={"reason": "unknown_point"}).status_code == 403
    first = people["adm"].client.post("/setup/replay", data={"_key": "k1", "reason": "unknown_point"})
    assert first.headers["location"] == "/setup?tried=2&landed=0#aside"
    add_points(module_engine, [NEW])
    done = people["adm"].client.post("/setup/replay", data={"_key": "k2", "reason": "unknown_point"})
    assert "Tried again: 2. Readings taken: 2." in text_of(people["adm"].get(done.headers["location"]))
    with module_engine.connect() as conn:
        left = conn.scalar(text("SELECT count(*) FROM dead_letter WHERE replayed_at IS NULL"))
    assert left == 0
    assert "Everything that came was taken." in text_of(people["adm"].get("/setup"))


def test_a_warehouse_clerk_is_not_led_there(people: dict[str, Browser]) -> None:
    assert 'href="/setup"' not in people["wes"].get("/")
    assert 'href="/setup"' in people["aud"].get("/")


def test_a_user_is_made_by_a_form_and_a_change_keeps_what_it_does_not_touch(people: dict[str, Browser]) -> None:
    adm = people["adm"]
    form = adm.form("/users/new")
    assert re.search(r'name="login" type="text"', form)
    assert re.search(r'name="roles" type="checkbox" value="warehouse"', form)
    fields = {"login": "new", "name": "New", "password": "for the first day only", "roles": ["warehouse"]}
    made = adm.send("/users/new", fields).headers["location"]
    assert adm.send(f"{made}/change", {}).headers["location"] == made
    assert "May sign in Yes" in text_of(adm.get(made))
    assert re.search(r'value="warehouse" checked', adm.form(f"{made}/change"))
