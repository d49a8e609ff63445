"""The last hours of zones as small pictures."""

from xml.etree import ElementTree as ET

import pytest
from sqlalchemy import Engine, text

from core.telemetry.quality import Quality
from core.telemetry.reading import Reading
from core.web.charts.sparkline import COLUMNS, KEPT, Band, Sparklines, recent, sparkline
from tests.world import World, at, every, judging

COLD = Band(2.0, 8.0)


@pytest.fixture
def world(engine: Engine) -> World:
    return judging(engine)


def test_the_least_and_the_greatest_of_each_twenty_minutes(world: World) -> None:
    room, empty = world.zone("room", points=("p1", "~p2")), world.zone("empty")
    world.feed("room", [(at("12:00"), 5.0), (at("12:01"), 9.0), (at("12:02"), 4.0), (at("13:00"), 5.0)])
    world.feed("room", [(at("12:10"), 99.0)], point="p2")
    world.feed("room", [(at("12:11"), 1.0)], quality=Quality.UNCERTAIN)
    world.feed("room", [(at("12:12"), 85.0)], quality=Quality.BAD)
    with world.engine.connect() as conn:
        found = recent(conn, [room, empty], at("00:00", 1))
    assert found == {room: [(36, 1.0, 9.0), (39, 5.0, 5.0)], empty: []}


def test_what_is_read_in_another_unit_is_compared_in_degrees_celsius(world: World) -> None:
    room = world.zone("room")
    with world.engine.begin() as conn:
        conn.execute(text("UPDATE point SET unit = '[degF]'"))
    warm = Reading("s1/a/room/p1/temperature", at("12:00"), 50.0, "[degF]", at("12:00"))
    world.fold([warm], [], now=at("12:01"))
    with world.engine.connect() as conn:
        ((number, low, high),) = recent(conn, [room], at("13:00"))[room]
    assert number == 69
    assert [low, high] == pytest.approx([10.0, 10.0])


def test_the_picture_is_well_formed_and_breaks_where_nothing_was_read() -> None:
    picture = ET.fromstring(sparkline([(0, 4.0, 5.0), (1, 5.0, 5.0), (5, 9.0, 9.5)], COLD))
    lines = [one for one in picture if one.get("class") == "lim-2"]
    (curve,) = [one for one in picture if one.get("class") == "ln"]
    assert len(lines) == 2
    assert curve.get("d", "").count("M") == 2, "two pieces"
    assert picture.get("aria-hidden") == "true"
    assert [child.get("style") for child in picture] == [None] * 3


def test_an_open_band_a_flat_line_and_a_zone_that_is_out() -> None:
    picture = sparkline([(n, 5.0, 5.0) for n in range(COLUMNS)], Band(None, None), out=True)
    assert "ln ln-harm" in picture
    assert "lim-2" not in picture
    assert sparkline([], COLD) == ""


def test_pictures_are_read_again_when_they_are_old(world: World) -> None:
    clock = [100.0]
    sparks = Sparklines(lambda: clock[0])
    room = world.zone("room")
    world.feed("room", every(10, at("10:00"), at("11:00"), 5.0))
    now = at("12:00")
    with world.engine.connect() as conn:
        before = sparks.of(conn, [room], now)[room]
    world.feed("room", [(at("11:30"), 9.0)])
    with world.engine.connect() as conn:
        assert sparks.of(conn, [room], now)[room] == before
        clock[0] += KEPT + 1
        assert sparks.of(conn, [room], now)[room][-1][1:] == (9.0, 9.0)
