"""The plant's pages: tiles worst first, one zone, alarms acknowledged and shelved; a sublot; the wall; logger files."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine

from core.erp.lots.model import Sublot
from tests.pages import Browser, Importer, pages, text_of
from tests.world import OVER_8_FOR_60, World, at, every, judging

PEOPLE = {"qa": ["qa"], "eng": ["plant_engineer"], "lou": ["logistics"], "wall": ["display"], "bea": ["buyer"]}


@dataclass(frozen=True)
class Plant:
    world: World
    people: dict[str, Browser]
    warm: int
    cool: int
    sublot: int


@pytest.fixture(scope="module")
def plant(module_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    world = judging(module_engine)
    cool = world.zone("cool", band_low=2.0, band_high=8.0, gap=timedelta(days=4000))
    warm = world.zone("warm", band_low=2.0, band_high=8.0, gap=timedelta(days=4000))
    item = world.item(OVER_8_FOR_60, gap=timedelta(days=4000))
    sublot = world.sublot(item, warm, at("00:00"))
    world.feed("cool", every(5, at("00:00"), at("03:00"), 5.0), upto=at("03:00"))
    world.feed("warm", every(5, at("00:00"), at("03:00"), 12.0), upto=at("03:00"))
    with pages(module_engine, tmp_path_factory.mktemp("pages"), PEOPLE) as people:
        yield Plant(world, people, warm, cool, sublot)


def test_tiles_stand_worst_first_with_value_band_and_goods(plant: Plant) -> None:
    page = plant.people["eng"].get("/plant")
    read = text_of(page)
    assert read.index("warm Out of band") < read.index("cool In band")
    assert "12.0 °C Band (2 to 8)" in read
    assert "1 inside, 1 held" in read
    assert "<html" not in plant.people["eng"].get("/plant/tiles")


def test_a_zone_shows_its_alarm_which_an_engineer_acknowledges_and_shelves(plant: Plant) -> None:
    eng = plant.people["eng"]
    page = eng.get(f"/zones/{plant.warm}")
    action = re.search(r'href="(/alarms/\d+/acknowledge)"', page)
    assert action is not None
    assert "must be filled in" in text_of(eng.send(action[1], {"reason": ""}, 422).text)
    eng.send(action[1], {"reason": "door closed"})
    assert "Acknowledged" in text_of(eng.get(f"/zones/{plant.warm}"))
    shelve = f"/zones/{plant.warm}/alarms/high/shelve"
    assert "must be filled in" in text_of(eng.send(shelve, {"reason": ""}, 422).text)
    soon = (datetime.now().astimezone() + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M")
    assert eng.send(shelve, {"until": soon, "reason": "defrosting"}).headers["location"] == f"/zones/{plant.warm}"
    assert plant.people["bea"].client.get(shelve).status_code == 403


def test_tiles_count_what_came_and_what_is_held_at_once(plant: Plant) -> None:
    qa, world = plant.people["qa"], plant.world
    assert "0 inside, 0 held" in text_of(qa.get("/plant"))
    sublot = world.sublot(world.item(OVER_8_FOR_60), plant.cool, at("03:00"))
    assert "1 inside, 0 held" in text_of(qa.get("/plant"))
    code = world.do(lambda u: str(u.get_one(Sublot, sublot).code))
    held = qa.send("/holds/new", {"sublot_id": code, "kind": "quality", "reason": "odd"}).headers["location"]
    assert "1 inside, 0 held" not in text_of(qa.get("/plant"))
    qa.send(f"{held}/lift", {"reason": "it was not"})
    assert "1 inside, 0 held" in text_of(qa.get("/plant"))


def test_a_page_goes_packed_to_whoever_takes_that(plant: Plant) -> None:
    qa = plant.people["qa"].client
    for path in ("/plant", "/sublots"):
        packed = qa.get(path, headers={"accept-encoding": "gzip"})
        plain = qa.get(path, headers={"accept-encoding": "identity"})
        assert packed.headers["content-encoding"] == "gzip"
        assert "content-encoding" not in plain.headers
        assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
        assert int(packed.headers["content-length"]) < int(plain.headers["content-length"])


def test_a_zone_that_is_not_there_is_not_found(plant: Plant) -> None:
    plant.people["eng"].get("/zones/999999", 404)


def test_a_sublot_says_what_stands_against_it_and_what_it_went_through(plant: Plant) -> None:
    read = text_of(plant.people["qa"].get(f"/sublots/{plant.sublot}"))
    assert "What it may be taken for, now" in read
    assert "Not now" in read
    assert "Hold 1" in read
    assert "12.0 / 12.0 °C" in read
    plant.people["qa"].get("/sublots/999999", 404)


def test_a_hold_is_placed_and_lifted_by_its_forms(plant: Plant) -> None:
    qa = plant.people["qa"]
    fields = {"sublot_id": _code(plant), "kind": "quality", "reason": "looks odd"}
    at_ = qa.send("/holds/new", fields).headers["location"]
    assert "looks odd" in qa.get(at_)
    qa.send(f"{at_}/lift", {"reason": "it was the light"})
    assert "it was the light" in qa.get(at_)


def _code(plant: Plant) -> str:
    return plant.world.do(lambda u: str(u.get_one(Sublot, plant.sublot).code))


def test_the_wall_is_what_a_display_is_led_to(plant: Plant) -> None:
    wall = plant.people["wall"]
    assert wall.client.get("/").headers["location"] == "/wall"
    assert "warm" in text_of(wall.get("/wall"))


def test_a_loggers_file_is_tried_before_it_is_bound(
    module_engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> None:
    people = {"lee": ["logistics"], "ann": ["buyer"]}
    with pages(module_engine, tmp_path_factory.mktemp("import"), people, take=Importer()) as found:
        lee, path = found["lee"], "/loggers/import"
        assert 'value="S-1"' in lee.get(f"{path}?shipment=S-1")
        fields = {"target": "shipment", "called": "S-1", "act": "try"}
        tried = lee.client.post(path, data=fields, files={"file": ("a.csv", b"17")})
        assert "Tried only, nothing kept" in tried.text
        assert 'value="S-1"' in tried.text
        bound = lee.client.post(path, data=fields | {"act": "bind"}, files={"file": ("a.csv", b"17")})
        assert "Tried only" not in bound.text
        refused = lee.client.post(path, data=fields, files={"file": ("a.csv", b"what")})
        assert refused.status_code == 422
        assert "no number" in refused.text
        assert lee.client.post(path, data=fields).status_code == 422
        assert found["ann"].client.get(path).status_code == 403


def test_a_sublot_is_restricted_and_the_restriction_lifted_by_their_forms(plant: Plant) -> None:
    qa, at_ = plant.people["qa"], f"/sublots/{plant.sublot}"
    refused = qa.send(f"{at_}/restrict", {"kind": "market", "value": "DE", "reason": "registered there"}, 422)
    assert "has no name with a colon" in text_of(refused.text)
    qa.send(f"{at_}/restrict", {"kind": "market", "value": "only: DE, AT", "reason": "registered there"})
    link = re.search(r'href="(/restrictions/\d+)"', qa.get(at_))
    assert link is not None
    assert "Only for markets: DE, AT registered there" in text_of(qa.get(at_))
    assert "DE, AT" in text_of(qa.get(link[1]))
    qa.send(f"{link[1]}/lift", {"reason": "registered everywhere"})
    assert link[1] not in qa.get(at_).partition("</main>")[0]
    for kind, value, said in (
        ("use_by", "date: 2027-07-31", "31 Jul 2027"),
        ("remaining_life", "days: 90", "90 d"),
        ("purpose", "only: use", "Purpose: use"),
        ("customer", "except: C-1", "Not for customers: C-1"),
    ):
        qa.send(f"{at_}/restrict", {"kind": kind, "value": value, "reason": "tried"})
        assert said in text_of(qa.get(at_)), kind


def test_pages_lead_to_grafanas_boards_where_people_open_one(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    eng, qa = plant.people["eng"], plant.people["qa"]
    assert "Grafana" not in eng.get(f"/zones/{plant.warm}")
    settings = eng.app.state.settings.model_copy(update={"grafana_public_url": "https://grafana.example/g/"})
    monkeypatch.setattr(eng.app.state, "settings", settings)
    of_zone = 'href="https://grafana.example/g/d/lotwise-cold-room?var-zone=s1%2Fa%2Fwarm"'
    assert of_zone in eng.get(f"/zones/{plant.warm}")
    assert re.search(
        r'href="https://grafana\.example/g/d/lotwise-lot\?var-item=\S+&amp;var-lot=\S+"',
        qa.get(f"/sublots/{plant.sublot}"),
    )
