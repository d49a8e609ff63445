"""A sensor that is not to be trusted is told to the engineer, with what was found, and holds nothing."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text

from core.erp.exposure.sensors.looking import look_at_sensors
from core.erp.kernel.words import CHINESE, from_json, render
from core.erp.quality import service as quality
from tests.world import OVER_8_FOR_60, World, at

STOP = at("00:00", day=8)
START = at("00:00", day=1)


def room(seed: int, *, offset: float = 0.0, frozen_from: datetime | None = None) -> list[tuple[datetime, float]]:
    """Seven days every ten minutes: noise, and a rise at each of four defrosts a day."""
    noise = np.random.default_rng(seed).normal(0, 0.05, 7 * 144)
    found: list[tuple[datetime, float]] = []
    for place, one in enumerate(noise):
        when = START + place * timedelta(minutes=10)
        rise = 2.5 if place % 36 in {20, 21} else 0.0
        value = round(5.0 + offset + float(one) + rise, 2)
        still = frozen_from is not None and when >= frozen_from
        found.append((when, found[-1][1] if still else value))
    return found


def feed(world: World, zone: str, values: Iterable[tuple[datetime, float]], point: str = "p1") -> None:
    world.feed(zone, values, point=point, now=STOP)


def alarms(world: World) -> list[tuple[Any, ...]]:
    with world.engine.connect() as conn:
        found = conn.execute(
            text(
                "SELECT a.kind, p.address, a.state, a.started_at, a.detail_message FROM zone_alarm a"
                " JOIN point p ON p.id = a.point_id WHERE a.returned_at IS NULL ORDER BY p.address, a.kind"
            )
        )
        return [tuple(row) for row in found]


def look(world: World, now: datetime = STOP) -> int:
    return look_at_sensors(world.engine, world.events, now)


def keep_the_days(world: World) -> None:
    """The core has looked once a day, as its loop does more often."""
    for day in range(2, 9):
        look(world, at("00:00", day=day))


@pytest.fixture
def cold(world: World) -> World:
    """A room with two sensors that are well, over seven days."""
    world.zone("cold", points=("p1", "p2"), gap=timedelta(minutes=30))
    return world


def test_sensors_that_are_well_raise_nothing(cold: World) -> None:
    feed(cold, "cold", room(1))
    feed(cold, "cold", room(2), "p2")
    keep_the_days(cold)
    assert alarms(cold) == []


def test_one_that_stands_still_is_told_once_with_since_when_and_why_and_returns_when_it_moves(cold: World) -> None:
    still = at("14:00", day=7)
    sublot = cold.sublot(cold.item(OVER_8_FOR_60), cold.do(lambda u: _zone_id(u.conn)), START)
    feed(cold, "cold", room(1, frozen_from=still))
    feed(cold, "cold", room(2), "p2")
    keep_the_days(cold)
    look(cold)
    kinds = {(kind, address): (state, since, detail) for kind, address, state, since, detail in alarms(cold)}
    assert kinds.keys() == {("sensor_stuck", "s1/a/cold/p1/temperature")}
    state, since, detail = kinds["sensor_stuck", "s1/a/cold/p1/temperature"]
    assert state == "unacknowledged"
    assert abs(since - still) <= timedelta(minutes=10)
    said = from_json(detail)
    assert said.params["hours"] == pytest.approx(10.0, abs=0.2)
    assert "没有任何变化" in render(said, CHINESE)
    assert cold.holds(sublot) == [], "a sensor that lies holds nothing by itself"
    moving = [(STOP + place * timedelta(minutes=10), 5.0 + place % 2) for place in range(6)]
    cold.feed("cold", moving, now=STOP + timedelta(hours=1))
    look(cold, STOP + timedelta(hours=1))
    assert alarms(cold) == []


def _zone_id(conn: Any) -> int:
    return int(conn.execute(text("SELECT id FROM zone")).scalar_one())


def test_both_of_two_that_drift_apart_are_told_and_one_of_three_alone(world: World) -> None:
    world.zone("two", points=("p1", "p2"), gap=timedelta(minutes=30))
    world.zone("three", points=("p1", "p2", "p3"), gap=timedelta(minutes=30))
    gone = at("00:00", day=7)
    drifted = [(when, round(value + (1.5 if when >= gone else 0.0), 2)) for when, value in room(1)]
    for zone in ("two", "three"):
        feed(world, zone, drifted)
        feed(world, zone, room(2), "p2")
    feed(world, "three", room(3), "p3")
    keep_the_days(world)
    assert [(kind, address) for kind, address, *_ in alarms(world)] == [
        ("sensor_drifts", "s1/a/three/p1/temperature"),
        ("sensor_drifts", "s1/a/two/p1/temperature"),
        ("sensor_drifts", "s1/a/two/p2/temperature"),
    ]


def test_one_that_is_silent_is_neither_raised_nor_returned(cold: World) -> None:
    feed(cold, "cold", room(1, frozen_from=at("14:00", day=7)))
    feed(cold, "cold", room(2), "p2")
    keep_the_days(cold)
    assert len(alarms(cold)) == 1
    look(cold, STOP + timedelta(days=2))
    assert len(alarms(cold)) == 1, "nothing is known of it, so nothing has changed"


def test_its_alarm_is_acknowledged_and_shelved_like_any_other(cold: World) -> None:
    feed(cold, "cold", room(1, frozen_from=at("14:00", day=7)))
    feed(cold, "cold", room(2), "p2")
    keep_the_days(cold)
    zone = cold.do(lambda u: _zone_id(u.conn))
    number = cold.do(lambda u: int(u.conn.execute(text("SELECT id FROM zone_alarm")).scalar_one()))
    cold.do(lambda u: quality.acknowledge(u, number, reason="door closed"), now=STOP)
    cold.do(lambda u: quality.shelve(u, zone, "sensor_stuck", STOP + timedelta(hours=2), "new one ordered"), now=STOP)
    assert [(kind, state) for kind, _, state, *_ in alarms(cold)] == [("sensor_stuck", "acknowledged")]


def test_late_readings_of_an_hour_are_kept_too(cold: World) -> None:
    feed(cold, "cold", room(1)[:-12])
    look(cold)
    feed(cold, "cold", room(1)[-12:])
    look(cold)
    with cold.engine.connect() as conn:
        counts = conn.execute(text("SELECT readings FROM point_hour ORDER BY hour_at DESC LIMIT 2")).scalars()
        assert list(counts) == [6, 6]
