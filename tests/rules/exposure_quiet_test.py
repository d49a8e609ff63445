"""A quiet zone is one in whose tail no profile sees anything; what profiles share is what each would see by itself."""

from itertools import pairwise

import numpy as np
import pytest

from core.erp.exposure.judge.zone_fold import ZoneFold
from core.erp.exposure.judge.zone_tail import ZoneTail
from core.erp.exposure.readings.trace import PointTrace, by_quantity
from core.erp.exposure.readings.zone_setup import JudgedPoint, ZoneSetup
from core.erp.exposure.rules.nearest import SafeRange, nearest
from core.erp.exposure.rules.profile import Limit, Profile
from core.erp.exposure.rules.signal import BAD, GOOD, UNCERTAIN, tracks
from core.erp.exposure.rules.summary import LimitRuns, ZoneView
from core.erp.exposure.times import BUCKET, SECOND

MINUTE = 60 * SECOND
START = 1000 * BUCKET


def profile(version: int, high: float, low: float, gap: int) -> Profile:
    return Profile(
        version,
        (
            Limit("high", "temperature", ">" if version % 2 else ">=", high, "consecutive", MINUTE, 0.25),
            Limit("low", "temperature", "<" if version % 3 else "<=", low, "instant"),
            Limit("spent", "temperature", ">", high, "cumulative", 5 * MINUTE),
        ),
        gap,
    )


PROFILES = {n: profile(n, 8.0 + n * 0.5, 2.0 - n * 0.5, (5 + n % 3) * MINUTE) for n in range(1, 7)}
POINTS = tuple(JudgedPoint(n, f"s/a/z/p{n}/temperature", 1, "temperature", "Cel", n < 3, ()) for n in (1, 2, 3))
PLACE = ZoneSetup(1, "s/a/z", POINTS, None, None, 6 * MINUTE)


def test_the_nearest_thresholds_are_those_of_the_narrowest_profile() -> None:
    near = nearest(PROFILES.values(), 7 * MINUTE)
    assert near.gaps == (5 * MINUTE, 6 * MINUTE, 7 * MINUTE)
    assert near.gap == 5 * MINUTE
    assert near.inside == {"temperature": SafeRange(1.5, 8.25)}


@pytest.mark.parametrize(
    ("op", "value", "quiet"),
    [
        (">", 8.0, True),
        (">=", 8.0, False),
        ("<", 8.0, True),
        ("<=", 8.0, False),
        (">", 8.1, False),
        ("<", 7.9, False),
    ],
)
def test_the_comparator_is_part_of_the_threshold(op: str, value: float, *, quiet: bool) -> None:
    inside = nearest([Profile(1, (Limit("x", "temperature", op, 8.0, "instant"),), MINUTE)], MINUTE).inside
    assert (inside["temperature"].low <= value <= inside["temperature"].high) is quiet


def test_hysteresis_brings_the_threshold_nearer() -> None:
    limits = (
        Limit("h", "temperature", ">", 8.0, "instant", 0, 0.5),
        Limit("l", "temperature", "<", 2.0, "instant", 0, 1.0),
    )
    assert nearest([Profile(1, limits, MINUTE)], MINUTE).inside == {"temperature": SafeRange(3.0, 7.5)}


def tail(fold: ZoneFold) -> ZoneView:
    heard = {address: heard.since(fold.tail.open_from) for address, heard in fold.tail.readings.items()}
    return ZoneView(by_quantity(PLACE, heard), fold.tail.open_from, fold.tail.stop, fold.tail.watermark + 1)


def whole(heard: dict[str, PointTrace], fold: ZoneFold) -> ZoneView:
    return ZoneView(by_quantity(PLACE, heard), fold.tail.open_hour, fold.tail.stop, fold.tail.watermark + 1)


@pytest.mark.parametrize("seed", range(6))
def test_in_a_quiet_tail_no_profile_has_seen_anything(seed: int) -> None:
    """Readings of three points, in and out of order, now and then out of range, uncertain, bad or missing; folded in
    batches of any size with watermarks of any lag: what all profiles see is what they see in all readings at once.
    """
    rng = np.random.default_rng(seed)
    said: dict[str, PointTrace] = {point.address: PointTrace() for point in POINTS}
    fold = ZoneFold(ZoneTail(PLACE, PROFILES, START, START, {point.address: PointTrace() for point in POINTS}, 0, 0))
    now, quiet = START, []
    for _ in range(60):
        for _ in range(int(rng.integers(1, 12))):
            now += int(rng.choice([SECOND, 20 * SECOND, 4 * MINUTE], p=[0.7, 0.27, 0.03]))
            at = now - int(rng.choice([0, 2 * SECOND, 30 * SECOND], p=[0.8, 0.19, 0.01]))
            if at < fold.tail.settled or at >= START + BUCKET:
                continue
            point = POINTS[int(rng.integers(0, 3))]
            value = float(rng.choice([5.0, 8.5, 10.2, 1.6, 0.0], p=[0.97, 0.01, 0.01, 0.005, 0.005]))
            quality = int(rng.choice([GOOD, UNCERTAIN, BAD], p=[0.98, 0.01, 0.01]))
            error = float(rng.choice([0.0, 3.0], p=[0.995, 0.005]))
            for to in (fold.add, lambda p, *reading: said[p.address].insert(*reading)):
                to(point, at, value, quality, error)
        if rng.random() < 0.5:
            fold.tail.advance(min(now - int(rng.integers(0, 30)) * SECOND, START + BUCKET - 1))
        before = fold.tail.is_quiet
        look = tail(fold)
        for one in PROFILES.values() if before else ():
            assert not look.summary(one).seen
            assert look.signal("temperature", one.allowed_gap).settled
        fold.tail.refresh()
        reference = whole(said, fold)
        for version, one in PROFILES.items():
            gap = one.allowed_gap
            alone = {
                limit.key: tracks(reference.signal("temperature", gap), limit, fold.tail.watermark + 1)
                for limit in one.limits
            }
            assert fold.tail.current[version].seen == {
                key: LimitRuns(found.proven, found.uncertain, found.worst, found.open)
                for key, found in alone.items()
                if found
            }
        quiet.append(fold.tail.is_quiet)
    assert any(quiet)
    assert any(a and not b for a, b in pairwise(quiet))


def test_profiles_between_whose_thresholds_nothing_was_read_share_what_they_saw() -> None:
    heard = {point.address: PointTrace() for point in POINTS}
    for at, value in ((START, 5.0), (START + MINUTE, 20.0), (START + 2 * MINUTE, 5.0)):
        for point in heard.values():
            point.insert(at, value, GOOD, 0.0)
    look = ZoneView(by_quantity(PLACE, heard), START, START + 3 * MINUTE, START)
    a, b = look.summary(PROFILES[1]), look.summary(PROFILES[4])
    assert PROFILES[1].allowed_gap == PROFILES[4].allowed_gap
    assert a is b
    assert a.seen["high"].proven == [(START + MINUTE, START + 2 * MINUTE)]


def test_silence_ends_the_quiet() -> None:
    fold = ZoneFold(ZoneTail(PLACE, PROFILES, START, START, {point.address: PointTrace() for point in POINTS}, 0, 0))
    for step in range(3):
        for point in POINTS:
            fold.add(point, START + step * SECOND, 5.0, GOOD, 0.0)
    fold.tail.refresh()
    assert fold.tail.is_quiet
    fold.tail.advance(START + 2 * SECOND + 5 * MINUTE - 1)
    assert fold.tail.is_quiet
    fold.tail.advance(START + 2 * SECOND + 5 * MINUTE)
    assert not fold.tail.is_quiet
