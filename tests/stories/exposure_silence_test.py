"""Who says nothing: silent gateways over restarts, zones nobody ever spoke of, sensors that never worked."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from core.erp.catalog.model import Calibration, Installation, ItemProfile, Point, ProfileLimit, Sensor, ZoneNesting
from core.erp.exposure.judge.judge import Judge
from core.erp.exposure.judge.timer import SilenceLimits, judge_new_profiles, tick
from core.erp.exposure.times import micros
from core.telemetry.batch import Watermark
from core.telemetry.quality import Quality
from core.telemetry.reading import Reading
from tests.world import DAY, HOUR, MINUTE, OVER_8_FOR_60, World, at, every


def beat(world: World, clock: str, day: int = 0, judge: Judge | None = None) -> None:
    """The core's own timer beats once, in a process of its own."""
    world.now = max(world.now, at(clock, day))
    world.do(lambda u: tick(u, judge or Judge(), SilenceLimits()), now=world.now)


def rows(world: World, sql: str) -> list[tuple[Any, ...]]:
    with world.engine.connect() as conn:
        return [tuple(row) for row in conn.execute(text(sql))]


def alarms(world: World, kind: str) -> list[tuple[Any, ...]]:
    return rows(world, f"SELECT started_at, returned_at FROM zone_alarm WHERE kind = '{kind}' ORDER BY id")


def incidents(world: World) -> list[tuple[Any, ...]]:
    return rows(world, "SELECT gateway, started_at, ended_at FROM incident WHERE kind = 'silent_gateway' ORDER BY id")


def test_a_gateway_that_comes_back_while_the_core_restarts_is_not_silent_for_ever(world: World) -> None:
    world.zone("room")
    world.feed("room", every(5, at("01:00"), at("02:00"), 5.0), upto=at("02:00"))
    beat(world, "02:01")
    assert alarms(world, "silent_gateway") == []
    beat(world, "02:10")
    beat(world, "02:12")
    assert alarms(world, "silent_gateway") == [(at("02:00"), None)]
    assert incidents(world) == [("g1", at("02:00"), None)]
    world.feed("room", every(5, at("02:05"), at("03:00"), 5.0), upto=at("03:00"))  # while the timer was down
    beat(world, "03:01")
    assert alarms(world, "silent_gateway") == [(at("02:00"), at("03:01"))]
    assert incidents(world) == [("g1", at("02:00"), at("03:01"))]
    assert rows(world, "SELECT silent_since FROM zone_judged") == [(None,)]


def test_a_measured_zone_nobody_ever_spoke_of_is_held_after_the_patience_and_heard_when_it_speaks(
    world: World,
) -> None:
    room = world.zone("room")
    sublot = world.sublot(world.item(OVER_8_FOR_60), room, at("01:00"))
    beat(world, "01:10")
    assert alarms(world, "silent_gateway") == [(at("01:00"), None)]
    assert incidents(world) == [(f"of zone {room}", at("01:00"), None)]
    assert world.obstacles(sublot, at("01:10")) == ["unjudged"]
    beat(world, "01:00", day=1)
    assert world.holds(sublot) == [], "its spool may still tell, for a day"
    beat(world, "01:01", day=1)
    assert world.excursions(sublot) == [(sublot, "high", at("01:00"), at("02:00"), "unproven")]
    beat(world, "01:05", day=1)
    assert world.holds(sublot) == ["unproven"]
    good = every(20, at("01:00"), at("01:00", 1), 5.0)
    world.feed("room", good, upto=at("01:00", 1), now=at("01:06", 1), gateway="g9")
    world.feed("room", [(at("01:06", 1), 5.0)], upto=at("01:06", 1), gateway="g9")
    beat(world, "01:07", day=1)
    assert world.excursions(sublot) == []
    assert world.holds(sublot) == ["unproven"], "later good data do not lift it by themselves"
    assert world.obstacles(sublot, at("01:07", 1)) == ["held"]
    assert alarms(world, "silent_gateway") == [(at("01:00"), at("01:07", 1))]
    assert incidents(world) == [(f"of zone {room}", at("01:00"), at("01:07", 1))]


def test_goods_in_a_shipper_in_a_truck_nobody_ever_spoke_of(world: World) -> None:
    """The truck had been empty for a month; what counts is since when the goods were in it."""
    truck, shipper, dock = world.zone("truck"), world.zone("shipper", points=()), world.zone("dock", points=())
    sublot = world.sublot(world.item(OVER_8_FOR_60, gap=30 * MINUTE), shipper, at("01:00"))
    world._add(ZoneNesting(zone_id=shipper, parent_id=truck, from_at=at("06:00")))
    other = world.sublot(world.item(OVER_8_FOR_60), dock, at("01:00"))
    beat(world, "06:03")
    assert alarms(world, "silent_gateway") == [(at("06:00"), None)]
    held = rows(world, "SELECT count(*) FROM hold WHERE lifted_at IS NULL")
    beat(world, "06:00", day=1)
    assert rows(world, "SELECT count(*) FROM hold WHERE lifted_at IS NULL") == held
    world.put(other, truck, at("06:00", 1))
    beat(world, "06:01", day=1)
    assert rows(world, "SELECT zone_id, watermark FROM zone_judged WHERE watermark IS NOT NULL") == [
        (truck, at("05:59", 1))
    ]
    assert world.holds(sublot) == ["unproven"]


@pytest.mark.parametrize("standing_in", [True, False])
def test_the_first_word_of_a_truck_is_of_all_the_time_its_shippers_stood_in_it(world: World, standing_in: bool) -> None:
    """Nothing was ever heard of the truck; its first watermark, or the timer in its stead, comes a day later."""
    truck, shipper = world.zone("truck"), world.zone("shipper", points=())
    world._add(ZoneNesting(zone_id=shipper, parent_id=truck, from_at=DAY))
    sublot = world.sublot(world.item(OVER_8_FOR_60), shipper, at("06:00"))
    if standing_in:
        beat(world, "06:05", day=1)
    else:
        world.feed("truck", [], upto=at("06:05", 1))
    assert world.excursions(sublot) == [(sublot, "high", at("06:00"), at("07:00"), "unproven")]


def test_nothing_is_expected_of_a_logger_before_it_is_read_out(world: World) -> None:
    box = world.zone("box", kind="logger")
    sublot = world.sublot(world.item(OVER_8_FOR_60), box, at("01:00"))
    beat(world, "01:00", day=3)
    assert alarms(world, "silent_gateway") == []
    assert world.holds(sublot) == []
    assert world.obstacles(sublot, at("01:00", 3)) == ["unjudged"]


def test_two_timers_that_see_it_at_once_say_it_once(world: World) -> None:
    world.zone("room")
    world.feed("room", every(5, at("01:00"), at("02:00"), 5.0), upto=at("02:00"))
    said: list[str] = []
    one, other = Judge(), Judge()
    for judge in (one, other, one, other):
        beat(world, "02:10", judge=judge)
    for (kind,) in rows(world, "SELECT topic FROM outbox WHERE topic LIKE 'alarm.%' OR topic LIKE 'incident.%'"):
        said.append(str(kind))
    assert sorted(said) == ["alarm.raised", "incident.opened"]


def test_silence_after_the_patience_goes_on_when_the_timers_process_is_another(world: World) -> None:
    room = world.zone("room")
    sublot = world.sublot(world.item(OVER_8_FOR_60), room, at("01:00"))
    world.feed("room", every(5, at("01:00"), at("02:00"), 5.0), upto=at("02:00"))
    beat(world, "02:30", day=1)
    assert world.excursions(sublot) == [(sublot, "high", at("02:30"), at("03:30"), "unproven")]
    beat(world, "02:35", day=1)
    world.feed("room", every(5, at("02:05"), at("02:30", 1), 5.0), upto=at("02:30", 1), now=at("02:40", 1))
    world.feed("room", every(5, at("02:35", 1), at("04:00", 1), 9.0), upto=at("04:00", 1))
    assert world.excursions(sublot) == [(sublot, "high", at("02:35", 1), at("03:35", 1), "proven")]


def test_goods_where_nobody_measures_are_looked_at_when_they_may_break_and_once_a_minute(world: World) -> None:
    dock, yard, room = world.zone("dock", points=()), world.zone("yard", points=()), world.zone("room")
    item = world.item(OVER_8_FOR_60)
    sublot, measured = world.sublot(item, dock, at("01:00")), world.sublot(item, room, at("01:00"))
    known: dict[int, tuple[int, int]] = {}

    def look(clock: str) -> int | None:
        """Beats, and gives until how many seconds after midnight it may wait."""
        nonlocal known
        known = world.do(lambda u: tick(u, Judge(), SilenceLimits(), known), now=at(clock))
        assert measured not in known
        return (known[sublot][1] - micros(DAY)) // 1_000_000 if sublot in known else None

    assert look("01:00:02") == 3662
    assert look("01:00:04") == 3662, "it may wait"
    assert look("01:59:30") == 7200, "an hour after it came it may break"
    assert world.holds(sublot) == []
    look("02:00")
    assert world.holds(sublot) == ["unproven"]
    world.put(sublot, yard, at("02:00:10"))
    assert look("02:00:12") == 7272, "it is somewhere else"
    world.put(sublot, room, at("02:00:20"))
    assert look("02:00:22") is None


def test_a_profile_that_came_into_force_while_the_core_was_down_is_judged_when_it_is_back(world: World) -> None:
    room = world.zone("room")
    over_6 = ProfileLimit(key="high", op=">", threshold=6.0, kind="consecutive", delay=HOUR)
    item, other = world.item(OVER_8_FOR_60), world.item(over_6)
    sublot = world.sublot(item, room, at("01:00"))
    world.feed("room", every(5, at("01:00"), at("05:00"), 7.0), upto=at("05:00"))
    stricter = rows(world, f"SELECT version_id FROM item_profile WHERE item_id = {other}")[0][0]
    world._add(ItemProfile(item_id=item, version_id=stricter, from_at=at("05:30")))
    world.do(lambda u: judge_new_profiles(u, None), now=at("05:10"))
    assert world.holds(sublot) == []
    world.do(lambda u: judge_new_profiles(u, None), now=at("09:00"))
    assert world.holds(sublot) == ["proven"]


# --- sensors


def install(world: World, zone: str, point: str, since: str) -> None:
    sensor = world._add(Sensor(serial=f"SN-{zone}-{point}"))
    found = rows(world, f"SELECT id FROM point WHERE address = 's1/a/{zone}/{point}/temperature'")
    world._add(Installation(sensor_id=sensor, point_id=found[0][0], from_at=at(since)))
    world._add(
        Calibration(
            sensor_id=sensor, done_at=at(since) - HOUR, due_at=at(since) + 365 * timedelta(days=1), known_at=DAY
        )
    )


@pytest.mark.parametrize("restarts", [False, True])
def test_a_sensor_that_never_worked_is_stale_from_its_allowed_interval_after_installation(
    world: World, restarts: bool
) -> None:
    """p1 speaks, p2 was installed at 02:00 and says nothing good; the zone allows 30 minutes of silence."""
    world.zone("room", points=("p1", "p2"))
    install(world, "room", "p1", "00:30")
    install(world, "room", "p2", "02:00")
    world.feed("room", every(5, at("01:00"), at("02:00"), 5.0), upto=at("02:00"))
    world.feed("room", [(at("02:10"), 5.0)], point="p2", quality=Quality.UNCERTAIN)
    for clock in ("02:10", "02:20", "02:29"):
        world.feed("room", [(at(clock), 5.0)], upto=at(clock))
        if restarts:
            world.restart()
    assert alarms(world, "stale") == []
    world.feed("room", [(at("02:30"), 5.0)], upto=at("02:30"))
    if restarts:
        world.restart()
    world.feed("room", [(at("02:40"), 5.0)], upto=at("02:40"))
    assert alarms(world, "stale") == [(at("02:30"), None)]
    world.feed("room", [(at("02:45"), 5.0)], point="p2", upto=at("02:45"))
    assert alarms(world, "stale") == [(at("02:30"), at("02:45"))]


@pytest.mark.parametrize("restarts", [False, True])
def test_a_sensor_without_papers_that_never_worked_is_stale_too(world: World, restarts: bool) -> None:
    world.zone("room", points=("p1", "p2"))
    for clock in ("01:00", "01:15", "01:29"):
        world.feed("room", [(at(clock), 5.0)], upto=at(clock))
        if restarts:
            world.restart()
    assert alarms(world, "stale") == []
    world.feed("room", [(at("01:31"), 5.0)], upto=at("01:31"))
    assert alarms(world, "stale") == [(at("01:30"), None)]


def humid(world: World, zone: str, clocks: list[str], value: float = 45.0, point: str = "h1") -> None:
    world.fold(
        [Reading(f"s1/a/{zone}/{point}/humidity", at(clock), value, "%", at(clock)) for clock in clocks],
        [],
        now=max(world.now, at(clocks[-1])),
    )


def test_a_quantity_that_only_spares_measure_is_known_by_them(world: World) -> None:
    """Temperature is required, humidity only has a spare: it is good while the spare is, unknown while it is silent."""
    room = world.zone("room")
    world._add(Point(zone_id=room, address="s1/a/room/h1/humidity", quantity="humidity", unit="%", role="spare"))
    dry = ProfileLimit(
        key="humid", quantity="humidity", unit="%", op=">", threshold=60.0, kind="consecutive", delay=HOUR
    )
    sublot = world.sublot(world.item(dry), room, at("01:00"))
    world.feed("room", every(10, at("01:00"), at("03:00"), 5.0))
    humid(world, "room", ["01:00", "01:25", "01:50", "02:15", "02:40", "03:00"])
    world.fold([], [("g1", Watermark("source", at("03:00"), ("s1/a/room",)))], now=at("03:00"))
    assert world.excursions(sublot) == []
    world.feed("room", every(10, at("03:10"), at("05:00"), 5.0), upto=at("04:29"))
    assert world.excursions(sublot) == []
    world.feed("room", [], upto=at("04:30"), now=at("05:00"))
    assert world.excursions(sublot) == [(sublot, "humid", at("03:30"), at("04:30"), "unproven")]


def test_a_value_no_such_sensor_can_measure_is_no_reading(world: World) -> None:
    """A DS18B20 says 85.0 when it fails: the point's plausible range ends at 80, whatever unit it is said in."""
    room = world.zone("room")
    with world.engine.begin() as conn:
        conn.execute(text("UPDATE point SET plausible_low = -40, plausible_high = 80"))
    heat = ProfileLimit(key="heat", op=">", threshold=25.0, kind="cumulative", delay=2 * HOUR)
    sublot = world.sublot(world.item(heat, OVER_8_FOR_60), room, at("01:00"))
    world.feed("room", [*every(10, at("01:00"), at("02:00"), 5.0), (at("02:05"), 85.0)], upto=at("02:05"))
    world.fold([Reading("s1/a/room/p1/temperature", at("02:06"), 185.0, "[degF]", at("02:06"))], [], now=at("02:06"))
    world.restart()
    world.feed("room", [(at("02:07"), 85.0)], upto=at("02:07"))
    assert world.excursions(sublot) == []
    assert rows(world, "SELECT last_good_at FROM zone_judged") == [(at("02:00"),)]
    world.feed("room", [], upto=at("03:05"))
    assert world.excursions(sublot) == [(sublot, "high", at("02:05"), at("03:05"), "unproven")]


@pytest.mark.as_owner
def test_what_was_good_before_its_week_was_dropped_is_not_never(world: World) -> None:
    world.zone("room")
    world.feed("room", [(at("01:00"), 5.0)], upto=at("01:00"))
    world.feed("room", [], upto=at("00:00", 12))
    with world.engine.begin() as conn:
        week = {"w": DAY - DAY.weekday() * timedelta(days=1), "n": at("00:00", 9)}
        conn.execute(text("INSERT INTO series_dropped (week, dropped_at) VALUES (:w, :n)"), week)
        conn.execute(text("DROP TABLE reading_20260302"))
    world.restart()
    world.feed("room", [], upto=at("01:00", 12))
    assert rows(world, "SELECT last_good_at FROM zone_judged") == [(at("01:00"),)]
    assert alarms(world, "stale") == [(at("01:30"), None)]


# --- silences on record


def gaps(world: World) -> list[tuple[Any, ...]]:
    return rows(
        world,
        "SELECT split_part(p.address, '/', 4), g.start_at, g.stop_at FROM gap_standing g JOIN point p"
        " ON p.id = g.point_id ORDER BY 1, 2",
    )


def test_a_silence_on_record_outlives_a_restart_and_ends_when_the_sensor_speaks(world: World) -> None:
    world.zone("room")
    world.feed("room", every(10, at("01:00"), at("02:00"), 5.0), upto=at("05:00"))
    assert gaps(world) == [("p1", at("02:30"), None)]
    world.restart()
    world.feed("room", [], upto=at("05:10"))
    assert gaps(world) == [("p1", at("02:30"), None)]
    world.feed("room", [(at("05:20"), 5.0)], upto=at("05:20"))
    assert gaps(world) == [("p1", at("02:30"), at("05:20"))]


@pytest.mark.parametrize("restarts", [False, True])
def test_what_another_sensor_says_late_fills_no_silence(world: World, restarts: bool) -> None:
    world.zone("room", points=("p1", "p2"))
    world.feed("room", every(10, at("01:00"), at("02:00"), 5.0))
    world.feed("room", every(10, at("01:00"), at("05:00"), 5.0), point="p2", upto=at("05:00"))
    if restarts:
        world.restart()
    world.feed("room", [(at("04:05"), 5.0)], point="p2", upto=at("05:01"))
    assert gaps(world) == [("p1", at("02:30"), None)]
    world.feed("room", every(10, at("02:10"), at("03:00"), 5.0), upto=at("05:02"))
    assert gaps(world) == [("p1", at("03:30"), None)]
    world.feed("room", [(at("05:03"), 5.0)], upto=at("05:03"))
    assert gaps(world) == [("p1", at("03:30"), at("05:03"))]


def test_a_sensor_that_never_spoke_since_it_was_installed_is_a_gap(world: World) -> None:
    world.zone("room", points=("p1", "p2"))
    install(world, "room", "p2", "01:20")
    world.feed("room", every(10, at("01:00"), at("01:10"), 5.0), upto=at("01:10"))
    assert gaps(world) == []
    world.feed("room", every(10, at("01:20"), at("03:00"), 5.0), upto=at("03:00"))
    assert gaps(world) == [("p2", at("01:20"), None)]
    world.restart()
    world.feed("room", [(at("03:10"), 5.0)], upto=at("03:10"))
    world.feed("room", [(at("03:15"), 5.0)], point="p2", upto=at("03:15"))
    assert gaps(world) == [("p2", at("01:20"), at("03:15"))]


@pytest.mark.as_owner
def test_what_is_hot_is_judged_on_though_an_excursion_began_in_a_week_that_is_only_behind(world: World) -> None:
    """The store behind is away. The room has been warm for a fortnight; other goods there break today."""
    room = world.zone("room")
    long = world.sublot(world.item(OVER_8_FOR_60), room, at("01:00"))
    world.feed("room", [(at("00:30"), 5.0), *every(25, at("01:00"), at("12:00", 13), 9.0)], upto=at("12:00", 13))
    week = {"w": DAY - DAY.weekday() * timedelta(days=1), "n": at("00:00", 9)}
    with world.engine.begin() as conn:
        conn.execute(text("INSERT INTO series_dropped (week, dropped_at) VALUES (:w, :n)"), week)
        conn.execute(text("DROP TABLE reading_20260302"))
    world.restart()
    fresh = world.sublot(world.item(OVER_8_FOR_60), room, at("12:00", 13))
    world.feed("room", every(20, at("12:20", 13), at("13:00", 13), 9.5), upto=at("13:00", 13))
    assert world.excursions(fresh) == [(fresh, "high", at("12:00", 13), at("13:00", 13), "proven")]
    world.put(long, None, at("13:00", 13))
    found = rows(world, f"SELECT started_at, ended_at, lowest, highest FROM excursion WHERE sublot_id = {long}")
    assert found == [(at("01:00"), at("13:00", 13), 9.0, 9.5)]


def advance_watermark(world: World, gateway: str, upto: datetime, *, now: datetime) -> None:
    """A gateway's source has told all up to a time, as the core hears it now."""
    world.fold([], [(gateway, Watermark("source", upto, ("s1/a/room",)))], now=now)


def test_a_gateway_that_tells_of_yesterday_is_let_finish(world: World) -> None:
    """Back after two days, it tells what it kept: nothing is held for what its next words may clear."""
    room = world.zone("room")
    sublot = world.sublot(world.item(OVER_8_FOR_60), room, at("01:00"))
    world.feed("room", every(5, at("01:00"), at("02:00"), 5.0), upto=at("02:00"))
    advance_watermark(world, "g1", at("03:00"), now=at("09:00", 2))  # the first of what it kept
    beat(world, "09:01", 2)
    assert world.holds(sublot) == [], "it is just telling"
    beat(world, "09:05", 2)
    assert world.holds(sublot) == ["unproven"], "it broke off again"


def test_a_source_that_says_nothing_further_is_not_telling(world: World) -> None:
    """Its gateway is there and repeats how far it got, since the device behind it is gone."""
    room = world.zone("room")
    sublot = world.sublot(world.item(OVER_8_FOR_60), room, at("01:00"))
    world.feed("room", every(5, at("01:00"), at("02:00"), 5.0), upto=at("02:00"))
    advance_watermark(world, "g1", at("02:00"), now=at("09:00", 2))
    beat(world, "09:01", 2)
    assert world.holds(sublot) == ["unproven"]


def test_one_that_catches_up_speaks_for_no_other(world: World) -> None:
    """Of two gateways that measure a zone one is gone for good: the other's old words do not stand for it."""
    room = world.zone("room")
    sublot = world.sublot(world.item(OVER_8_FOR_60), room, at("01:00"))
    for gateway in ("g1", "g2"):
        world.feed("room", every(5, at("01:00"), at("02:00"), 5.0), upto=at("02:00"), gateway=gateway)
    advance_watermark(world, "g1", at("03:00"), now=at("09:00", 2))
    beat(world, "09:01", 2)
    assert world.holds(sublot) == ["unproven"]
