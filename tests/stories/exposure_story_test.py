"""What a quality manager expects of the judge. Unless stated: limit "> 8.0 °C for 60 min", allowed gap 30 min."""

import itertools
import os
import random
from datetime import timedelta

import pytest
from sqlalchemy import text

from core.erp.catalog.model import Calibration, ProfileLimit
from core.telemetry.batch import Watermark
from core.telemetry.quality import Quality
from core.telemetry.reading import Reading
from tests.world import DAY, HOUR, MINUTE, OVER_8_FOR_60, World, at, every


def test_goods_that_came_for_the_last_five_minutes_of_a_warm_hour_are_not_held(world: World) -> None:
    room, dock = world.zone("room"), world.zone("dock")
    item = world.item(OVER_8_FOR_60)
    there = world.sublot(item, room, at("01:00"))
    world.feed("dock", every(1, at("01:00"), at("03:10"), 5.0), upto=at("03:10"))
    late = world.sublot(item, dock, at("01:00"))
    world.feed(
        "room", [*every(1, at("01:00"), at("01:59"), 5.0), *every(1, at("02:00"), at("02:55"), 9.0)], upto=at("02:55")
    )
    world.put(late, room, at("02:55"))
    world.feed("room", every(1, at("02:56"), at("02:59"), 9.0), upto=at("02:59"))
    assert world.holds(there) == []
    world.feed("room", [(at("03:00"), 9.0), (at("03:01"), 5.0)], upto=at("03:01"))
    assert world.holds(there) == ["proven"]
    assert world.excursions(there) == [(there, "high", at("02:00"), at("03:00"), "proven")]
    assert world.holds(late) == []
    assert world.excursions(late) == []


def test_goods_carried_between_two_warm_zones_are_held_at_minute_60_of_their_own_count(world: World) -> None:
    one, two = world.zone("one"), world.zone("two")
    sublot = world.sublot(world.item(OVER_8_FOR_60), one, at("01:00"))
    world.feed(
        "one", [*every(1, at("01:00"), at("01:59"), 5.0), *every(1, at("02:00"), at("02:30"), 9.0)], upto=at("02:30")
    )
    world.feed("two", every(1, at("02:00"), at("02:30"), 10.0), upto=at("02:30"))
    world.put(sublot, two, at("02:30"))
    world.feed("two", every(1, at("02:31"), at("02:59"), 10.0), upto=at("02:59"))
    assert world.holds(sublot) == []
    world.feed("two", [(at("03:00"), 10.0), (at("03:01"), 5.0)], upto=at("03:01"))
    assert world.excursions(sublot) == [(sublot, "high", at("02:00"), at("03:00"), "proven")]


def test_a_narrow_and_a_wide_profile_in_one_room_part_ways(world: World) -> None:
    room = world.zone("room")
    narrow = world.sublot(world.item(OVER_8_FOR_60), room, at("01:00"))
    wide = world.sublot(
        world.item(ProfileLimit(key="high", op=">", threshold=25.0, kind="consecutive", delay=HOUR)), room, at("01:00")
    )
    world.feed(
        "room", [*every(1, at("01:00"), at("01:59"), 5.0), *every(1, at("02:00"), at("04:00"), 12.0)], upto=at("04:00")
    )
    assert world.holds(narrow) == ["proven"]
    assert world.holds(wide) == []


def test_rescue_keyed_hours_late(world: World) -> None:
    """A is warm from 02:00, held at 03:00; the rescue into B (5 °C) at 03:20 is keyed at 06:30."""
    a, b = world.zone("A"), world.zone("B")
    sublot = world.sublot(world.item(OVER_8_FOR_60), a, at("01:00"))
    world.feed(
        "A", [*every(1, at("01:00"), at("01:59"), 5.0), *every(1, at("02:00"), at("06:30"), 9.0)], upto=at("06:30")
    )
    world.feed("B", every(1, at("01:00"), at("06:30"), 5.0), upto=at("06:30"))
    assert world.holds(sublot) == ["proven"]
    world.put(sublot, b, at("03:20"), known=at("06:30"))
    assert out_of(world, sublot) == 80 * MINUTE
    assert world.holds(sublot) == ["proven"]
    assert world.excursions(sublot) == [(sublot, "high", at("02:00"), at("03:00"), "proven")]


def out_of(world: World, sublot: int) -> timedelta:
    with world.engine.connect() as conn:
        return conn.execute(text('SELECT "out" FROM excursion WHERE sublot_id = :s'), {"s": sublot}).scalar_one()  # type: ignore[no-any-return]  # a driver's row is untyped


def test_a_sensor_that_falls_silent_while_its_gateway_does_not(world: World) -> None:
    room = world.zone("room")
    sublot = world.sublot(world.item(OVER_8_FOR_60), room, at("13:00"))
    world.feed("room", every(10, at("13:00"), at("14:00"), 5.0), upto=at("14:00"))
    world.feed("room", [], upto=at("14:29"))
    assert world.obstacles(sublot, at("14:30")) == []
    assert world.obstacles(sublot, at("14:31")) == ["unjudged"]
    world.feed("room", [], upto=at("15:29"), now=at("15:29"))
    assert world.holds(sublot) == []
    world.feed("room", [], upto=at("15:30"), now=at("15:30"))
    assert world.holds(sublot) == ["unproven"]
    assert world.excursions(sublot) == [(sublot, "high", at("14:30"), at("15:30"), "unproven")]
    world.feed("room", every(10, at("14:10"), at("15:40"), 5.0), upto=at("15:40"))
    assert world.excursions(sublot) == []
    assert world.holds(sublot) == ["unproven"], "later good data do not lift an unproven hold"


def test_good_values_for_the_whole_gap_that_arrive_late_clear_it_without_qa(world: World) -> None:
    room = world.zone("room")
    sublot = world.sublot(world.item(OVER_8_FOR_60), room, at("13:00"))
    world.feed("room", every(10, at("13:00"), at("14:00"), 5.0), upto=at("14:40"))
    assert world.obstacles(sublot, at("14:41")) == ["unjudged"]
    world.feed("room", every(10, at("14:10"), at("14:45"), 5.0), upto=at("14:45"), now=at("14:45"))
    assert world.obstacles(sublot, at("14:46")) == []
    assert world.holds(sublot) == []


def test_an_expired_calibration_alarms_and_holds_as_uncertain(world: World) -> None:
    room = world.zone("room")
    world.sensor("room", done=DAY - timedelta(days=366), due=DAY - timedelta(days=1))
    sublot = world.sublot(world.item(OVER_8_FOR_60), room, at("01:00"))
    world.feed("room", every(1, at("01:00"), at("02:05"), 12.0), upto=at("02:05"))
    assert world.excursions(sublot) == [(sublot, "high", at("01:00"), at("02:00"), "uncertain")]
    assert world.holds(sublot) == ["uncertain"]


def test_a_gateway_cut_off_for_six_hours(world: World) -> None:
    """Its goods cannot be dispatched, none is held; its spool then proves most good and some warm."""
    good, warm = world.zone("good"), world.zone("warm")
    item = world.item(OVER_8_FOR_60)
    fine, spoiled = world.sublot(item, good, at("01:00")), world.sublot(item, warm, at("01:00"))
    for zone in ("good", "warm"):
        world.feed(zone, every(5, at("01:00"), at("02:00"), 5.0), upto=at("02:00"))
    for sublot in (fine, spoiled):
        assert world.obstacles(sublot, at("08:00")) == ["unjudged"]
        assert world.holds(sublot) == []
    world.feed("good", every(5, at("02:05"), at("08:00"), 5.0), upto=at("08:00"), now=at("08:01"))
    world.feed(
        "warm",
        [
            *every(5, at("02:05"), at("03:55"), 5.0),
            *every(5, at("04:00"), at("06:00"), 11.0),
            *every(5, at("06:05"), at("08:00"), 5.0),
        ],
        upto=at("08:00"),
        now=at("08:01"),
    )
    assert world.holds(fine) == []
    assert world.obstacles(fine, at("08:02")) == []
    assert world.excursions(spoiled) == [(spoiled, "high", at("04:00"), at("05:00"), "proven")]
    assert world.holds(spoiled) == ["proven"]


def test_a_late_batch_says_when_it_was_so_and_when_it_was_known(world: World) -> None:
    room = world.zone("room")
    sublot = world.sublot(world.item(OVER_8_FOR_60), room, at("01:00"))
    world.feed("room", every(5, at("01:00"), at("02:00"), 9.5), upto=at("01:30"), now=at("09:00"))
    with world.engine.connect() as conn:
        row = conn.execute(text("SELECT broke_at, known_at FROM excursion WHERE sublot_id = :s"), {"s": sublot}).one()
        hold = conn.execute(text("SELECT since_at, placed_at FROM hold WHERE sublot_id = :s"), {"s": sublot}).one()
    assert (row.broke_at, row.known_at) == (at("02:00"), at("09:00"))
    assert (hold.since_at, hold.placed_at) == (at("02:00"), at("09:00"))


def test_a_failed_as_found_check_judges_again_with_the_error_found(world: World) -> None:
    room = world.zone("room")
    sensor = world.sensor("room", done=DAY - timedelta(days=300), due=DAY + timedelta(days=65))
    sublot = world.sublot(world.item(OVER_8_FOR_60), room, at("01:00"))
    world.feed("room", every(5, at("01:00"), at("03:00"), 7.5), upto=at("03:00"))
    assert world.holds(sublot) == []
    world._add(
        Calibration(
            sensor_id=sensor,
            done_at=at("03:00"),
            due_at=DAY + timedelta(days=365),
            as_found_ok=False,
            as_found_error=1.0,
            known_at=at("03:30"),
        )
    )
    world.do(lambda u: world.judge.rejudge(u, room, DAY - timedelta(days=300)), now=at("03:30"))
    assert world.excursions(sublot) == [(sublot, "high", at("01:00"), at("02:00"), "uncertain")]


def test_a_spare_sensor_may_stand_in(world: World) -> None:
    room = world.zone("room", points=("p1", "~p2"))
    sublot = world.sublot(world.item(OVER_8_FOR_60), room, at("01:00"))
    world.feed("room", every(10, at("01:00"), at("02:00"), 5.0), upto=at("02:00"))
    world.feed("room", every(10, at("01:05"), at("05:05"), 5.0), point="p2", upto=at("05:05"))
    assert world.holds(sublot) == []
    assert world.obstacles(sublot, at("05:10")) == []


def test_a_restart_forgets_nothing(world: World) -> None:
    room = world.zone("room")
    sublot = world.sublot(world.item(OVER_8_FOR_60), room, at("01:00"))
    for start in range(0, 90, 7):
        begin = at("01:00") + start * MINUTE
        world.feed("room", every(1, begin, begin + 6 * MINUTE, 5.0 if start < 21 else 9.0), upto=begin + 6 * MINUTE)
        world.restart()
    assert world.excursions(sublot) == [(sublot, "high", at("01:21"), at("02:21"), "proven")]


@pytest.mark.parametrize("seed", range(20 if os.environ.get("LOTWISE_TEST_HEAVY") == "1" else 3))
def test_the_excursions_are_a_function_of_the_data(world: World, seed: int) -> None:
    """In one go, reading by reading, shuffled, with restarts: the set not superseded is the same, and it is held."""
    rng = random.Random(seed)
    limits = (
        ProfileLimit(key="high", op=">", threshold=8.0, kind="consecutive", delay=40 * MINUTE, hysteresis=0.5),
        ProfileLimit(key="spent", op=">", threshold=8.0, kind="cumulative", delay=100 * MINUTE),
        ProfileLimit(key="frost", op="<", threshold=0.0, kind="instant"),
    )
    values: list[tuple[timedelta, float, Quality]] = []
    clock, level = timedelta(0), 5.0
    while clock < 5 * HOUR:
        level = max(-1.0, min(12.0, level + rng.choice([-2.5, -1.0, 0.0, 1.0, 2.5])))
        quality = Quality.UNCERTAIN if rng.random() < 0.08 else Quality.GOOD
        values.append((clock, level, quality))
        clock += timedelta(minutes=rng.choice([3, 5, 8, 45 if rng.random() < 0.1 else 6]))
    found, held = [], []
    for name, order in (("whole", None), ("single", None), ("shuffled", rng.sample(range(len(values)), len(values)))):
        zone = world.zone(name)
        sublot = world.sublot(world.item(*limits), zone, at("01:00"))
        readings = [
            Reading(
                f"s1/a/{name}/p1/temperature",
                at("01:00") + offset,
                value,
                "Cel",
                at("01:00"),
                None,
                quality,
                "" if quality is Quality.GOOD else "device_reported",
            )
            for offset, value, quality in values
        ]
        upto = [("g1", Watermark("source", at("07:00"), (f"s1/a/{name}",)))]
        if name == "whole":
            world.fold(readings, upto, now=at("07:00"))
        else:
            picks = order or list(range(len(readings)))
            for number, index in enumerate(picks):
                world.fold([readings[index]], [], now=at("07:00"))
                if number % 11 == 5:
                    world.restart()
            world.fold([], upto, now=at("07:00"))
        found.append(
            {(key, started, broke, certainty) for _, key, started, broke, certainty in world.excursions(sublot)}
        )
        held.append(len(world.holds(sublot)))
    assert found[0] == found[1] == found[2]
    assert all(count >= len(found[0]) for count in held)
    assert found[0] or list(itertools.islice(held, 1)) == [0]


def gaps(world: World) -> list[tuple[object, object]]:
    with world.engine.connect() as conn:
        return [(r.start_at, r.stop_at) for r in conn.execute(text("SELECT * FROM gap_standing ORDER BY start_at"))]


def test_a_silence_is_on_record_until_late_data_fill_it(world: World) -> None:
    world.zone("room")
    world.feed("room", every(10, at("13:00"), at("14:00"), 5.0), upto=at("14:00"))
    world.feed("room", [], upto=at("14:29"))
    assert gaps(world) == []
    world.feed("room", [], upto=at("14:31"))
    assert gaps(world) == [(at("14:30"), None)]
    world.feed("room", [(at("16:00"), 5.0)], upto=at("16:00"))
    assert gaps(world) == [(at("14:30"), at("16:00"))]
    world.feed("room", every(10, at("14:10"), at("15:00"), 5.0), upto=at("16:05"))
    assert gaps(world) == [(at("15:30"), at("16:00"))]
    world.feed("room", every(10, at("15:10"), at("15:50"), 5.0), upto=at("16:06"))
    assert gaps(world) == []
