"""The soak's own rules: its plan, and that its auditor finds every fault that is planted."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.erp.exposure.rules import profile as judged
from core.erp.exposure.rules.assess import Slice, assess
from core.erp.exposure.rules.signal import Trace
from core.erp.exposure.rules.summary import ZoneView, clip_runs
from lotwise.torture.holds import Placed, judge
from lotwise.torture.plan import FAULT_FREE, PROFILES, Goods, Profile, Target, plan
from lotwise.torture.series import CoreReadings, Gap, Row, SeriesFindings, compare, unrecorded
from lotwise.torture.truth import BAD, GOOD, UNCERTAIN, Device, SentValue
from lotwise.torture.verdict import SECOND, Broken, JudgedInterval, broken
from lotwise.torture.work import PlacedGoods

TARGETS = [
    Target("nats-1", ("kill", "stop"), "stream"),
    Target("nats-2", ("kill", "stop"), "stream"),
    Target("edge", ("kill", "stop", "freeze"), "edge"),
    Target("machine", ("off",), "machine"),
]
ZONES = ["s/a/one", "s/a/two"]
Spoil = Callable[[list[Row], list[Row]], object]
CONSECUTIVE = next(profile for profile in PROFILES if profile.item == "consecutive")


def test_a_seed_is_one_plan() -> None:
    assert plan(7, 60, ZONES, TARGETS, 2.0) == plan(7, 60, ZONES, TARGETS, 2.0)
    assert plan(7, 60, ZONES, TARGETS, 2.0) != plan(8, 60, ZONES, TARGETS, 2.0)


@pytest.mark.parametrize("seed", range(20))
def test_everything_is_broken_in_turn_and_never_two_of_a_group(seed: int) -> None:
    made = plan(seed, 120, ZONES, TARGETS, 2.0)
    assert {blow.target for blow in made.fault_events if blow.at < 45} == {target.name for target in TARGETS}
    assert {blow.way for blow in made.fault_events} >= {"kill", "off"}
    group = {target.name: target.group for target in TARGETS}
    for name in set(group.values()):
        mine = sorted((blow.at, blow.at + blow.down) for blow in made.fault_events if group[blow.target] == name)
        assert all(before[1] < after[0] for before, after in pairwise(mine))
    assert all(blow.at + blow.down <= 120 - FAULT_FREE for blow in made.fault_events)
    assert all(script.level(at) < 8 for script in made.scripts.values() for at in (0.0, 119.0, 1e9))
    quiet = [zone for zone in ZONES if made.scripts[zone].quiet_to]
    assert quiet == ["s/a/one"]
    assert {goods.profile for goods in made.goods} == set(PROFILES)


def test_a_short_soak_breaks_everything_once() -> None:
    names = ["edge-1", "ingest-1", "serve", "postgres", "stream", "supervisor", "broker", "machine", "controller"]
    alone = [Target(name, ("kill", "stop"), name.split("-")[0]) for name in names]
    for seed in range(50):
        made = plan(seed, 18, ZONES, alone, 2.0)
        assert {blow.target for blow in made.fault_events if blow.way == "kill"} == set(names)
        assert made.fault_events[0].target == "ingest-1"


# -- the series ------------------------------------------------------------------------------------------------------


def book(protocol: str = "mqtt") -> Device:
    said = [SentValue(n, n * SECOND, 5.0 + n / 10, UNCERTAIN if n == 3 else GOOD) for n in range(1, 6)]
    return Device("probe", "s/a/one", protocol, said, {1, 2, 3, 4})  # type: ignore[arg-type] # one of three words


def rows(of: Device, value: Callable[[SentValue], float], late: int = 0) -> list[Row]:
    stamped = of.protocol != "modbus"
    return [
        Row(each.at + late, value(each), each.quality, each.at if stamped else None)
        for each in of.promised(10 * SECOND)
    ]


def found(of: Device, spoil: Spoil = lambda *_: None, **more: object) -> SeriesFindings:
    """What the auditor says of a series that is right but for what `spoil` does to (temperatures, numbers)."""
    late = 0 if of.protocol != "modbus" else 3000
    temperatures, numbers = rows(of, lambda s: s.value, late), rows(of, lambda s: float(s.number), late)
    spoil(temperatures, numbers)
    return compare(of, CoreReadings(temperatures, numbers, **more), 10 * SECOND)  # type: ignore[arg-type] # gaps, broken


def faults(of: SeriesFindings) -> set[str]:
    kinds = ("lost", "duplicate", "restamped", "invented", "wrong_quality", "wrong_value")
    return {kind for kind in kinds if getattr(of, kind)}


@pytest.mark.parametrize("protocol", ["mqtt", "opcua"])
def test_a_series_as_said_has_no_fault(protocol: str) -> None:
    right = found(book(protocol))
    assert faults(right) == set()
    assert right.checked == (8 if protocol == "mqtt" else 10), "of MQTT what the broker has acknowledged"


def _swap(at: int, **changed: object) -> Spoil:
    def spoil(temperatures: list[Row], _: list[Row]) -> None:
        temperatures[at] = replace(temperatures[at], **changed)  # type: ignore[arg-type] # fields of Row

    return spoil


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (lambda t, _: t.pop(1), {"lost"}),
        (lambda _, n: n.pop(1), {"lost"}),
        (lambda _, n: n.append(replace(n[1], at=n[1].at + 500)), {"duplicate", "restamped"}),
        (lambda t, _: t.append(replace(t[1], at=t[1].at + 500)), {"invented"}),
        (_swap(1, quality=BAD), {"wrong_quality"}),
        (_swap(2, quality=GOOD), {"wrong_quality"}),
        (_swap(1, value=4.0), {"wrong_value"}),
        (_swap(1, source_at=7), {"restamped"}),
        (lambda _, n: n.append(Row(9, 77.0, GOOD, 9)), {"invented"}),
    ],
)
def test_a_planted_fault_is_found(spoil: Spoil, kind: set[str]) -> None:
    assert faults(found(book(), spoil)) == kind


def test_a_value_of_opcua_is_there_or_in_a_gap_on_record() -> None:
    of = book("opcua")
    gone = lambda t, n: (t.pop(1), n.pop(1))  # noqa: E731 - what is spoiled, once
    assert faults(found(of, gone)) == {"lost"}
    gaps = [Gap(point, 2 * SECOND, 3 * SECOND) for point in (of.temperature, of.sequence)]
    kept = found(of, gone, gaps=gaps)
    assert (faults(kept), kept.in_gap) == (set(), 2)


def test_an_answer_of_modbus_is_kept_once_at_its_time_unless_the_line_broke() -> None:
    of = book("modbus")
    of.sent = [replace(each, quality=GOOD) for each in of.sent]
    assert faults(found(of)) == set()
    gone = lambda t, n: (t.pop(1), n.pop(1))  # noqa: E731 - what is spoiled, once
    assert faults(found(of, gone)) == {"lost"}
    cut_off = found(of, gone, broken=[(SECOND, 2 * SECOND)])
    assert (faults(cut_off), cut_off.unkept_answers) == (set(), 1)
    assert faults(found(of, lambda _, n: n.append(replace(n[1], at=n[1].at + 9)))) == {"duplicate", "lost"}

    def later(t: list[Row], n: list[Row]) -> None:
        t[1], n[1] = replace(t[1], at=5 * SECOND - 1), replace(n[1], at=5 * SECOND - 1)

    assert faults(found(of, later)) == {"restamped"}


def test_a_silence_must_be_on_record() -> None:
    of = [Row(at * SECOND, 5.0, GOOD, None) for at in (1, 2, 60)]
    assert unrecorded("p", of, [], 20 * SECOND, 90 * SECOND) == [(22 * SECOND, 60 * SECOND)]
    assert unrecorded("p", of, [Gap("p", 22 * SECOND, 60 * SECOND)], 20 * SECOND, 90 * SECOND) == []
    assert unrecorded("p", of, [Gap("p", 30 * SECOND, 60 * SECOND)], 20 * SECOND, 90 * SECOND) != []
    assert unrecorded("p", of, [Gap("q", 22 * SECOND, None)], 20 * SECOND, 90 * SECOND) != []


# -- holds -----------------------------------------------------------------------------------------------------------


def warm(*spans: tuple[int, int], until: int = 60) -> list[SentValue]:
    """A value a second: 12 °C within the spans, 5 °C outside."""
    return [
        SentValue(0, at * SECOND, 12.0 if any(start <= at < stop for start, stop in spans) else 5.0)
        for at in range(until)
    ]


def through(profile: Profile, heard: Sequence[SentValue], start: float = 0, stop: float = 60) -> list[Broken]:
    return broken(profile, [JudgedInterval(heard, int(start * SECOND), int(stop * SECOND))], 20 * SECOND)


def test_what_goods_went_through() -> None:
    assert through(CONSECUTIVE, warm((10, 12))) == []
    assert through(CONSECUTIVE, warm((10, 13))) == [Broken(13 * SECOND, "proven")]
    assert through(CONSECUTIVE, warm((10, 20)), 12.5) == [Broken(int(15.5 * SECOND), "proven")]
    assert through(CONSECUTIVE, warm((10, 20), (30, 40))) == [
        Broken(13 * SECOND, "proven"),
        Broken(33 * SECOND, "proven"),
    ]
    cumulative = next(profile for profile in PROFILES if profile.kind == "cumulative")
    assert through(cumulative, warm((10, 14), (30, 34))) == [Broken(32 * SECOND, "proven")]
    assert through(CONSECUTIVE, warm(until=10)) == [Broken(32 * SECOND, "unproven")], "9 s + 20 s allowed + 3 s"


@st.composite
def readings(draw: st.DrawFn) -> list[SentValue]:
    times = sorted(draw(st.sets(st.integers(0, 58), min_size=1, max_size=25)))
    value, quality = st.sampled_from([5.0, 8.0, 9.0, 12.0]), st.sampled_from([GOOD, GOOD, GOOD, UNCERTAIN, BAD])
    return [SentValue(0, at * SECOND, draw(value), draw(quality)) for at in times]


@given(readings(), readings(), st.sampled_from(PROFILES), st.integers(0, 29), st.integers(30, 59))
def test_the_auditor_and_the_judge_agree(
    one: list[SentValue], two: list[SentValue], profile: Profile, entry: int, move: int
) -> None:
    """Worked out twice, by code that shares nothing: goods that stood in one zone and then in another."""
    gap = 5 * SECOND
    limit = judged.Limit("high", "temperature", ">", profile.threshold, profile.kind, profile.delay * SECOND)  # type: ignore[arg-type] # one of three words
    mine = judged.Profile(1, (limit,), gap)
    slices = []
    for number, said, start, stop in ((1, one, entry, move), (2, two, move, 60)):
        value = np.array([np.nan if s.quality == BAD else s.value for s in said], np.float64)
        trace = Trace(
            True, np.array([s.at for s in said], np.int64), value, value, np.array([s.quality for s in said], np.int8)
        )
        seen = ZoneView({"temperature": [trace]}, 0, 60 * SECOND, 60 * SECOND).summary(mine).seen
        slices.append(Slice(number, start * SECOND, stop * SECOND, clip_runs(seen, start * SECOND, stop * SECOND)))
    stays = [JudgedInterval(one, entry * SECOND, move * SECOND), JudgedInterval(two, move * SECOND, 60 * SECOND)]
    found = [Broken(item.broke, item.certainty) for item in assess(mine, slices).breaks]
    assert broken(profile, stays, gap) == found


ONE = PlacedGoods(Goods("S1", CONSECUTIVE, ()), 1, [("z", 0, 0)])
RIGHT = Placed(1, 13 * SECOND, "proven", superseded=False, holds=1)


@pytest.mark.parametrize(
    ("placed", "kind"),
    [
        ([RIGHT], set()),
        ([], {"missed"}),
        ([replace(RIGHT, holds=0)], {"missed"}),
        ([replace(RIGHT, at=14 * SECOND)], {"missed", "false_hold"}),
        ([RIGHT, replace(RIGHT, at=40 * SECOND)], {"false_hold"}),
        ([replace(RIGHT, holds=2)], {"double"}),
        ([RIGHT, RIGHT], {"double"}),
        ([replace(RIGHT, certainty="unproven")], {"wrong_certainty"}),
        ([RIGHT, replace(RIGHT, at=20 * SECOND, superseded=True)], {"false_hold"}),
        ([RIGHT, replace(RIGHT, at=20 * SECOND, superseded=True, holds=0)], set()),
        ([RIGHT, replace(RIGHT, at=70 * SECOND)], set()),
    ],
)
def test_a_hold_that_is_missed_doubled_or_false_is_found(placed: list[Placed], kind: set[str]) -> None:
    out = judge([ONE], {"z": warm((10, 20))}, placed, 60 * SECOND)
    assert {name for name in ("missed", "double", "false_hold", "wrong_certainty") if getattr(out, name)} == kind


def test_a_move_that_was_learned_late_may_have_held_goods_where_they_no_longer_were() -> None:
    moved = replace(ONE, moves=[("z", 0, 0), ("cold", 5 * SECOND, 15 * SECOND)])
    before = replace(RIGHT, superseded=True)
    out = judge([moved], {"z": warm((10, 20)), "cold": warm()}, [before], 60 * SECOND)
    assert (out.false_hold, out.superseded_by_late_moves) == (0, 1)
