"""The judge's rules against brute force: every second looked at by itself, by the words of the design."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.erp.exposure.rules.assess import Slice, Verdict, assess
from core.erp.exposure.rules.profile import Limit, Profile
from core.erp.exposure.rules.runs import Runs, length, without
from core.erp.exposure.rules.signal import BAD, GOOD, UNCERTAIN, Trace
from core.erp.exposure.rules.summary import Summary, ZoneView, add, clip_runs, decode, encode

END = 60
HIGH = Limit("high", "temperature", ">", 8.0, "consecutive", 10)
LOW = Limit("low", "temperature", "<", 2.0, "cumulative", 15)
STICKY = Limit("sticky", "temperature", ">=", 9.0, "instant", 0, 2.0)


@dataclass(frozen=True)
class Said:
    at: int
    value: float
    quality: int


@st.composite
def points(draw: st.DrawFn) -> list[tuple[bool, list[Said]]]:
    out = []
    for index in range(draw(st.integers(1, 3))):
        times = sorted(draw(st.sets(st.integers(-10, END - 1), max_size=12)))
        said = [
            Said(
                at,
                draw(st.sampled_from([0.0, 2.0, 5.0, 7.5, 8.0, 8.5, 9.0, 12.0])),
                draw(st.sampled_from([GOOD, GOOD, GOOD, UNCERTAIN, BAD])),
            )
            for at in times
        ]
        out.append((index == 0 or draw(st.booleans()), said))
    return out


def trace(required: bool, said: list[Said]) -> Trace:
    values = np.array([np.nan if s.quality == BAD else s.value for s in said], np.float64)
    return Trace(
        required, np.array([s.at for s in said], np.int64), values, values, np.array([s.quality for s in said], np.int8)
    )


def look(of: list[tuple[bool, list[Said]]], start: int, stop: int, known_to: int = END) -> ZoneView:
    carried = [(r, [s for s in said if s.at < stop]) for r, said in of]
    return ZoneView({"temperature": [trace(r, said) for r, said in carried]}, start, stop, known_to)


def spoken(said: list[Said], gap: int, t: int) -> Said | None:
    before = [s for s in said if s.at <= t]
    if not before or before[-1].quality == BAD or t >= before[-1].at + gap:
        return None
    return before[-1]


def brute(of: list[tuple[bool, list[Said]]], limit: Limit, gap: int, known_to: int) -> dict[str, list[bool]]:
    out: dict[str, list[bool]] = {"proven": [], "uncertain": [], "worst": [], "covered": []}
    for t in range(END):
        now = [(required, spoken(said, gap, t)) for required, said in of]
        spare = any(s is not None and s.quality == GOOD for required, s in now if not required)
        proven = any(s is not None and s.quality == GOOD and limit.out(s.value) for _, s in now)
        uncertain = any(s is not None and limit.out(s.value) for _, s in now)
        unknown = any(required and s is None and not spare for required, s in now)
        out["proven"].append(proven)
        out["uncertain"].append(uncertain)
        out["worst"].append(uncertain or (unknown and t < known_to))
        out["covered"].append(all((s is not None and s.quality == GOOD) or spare for required, s in now if required))
    return out


def brute_climate(of: list[tuple[bool, list[Said]]], gap: int) -> tuple[float | None, float | None, float | None]:
    """Least, greatest and mean good value: extremes whoever else is silent, the mean over the covered seconds."""
    covered = brute(of, HIGH, gap, END)["covered"]
    good = [[s.value for _, said in of if (s := spoken(said, gap, t)) and s.quality == GOOD] for t in range(END)]
    every = [value for now in good for value in now]
    warmest = [max(now) for now, known in zip(good, covered, strict=True) if known]
    mean = sum(warmest) / len(warmest) if warmest else None
    return min(every, default=None), max(every, default=None), mean


def seconds(runs: Runs) -> list[bool]:
    return [any(a <= t < b for a, b in runs) for t in range(END)]


def is_sorted_apart(runs: Runs) -> bool:
    return all(a < b for a, b in runs) and all(x[1] < y[0] for x, y in pairwise(runs))


@given(points(), st.integers(1, 20), st.integers(0, END))
def test_runs_say_what_every_second_says(of: list[tuple[bool, list[Said]]], gap: int, known_to: int) -> None:
    profile = Profile(1, (HIGH, LOW), gap)
    summary = look(of, 0, END, known_to).summary(profile)
    for limit in profile.limits:
        expected = brute(of, limit, gap, known_to)
        seen = summary.of(limit.key)
        assert seconds(seen.proven) == expected["proven"]
        assert seconds(seen.uncertain) == expected["uncertain"]
        assert seconds(seen.worst) == expected["worst"]
        assert all(is_sorted_apart(r) for r in (seen.proven, seen.uncertain, seen.worst, seen.open))
    assert summary.covered == sum(brute(of, HIGH, gap, known_to)["covered"])
    lowest, highest, mean = brute_climate(of, gap)
    assert (summary.lowest, summary.highest) == (lowest, highest)
    assert (summary.heat / summary.covered if summary.covered else None) == pytest.approx(mean)
    assert not summary.of("high").proven or (highest is not None and HIGH.out(highest)), "what is counted is told"
    assert not summary.of("low").proven or (lowest is not None and LOW.out(lowest))


def test_one_point_is_silent_and_what_the_other_says_is_told() -> None:
    """The minutes at 12 °C are counted, so the highest is 12 °C, though the zone is not covered then."""
    of = [(True, [Said(0, 5.0, GOOD)]), (True, [Said(0, 5.0, GOOD), Said(20, 12.0, GOOD)])]
    summary = look(of, 0, END).summary(Profile(1, (HIGH,), 20))
    assert summary.of("high").proven == [(20, 40)]
    assert (summary.covered, summary.lowest, summary.highest) == (20, 5.0, 12.0)


@given(points(), st.integers(1, 20), st.lists(st.integers(1, END - 1), max_size=4))
def test_summaries_add_up_however_they_are_cut(of: list[tuple[bool, list[Said]]], gap: int, cuts: list[int]) -> None:
    profile = Profile(1, (HIGH, LOW, STICKY), gap)
    bounds = [0, *sorted(set(cuts)), END]
    parts = [look(of, a, b).summary(profile) for a, b in pairwise(bounds)]
    whole = look(of, 0, END).summary(profile)
    left = parts[0]
    for part in parts[1:]:
        left = add([left, part])
    right = parts[-1]
    for part in reversed(parts[:-1]):
        right = add([part, right])
    for made in (left, right, add(parts)):
        assert made.seen == whole.seen
        assert (made.covered, made.lowest, made.highest) == (whole.covered, whole.lowest, whole.highest)
        assert np.isclose(made.arrhenius, whole.arrhenius, rtol=1e-9)
        assert np.isclose(made.heat, whole.heat, rtol=1e-9)
    assert decode(encode(whole)) == whole


@given(points(), points(), st.integers(1, 20), st.integers(0, 50), st.integers(1, 59))
def test_a_sublots_breaks_are_what_its_own_seconds_say(
    a: list[tuple[bool, list[Said]]], b: list[tuple[bool, list[Said]]], gap: int, entry: int, move: int
) -> None:
    """It stood in zone 1 from `entry` to `move` and in zone 2 after that."""
    entry = min(entry, move - 1)
    profile = Profile(1, (HIGH, LOW), gap)
    one, two = look(a, 0, END).summary(profile), look(b, 0, END).summary(profile)
    slices = [
        Slice(1, entry, move, clip_runs(one.seen, entry, move)),
        Slice(2, move, END, clip_runs(two.seen, move, END)),
    ]
    verdict = assess(profile, slices)
    found = {(item.limit_key, item.certainty): item for item in verdict.breaks}
    for limit in profile.limits:
        zone1, zone2 = brute(a, limit, gap, END), brute(b, limit, gap, END)
        strongest = None
        for certainty, track in (("proven", "proven"), ("uncertain", "uncertain"), ("unproven", "worst")):
            out = zone1[track][entry:move] + zone2[track][move:]
            broke = first_break(limit, out, entry)
            if broke is not None and strongest is None:
                strongest = (certainty, broke)
        mine = [item for item in verdict.breaks if item.limit_key == limit.key]
        if strongest is None:
            assert not mine
        elif limit.kind == "cumulative":
            assert [(item.certainty, item.broke) for item in mine] == [strongest]
        else:
            assert (limit.key, strongest[0]) in found
            assert min(item.broke for item in mine if item.certainty == strongest[0]) == strongest[1]
            assert all(item.started <= item.broke - limit.delay for item in mine)


def first_break(limit: Limit, out: list[bool], start: int) -> int | None:
    count = 0
    for offset, is_out in enumerate(out):
        count = count + 1 if is_out else (0 if limit.kind == "consecutive" else count)
        if is_out and count >= limit.delay:
            return start + offset + 1
    return None


@given(points(), st.sampled_from([HIGH, LOW]), st.integers(1, 20), st.integers(0, 58), st.integers(0, 15))
def test_nothing_can_break_before_it_is_due(
    of: list[tuple[bool, list[Said]]], limit: Limit, gap: int, horizon: int, shortest: int
) -> None:
    """The watched threshold is never late: no new break lies between what is known and `due`."""
    profile = Profile(1, (limit,), gap, shortest_event=shortest)
    early = look(of, 0, horizon + 1, horizon + 1).summary(profile)
    verdict = assess(profile, [Slice(1, 0, horizon + 1, early.seen)])
    before = {(item.limit_key, item.started) for item in verdict.breaks}
    whole = look(of, 0, END).summary(profile)
    for stop in range(horizon + 2, min(END + 1, verdict.due)):
        later = assess(profile, [Slice(1, 0, stop, clip_runs(whole.seen, 0, stop))])
        assert {(item.limit_key, item.started) for item in later.breaks} <= before


def test_a_run_of_exactly_the_delay_breaks_and_one_second_less_does_not() -> None:
    profile = Profile(1, (HIGH,), 1000)
    warm = [(True, [Said(0, 9.0, GOOD), Said(10, 5.0, GOOD)])]
    seen = look(warm, 0, END).summary(profile).seen
    assert [b.broke for b in assess(profile, [Slice(1, 0, END, seen)]).breaks] == [10]
    short = [(True, [Said(1, 9.0, GOOD), Said(10, 5.0, GOOD)])]
    early = [(True, [Said(0, 5.0, GOOD), *short[0][1]])]
    assert not assess(profile, [Slice(1, 0, END, look(early, 0, END).summary(profile).seen)]).breaks


def test_8_0_is_in_range_for_a_label_of_2_to_8() -> None:
    profile = Profile(1, (Limit("hot", "temperature", ">", 8.0, "instant"),), 1000)
    at_limit = look([(True, [Said(0, 8.0, GOOD)])], 0, END).summary(profile)
    assert not at_limit.seen
    above = look([(True, [Said(0, 8.1, GOOD)])], 0, END).summary(profile)
    assert above.of("hot").proven == [(0, END)]


def test_hysteresis_ends_an_excursion_and_counts_no_minutes() -> None:
    """Out at 9, not back until below 7: one excursion from 0 to 30, ten seconds of it out."""
    profile = Profile(1, (STICKY,), 1000)
    said = [Said(0, 9.0, GOOD), Said(5, 7.5, GOOD), Said(20, 9.5, GOOD), Said(25, 7.0, GOOD), Said(30, 6.0, GOOD)]
    summary = look([(True, said)], 0, END).summary(profile)
    verdict = assess(profile, [Slice(1, 0, END, summary.seen)])
    assert [(b.started, b.ended, b.out) for b in verdict.breaks] == [(0, 30, 10)]


def test_a_shared_allowance_is_spent_once() -> None:
    """Silence counts as out for both bands, and is one spending."""
    bands = (
        Limit("warm", "temperature", ">", 8.0, "cumulative", 30, allowance="out"),
        Limit("cold", "temperature", "<", 2.0, "cumulative", 30, allowance="out"),
    )
    profile = Profile(1, bands, 5)
    silent = [(True, [Said(0, 5.0, GOOD), Said(30, 5.0, GOOD)])]
    summary = look(silent, 0, 32).summary(profile)
    assert length(summary.of("warm").worst) == 25
    assert not assess(profile, [Slice(1, 0, 32, summary.seen)]).breaks
    wider = look(silent, 0, 40).summary(profile)
    found = assess(profile, [Slice(1, 0, 40, wider.seen)]).breaks
    assert [(b.limit_key, b.certainty, b.broke) for b in found] == [("allowance:out", "unproven", 40)]


def test_an_event_shorter_than_the_shortest_spends_nothing() -> None:
    profile = Profile(1, (LOW,), 1000, shortest_event=5)
    blips = [(True, [Said(t, 0.0 if t % 8 == 0 else 5.0, GOOD) for t in range(0, END, 4)])]
    assert not assess(profile, [Slice(1, 0, END, look(blips, 0, END).summary(profile).seen)]).breaks


def test_an_event_that_is_still_too_short_breaks_the_moment_it_is_long_enough() -> None:
    """12 s are spent of 15, and an event of at least 10 s began at 20: it is one at 30, not a minute later."""
    profile = Profile(1, (LOW,), 1000, shortest_event=10)
    cold = [(True, [Said(0, 0.0, GOOD), Said(12, 5.0, GOOD), Said(20, 0.0, GOOD)])]

    def judged(to: int) -> Verdict:
        return assess(profile, [Slice(1, 0, to, look(cold, 0, to).summary(profile).seen)])

    for horizon in range(21, 30):
        assert (judged(horizon).breaks, judged(horizon).due) == ((), 30)
    assert [item.broke for item in judged(30).breaks] == [23], "an event counts from its beginning"


def test_a_short_spell_before_the_break_is_no_part_of_its_time_out() -> None:
    """Out for 3 s, not back for 2, then out for 10: hysteresis keeps one excursion open, which began with the ten."""
    limit = Limit("sticky", "temperature", ">", 9.0, "consecutive", 10, 3.0)
    profile = Profile(1, (limit,), 1000)
    said = [Said(0, 10.0, GOOD), Said(3, 8.0, GOOD), Said(5, 10.0, GOOD), Said(15, 5.0, GOOD)]
    verdict = assess(profile, [Slice(1, 0, END, look([(True, said)], 0, END).summary(profile).seen)])
    assert [(b.started, b.broke, b.ended, b.out) for b in verdict.breaks] == [(5, 15, 15, 10)]


def test_nothing_known_is_a_summary_too() -> None:
    profile = Profile(1, (HIGH,), 10)
    blank: Summary = ZoneView({}, 0, END, END).summary(profile)
    assert blank.of("high").worst == [(0, END)]
    assert blank.of("high").proven == []
    assert blank.covered == 0


@given(points(), st.lists(st.integers(-5, END + 5), min_size=3, max_size=3), st.integers(1, 20), st.integers(0, END))
def test_a_point_is_a_spare_until_its_sensor_was_installed(
    of: list[tuple[bool, list[Said]]], since: list[int], gap: int, known_to: int
) -> None:
    """Cut where a point comes to be required, each piece is as if the points had always been what they are then."""
    dated = [(required, said, at if required else 0) for (required, said), at in zip(of, since, strict=False)]
    made = [replace(trace(required, said), since=at) for required, said, at in dated]
    whole = ZoneView({"temperature": made}, 0, END, known_to).summary(Profile(1, (HIGH, LOW), gap))
    bounds = sorted({0, END, *(at for _, _, at in dated if 0 < at < END)})
    pieces = []
    for start, stop in pairwise(bounds):
        now = [trace(required and at <= start, said) for required, said, at in dated]
        pieces.append(ZoneView({"temperature": now}, start, stop, known_to).summary(Profile(1, (HIGH, LOW), gap)))
    joined = add(pieces)
    assert (whole.seen, whole.covered) == (joined.seen, joined.covered)


def test_spares_alone_are_all_there_is() -> None:
    spares = [(False, [Said(0, 5.0, GOOD)]), (False, [Said(30, 5.0, UNCERTAIN)])]
    summary = look(spares, 0, END).summary(Profile(1, (HIGH,), 20))
    assert summary.of("high").worst == [(20, 30), (50, END)]
    assert summary.covered == 20


def test_runs_without_others() -> None:
    assert without([(0, 10), (20, 30)], []) == [(0, 10), (20, 30)]
    assert without([(0, 10), (20, 30)], [(5, 25)]) == [(0, 5), (25, 30)]
    assert without([(0, 10)], [(0, 3), (4, 5), (9, 12)]) == [(3, 4), (5, 9)]
    assert without([(0, 10)], [(0, 10)]) == []
