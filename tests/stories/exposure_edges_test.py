"""Where answers go wrong by a hair: edges of time, of custody, of what judges, of what a sensor may be trusted with."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text

from core.erp.catalog import service as catalog
from core.erp.catalog.model import Calibration, Installation, Point, ProfileLimit, Sensor, StorageProfile, ZoneNesting
from core.erp.exposure.judge.timer import judge_unmonitored
from core.erp.kernel.errors import Invalid
from tests.world import DAY, HOUR, MINUTE, OVER_8_FOR_60, World, at, every


def rows(world: World, sql: str) -> list[tuple[Any, ...]]:
    with world.engine.connect() as conn:
        return [tuple(row) for row in conn.execute(text(sql))]


@pytest.mark.parametrize("lag", [1, 5, 90])
@pytest.mark.parametrize("company", [False, True])
def test_goods_that_came_ahead_of_the_readings_are_counted_from_when_they_came(
    world: World, lag: int, company: bool
) -> None:
    """The room's readings come in a few minutes late; goods are keyed in at once."""
    room = world.zone("room")
    item = world.item(OVER_8_FOR_60)
    if company:
        world.sublot(item, room, at("00:30"))
    world.feed("room", every(1, at("01:00"), at("01:30"), 5.0), upto=at("01:30"))
    came = at("01:31") + lag * MINUTE
    sublot = world.sublot(item, room, came)
    for minute in range(31, 31 + lag + 61):
        when = at("01:00") + minute * MINUTE
        warm = minute >= 31 + lag // 2
        world.feed("room", [(when, 9.0 if warm else 5.0)], upto=when, now=max(world.now, when))
    assert world.excursions(sublot) == [(sublot, "high", came, came + HOUR, "proven")]


def test_goods_that_leave_as_the_count_is_full_are_held_for_the_zone_they_left(world: World) -> None:
    room, dock = world.zone("room"), world.zone("dock")
    item = world.item(OVER_8_FOR_60)
    full, short = world.sublot(item, room, at("01:00")), world.sublot(item, room, at("01:00"))
    world.feed("dock", every(5, at("01:00"), at("03:30"), 5.0), upto=at("03:30"))
    world.feed(
        "room", [*every(5, at("01:00"), at("01:55"), 5.0), *every(5, at("02:00"), at("02:55"), 9.0)], upto=at("02:55")
    )
    world.put(full, dock, at("03:00"))
    world.put(short, dock, at("02:59:59"), known=at("03:00"))
    world.feed("room", every(5, at("03:00"), at("03:30"), 9.0), upto=at("03:30"))
    assert rows(world, "SELECT sublot_id, zone_id, broke_at, ended_at FROM excursion") == [
        (full, room, at("03:00"), at("03:00"))
    ]


def test_the_value_at_entry_counts_from_entry(world: World) -> None:
    room, dock = world.zone("room", points=("p1",)), world.zone("dock")
    sublot = world.sublot(world.item(OVER_8_FOR_60), dock, at("01:00"))
    world.feed("dock", every(10, at("01:00"), at("04:00"), 5.0), upto=at("04:00"))
    world.feed("room", every(20, at("01:10"), at("03:50"), 9.0), upto=at("03:59"))
    world.put(sublot, room, at("02:07"))
    assert world.excursions(sublot) == [(sublot, "high", at("02:07"), at("03:07"), "proven")]


def install(
    world: World, zone: str, since: str, until: str | None = None, *, point: str = "p1", **calibration: Any
) -> int:
    sensor = world._add(Sensor(serial=f"SN-{zone}-{since}"))
    at_point = rows(world, f"SELECT id FROM point WHERE address = 's1/a/{zone}/{point}/temperature'")[0][0]
    to = None if until is None else at(until)
    world._add(Installation(sensor_id=sensor, point_id=at_point, from_at=at(since), to_at=to))
    done = {"done_at": DAY - HOUR, "due_at": at("00:00", 365), "known_at": DAY, **calibration}
    world._add(Calibration(sensor_id=sensor, **done))
    return sensor


@pytest.mark.parametrize("restarts", [False, True])
def test_a_sensor_exchanged_in_the_middle_of_a_run_resets_nothing(world: World, restarts: bool) -> None:
    room = world.zone("room")
    install(world, "room", "00:00", "02:30")
    install(world, "room", "02:30")
    sublot = world.sublot(world.item(OVER_8_FOR_60), room, at("01:00"))
    world.feed(
        "room", [*every(5, at("01:00"), at("01:55"), 5.0), *every(5, at("02:00"), at("02:30"), 9.0)], upto=at("02:30")
    )
    if restarts:
        world.restart()
    world.feed("room", every(5, at("02:35"), at("03:05"), 9.0), upto=at("03:05"))
    assert world.excursions(sublot) == [(sublot, "high", at("02:00"), at("03:00"), "proven")]


@pytest.mark.parametrize("restarts", [False, True])
def test_a_calibration_that_runs_out_in_the_middle_of_a_run_leaves_it_uncertain(world: World, restarts: bool) -> None:
    """Thirty minutes are proven; the sixty are not. What was proven by itself stays so."""
    room = world.zone("room")
    install(world, "room", "00:00", due_at=at("02:30"))
    brief = ProfileLimit(key="brief", op=">", threshold=8.0, kind="consecutive", delay=30 * MINUTE)
    sublot = world.sublot(world.item(OVER_8_FOR_60, brief), room, at("01:00"))
    world.feed(
        "room", [*every(5, at("01:00"), at("01:55"), 5.0), *every(5, at("02:00"), at("02:25"), 9.0)], upto=at("02:25")
    )
    if restarts:
        world.restart()
    world.feed("room", every(5, at("02:30"), at("03:05"), 9.0), upto=at("03:05"))
    assert world.excursions(sublot) == [
        (sublot, "brief", at("02:00"), at("02:30"), "proven"),
        (sublot, "high", at("02:00"), at("03:00"), "uncertain"),
    ]
    assert rows(world, "SELECT last_good_at FROM zone_judged") == [(at("02:25"),)]


def test_what_the_first_calibration_finds_wrong_was_so_from_the_start(world: World) -> None:
    room = world.zone("room")
    install(world, "room", "00:00", done_at=at("04:00"), known_at=at("04:00"), as_found_ok=False, as_found_error=1.0)
    sublot = world.sublot(world.item(OVER_8_FOR_60), room, at("01:00"))
    world.feed("room", every(10, at("01:00"), at("03:00"), 7.5), upto=at("03:00"))
    assert world.excursions(sublot) == [(sublot, "high", at("01:00"), at("02:00"), "uncertain")]


def test_the_innermost_monitored_zone_judges_and_no_other(world: World) -> None:
    """Shipper in truck in yard: the shipper keeps 5 °C while the truck is at 20; when it loses its logger's place in
    the truck, it is judged by itself all the same.
    """
    yard, truck, shipper = world.zone("yard"), world.zone("truck"), world.zone("shipper")
    box = world.zone("box", points=())
    world._add(ZoneNesting(zone_id=truck, parent_id=yard, from_at=DAY))
    world._add(ZoneNesting(zone_id=shipper, parent_id=truck, from_at=DAY, to_at=at("03:00")))
    world._add(ZoneNesting(zone_id=box, parent_id=shipper, from_at=DAY, to_at=at("02:30")))
    world._add(ZoneNesting(zone_id=box, parent_id=truck, from_at=at("02:30")))
    item = world.item(OVER_8_FOR_60)
    inside, boxed = world.sublot(item, shipper, at("01:00")), world.sublot(item, box, at("01:00"))
    for name, value in (("yard", 30.0), ("truck", 20.0), ("shipper", 5.0)):
        world.feed(name, every(10, at("01:00"), at("04:00"), value), upto=at("04:00"))
    assert world.excursions(inside) == []
    assert world.excursions(boxed) == [(boxed, "high", at("02:30"), at("03:30"), "proven")]


def test_where_nobody_measures_the_innermost_declared_worst_temperature_counts(world: World) -> None:
    """A passive shipper that keeps 7 °C at worst, in a truck without sensors."""
    truck, shipper = world.zone("truck", points=()), world.zone("shipper", points=(), worst_temperature=7.0)
    bag, hot = world.zone("bag", points=()), world.zone("hot", points=(), worst_temperature=40.0)
    for zone, parent in ((shipper, truck), (bag, shipper), (hot, shipper)):
        world._add(ZoneNesting(zone_id=zone, parent_id=parent, from_at=DAY))
    item = world.item(OVER_8_FOR_60)
    goods = [world.sublot(item, zone, at("01:00")) for zone in (shipper, bag, hot, truck)]
    world.now = at("05:00")
    world.do(judge_unmonitored)
    assert [[one[4] for one in world.excursions(sublot)] for sublot in goods] == [[], [], ["uncertain"], ["unproven"]]
    assert [world.obstacles(sublot, at("05:00")) for sublot in goods] == [[], [], ["held"], ["held", "unjudged"]]


def test_a_measured_truck_that_is_silent_leaves_what_is_in_a_declared_shipper_unjudged(world: World) -> None:
    truck, shipper = world.zone("truck"), world.zone("shipper", points=(), worst_temperature=7.0)
    world._add(ZoneNesting(zone_id=shipper, parent_id=truck, from_at=DAY))
    sublot = world.sublot(world.item(OVER_8_FOR_60), shipper, at("01:00"))
    world.feed("truck", every(10, at("01:00"), at("02:00"), 5.0), upto=at("02:00"))
    assert world.obstacles(sublot, at("02:30")) == []
    assert world.obstacles(sublot, at("02:31")) == ["unjudged"]


def test_a_shared_allowance_is_spent_once_over_hours_moves_and_restarts(world: World) -> None:
    """Too warm and too cold spend one allowance of 100 minutes: 40 over the hour, 35 of silence, 25 in another room."""
    limits = tuple(
        ProfileLimit(key=key, op=op, threshold=threshold, kind="cumulative", delay=100 * MINUTE, allowance="out")
        for key, op, threshold in (("warm", ">", 8.0), ("cold", "<", 2.0))
    )
    one, two = world.zone("one", gap=10 * MINUTE), world.zone("two", gap=10 * MINUTE)
    sublot = world.sublot(world.item(*limits, gap=10 * MINUTE), one, at("01:00"))

    def pieces(zone: str, spans: list[tuple[str, str, float]]) -> None:
        for start, stop, value in spans:
            world.feed(zone, every(5, at(start), at(stop), value), upto=at(stop))
            world.restart()

    pieces("one", [("01:00", "01:35", 5.0), ("01:40", "02:15", 9.0), ("02:20", "02:30", 5.0)])
    world.feed("one", [], upto=at("03:10"))
    pieces("one", [("03:15", "03:20", 5.0)])
    pieces("two", [("01:00", "03:20", 5.0)])
    world.put(sublot, two, at("03:20"))
    pieces("two", [("03:25", "03:35", 5.0), ("03:40", "04:00", 1.0)])
    assert world.excursions(sublot) == []
    pieces("two", [("04:05", "04:05", 1.0)])
    assert world.excursions(sublot) == [(sublot, "allowance:out", at("01:40"), at("04:05"), "unproven")]


def test_hysteresis_keeps_an_excursion_open_over_hours_and_counts_no_minutes(world: World) -> None:
    """Over 8 and not back below 6: warm 01:50 to 02:10, then 7 °C over two hours, then warm again, then 5."""
    limit = ProfileLimit(key="high", op=">", threshold=8.0, kind="consecutive", delay=15 * MINUTE, hysteresis=2.0)
    room = world.zone("room")
    world.sublot(world.item(limit), room, at("01:00"))
    spans = [
        ("01:00", "01:45", 5.0),
        ("01:50", "02:05", 9.0),
        ("02:10", "04:05", 7.0),
        ("04:10", "04:55", 9.0),
        ("05:00", "05:20", 6.0),
        ("05:25", "05:30", 5.9),
    ]
    for start, stop, value in spans:
        world.feed("room", every(5, at(start), at(stop), value), upto=at(stop))
        world.restart()
    found = rows(world, "SELECT started_at, broke_at, ended_at, out FROM excursion WHERE state <> 'superseded'")
    assert found == [(at("01:50"), at("02:05"), at("05:00"), timedelta(minutes=70))]


@pytest.mark.parametrize("restarts", [False, True])
def test_a_second_sensor_says_nothing_of_the_time_before_it_was_installed(world: World, restarts: bool) -> None:
    """It comes at 05:00. A reading of the first one from 02:30 comes late, and is judged by the first one alone."""
    room = world.zone("room")
    item = world.item(OVER_8_FOR_60)
    sublot = world.sublot(item, room, at("01:00"))
    world.feed("room", every(10, at("01:00"), at("04:50"), 5.0), upto=at("04:50"))
    world._add(Point(zone_id=room, address="s1/a/room/p2/temperature", quantity="temperature", unit="Cel"))
    install(world, "room", "05:00", point="p2")
    if restarts:
        world.restart()
    world.feed("room", [(at("02:35"), 5.5)], upto=at("04:51"))
    assert world.obstacles(sublot, at("04:51")) == []
    world.feed("room", [(at("05:00"), 5.0), (at("05:05"), 5.0)], upto=at("05:05"))
    assert world.obstacles(sublot, at("05:05")) == ["unjudged"], "from now on it has to speak"
    world.feed("room", [(at("05:06"), 5.0)], point="p2", upto=at("05:06"))
    assert world.obstacles(sublot, at("05:07")) == []
    world.feed("room", [(at("02:36"), 5.5)])
    assert world.excursions(sublot) == []
    world.feed("room", every(10, at("05:10"), at("06:30"), 5.0), upto=at("06:30"))
    assert world.excursions(sublot) == []
    world.feed("room", every(10, at("06:40"), at("06:50"), 5.0), upto=at("06:36"))
    assert world.excursions(sublot) == [(sublot, "high", at("05:36"), at("06:36"), "unproven")]


def test_what_lasted_until_goods_left_us_has_ended_and_may_be_assessed(world: World) -> None:
    room = world.zone("room")
    limits = (OVER_8_FOR_60, ProfileLimit(key="spent", op=">", threshold=8.0, kind="cumulative", delay=HOUR))
    item = world.item(*limits, mkt_limit=8.0, mkt_window=HOUR)
    sublot, stays = world.sublot(item, room, at("01:00")), world.sublot(item, room, at("01:00"))
    world.feed("room", every(5, at("01:00"), at("03:10"), 9.0), upto=at("03:10"))
    ended = "SELECT limit_key, ended_at FROM excursion WHERE sublot_id = {} ORDER BY 1"
    assert rows(world, ended.format(sublot)) == [("high", None), ("mkt", None), ("spent", None)]
    world.put(sublot, None, at("03:05"), known=at("03:10"))
    left = [("high", at("03:05")), ("mkt", at("03:00")), ("spent", at("03:05"))]
    assert rows(world, ended.format(sublot)) == left
    world.feed("room", every(5, at("03:15"), at("04:10"), 9.0), upto=at("04:10"))
    assert rows(world, ended.format(sublot)) == left
    assert rows(world, ended.format(stays)) == [("high", None), ("mkt", None), ("spent", None)]


def test_a_profile_that_could_not_be_judged_as_it_reads_is_refused(world: World) -> None:
    """A window of ninety minutes would be judged as an hour's; two allowances under one name as the first of them."""
    profile = world._add(StorageProfile(code="P", name="P"))
    budget: dict[str, Any] = {"key": "warm", "op": ">", "threshold": 8.0, "kind": "cumulative", "allowance": "out"}
    two = [ProfileLimit(**budget, delay=HOUR), ProfileLimit(**budget | {"key": "hot"}, delay=2 * HOUR)]
    tries: list[tuple[list[ProfileLimit], dict[str, Any], str]] = [
        ([], {"mkt_limit": 25.0, "mkt_window": 90 * MINUTE}, "whole hours"),
        (two, {}, "the same time"),
    ]
    for limits, more, said in tries:
        with pytest.raises(Invalid, match=said):
            world.do(partial(catalog.add_version, profile_id=profile, allowed_gap=HOUR, limits=limits, **more))
