"""Ways that are judged alike are judged once: the verdict is the one each would have by itself."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from core.erp.exposure.history.exposure_history import ExposureHistory, ZoneTrack
from core.erp.exposure.history.monitoring_zone import JudgedPath
from core.erp.exposure.rules import runs as r
from core.erp.exposure.rules.assess import Verdict
from core.erp.exposure.rules.profile import Limit, Profile
from core.erp.exposure.rules.summary import LimitRuns

LIMITS = (
    Limit("high", "temperature", ">", 8.0, "consecutive", 3, 0.0),
    Limit("spent", "temperature", ">", 8.0, "cumulative", 7, 0.0),
    Limit("low", "temperature", "<", 2.0, "instant", 0, 0.0),
)
PROFILE = Profile(1, LIMITS, 30)
STOP = 40


@st.composite
def seen(draw: Callable[[Any], Any]) -> LimitRuns:
    """Runs of four levels, each within the next."""
    ends = sorted(draw(st.sets(st.integers(0, STOP), max_size=10)))
    opened: r.Runs = list(zip(ends[::2], ends[1::2], strict=False))
    levels = [opened]
    for _ in range(3):
        levels.append([(a + draw(st.integers(0, 1)), b) for a, b in levels[-1] if b - a > 1])
    worst, uncertain, proven = levels[1:]
    return LimitRuns(proven, uncertain, worst, opened)


def world(tracks: dict[int, dict[str, LimitRuns]]) -> ExposureHistory:
    ways = ExposureHistory(cast("Connection", None), datetime(2026, 3, 2, tzinfo=UTC), profiles={1: PROFILE})
    ways._tracks.update({(zone, 1): ZoneTrack(0, STOP, of) for zone, of in tracks.items()})
    return ways


@st.composite
def way(draw: Callable[[Any], Any]) -> JudgedPath:
    start = draw(st.integers(0, STOP + 2))
    if draw(st.booleans()):
        return ((1, start, None),)
    moved = draw(st.integers(start + 1, STOP + 5))
    gone = draw(st.none() | st.integers(moved + 1, STOP + 8))
    return ((1, start, moved), (2, moved, gone))


@settings(max_examples=400, deadline=None)
@given(
    st.dictionaries(st.sampled_from([limit.key for limit in LIMITS]), seen()),
    st.dictionaries(st.sampled_from([limit.key for limit in LIMITS]), seen()),
    st.lists(way(), min_size=1, max_size=30),
)
def test_many_ways_at_once_have_the_verdicts_of_each(
    one: dict[str, LimitRuns], two: dict[str, LimitRuns], ways: list[JudgedPath]
) -> None:
    together = world({1: one, 2: two})
    for number, each in enumerate(ways):
        alone = world({1: one, 2: two})
        verdict: Verdict = alone._path_verdict(each, number, 1)
        assert together._path_verdict(each, number, 1) == verdict
        assert ((number, 1) in together.counted) == ((number, 1) in alone.counted)
        assert verdict == alone._assess(each, 1, alone.slices(each, 1))


def test_goods_that_came_while_nothing_counted_share_one_verdict() -> None:
    ways = world({1: {"high": LimitRuns([(10, 20)], [(10, 20)], [(10, 20)], [(10, 20)])}})
    for sublot, start in enumerate((0, 3, 10, 12, 13, 20, 30)):
        ways._path_verdict(((1, start, None),), sublot, 1)
    # before the run, from two instants within it, after it
    assert len(ways._verdicts) == 4
    assert ways.counted == {(sublot, 1) for sublot in range(5)}
