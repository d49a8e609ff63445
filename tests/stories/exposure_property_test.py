"""Whatever order data come in, the excursions are those of a plain model that looks at every minute by itself."""

import random
from dataclasses import dataclass
from datetime import datetime

import pytest
from sqlalchemy import Engine

from core.erp.catalog.model import ProfileLimit, ZoneNesting
from core.erp.custody import handlers as custody_handlers
from core.erp.exposure import handlers as exposure_handlers
from core.erp.exposure.judge import Judge
from core.erp.exposure.timer import blind
from core.erp.kernel.events import Events
from core.erp.quality import handlers as quality_handlers
from core.telemetry.batch import Watermark
from core.telemetry.quality import Quality
from core.telemetry.reading import Reading
from tests.world import DAY, MINUTE, World, at

START, END = at("01:00"), at("05:00")
LAST = int((END - START) / MINUTE)
GAP = 20
LIMITS = (
    ProfileLimit(key="high", op=">", threshold=8.0, kind="consecutive", delay=25 * MINUTE),
    ProfileLimit(key="spent", op=">", threshold=8.0, kind="cumulative", delay=70 * MINUTE),
    ProfileLimit(key="frost", op="<", threshold=0.0, kind="instant"),
)
ROOMS = {"a": ("p1", "p2", "~p3"), "b": ("p1",), "truck": ("p1", "~p2"), "shipper": (), "dock": (), "yard": ()}
WORST = {"dock": 9.0}
RANKS = ("proven", "uncertain", "unproven")


@dataclass(frozen=True)
class Said:
    """A value of a point at a whole minute since START."""

    zone: str
    point: str
    minute: int
    value: float
    quality: Quality

    def reading(self) -> Reading:
        reason = "" if self.quality is Quality.GOOD else "device_reported"
        address = f"s1/a/{self.zone}/{self.point.strip('~')}/temperature"
        value = None if self.quality is Quality.BAD else self.value
        return Reading(address, START + self.minute * MINUTE, value, "Cel", START, None, self.quality, reason)


def weather(rng: random.Random) -> list[Said]:
    """Several hours of every point, with conflicts, bad and uncertain values and silences."""
    out = []
    for zone, points in ROOMS.items():
        for point in points:
            minute, level = 0, 5.0
            while minute < LAST:
                level = max(-0.5, min(12.0, level + rng.choice([-2.0, -1.0, 0.0, 1.0, 2.0])))
                quality = rng.choices([Quality.GOOD, Quality.UNCERTAIN, Quality.BAD], [90, 6, 4])[0]
                out.append(Said(zone, point, minute, level, quality))
                if rng.random() < 0.05:
                    out.append(Said(zone, point, minute, level + 3.0, Quality.GOOD))
                minute += rng.choice([4, 6, 9, 11, 14]) if rng.random() < 0.94 else 35
    return out


def truth(said: list[Said], custody: list[tuple[int, str]]) -> set[tuple[str, datetime, datetime, str]]:
    """Every minute by itself, by the words of the design: what excursions there should be."""
    found: set[tuple[str, datetime, datetime, str]] = set()
    for limit in LIMITS:
        minutes = [_minute(said, _judging(_place(custody, minute)), limit, minute) for minute in range(LAST)]
        born = custody[0][0]
        minutes = [one if minute >= born else frozenset() for minute, one in enumerate(minutes)]
        delay = int(limit.delay / MINUTE)
        for key in _breaks(minutes, delay, cumulative=limit.kind == "cumulative"):
            found.add((limit.key, START + key[0] * MINUTE, START + key[1] * MINUTE, key[2]))
    return found


def _breaks(minutes: list[frozenset[str]], delay: int, *, cumulative: bool) -> set[tuple[int, int, str]]:
    if cumulative:
        for rank in RANKS:
            out = [minute for minute, one in enumerate(minutes) if rank in one]
            if len(out) >= delay:
                return {(next(m for m, one in enumerate(minutes) if "unproven" in one), out[delay - 1] + 1, rank)}
        return set()
    found = set()
    for group in _runs(minutes, "open"):
        for rank in RANKS:
            hits = [run for run in _runs(minutes, rank, *group) if run[1] - run[0] >= delay]
            if hits:
                worst = next(run for run in _runs(minutes, "unproven", *group) if run[1] - run[0] >= delay)
                found.add((worst[0], hits[0][0] + delay, rank))
                break
    return found


def _runs(minutes: list[frozenset[str]], name: str, start: int = 0, stop: int = LAST) -> list[tuple[int, int]]:
    out: list[tuple[int, int]] = []
    for minute in range(start, stop):
        if name in minutes[minute]:
            if out and out[-1][1] == minute:
                out[-1] = (out[-1][0], minute + 1)
            else:
                out.append((minute, minute + 1))
    return out


def _place(custody: list[tuple[int, str]], minute: int) -> str:
    return [zone for since, zone in custody if since <= minute][-1] if custody[0][0] <= minute else custody[0][1]


def _judging(zone: str) -> str:
    return "truck" if zone == "shipper" else zone


def _minute(said: list[Said], zone: str, limit: ProfileLimit, minute: int) -> frozenset[str]:
    """proven, uncertain, unproven (worst case) and open, for one limit in one minute."""

    def out(value: float) -> bool:
        return value > limit.threshold if limit.op == ">" else value < limit.threshold

    if not ROOMS[zone]:
        if zone not in WORST:
            return frozenset({"unproven", "open"})
        return frozenset({"uncertain", "unproven", "open"}) if out(WORST[zone]) else frozenset()
    speaks = {point: _speaks(said, zone, point, minute) for point in ROOMS[zone]}
    spare = any(s is not None and s[1] is Quality.GOOD for point, s in speaks.items() if point.startswith("~"))
    required = [s for point, s in speaks.items() if not point.startswith("~")]
    proven = any(s is not None and s[1] is Quality.GOOD and any(map(out, s[0])) for s in speaks.values())
    uncertain = any(s is not None and any(map(out, s[0])) for s in speaks.values())
    worst = uncertain or (any(s is None for s in required) and not spare)
    covered = all(s is not None and s[1] is Quality.GOOD for s in required) or spare
    names = {"proven": proven, "uncertain": uncertain, "unproven": worst, "open": worst or not covered}
    return frozenset(name for name, is_so in names.items() if is_so)


def _speaks(said: list[Said], zone: str, point: str, minute: int) -> tuple[list[float], Quality] | None:
    mine = [s for s in said if (s.zone, s.point) == (zone, point) and s.minute <= minute]
    newest = max((s.minute for s in mine), default=None)
    last = [s for s in mine if s.minute == newest]
    values = [s for s in last if s.quality is not Quality.BAD]
    if not values or minute >= last[0].minute + GAP:
        return None
    certain = len(values) == len(last) and all(s.quality is Quality.GOOD for s in last)
    return [s.value for s in values], Quality.GOOD if certain else Quality.UNCERTAIN


def ways(rng: random.Random) -> list[tuple[int, str]]:
    """Where goods were: three to five stays, some within one hour."""
    times = sorted(rng.sample(range(5, LAST - 5), rng.randint(2, 4)))
    return list(
        zip([rng.randint(0, 4), *times], [rng.choice(sorted(ROOMS)) for _ in range(len(times) + 1)], strict=True)
    )


@pytest.fixture
def world(engine: Engine) -> World:
    events = Events()
    for module in (custody_handlers, exposure_handlers, quality_handlers):
        module.register(events)
    return World(engine, events)


def watermarks(upto: int, zones: list[str]) -> list[tuple[str, Watermark]]:
    """Zone a is spoken for by two gateways."""
    when = START + upto * MINUTE
    one = [("g1", Watermark("one", when, tuple(f"s1/a/{zone}" for zone in zones)))]
    return [*one, ("g2", Watermark("two", when, ("s1/a/a",)))] if "a" in zones else one


@pytest.mark.parametrize("order", ["in time", "late", "shuffled"])
@pytest.mark.parametrize("seed", range(2))
def test_the_excursions_are_those_of_a_model_that_looks_at_every_minute(world: World, seed: int, order: str) -> None:
    rng = random.Random(seed)
    said, stays = weather(rng), [ways(rng) for _ in range(5)]
    ids = {name: world.zone(name, points=points, gap=GAP * MINUTE, worst_temperature=WORST.get(name))
           for name, points in ROOMS.items()}  # fmt: skip
    world._add(ZoneNesting(zone_id=ids["shipper"], parent_id=ids["truck"], from_at=DAY))
    item = world.item(*LIMITS, gap=GAP * MINUTE)
    goods = [world.sublot(item, ids[way[0][1]], START + way[0][0] * MINUTE) for way in stays]
    moves = [(minute, goods[index], zone) for index, way in enumerate(stays) for minute, zone in way[1:]]
    delivered(world, random.Random(f"{seed} {order}"), order, said, [(m, g, ids[z]) for m, g, z in moves])
    for sublot, way in zip(goods, stays, strict=True):
        expected = truth(said, way)
        found = {tuple(row[1:]) for row in world.excursions(sublot)}
        assert found == expected, (way, sorted(found ^ expected))
        assert len(world.holds(sublot)) >= len(expected)


def delivered(
    world: World, rng: random.Random, order: str, said: list[Said], moves: list[tuple[int, int, int]]
) -> None:
    """Hands everything in by chunks, as time goes, behind time or in any order; two judges, and restarts."""
    judges = [Judge(), Judge()]
    delay = {s: s.minute + (rng.choice([0, 0, 0, 50, 130]) if order == "late" else 0) for s in said}
    if order == "shuffled":
        delay = {s: rng.randrange(LAST) for s in said}
    keyed = {move: move[0] + (0 if order == "in time" else rng.choice([0, 20, 150])) for move in moves}
    # of two values at one time the first to come stands, and the other is a conflict: both are judged
    for upto in range(12, LAST + 13, 12):
        world.now = max(world.now, min(START + upto * MINUTE, END))
        for move in moves:
            if upto - 12 <= min(keyed[move], LAST) < upto:
                world.put(move[1], move[2], START + move[0] * MINUTE, known=world.now)
        chunk = [s for s in said if upto - 12 <= min(delay[s], LAST) < upto]
        rng.shuffle(chunk)
        world.judge = rng.choice(judges)
        half = len(chunk) // 2
        world.fold([s.reading() for s in chunk[:half]], [], now=world.now)
        told = watermarks(
            min(upto, LAST) - rng.choice([1, 5]), [zone for zone in ("a", "b", "truck") if rng.random() < 0.7]
        )
        world.fold([s.reading() for s in chunk[half:]], told if order != "shuffled" else [], now=world.now)
        if rng.random() < 0.15:
            judges = [Judge(), Judge()]
    world.now = END
    world.fold([], watermarks(LAST, ["a", "b", "truck"]), now=END)
    world.do(blind, now=END)
