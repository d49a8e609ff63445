"""A warm office before and after the journey does not count, not by a single minute: limits that break at once."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from core.erp.catalog.model import ProfileLimit
from core.erp.exposure.judge.judge import Judge
from core.ingest.importing import ImportRequest, import_logger
from core.wiring import build_events
from tests.stories.loggers import OFFICE, Journey, Values, series
from tests.world import OVER_8_FOR_60, World, at, every

AT_ONCE = ProfileLimit(key="instant", op=">", threshold=15.0, kind="instant", delay=timedelta(0))
BEFORE = every(5, at("06:02"), at("07:57"), OFFICE)
AFTERWARDS = every(5, at("12:02"), at("14:00"), OFFICE)


@pytest.fixture
def world(engine: Engine) -> World:
    return World(engine, build_events())


def journey(world: World, values: Values, **more: object) -> Journey:
    """From 08:00 to 12:00; the logger's minutes are 2, 7, 12, …: none falls on the departure or the arrival."""
    made = Journey(world, "R-1", limits=(AT_ONCE, OVER_8_FOR_60), **more)  # type: ignore[arg-type]  # keywords of several types
    made.leave()
    made.arrive()
    made.take([*BEFORE, *values, *AFTERWARDS])
    return made


def test_good_goods_between_two_warm_offices_break_nothing(world: World) -> None:
    made = journey(world, every(5, at("08:02"), at("11:57"), 5.0))
    assert made.found() == []
    assert world.holds(made.goods) == []
    with world.engine.connect() as conn:
        assert conn.execute(text("SELECT count(*) FROM excursion")).scalar_one() == 0
        silent = conn.execute(
            text(
                "SELECT start_at, stop_at FROM gap_standing WHERE zone_id IN"
                " (SELECT id FROM zone WHERE kind = 'logger')"
            )
        ).all()
        assert silent == [], "what it did before and after is no silence of the goods"


def test_the_first_reading_speaks_back_to_when_they_came_together(world: World) -> None:
    made = journey(world, [*every(5, at("08:02"), at("09:02"), 9.0), *every(5, at("09:07"), at("11:57"), 5.0)])
    assert made.found() == [("high", at("08:00"), at("09:00"), "proven")]
    with world.engine.connect() as conn:
        highest = conn.execute(text("SELECT highest FROM excursion")).scalar_one()
    assert highest == 9.0, "the office is no evidence"


def test_a_first_reading_in_the_next_hour_speaks_back_as_well(world: World) -> None:
    shed = world.zone("shed", points=())
    goods = world.sublot(world.item(AT_ONCE, OVER_8_FOR_60), shed, at("08:58"), released=False)
    values = [*every(5, at("07:03"), at("08:53"), OFFICE), *every(5, at("09:03"), at("12:58"), 9.0)]
    order = ImportRequest("R-1", series(values), sublot=goods, stop=at("13:00"))
    world.do(lambda u: import_logger(u, Judge(), order, live=True), now=at("14:00"))
    found = [row[1:] for row in world.excursions(goods) if row[2] < at("13:00")]
    assert found == [("high", at("08:58"), at("09:58"), "proven")]


def test_a_logger_that_began_too_late_leaves_the_beginning_unproven(world: World) -> None:
    made = journey(world, every(5, at("09:02"), at("11:57"), 5.0))
    assert sorted(made.found(), key=str) == [
        ("high", at("08:00"), at("09:00"), "unproven"),
        ("instant", at("08:00"), at("08:00"), "unproven"),
    ]


def test_a_departure_keyed_late_moves_what_counts(world: World) -> None:
    """The same file counts from the corrected time, without being read again."""
    made = journey(world, every(5, at("08:02"), at("11:57"), 5.0))
    zone = world.do(lambda u: u.conn.execute(text("SELECT id FROM zone WHERE kind = 'logger'")).scalar_one())
    world.put(made.goods, zone, at("07:50"), known=at("17:00"))
    assert made.found() == [("instant", at("07:50"), at("07:50"), "proven")]


def test_a_second_stay_begins_anew(world: World) -> None:
    """Out of the box for an hour in the office, and in again: neither end of the hour counts."""
    shed = world.zone("shed", points=())
    goods = world.sublot(world.item(AT_ONCE, OVER_8_FOR_60), shed, at("05:00"), released=False)
    values = [
        *every(5, at("05:02"), at("08:57"), 5.0),
        *every(5, at("09:02"), at("09:57"), OFFICE),
        *every(5, at("10:02"), at("12:57"), 5.0),
    ]

    def bind(start: datetime, stop: datetime) -> None:
        order = ImportRequest("R-1", series(values), sublot=goods, start=start, stop=stop)
        world.do(lambda u: import_logger(u, Judge(), order, live=True), now=at("13:00"))

    bind(at("05:00"), at("09:00"))
    bind(at("10:00"), at("13:00"))
    assert [row for row in world.excursions(goods) if row[4] == "proven"] == []
