"""Whatever order data come in, the excursions are those of a plain model that looks at every minute by itself."""

import math
import os
import random
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import chain, groupby

import pytest
from sqlalchemy import text

from core.erp.catalog.model import ProfileLimit, ZoneNesting
from core.erp.exposure.history.exposure_history import ExposureHistory
from core.erp.exposure.judge.judge import Judge
from core.erp.exposure.judge.timer import judge_unmonitored
from core.erp.exposure.readings.profiles import versions_of
from core.erp.exposure.service import exposure
from core.erp.exposure.times import moment
from core.erp.kernel.unit import Unit, system, transact
from core.erp.lots import service as lots
from core.series.landing import land
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
    ProfileLimit(key="sticky", op=">", threshold=9.0, kind="consecutive", delay=15 * MINUTE, hysteresis=3.0),
    ProfileLimit(key="warmer", op=">", threshold=7.0, kind="cumulative", delay=80 * MINUTE, allowance="both"),
    ProfileLimit(key="colder", op="<", threshold=3.0, kind="cumulative", delay=80 * MINUTE, allowance="both"),
)
ROOMS = {"a": ("p1", "p2", "~p3"), "b": ("p1",), "truck": ("p1", "~p2"), "shipper": (), "dock": (), "yard": ()}
WORST = {"dock": 9.0}
RANKS = ("proven", "uncertain", "unproven")
HEAVY = os.environ.get("LOTWISE_TEST_HEAVY") == "1"
SEEDS = range(30) if HEAVY else range(2)


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
    for name, limits in counts().items():
        per_limit = [_minutes(said, custody, limit) for limit in limits]
        minutes = [frozenset[str]().union(*ones) for ones in zip(*per_limit, strict=True)]
        delay = int(limits[0].delay / MINUTE)
        for key in _breaks(minutes, delay, cumulative=limits[0].kind == "cumulative"):
            found.add((name, START + key[0] * MINUTE, START + key[1] * MINUTE, key[2]))
    return found


def counts() -> dict[str, list[ProfileLimit]]:
    """The counts that are kept: each limit by itself, but those that share an allowance as one."""
    out: dict[str, list[ProfileLimit]] = {}
    for limit in LIMITS:
        out.setdefault(limit.key if limit.allowance is None else f"allowance:{limit.allowance}", []).append(limit)
    return out


def _minutes(said: list[Said], custody: list[tuple[int, str]], limit: ProfileLimit) -> list[frozenset[str]]:
    born = custody[0][0]
    return [
        _minute(said, _judging(_place(custody, minute)), limit, minute) if minute >= born else frozenset()
        for minute in range(LAST)
    ]


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

    def out(value: float, back: float = 0.0) -> bool:
        return value > limit.threshold - back if limit.op == ">" else value < limit.threshold + back

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
    sticks = any(s is not None and any(out(value, limit.hysteresis) for value in s[0]) for s in speaks.values())
    names = {"proven": proven, "uncertain": uncertain, "unproven": worst, "open": worst or not covered or sticks}
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


@dataclass(frozen=True)
class Met:
    """What goods met in one minute: every good value, whether the zone was covered, and every value not bad."""

    good: list[float]
    covered: bool
    any: list[float]


def met(said: list[Said], custody: list[tuple[int, str]]) -> list[Met]:
    """Every minute from the goods' birth, by the words of the design, from raw readings and custody."""
    return [_met(said, _judging(_place(custody, minute)), minute) for minute in range(custody[0][0], LAST)]


def _met(said: list[Said], zone: str, minute: int) -> Met:
    speaks = {point: _speaks(said, zone, point, minute) for point in ROOMS[zone]}
    good = {point: one[0] for point, one in speaks.items() if one is not None and one[1] is Quality.GOOD}
    required = [point for point in ROOMS[zone] if not point.startswith("~")]
    covered = bool(required) and (all(point in good for point in required) or any(p.startswith("~") for p in good))
    return Met(list(chain(*good.values())), covered, list(chain(*(one[0] for one in speaks.values() if one))))


def kinetic(warmest: list[float]) -> float:
    """Mean kinetic temperature (USP <1079.2>) of as many equal times; activation energy over gas constant 10 000 K."""
    mean = sum(math.exp(-10_000 / (value + 273.15)) for value in warmest) / len(warmest)
    return 10_000 / -math.log(mean) - 273.15


def custody_path(rng: random.Random) -> list[tuple[int, str]]:
    """Where goods were: three to five stays, some within one hour."""
    times = sorted(rng.sample(range(5, LAST - 5), rng.randint(2, 4)))
    return list(
        zip([rng.randint(0, 4), *times], [rng.choice(sorted(ROOMS)) for _ in range(len(times) + 1)], strict=True)
    )


def watermarks(upto: int, zones: list[str]) -> list[tuple[str, Watermark]]:
    """Zone a is spoken for by two gateways."""
    when = START + upto * MINUTE
    one = [("g1", Watermark("one", when, tuple(f"s1/a/{zone}" for zone in zones)))]
    return [*one, ("g2", Watermark("two", when, ("s1/a/a",)))] if "a" in zones else one


@dataclass(frozen=True)
class Plan:
    """What was said, where goods went, and what they are in the database."""

    said: list[Said]
    stays: list[list[tuple[int, str]]]
    ids: dict[str, int]
    goods: list[int]

    @property
    def moves(self) -> list[tuple[int, int, int]]:
        """(minute, sublot, zone) of every move after the first stay."""
        return [
            (minute, sublot, self.ids[zone])
            for sublot, way in zip(self.goods, self.stays, strict=True)
            for minute, zone in way[1:]
        ]


def planned(world: World, seed: int) -> Plan:
    rng = random.Random(seed)
    said, stays = weather(rng), [custody_path(rng) for _ in range(5)]
    ids = {
        name: world.zone(name, points=points, gap=GAP * MINUTE, worst_temperature=WORST.get(name))
        for name, points in ROOMS.items()
    }
    world._add(ZoneNesting(zone_id=ids["shipper"], parent_id=ids["truck"], from_at=DAY))
    item = world.item(*LIMITS, gap=GAP * MINUTE)
    lot = world.lot(item)
    # some come where nobody measures, and are held as they come
    goods = [world.sublot(item, ids[way[0][1]], START + way[0][0] * MINUTE, lot=lot, released=False) for way in stays]
    return Plan(said, stays, ids, goods)


def as_the_model_says(world: World, plan: Plan) -> None:
    for sublot, way in zip(plan.goods, plan.stays, strict=True):
        expected = truth(plan.said, way)
        found = {tuple(row[1:]) for row in world.excursions(sublot)}
        assert found == expected, (way, sorted(found ^ expected))
        minutes = met(plan.said, way)
        the_figures_are_those_of(world, sublot, way[0][0], minutes)
        the_extremes_of_excursions_are_those_of(world, sublot, way[0][0], minutes)
    every_excursion_is_held(world)


def the_figures_are_those_of(world: World, sublot: int, born: int, minutes: list[Met]) -> None:
    """Of the whole way; of the longest run that is covered throughout: only of that is there a kinetic mean; and of
    each during which one point was silent and another spoke.
    """
    covered = max(_runs_of(one.covered for one in minutes), key=lambda run: run[1] - run[0], default=(0, len(minutes)))
    partly = _runs_of(bool(one.good) and not one.covered for one in minutes)
    for first, last in ((0, len(minutes)), covered, *partly):
        some = minutes[first:last]
        span = (START + (born + first) * MINUTE, START + (born + last) * MINUTE)
        with world.engine.connect() as conn:
            found = exposure(conn, sublot, world.now, *span)
        assert found is not None
        good, warmest = list(chain(*(one.good for one in some))), [max(one.good) for one in some if one.covered]
        assert (found.lowest, found.highest) == (min(good, default=None), max(good, default=None))
        assert found.covered == pytest.approx(len(warmest) / len(some))
        assert found.mean == (pytest.approx(sum(warmest) / len(warmest)) if warmest else None)
        assert found.mkt == (pytest.approx(kinetic(warmest)) if len(warmest) == len(some) else None)
        for limit, seen in zip(LIMITS, found.limits, strict=True):
            if seen.proven:
                assert _is_out(limit, found.highest if limit.op == ">" else found.lowest), "what is counted is told"


def the_extremes_of_excursions_are_those_of(world: World, sublot: int, born: int, minutes: list[Met]) -> None:
    """Of all that spoke while it lasted: an uncertain value counts against goods, and is told."""
    query = text("SELECT * FROM excursion WHERE sublot_id = :s AND state <> 'superseded'")
    with world.engine.connect() as conn:
        found = conn.execute(query, {"s": sublot}).all()
    for one in found:
        first, last = (int((when - START) / MINUTE) - born for when in (one.started_at, one.ended_at or END))
        values = list(chain(*(each.any for each in minutes[first:last])))
        assert (one.lowest, one.highest) == (min(values, default=None), max(values, default=None)), one


def _is_out(limit: ProfileLimit, value: float | None) -> bool:
    return value is not None and (value > limit.threshold if limit.op == ">" else value < limit.threshold)


def _runs_of(flags: Iterable[bool]) -> list[tuple[int, int]]:
    """[first, last) of each run of true ones."""
    out, at = [], 0
    for flag, same in groupby(flags):
        first, at = at, at + len(list(same))
        if flag:
            out.append((first, at))
    return out


def every_excursion_is_held(world: World) -> None:
    with world.engine.connect() as conn:
        free = conn.execute(
            text(
                "SELECT e.id FROM excursion e WHERE e.state <> 'superseded' AND NOT EXISTS (SELECT FROM hold h"
                " WHERE h.excursion_id = e.id AND h.sublot_id = e.sublot_id AND h.lifted_at IS NULL"
                " AND array_position(:ranks, h.certainty) <= array_position(:ranks, e.certainty))"
            ),
            {"ranks": list(RANKS)},
        ).all()
    assert free == []


def what_stands_is_what_a_fresh_look_says(world: World) -> None:
    """The live verdicts, each from what its fold kept in memory, against one from nothing but the tables."""
    world.do(judge_unmonitored)
    with world.engine.connect() as conn:
        ids = list(conn.execute(text("SELECT id FROM sublot ORDER BY id")).scalars())
        version = versions_of(conn, ids, world.now)
        by_version = {each: [s for s in ids if version[s] == each] for each in set(version.values())}
        fresh = {
            (sublot, item.limit_key, moment(item.started), moment(item.broke), item.certainty)
            for (sublot, _), verdict in ExposureHistory(conn, world.now).verdicts(by_version).items()
            for item in verdict.breaks
        }
    assert set(world.excursions()) == fresh
    every_excursion_is_held(world)


@pytest.mark.parametrize("order", ["in time", "late", "shuffled"])
@pytest.mark.parametrize("seed", SEEDS)
def test_the_excursions_are_those_of_a_model_that_looks_at_every_minute(world: World, seed: int, order: str) -> None:
    plan = planned(world, seed)
    delivered(world, random.Random(f"{seed} {order}"), order, plan.said, plan.moves)
    as_the_model_says(world, plan)


@pytest.mark.parametrize("order", ["in time", "late", "shuffled"])
@pytest.mark.parametrize("seed", [100 + seed for seed in SEEDS[::2]])
def test_after_every_fold_what_stands_is_what_a_fresh_look_says_and_is_held(
    world: World, seed: int, order: str
) -> None:
    """Goods of one lot that stand together are merged now and then, and part of them is split off. After every fold
    in the large form; after one of four in the small one.
    """
    plan, rng = planned(world, seed), random.Random(f"{seed} {order}")

    def step() -> None:
        if rng.random() < (0.3 if HEAVY else 0.1):
            regroup(world, rng)
        if HEAVY or rng.random() < 0.25:
            what_stands_is_what_a_fresh_look_says(world)

    delivered(world, rng, order, plan.said, plan.moves, step)


def regroup(world: World, rng: random.Random) -> None:
    with world.engine.connect() as conn:
        rows = conn.execute(text("SELECT id, zone_id FROM sublot WHERE lotwise_on_hand(id) > 1 ORDER BY id")).all()
    first, second = rng.choice(rows), rng.choice(rows)
    if first.id != second.id and first.zone_id == second.zone_id:
        world.do(lambda u: lots.merge(u, [first.id, second.id]))
    elif len(rows) < 8:
        world.do(lambda u: lots.split(u, first.id, Decimal(1)))


def delivered(
    world: World,
    rng: random.Random,
    order: str,
    said: list[Said],
    moves: list[tuple[int, int, int]],
    after: Callable[[], None] = lambda: None,
) -> None:
    """Hands everything in by chunks, as time goes, behind time or in any order; two judges, and restarts. `after` is
    done after every fold.
    """
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
        after()
        told = watermarks(
            min(upto, LAST) - rng.choice([1, 5]), [zone for zone in ("a", "b", "truck") if rng.random() < 0.7]
        )
        world.fold([s.reading() for s in chunk[half:]], told if order != "shuffled" else [], now=world.now)
        after()
        if rng.random() < 0.15:
            judges = [Judge(), Judge()]
    world.now = END
    world.fold([], watermarks(LAST, ["a", "b", "truck"]), now=END)
    world.do(judge_unmonitored, now=END)
    after()


@pytest.mark.parametrize("seed", [200 + seed for seed in SEEDS[::2]])
def test_custody_keyed_on_one_connection_while_others_fold_on_theirs_gives_the_same(world: World, seed: int) -> None:
    """Two workers fold at once, each its share of whatever zone, while the warehouse keys moves; none waits for the
    other but in the database.
    """
    plan, rng = planned(world, seed), random.Random(seed)
    judges = [Judge(), Judge()]
    late = {move: move[0] + rng.choice([0, 0, 15, 40]) for move in plan.moves}
    with ThreadPoolExecutor(3) as threads:
        for number, upto in enumerate(range(20, LAST + 21, 20)):
            world.now = now = min(START + upto * MINUTE, END)
            chunk = [s.reading() for s in plan.said if upto - 20 <= s.minute < upto]
            rng.shuffle(chunk)
            half = len(chunk) // 2
            told = watermarks(min(upto, LAST) - 3, ["a", "b", "truck"])
            moves = [move for move in plan.moves if upto - 20 <= min(late[move], LAST) < upto]
            work = [
                threads.submit(fold, world, judges[0], chunk[:half], told[:1], 2 * number),
                threads.submit(fold, world, judges[1], chunk[half:], told[1:], 2 * number + 1),
                threads.submit(keyed_in, world, moves, now),
            ]
            for one in work:
                one.result()
            if rng.random() < 0.1:
                judges[rng.randrange(2)] = Judge()
    fold(world, rng.choice(judges), [], watermarks(LAST, ["a", "b", "truck"]), 10_000)
    world.do(judge_unmonitored, now=END)
    as_the_model_says(world, plan)
    what_stands_is_what_a_fresh_look_says(world)


def fold(
    world: World, judge: Judge, readings: Sequence[Reading], marks: Sequence[tuple[str, Watermark]], batch: int
) -> None:
    def work(u: Unit) -> None:
        landed = land(u.conn, readings, [batch] * len(readings), u.now)
        new = [readings[index] for index in landed.new]
        judge.fold(u, new, [(first, second) for _, first, second in landed.conflicts], marks)

    transact(world.engine, system("ingest"), world.events, work, world.now)


def keyed_in(world: World, moves: Sequence[tuple[int, int, int]], now: datetime) -> None:
    for minute, sublot, zone in moves:
        world.put(sublot, zone, START + minute * MINUTE, known=now)
