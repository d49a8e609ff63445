"""Changes of zones, points and limits: audited, by permit, never over what others changed, never rewriting what was
judged."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from core.erp.catalog import revisions
from core.erp.catalog.model import Point
from core.erp.kernel.errors import Invalid, Refused
from core.wiring import build_events
from tests.services.api_core_test import Api, Plant, api, plant  # noqa: F401 - fixtures
from tests.world import MINUTE, OVER_8_FOR_60, World, at, every


@pytest.fixture
def world(engine: Engine) -> World:
    return World(engine, build_events())


def zone_alarms(world: World) -> list[tuple[str, str]]:
    with world.engine.connect() as conn:
        return [tuple(row) for row in conn.execute(text("SELECT kind, state FROM zone_alarm ORDER BY id"))]


def change_zone(world: World, zone: int, now: str, **changes: Any) -> None:
    world.do(lambda u: revisions.change_zone(u, zone, **changes), now=at(now))


def test_a_new_band_counts_at_once_and_an_end_that_is_taken_away_ends_its_alarm(world: World) -> None:
    room = world.zone("room", band_low=2.0, band_high=8.0)
    world.feed("room", every(5, at("01:00"), at("02:00"), 9.0), upto=at("02:00"))
    assert zone_alarms(world) == [("high", "unacknowledged")]
    change_zone(world, room, "02:01", band_high=10.0)
    assert zone_alarms(world) == [("high", "returned_unacknowledged")]
    change_zone(world, room, "02:02", band_high=8.5, name="Room", accepts_held=True)
    world.feed("room", [(at("02:03"), 9.0)], upto=at("02:03"))
    assert [kind for kind, _ in zone_alarms(world)] == ["high", "high"]
    change_zone(world, room, "02:04", band_high=None)
    assert {state for _, state in zone_alarms(world)} == {"returned_unacknowledged"}
    world.feed("room", every(5, at("02:05"), at("03:00"), 30.0), upto=at("03:00"))
    assert len(zone_alarms(world)) == 2
    with world.engine.connect() as conn:
        rows = conn.execute(text("SELECT before, after FROM audit WHERE action = 'zone.change' ORDER BY id")).all()
    assert [tuple(row) for row in rows] == [
        ({"band_high": 8}, {"band_high": 10}),
        (
            {"accepts_held": False, "band_high": 10, "name": "room"},
            {"accepts_held": True, "band_high": 8.5, "name": "Room"},
        ),
        ({"band_high": 8.5}, {"band_high": None}),
    ]
    with pytest.raises(Invalid, match="low end"):
        change_zone(world, room, "03:05", band_high=1.0)


def test_what_is_not_other_is_no_change(world: World) -> None:
    room = world.zone("room", band_low=2.0, band_high=8.0)
    change_zone(world, room, "01:00", band_low=2.0, name="room")
    with world.engine.connect() as conn:
        assert conn.execute(text("SELECT count(*) FROM audit WHERE action = 'zone.change'")).scalar_one() == 0


def test_a_worst_temperature_by_which_goods_were_judged_stays(world: World) -> None:
    dock = world.zone("dock", points=(), worst_temperature=20.0)
    change_zone(world, dock, "01:00", worst_temperature=25.0)
    world.sublot(world.item(OVER_8_FOR_60), dock, at("02:00"))
    with pytest.raises(Refused, match="worst temperature"):
        change_zone(world, dock, "03:00", worst_temperature=5.0)
    change_zone(world, dock, "03:00", name="Dock 2")


def test_a_point_with_readings_keeps_its_unit(world: World) -> None:
    world.zone("room")
    with world.engine.connect() as conn:
        point = conn.execute(text("SELECT id FROM point")).scalar_one()

    def change(**changes: Any) -> Point:
        return world.do(lambda u: revisions.change_point(u, point, **changes), now=at("01:00"))

    assert change(unit="[degF]").unit == "[degF]"
    assert change(unit="Cel").unit == "Cel"
    with pytest.raises(Invalid, match="not measured in"):
        change(unit="hPa")
    world.feed("room", every(5, at("00:10"), at("00:30"), 5.0), upto=at("00:30"))
    with pytest.raises(Refused, match=r"has readings in 'Cel': its unit stays.*converted"):
        change(unit="[degF]")
    assert change(plausible_low=-40.0, plausible_high=60.0).plausible_high == 60.0
    with pytest.raises(Invalid, match="lowest plausible"):
        change(plausible_low=99.0)


def test_a_point_that_becomes_a_spare_is_one_for_all_that_goods_went_through(world: World) -> None:
    room = world.zone("room", points=("p1", "p2"))
    goods = world.sublot(world.item(OVER_8_FOR_60), room, at("00:00"))
    # p2 says nothing: in the worst case the goods were out all the time
    world.feed("room", every(5, at("00:00"), at("03:00"), 5.0), point="p1", upto=at("03:00"))
    assert world.holds(goods)
    with world.engine.connect() as conn:
        silent = conn.execute(text("SELECT id FROM point WHERE address LIKE '%/p2/%'")).scalar_one()
    world.do(lambda u: revisions.change_point(u, silent, role="machine"), now=at("03:01"))
    with world.engine.connect() as conn:
        states = conn.execute(text("SELECT DISTINCT state FROM excursion")).scalars().all()
    assert states == ["superseded"]
    assert world.holds(goods), "holds stand until QA lifts them"


def test_changes_through_the_api(api: Api, plant: Plant) -> None:  # noqa: F811 - fixtures are imported and named as parameters
    engineer = api.sign_in("engineer")

    def patch(path: str, who: dict[str, str], body: Any, version: int | None = None) -> Any:
        seen = version if version is not None else api.get(path, who).json()["version"]
        return api.client.patch(f"/api/v1{path}", json={**body, "version": seen}, headers=who)

    zone = f"/zones/{plant.zone}"
    was = api.get(zone, plant.store).json()["version"]
    assert patch(zone, engineer, {"name": "X"}).status_code == 403
    done = patch(zone, plant.admin, {"name": "Cold room", "allowed_gap": "PT10M"}, was)
    assert (done.status_code, done.json()["name"], done.json()["allowed_gap"]) == (200, "Cold room", "PT10M")
    stale = patch(zone, plant.admin, {"name": "Y"}, was)
    assert (stale.status_code, stale.json()["title"]) == (409, "Conflict")
    assert "admin: zone.change" in stale.json()["detail"]
    for wrong in ({}, {"name": None}, {"address": "north/store/x"}, {"band_low": 9}, {"allowed_gap": "PT0S"}):
        assert patch(zone, plant.admin, wrong).status_code == 422, wrong
    point = api.get("/points", plant.store).json()["items"][0]["id"]
    assert patch(f"/points/{point}", plant.quality, {"role": "spare"}).status_code == 403
    assert patch(f"/points/{point}", engineer, {"role": "spare"}).json()["role"] == "spare"
    assert patch("/zones/999999", plant.admin, {"name": "Z"}, 1).status_code == 404
    item = f"/items/{plant.item}"
    assert patch(item, plant.admin, {"gtin": "04012345678901"}).json()["gtin"] == "04012345678901"
    assert patch(item, plant.admin, {"gtin": None, "shelf_life": "P730D"}).json()["shelf_life"] == "P730D"
    assert patch(item, plant.admin, {"uom": "box"}).status_code == 422


def test_an_edited_limit_is_a_new_version_and_the_judged_one_stays(api: Api, plant: Plant) -> None:  # noqa: F811 - fixtures are imported and named as parameters
    profile = f"/profiles/{api.get('/profiles', plant.quality).json()['items'][0]['id']}"

    def patch(who: dict[str, str], version: int | None = None, **body: Any) -> Any:
        seen = version if version is not None else api.get(profile, who).json()["version"]
        return api.client.patch(f"/api/v1{profile}", json={**body, "version": seen}, headers=who)

    was = api.get(profile, plant.quality).json()["version"]
    assert patch(plant.admin, limits=[{"key": "high", "threshold": 7}]).status_code == 403
    low = {"key": "low", "op": "<", "threshold": 2, "kind": "instant"}
    made = patch(plant.quality, limits=[{"key": "high", "threshold": 7}, low])
    assert made.status_code == 200, made.text
    versions = made.json()["versions"]
    assert [one["version"] for one in versions] == [1, 2]
    assert [(one["key"], one["threshold"], one["delay"]) for one in versions[-1]["limits"]] == [
        ("high", 7, "PT1H"),
        ("low", 2, "PT0S"),
    ]
    assert versions[0]["limits"][0]["threshold"] == 8
    item = f"/items/{plant.item}"
    assert [one["version_id"] for one in api.get(item, plant.quality).json()["profiles"]] == [versions[0]["id"]]
    assert patch(plant.quality, was, limits=[{"key": "high", "threshold": 6}]).status_code == 409
    assert patch(plant.quality, remove=["none"]).status_code == 422
    assert patch(plant.quality, limits=[{"key": "new", "threshold": 6}]).status_code == 422
    named = patch(plant.quality, name="Two to seven")
    assert (named.json()["name"], len(named.json()["versions"])) == ("Two to seven", 2), "a name is no content"
    later = patch(plant.quality, remove=["low"], from_at="2099-01-01T00:00:00Z").json()["versions"][-1]
    assert [one["key"] for one in later["limits"]] == ["high"]
    assert api.get(item, plant.quality).json()["profiles"][-1]["version_id"] == later["id"]


def test_zones_are_found_by_site_and_by_what_people_type(api: Api, plant: Plant) -> None:  # noqa: F811 - fixtures are imported and named as parameters
    zone = api.get(f"/zones/{plant.zone}", plant.quality).json()
    site = zone["site_id"]
    found = [api.get("/zones", plant.quality, search=zone["address"][:9], site_id=site).json()["items"]]
    found.append(api.get("/zones", plant.quality, sort="-address", site_id=site, count=True).json()["items"])
    assert all(plant.zone in [one["id"] for one in listed] for listed in found)
    assert api.get("/zones", plant.quality, site_id=site + 1).json()["items"] == []


def test_the_allowed_gap_of_a_zone_counts_from_now_on(world: World) -> None:
    room = world.zone("room", gap=30 * MINUTE)
    world.feed("room", [(at("01:00"), 5.0)], upto=at("01:10"))
    change_zone(world, room, "01:11", allowed_gap=timedelta(minutes=5))
    world.feed("room", [], upto=at("01:12"))
    assert zone_alarms(world) == [("stale", "unacknowledged")]
