"""What the judge must not overlook: only the nearest threshold is watched, and yet nothing is late, lost or made up."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from core.erp.catalog.model import ProfileLimit, ZoneNesting
from core.erp.exposure.judge.judge import Judge
from core.erp.exposure.judge.timer import judge_unmonitored
from core.telemetry.batch import Watermark
from core.telemetry.quality import Quality
from tests.world import DAY, HOUR, MINUTE, OVER_8_FOR_60, World, at, every

HOT = ProfileLimit(key="hot", op=">", threshold=8.0, kind="instant")
OVER_8_FOR_20 = ProfileLimit(key="warm", op=">", threshold=8.0, kind="consecutive", delay=20 * MINUTE)
FROST = ProfileLimit(key="frost", op="<", threshold=0.0, kind="instant")


def alarms(world: World, kind: str) -> list[tuple[object, object]]:
    with world.engine.connect() as conn:
        rows = conn.execute(
            text("SELECT started_at, returned_at FROM zone_alarm WHERE kind = :kind ORDER BY id"), {"kind": kind}
        )
        return [(row.started_at, row.returned_at) for row in rows]


def ends(world: World, sublot: int) -> list[object]:
    with world.engine.connect() as conn:
        return list(
            conn.execute(
                text("SELECT ended_at FROM excursion WHERE sublot_id = :s AND state <> 'superseded' ORDER BY id"),
                {"s": sublot},
            ).scalars()
        )


def mark(world: World, zone: str, upto: str, source: str = "source", gateway: str = "g1") -> None:
    world.fold([], [(gateway, Watermark(source, at(upto), (f"s1/a/{zone}",)))], now=max(world.now, at(upto)))


@pytest.mark.parametrize("restarts", [False, True])
def test_a_zone_alarms_though_its_delay_runs_over_the_hour(world: World, restarts: bool) -> None:
    world.zone("room", band_high=8.0, band_delay=75 * MINUTE)
    for begin in range(0, 200, 10):
        start = at("01:00") + begin * MINUTE
        value = 9.0 if at("01:30") <= start < at("03:50") else 5.0
        world.feed("room", every(5, start, start + 5 * MINUTE, value), upto=start + 9 * MINUTE)
        if restarts:
            world.restart()
    assert alarms(world, "high") == [(at("02:45"), at("03:50"))]


@pytest.mark.parametrize(("limit", "spell"), [(HOT, 1), (OVER_8_FOR_20, 25)])
def test_a_spell_within_one_fold_of_an_hour_that_is_still_open_is_judged_at_once(
    world: World, limit: ProfileLimit, spell: int
) -> None:
    """A zone that had rested catches up half an hour: what is settled of it at once was warm, what follows is calm."""
    sublot = world.sublot(world.item(limit), world.zone("room"), at("01:00"))
    for start, stop in (("01:00", "01:10"), ("01:11", "01:15")):
        world.feed("room", every(1, at(start), at(stop), 5.0), upto=at(stop))
    over = at("01:16") + spell * MINUTE
    world.feed(
        "room", [*every(1, at("01:16"), over - MINUTE, 9.0), *every(1, over, at("01:55"), 5.0)], upto=at("01:55")
    )
    assert world.excursions(sublot) == [(sublot, limit.key, at("01:16"), at("01:16") + limit.delay, "proven")]
    assert world.holds(sublot) == ["proven"]


@pytest.mark.parametrize("minutes", [5, 45, 400])
def test_a_spell_that_came_and_went_within_one_fold_is_an_alarm_that_returned(world: World, minutes: int) -> None:
    """What was cut off and comes at once raises the alarm that it would have raised live, over hours that close."""
    world.zone("room", band_high=8.0, band_delay=20 * MINUTE)
    world.feed("room", [(at("01:00"), 5.0)], upto=at("01:00"))
    for begin in range(5, 400, minutes):
        start, stop = at("01:00") + begin * MINUTE, at("01:00") + min(begin + minutes, 400) * MINUTE - 5 * MINUTE
        values = [
            (when, 9.0 if at("02:30") <= when < at("03:10") or when == at("05:00") else value)
            for when, value in every(5, start, stop, 5.0)
        ]
        world.feed("room", values, upto=stop)
    assert alarms(world, "high") == [(at("02:50"), at("03:10"))], "five minutes at 05:00 are less than its delay"
    with world.engine.connect() as conn:
        assert conn.execute(text("SELECT state FROM zone_alarm")).scalars().all() == ["returned_unacknowledged"]


def test_a_band_without_a_delay_misses_no_spike(world: World) -> None:
    world.zone("room", band_low=2.0, band_high=8.0)
    world.feed("room", [(at("01:00"), 5.0), (at("01:05"), 9.0), (at("01:06"), 5.0), (at("01:10"), 1.0)])
    assert alarms(world, "high") == [(at("01:05"), at("01:06"))]
    assert alarms(world, "low") == [(at("01:10"), None)]


@pytest.mark.parametrize("restarts", [False, True])
def test_one_of_two_sensors_that_falls_silent_is_stale(world: World, restarts: bool) -> None:
    world.zone("room", points=("p1", "p2"))
    world.feed("room", every(10, at("01:00"), at("01:50"), 5.0), point="p2")
    world.feed("room", every(10, at("01:00"), at("02:00"), 5.0), upto=at("02:00"))
    for minute in range(0, 60, 10):
        start = at("02:00") + minute * MINUTE
        world.feed("room", [(start, 5.0)], point="p2", upto=start)
        if restarts:
            world.restart()
    assert alarms(world, "stale") == [(at("02:30"), None)]


def test_a_stale_alarm_stands_over_a_restart(world: World) -> None:
    world.zone("room")
    world.feed("room", every(10, at("01:00"), at("02:00"), 5.0), upto=at("02:40"))
    world.restart()
    mark(world, "room", "02:50")
    assert alarms(world, "stale") == [(at("02:30"), None)]


def test_silence_told_late_counts_from_when_it_was(world: World) -> None:
    """p1's source says nothing while p2 runs ahead; its watermark then tells of silence long looked past."""
    room = world.zone("room", points=("p1", "p2"))
    limit = ProfileLimit(key="high", op=">", threshold=8.0, kind="consecutive", delay=HOUR)
    sublot = world.sublot(world.item(limit), room, at("13:00"))
    world.feed("room", every(10, at("13:00"), at("14:00"), 5.0))
    world.feed("room", every(10, at("13:00"), at("15:00"), 5.0), point="p2")
    both = [("g1", Watermark("s1", at("14:00"), ("s1/a/room",))), ("g1", Watermark("s2", at("15:00"), ("s1/a/room",)))]
    world.fold([], both, now=at("15:00"))
    mark(world, "room", "15:00", source="s1")
    for minute in range(10, 41, 10):
        world.feed("room", [(at("15:00") + minute * MINUTE, 5.0)], point="p2")
        mark(world, "room", f"15:{minute}", source="s1")
        mark(world, "room", f"15:{minute}", source="s2")
        assert world.holds(sublot) == (["unproven"] if minute >= 30 else []), minute
    assert world.excursions(sublot) == [(sublot, "high", at("14:30"), at("15:30"), "unproven")]


def test_late_warmth_where_goods_came_from_brings_their_break_forward(world: World) -> None:
    one, two = world.zone("one"), world.zone("two")
    sublot = world.sublot(world.item(OVER_8_FOR_60), one, at("01:00"))
    world.feed("one", every(5, at("01:00"), at("02:00"), 5.0), upto=at("02:00"))
    world.feed("two", every(5, at("01:00"), at("02:30"), 9.0), upto=at("02:30"))
    world.put(sublot, two, at("02:30"))
    world.feed("two", every(5, at("02:35"), at("02:45"), 9.0), upto=at("02:45"))
    world.feed("one", every(5, at("02:00") + MINUTE, at("02:46"), 9.0), upto=at("02:46"))
    world.feed("two", every(5, at("02:50"), at("03:00"), 9.0), upto=at("03:00"))
    assert world.holds(sublot) == []
    world.feed("two", [(at("03:01"), 9.0)], upto=at("03:01"))
    assert world.holds(sublot) == ["proven"]
    assert world.excursions(sublot) == [(sublot, "high", at("02:01"), at("03:01"), "proven")]


def test_late_warmth_known_to_another_worker_brings_the_break_forward(world: World) -> None:
    one, two = world.zone("one"), world.zone("two")
    first, second = Judge(), Judge()
    sublot = world.sublot(world.item(OVER_8_FOR_60), one, at("01:00"))
    world.judge = first
    world.feed("one", every(5, at("01:00"), at("02:00"), 5.0), upto=at("02:00"))
    world.judge = second
    world.feed("two", every(5, at("01:00"), at("02:30"), 9.0), upto=at("02:30"))
    world.put(sublot, two, at("02:30"))
    world.feed("two", every(5, at("02:35"), at("02:45"), 9.0), upto=at("02:45"))
    world.judge = first
    world.feed("one", every(5, at("02:00") + MINUTE, at("02:46"), 9.0), upto=at("02:46"))
    world.judge = second
    world.feed("two", every(5, at("02:50"), at("03:00"), 9.0), upto=at("03:00"))
    assert world.holds(sublot) == []
    world.feed("two", [(at("03:01"), 9.0)])
    assert world.excursions(sublot) == [(sublot, "high", at("02:01"), at("03:01"), "proven")]


def test_proof_upgrades_at_the_reading_that_brings_it(world: World) -> None:
    room = world.zone("room")
    sublot = world.sublot(world.item(FROST), room, at("01:00"))
    world.feed("room", [(at("01:00"), 5.0)], upto=at("01:00"))
    world.feed("room", [(at("01:01"), -1.0)], quality=Quality.UNCERTAIN, upto=at("01:01"))
    assert world.holds(sublot) == ["uncertain"]
    world.feed("room", [(at("01:01:05"), -1.0)], upto=at("01:01:05"))
    assert world.holds(sublot) == ["proven"], "the same hold, upgraded"


def test_an_excursion_ends_though_a_value_near_the_limit_follows_in_one_fold(world: World) -> None:
    room = world.zone("room")
    limit = ProfileLimit(key="high", op=">", threshold=8.0, kind="consecutive", delay=10 * MINUTE, hysteresis=1.0)
    sublot = world.sublot(world.item(limit), room, at("01:00"))
    world.feed("room", every(5, at("01:00"), at("01:20"), 9.0), upto=at("01:20"))
    assert ends(world, sublot) == [None]
    world.feed("room", [(at("01:25"), 5.0), (at("01:30"), 7.5)], upto=at("01:30"))
    assert ends(world, sublot) == [at("01:25")]


def test_goods_in_a_shipper_are_watched_by_their_truck(world: World) -> None:
    """The truck had judged such goods before and forgot them; others come into an unmeasured shipper inside."""
    truck, shipper, dock = world.zone("truck"), world.zone("shipper", points=()), world.zone("dock")
    world._add(ZoneNesting(zone_id=shipper, parent_id=truck, from_at=DAY))
    item = world.item(OVER_8_FOR_60)
    first = world.sublot(item, truck, at("01:00"))
    later = world.sublot(item, dock, at("01:00"))
    world.feed("dock", every(5, at("01:00"), at("02:00"), 5.0), upto=at("02:00"))
    world.feed("truck", every(5, at("01:00"), at("01:30"), 5.0), upto=at("01:30"))
    world.put(first, dock, at("01:30"))
    world.feed("truck", every(5, at("01:35"), at("05:00"), 5.0), upto=at("05:00"))
    world.restart()
    world.feed("truck", every(5, at("05:05"), at("06:00"), 5.0), upto=at("06:00"))
    world.put(later, shipper, at("06:00"))
    world.feed("truck", every(5, at("06:05"), at("07:00"), 9.0), upto=at("07:00"))
    assert world.holds(later) == []
    world.feed("truck", [(at("07:05"), 9.0)], upto=at("07:05"))
    assert world.excursions(later) == [(later, "high", at("06:05"), at("07:05"), "proven")]


def test_readings_out_of_order_after_a_restart_reach_goods_that_have_left(world: World) -> None:
    room, dock = world.zone("room", points=("p1", "p2")), world.zone("dock")
    limit = ProfileLimit(key="high", op=">", threshold=8.0, kind="consecutive", delay=10 * MINUTE)
    sublot = world.sublot(world.item(limit), room, at("01:00"))
    world.feed("dock", every(5, at("01:00"), at("02:00"), 5.0), upto=at("02:00"))
    world.feed("room", every(5, at("01:00"), at("01:10"), 5.0), upto=at("01:10"))
    world.feed("room", every(5, at("01:00"), at("01:50"), 5.0), point="p2")
    world.put(sublot, dock, at("01:40"))
    world.feed("room", [(at("01:51"), 5.0)], point="p2")
    world.restart()
    world.feed("room", [(at("01:15"), 9.0), (at("01:20"), 9.0), (at("01:30"), 5.0)], upto=at("01:51"))
    assert world.excursions(sublot) == [(sublot, "high", at("01:15"), at("01:25"), "proven")]


MKT: dict[str, Any] = {"mkt_limit": 25.0, "mkt_window": 3 * HOUR}


def test_a_cool_hour_that_completes_the_window_is_judged(world: World) -> None:
    room = world.zone("room")
    sublot = world.sublot(world.item(**MKT), room, at("00:00"))
    for hour, value in enumerate((10.0, 40.0, 24.0, 24.0, 24.0, 24.0, 24.0)):
        start = at("00:00") + hour * HOUR
        world.feed("room", every(10, start, start + 50 * MINUTE, value), upto=start + 50 * MINUTE)
    world.feed("room", [(at("07:00"), 24.0)], upto=at("07:00"))
    found = world.excursions(sublot)
    assert [(key, broke) for _, key, _, broke, _ in found] == [("mkt", at("03:00"))]
    assert ends(world, sublot) == [at("04:00")]


def test_mean_kinetic_temperature_of_goods_that_moved_twice_within_an_hour(world: World) -> None:
    """They were warm in none of the zones but the one they left first; unmeasured hours forget nothing."""
    one, two, three, yard = world.zone("one"), world.zone("two"), world.zone("three"), world.zone("yard", points=())
    item = world.item(mkt_limit=25.0, mkt_window=2 * HOUR)
    late = world.sublot(item, three, at("04:00"))
    sublot = world.sublot(item, one, at("00:00"))
    for zone, value in (("one", 24.0), ("two", 45.0), ("three", 24.0)):
        world.feed(zone, every(10, at("00:00"), at("08:00"), value))
    world.put(sublot, two, at("01:20"))
    world.put(sublot, three, at("01:30"))
    world.put(sublot, yard, at("05:00"))
    for zone in ("one", "two", "three"):
        mark(world, zone, "08:00")
    assert world.excursions(late) == []
    assert [(key, start, broke) for _, key, start, broke, _ in world.excursions(sublot)] == [
        ("mkt", at("00:00"), at("02:00"))
    ]
    assert ends(world, sublot) == [at("03:00")]


def test_a_warm_window_ends_with_the_last_hour_that_was_measured(world: World) -> None:
    """Where nobody measures there is no mean: it neither goes on nor keeps the excursion from being assessed."""
    room, yard = world.zone("room"), world.zone("yard", points=())
    sublot = world.sublot(world.item(mkt_limit=25.0, mkt_window=2 * HOUR), room, at("00:00"))
    world.feed("room", every(10, at("00:00"), at("03:20"), 30.0), upto=at("03:20"))
    world.put(sublot, yard, at("03:20"))
    world.do(judge_unmonitored, now=at("03:59"))
    assert ends(world, sublot) == [None], "the hour is not over yet"
    world.do(judge_unmonitored, now=at("04:00"))
    assert [(key, start, broke) for _, key, start, broke, _ in world.excursions(sublot)] == [
        ("mkt", at("00:00"), at("02:00"))
    ]
    assert ends(world, sublot) == [at("03:00")]


class Broken(Exception):
    """What a test makes a fold fail with."""


def test_a_fold_that_failed_half_way_leaves_nothing_behind(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    room = world.zone("room")
    sublot = world.sublot(world.item(OVER_8_FOR_60), room, at("01:00"))
    world.feed("room", every(5, at("01:00"), at("01:30"), 5.0), upto=at("01:30"))

    def fails(*_: object) -> None:
        raise Broken

    with monkeypatch.context() as patch:
        patch.setattr(Judge, "_save", fails)
        with pytest.raises(Broken):
            world.feed("room", every(5, at("01:30"), at("03:30"), 9.0), upto=at("03:30"))
    assert world.holds(sublot) == []
    world.feed("room", every(5, at("01:35"), at("03:00"), 5.0), upto=at("03:00"))
    assert world.excursions(sublot) == []
    world.feed("room", every(5, at("03:05"), at("04:05"), 9.0), upto=at("04:05"))
    assert world.excursions(sublot) == [(sublot, "high", at("03:05"), at("04:05"), "proven")]


def test_a_point_taken_from_judging_stops_nobody(world: World) -> None:
    room = world.zone("room", points=("p1", "p2"))
    sublot = world.sublot(world.item(OVER_8_FOR_60), room, at("01:00"))
    for point in ("p1", "p2"):
        world.feed("room", every(5, at("01:00"), at("01:30"), 5.0), point=point, upto=at("01:30"))
    with world.engine.begin() as conn:
        conn.execute(text("UPDATE point SET role = 'machine' WHERE address LIKE '%/p2/%'"))
    world.feed("room", [(at("01:35"), 5.0)], point="p2")
    world.feed("room", every(5, at("01:35"), at("03:00"), 5.0), upto=at("03:00"))
    assert world.holds(sublot) == []


def test_a_new_calibration_is_trusted_from_its_first_reading(world: World) -> None:
    from core.erp.catalog.model import Calibration

    room = world.zone("room")
    sensor = world.sensor("room", done=DAY - timedelta(days=366), due=DAY - timedelta(days=1))
    sublot = world.sublot(world.item(FROST), room, at("01:00"))
    world.feed("room", every(5, at("01:00"), at("01:30"), 5.0), upto=at("01:30"))
    world._add(Calibration(sensor_id=sensor, done_at=at("01:31"), due_at=at("01:31", 300), known_at=at("01:31")))
    world.feed("room", [(at("01:35"), -1.0)], upto=at("01:35"))
    assert world.holds(sublot) == ["proven"]
