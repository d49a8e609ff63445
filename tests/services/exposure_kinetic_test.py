"""The published worked examples of mean kinetic temperature (facts §1), as what goods went through in a zone."""

from datetime import timedelta

import pytest
from sqlalchemy import Engine

from core.erp.catalog.model import ProfileLimit
from core.erp.exposure.bulk.exposures import exposures
from core.erp.exposure.service import exposure
from tests.world import DAY, HOUR, World, judging

WARM = ProfileLimit(key="high", op=">", threshold=50.0, kind="instant")
FROZEN = ProfileLimit(key="high", op=">", threshold=-10.0, kind="consecutive", delay=1000 * HOUR)


def kept(world: World, steps: list[tuple[float, float]], limit: ProfileLimit) -> tuple[float | None, float | None]:
    """MKT of goods after (°C, hours) one after the other, told for one sublot and for many at once."""
    room = world.zone("room", gap=2000 * HOUR)
    sublot = world.sublot(world.item(limit, gap=2000 * HOUR), room, DAY)
    clock = DAY
    for value, hours in steps:
        world.feed("room", [(clock, value)])
        clock += timedelta(hours=hours)
    world.feed("room", [], upto=clock)
    with world.engine.begin() as conn:
        one = exposure(conn, sublot, clock, DAY, clock)
        (same,) = exposures(conn, [(sublot, DAY, clock)], clock)
    assert one is not None
    assert same is not None
    assert one.covered == same.covered == 1.0
    return one.mkt, same.mkt


@pytest.mark.parametrize(
    ("steps", "expected", "digits"),
    [
        ([(20.0, 2), (2.0, 4), (25.0, 1)], 15.68, 0.005),
        ([(2.0, 2), (5.0, 1), (8.0, 4)], 6.25, 0.005),
        ([(5.0, 17.5), (14.0, 6), (5.0, 0.5)], 8.285, 0.0005),
        ([(24.0, 100.25), (29.0, 3), (24.0, 616.75)], 24.027, 0.0005),
    ],
)
def test_what_was_published(engine: Engine, steps: list[tuple[float, float]], expected: float, digits: float) -> None:
    for found in kept(judging(engine), steps, WARM):
        assert found == pytest.approx(expected, abs=digits)


def test_of_frozen_goods_it_says_nothing(engine: Engine) -> None:
    assert kept(judging(engine), [(-20.0, 2), (-18.0, 3)], FROZEN) == (None, None)
