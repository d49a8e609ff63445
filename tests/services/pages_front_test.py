"""The front page: each sees what needs them, in order of harm, with the next act; nobody sees what is not theirs."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from sqlalchemy import Engine

from tests.pages import Browser, pages, text_of
from tests.world import OVER_8_FOR_60, World, at, every, judging

PEOPLE = {"qa": ["qa"], "eng": ["plant_engineer"], "wes": ["warehouse"], "rp": ["responsible_person"], "bea": ["buyer"]}


@dataclass(frozen=True)
class Plant:
    world: World
    people: dict[str, Browser]


@pytest.fixture(scope="module")
def plant(module_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    world = judging(module_engine)
    room = world.zone("cold", band_low=2.0, band_high=8.0)
    item = world.item(OVER_8_FOR_60)
    world.sublot(item, room, at("00:00"))
    world.sublot(item, room, at("00:00"), released=False)
    world.feed("cold", every(5, at("00:00"), at("01:00"), 5.0), upto=at("01:00"))
    world.feed("cold", every(5, at("01:05"), at("03:00"), 12.0), upto=at("03:00"))
    with pages(module_engine, tmp_path_factory.mktemp("pages"), PEOPLE) as people:
        yield Plant(world, people)


def test_qa_sees_the_incident_before_all_else(plant: Plant) -> None:
    read = text_of(plant.people["qa"].get("/"))
    assert "What needs me now" in read
    assert "Incidents with goods 1" in read
    assert "Broken, proven" in read
    assert "I1 200 each · 2 sublots held · 2 still out" in read
    assert read.index("Quality") < read.index("Goods")
    assert read.index("Incidents with goods") < read.index("Alarms to acknowledge")


def test_an_engineer_is_led_to_the_alarm_and_a_warehouse_clerk_is_not(plant: Plant) -> None:
    page = plant.people["eng"].get("/")
    assert "Alarms to acknowledge" in page
    assert ">Acknowledge<" in page
    assert "Alarms to acknowledge" not in plant.people["wes"].get("/")


def test_the_responsible_person_sees_what_waits_for_release(plant: Plant) -> None:
    read = text_of(plant.people["rp"].get("/"))
    assert "Releases waiting 1" in read
    assert "Releases waiting" not in text_of(plant.people["bea"].get("/"))


def test_what_others_decide_is_told_after_ones_own_work_and_is_not_counted(plant: Plant) -> None:
    read = text_of(plant.people["eng"].get("/"))
    assert re.search(r"Alarms to acknowledge (\d+)", read)[1] == re.search(r"(\d+) things?, worst first", read)[1]  # type: ignore[index]  # found, or it fails
    assert read.index("Alarms to acknowledge") < read.index("Incidents with goods 1 for others to act on")
    read = text_of(plant.people["wes"].get("/"))
    assert read.index("Nothing needs you now. As of") < read.index("Incidents with goods 1 for others to act on")


def test_an_incident_says_how_long_goods_were_out_and_how_warm_it_was(plant: Plant) -> None:
    read = text_of(plant.people["qa"].get("/"))
    assert re.search(r"out for [^·]*", read)[0] == "out for 1 h 55 min, 12.0 – 12.0 °C "  # type: ignore[index]  # found, or it fails


def test_the_plant_is_told_in_one_line(plant: Plant) -> None:
    read = text_of(plant.people["bea"].get("/"))
    assert "Zones: 0 in band, 1 out" in read
    assert "Sublots held: 2" in read


def test_its_live_part_is_the_same_without_the_frame(plant: Plant) -> None:
    part = plant.people["qa"].get("/front/needs")
    assert "<html" not in part
    assert "Incidents with goods" in part


def test_who_is_not_signed_in_is_led_to_the_sign_in(plant: Plant) -> None:
    with httpx.Client(base_url=plant.people["qa"].client.base_url) as stranger:
        answer = stranger.get("/")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?why=first&back=%2F"
