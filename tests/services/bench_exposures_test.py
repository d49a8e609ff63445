"""Exposure of many sublots at once is what each gets when asked for by itself, over messy data."""

import os
import random
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine

from core.erp.catalog.model import ProfileLimit
from core.erp.custody import handlers as custody_handlers
from core.erp.exposure import handlers as exposure_handlers
from core.erp.exposure.bulk.exposures import WantedExposure, exposures
from core.erp.exposure.service import Exposure, exposure
from core.erp.kernel.events import Events
from core.erp.lots import service as lots
from core.telemetry.quality import Quality
from tests.world import DAY, HOUR, MINUTE, World, at


def messy(world: World, zones: dict[str, list[str]], dice: random.Random, hours: int, open_minutes: int) -> datetime:
    """Readings with warm and cold spells, silences and uncertain and doubled values; returns the watermark."""
    for hour in range(0, hours, 2):
        start = DAY + hour * HOUR
        stop = min(start + 2 * HOUR, DAY + hours * HOUR - open_minutes * MINUTE)
        for zone, points in zones.items():
            for point in points:
                for quality, share in ((Quality.GOOD, 0.85), (Quality.UNCERTAIN, 0.1)):
                    values = []
                    when = start + timedelta(seconds=dice.randint(1, 300) + int(quality))
                    while when < start + 2 * HOUR:
                        if dice.random() < share:
                            values.append((when, dice.choice([1.0, 5.0, 5.0, 5.5, 9.0, 26.0])))
                        when += timedelta(seconds=dice.choice([200, 300, 300, 2700]))
                    world.feed(zone, values, point=point.strip("~"), quality=quality, now=start + 2 * HOUR)
            world.feed(zone, [], upto=stop, now=start + 2 * HOUR)
    return stop


def same(one: Exposure | None, other: Exposure | None) -> None:
    assert (one is None) == (other is None)
    if one is None or other is None:
        return
    for name in ("sublot_id", "version_id", "start", "stop", "lowest", "highest", "covered", "limits"):
        assert getattr(one, name) == getattr(other, name), name
    for mine, theirs in ((one.mean, other.mean), (one.mkt, other.mkt)):
        assert (mine is None) == (theirs is None)
        if theirs is not None:
            assert mine == pytest.approx(theirs, rel=1e-9)


def merged(world: World, item: int, zones: list[int], dice: random.Random) -> int:
    """A sublot of two that had each gone their way for some hours."""
    lot = world.lot(item)
    parts = [world.sublot(item, zone, at("00:30"), lot=lot) for zone in zones[:2]]
    together = DAY + dice.randint(300, 600) * MINUTE
    world.put(parts[0], zones[2], DAY + 200 * MINUTE, known=together)
    for part in parts:
        world.put(part, zones[2], together - 10 * MINUTE, known=together)
    made = world.do(lambda u: lots.merge(u, parts).id, now=together)
    assert made is not None
    return made


@pytest.mark.parametrize("seed", range(3 if os.environ.get("LOTWISE_TEST_HEAVY") == "1" else 1))
def test_all_at_once_is_one_by_one(engine: Engine, seed: int) -> None:
    events, dice = Events(), random.Random(seed)
    for module in (custody_handlers, exposure_handlers):
        module.register(events)
    world = World(engine, events)
    zones = {"one": ["p1"], "two": ["p1", "p2"], "three": ["p1", "~p2"]}
    ids = [world.zone(name, points=points) for name, points in zones.items()]
    world.sensor("one", done=DAY - timedelta(days=365), due=DAY + 7 * HOUR)  # overdue in the middle
    blind = [world.zone("blind", points=()), world.zone("worst", points=(), worst_temperature=30.0)]
    limits = (
        ProfileLimit(key="high", op=">", threshold=8.0, kind="consecutive", delay=HOUR),
        ProfileLimit(key="low", op="<", threshold=2.0, kind="instant"),
        ProfileLimit(key="spent", op=">=", threshold=25.0, kind="cumulative", delay=9 * HOUR, allowance="both"),
        ProfileLimit(key="chilled", op="<", threshold=2.0, kind="cumulative", delay=9 * HOUR, allowance="both"),
    )
    items = [
        world.item(*[ProfileLimit(**limit.model_dump()) for limit in limits], gap=gap)
        for gap in (20 * MINUTE, 40 * MINUTE)
    ]
    sublots = [world.sublot(dice.choice(items), dice.choice(ids), at("00:30")) for _ in range(6)]
    stop = messy(world, zones, dice, 12, dice.randint(0, 90))
    for sublot in sublots[1:]:
        for when in sorted(dice.sample(range(60, 700), dice.randint(0, 4))):
            where = dice.choice([*ids, *ids, *blind, None])
            world.put(sublot, where, DAY + when * MINUTE, known=DAY + 12 * HOUR)
    sublots.append(merged(world, items[0], ids, dice))
    wanted: list[WantedExposure] = [(sublot, None, None) for sublot in sublots]
    for _ in range(60):
        a, b = sorted(DAY + timedelta(seconds=dice.randint(0, 13 * 3600)) for _ in range(2))
        wanted.append((dice.choice(sublots), a, b))
    wanted.append((sublots[0], at("03:10"), at("03:20")))
    wanted.append((sublots[0], at("03:00"), at("05:00")))
    now = max(stop, world.now)
    with engine.begin() as conn:
        found = exposures(conn, wanted, now)
        assert sum(each is not None for each in found) > 40
        for (sublot, start, until), mine in zip(wanted, found, strict=True):
            same(mine, exposure(conn, sublot, now, start, until))
