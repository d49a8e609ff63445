"""Two gateways in hot standby for a zone: that one is silent costs nothing, both are silence, strangers are two."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from core.erp.exposure.judge.judge import Judge
from core.erp.exposure.judge.timer import SilenceLimits, tick
from core.erp.exposure.judge.watermarks import WatermarkSource, complete_to
from core.ingest.sources import retire_source
from core.ingest.standby import update_standby_alarms
from core.telemetry.batch import Watermark
from tests.world import OVER_8_FOR_60, World, at, every

OVERDUE = timedelta(minutes=2)


def say(world: World, gateway: str, upto: datetime, *, group: str = "pair", source: str = "probes") -> None:
    world.fold([], [(gateway, Watermark(source, upto, ("s1/a/room",), group=group))], now=max(world.now, upto))


def beat(world: World, clock: str) -> None:
    world.now = max(world.now, at(clock))
    world.do(lambda u: tick(u, Judge(), SilenceLimits()), now=world.now)
    world.do(lambda u: update_standby_alarms(u, OVERDUE), now=world.now)


def rows(world: World, sql: str) -> list[tuple[Any, ...]]:
    with world.engine.connect() as conn:
        return [tuple(row) for row in conn.execute(text(sql))]


def silent(world: World) -> list[tuple[Any, ...]]:
    return rows(world, "SELECT started_at, returned_at FROM zone_alarm WHERE kind = 'silent_gateway' ORDER BY id")


def alone(world: World) -> list[tuple[Any, ...]]:
    """(gateway that stands by no more, whether that stands)."""
    return rows(world, "SELECT gateway, cleared_at IS NULL FROM ingest_alarm WHERE kind = 'standby_silent' ORDER BY id")


def test_of_a_groups_source_the_furthest_counts_and_of_different_ones_the_least() -> None:
    a, b, other = (
        WatermarkSource("a", "probes", "pair"),
        WatermarkSource("b", "probes", "pair"),
        WatermarkSource("b", "door", "pair"),
    )
    assert complete_to({a: 5, b: 9}) == 9
    assert complete_to({a: 5, b: 9, other: 7}) == 7
    assert complete_to({a: 5, b: 9, WatermarkSource("pair", "probes"): 6}) == 6, "a gateway may be called as a group is"
    assert complete_to({WatermarkSource("a", "probes"): 5, WatermarkSource("b", "probes"): 9}) == 5


@pytest.mark.parametrize("restarts", [False, True])
def test_a_silent_standby_is_told_and_no_zone_is_silent(world: World, restarts: bool) -> None:
    world.zone("room")
    say(world, "a", at("01:00"))
    say(world, "b", at("01:00"))
    if restarts:
        world.restart()
    world.feed("room", every(1, at("01:00"), at("01:10"), 5.0))
    say(world, "a", at("01:10"))
    beat(world, "01:11")
    assert silent(world) == []
    assert alone(world) == [("b", True)]
    assert rows(world, "SELECT watermark FROM zone_judged") == [(at("01:10"),)], "its silence is judged by the other"
    beat(world, "01:11")
    assert alone(world) == [("b", True)], "told once"
    say(world, "b", at("01:11"))
    beat(world, "01:12")
    assert alone(world) == [("b", False)]
    assert rows(world, "SELECT topic FROM outbox WHERE topic LIKE 'ingest.%' ORDER BY id") == [
        ("ingest.alarm",),
        ("ingest.going",),
    ]


@pytest.mark.parametrize("restarts", [False, True])
def test_a_sensor_that_falls_silent_is_found_by_whoever_of_the_two_speaks(world: World, restarts: bool) -> None:
    room = world.zone("room")
    sublot = world.sublot(world.item(OVER_8_FOR_60), room, at("01:00"))
    world.feed("room", every(5, at("01:00"), at("02:00"), 5.0))
    say(world, "a", at("02:00"))
    say(world, "b", at("02:00"))
    if restarts:
        world.restart()
    say(world, "b", at("05:00"))  # a is gone; b knows that nothing came since
    assert rows(world, f"SELECT certainty FROM excursion WHERE sublot_id = {sublot}") == [("unproven",)]


def test_both_silent_is_a_silent_gateway(world: World) -> None:
    world.zone("room")
    say(world, "a", at("01:00"))
    say(world, "b", at("01:05"))
    beat(world, "01:10")
    assert silent(world) == [(at("01:05"), None)]
    assert alone(world) == [], "nobody of the group speaks: that is the zones' alarm"
    say(world, "a", at("01:10"))
    beat(world, "01:11")
    assert silent(world) == [(at("01:05"), at("01:11"))]
    assert alone(world) == [("b", True)]


def test_gateways_that_are_no_group_do_not_speak_for_each_other(world: World) -> None:
    world.zone("room")
    say(world, "a", at("01:00"), group="")
    say(world, "b", at("01:10"), group="")
    beat(world, "01:11")
    assert silent(world) == [(at("01:00"), None)]
    assert alone(world) == []


def test_a_source_that_only_one_of_the_group_has_is_missed_with_it(world: World) -> None:
    world.zone("room")
    say(world, "a", at("01:00"))
    say(world, "a", at("01:00"), source="door")
    say(world, "b", at("01:10"))
    beat(world, "01:11")
    assert silent(world) == [(at("01:00"), None)]


@pytest.mark.parametrize("restarts", [False, True])
def test_a_gateway_joins_a_group_and_leaves_it(world: World, restarts: bool) -> None:
    world.zone("room")
    say(world, "a", at("01:00"), group="")
    say(world, "b", at("01:01"), group="")
    if restarts:
        world.restart()
    say(world, "a", at("01:02"))
    say(world, "b", at("01:05"))
    assert rows(world, "SELECT watermark FROM zone_judged") == [(at("01:05"),)]
    if restarts:
        world.restart()
    say(world, "a", at("01:06"), group="")
    say(world, "b", at("01:20"), group="")
    assert rows(world, "SELECT watermark FROM zone_judged") == [(at("01:06"),)]


def test_a_gateway_that_was_taken_out_of_the_group_is_retired_and_no_longer_missed(world: World) -> None:
    world.zone("room")
    say(world, "a", at("01:00"))
    say(world, "b", at("01:00"))
    say(world, "a", at("01:10"))
    beat(world, "01:11")
    world.do(lambda u: retire_source(u, world.judge, "b", "probes", reason="dismantled"))
    beat(world, "01:12")
    assert alone(world) == [("b", False)]
    assert silent(world) == []
