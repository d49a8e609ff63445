"""Sensors that stand still, jump, drift or miss defrosts are found; rooms that are opened, warmed or calm are not."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.erp.exposure.rules.sensor import (
    DAY,
    HOUR,
    Finding,
    Hour,
    Kind,
    Samples,
    digest,
    drifts,
    jumps,
    misses_defrosts,
    rises,
    stuck,
)

NOW = 1_772_000_000_000 // DAY * DAY
MINUTE = HOUR // 60


def room(
    seed: int = 1, *, days: int = 7, every: int = 5, noise: float = 0.05, defrosts: int = 4, low: float = 5.0
) -> Samples:
    """A cold room: noise, a slow day's wave, and a rise of 2.5 K for 20 minutes at each defrost."""
    rng = np.random.default_rng(seed)
    at = np.arange(NOW - days * DAY, NOW, every * MINUTE, dtype=np.int64)
    value = low + 0.2 * np.sin(2 * np.pi * at / DAY) + rng.normal(0, noise, at.size)
    if defrosts:
        phase = (at + HOUR) % (DAY // defrosts)
        value += np.where(phase < 20 * MINUTE, 2.5 * np.sin(np.pi * phase / (20 * MINUTE)), 0.0)
    return Samples(at, np.round(value, 2))


def with_values(samples: Samples, value: np.ndarray) -> Samples:
    return Samples(samples.at, value)


def frozen(samples: Samples, hours: float) -> Samples:
    """From `hours` ago on it says what it said then."""
    value = samples.value.copy()
    first = int(np.searchsorted(samples.at, NOW - int(hours * HOUR)))
    value[first:] = value[first]
    return with_values(samples, value)


def hours_of(samples: Samples) -> list[Hour]:
    """As they are kept hour after hour, each seen in the day that ends an hour behind it."""
    starts = range(int(samples.at[0]) // HOUR * HOUR, NOW, HOUR) if len(samples) else range(0)
    found = (digest(samples.between(start - 22 * HOUR, min(start + 2 * HOUR, NOW)), start) for start in starts)
    return [hour for hour in found if hour is not None]


def day_of(samples: Samples) -> Samples:
    return samples.between(NOW - DAY, NOW)


def find_stuck(own: Samples, *others: Samples) -> Finding | None:
    return stuck(day_of(own), hours_of(own), [day_of(one) for one in others], NOW)


def find_jumps(own: Samples, *others: Samples) -> Finding | None:
    return jumps(day_of(own), [day_of(one) for one in others], NOW)


def find_drift(own: Samples, probe: Samples) -> Finding | None:
    return drifts(hours_of(own), hours_of(probe), NOW)


def find_defrosts_missed(own: Samples, *others: Samples) -> Finding | None:
    return misses_defrosts(day_of(own), hours_of(own), [day_of(one) for one in others], NOW)


# --- stuck


def test_a_sensor_that_stands_still_though_it_usually_moves_is_stuck_since_it_last_moved() -> None:
    found = find_stuck(frozen(room(), 8))
    assert found is not None
    assert found.kind is Kind.STUCK
    assert found.figures["hours"] == pytest.approx(8, abs=0.2)
    assert NOW - found.since == pytest.approx(8 * HOUR, abs=10 * MINUTE)


def test_one_that_stands_still_beside_another_that_moves_is_stuck_though_it_is_new() -> None:
    new = frozen(room(days=1), 24)
    assert find_stuck(new) is None, "nothing is known of how it usually is"
    found = find_stuck(new, room(2, days=1))
    assert found is not None
    assert found.figures["neighbour"] > 0.3


def test_a_coarse_sensor_in_a_calm_room_is_not_stuck() -> None:
    coarse = room(defrosts=0, noise=0.02)
    coarse = with_values(coarse, np.round(coarse.value * 2) / 2)
    assert find_stuck(frozen(coarse, 8)) is None


def test_a_sensor_that_is_silent_is_not_stuck() -> None:
    quiet = frozen(room(), 8)
    assert find_stuck(quiet.between(NOW - 7 * DAY, NOW - 4 * HOUR)) is None


def test_one_that_moved_by_the_least_step_is_not_stuck() -> None:
    moved = frozen(room(), 8)
    moved.value[-3] += 0.01
    assert find_stuck(moved, room(2)) is None


# --- jumps


def jumping(count: int, size: float, width: int = 1) -> Samples:
    samples = room(defrosts=0)
    value = samples.value.copy()
    for place in range(count):
        first = value.size - 200 + place * 20
        value[first : first + width] += size
    return with_values(samples, value)


def test_single_readings_far_off_several_times_a_day_are_told() -> None:
    found = find_jumps(jumping(4, 12.0))
    assert found is not None
    assert found.figures["count"] == 4
    assert found.figures["largest"] == pytest.approx(12, abs=0.5)


def test_two_are_a_loose_contact_and_not_told() -> None:
    assert find_jumps(jumping(2, 12.0)) is None


def test_a_door_that_stays_open_is_no_jump() -> None:
    assert find_jumps(jumping(5, 6.0, width=6)) is None


def test_a_noisy_sensor_has_no_jumps_of_its_own_noise() -> None:
    assert find_jumps(room(defrosts=0, noise=1.0)) is None


def test_defrosts_seen_by_two_readings_each_are_no_jumps() -> None:
    assert find_jumps(room(every=10)) is None


def test_a_room_that_is_opened_again_and_again_has_both_its_sensors_jump_and_neither_is_told() -> None:
    assert find_jumps(jumping(5, 8.0), jumping(5, 6.0)) is None
    assert find_jumps(jumping(5, 8.0), room(2, defrosts=0)) is not None


# --- drift


def drifting(samples: Samples, by: float) -> Samples:
    """It drifts over the last two days and has come all the way a day ago."""
    ramp = np.clip((samples.at - (NOW - 2 * DAY)) / DAY, 0, 1)
    return with_values(samples, samples.value + by * ramp)


def test_a_probe_that_drifts_is_told_with_by_how_much() -> None:
    found = find_drift(drifting(room(1), 1.2), room(2))
    assert found is not None
    assert found.figures["moved"] == pytest.approx(1.2, abs=0.1)


def test_where_it_hangs_is_no_drift() -> None:
    assert find_drift(room(1, low=7.0), room(2, low=5.0)) is None


def test_a_room_that_warms_is_no_drift() -> None:
    assert find_drift(drifting(room(1), 3.0), drifting(room(2), 3.0)) is None


def test_two_that_always_scatter_have_not_drifted() -> None:
    rng = np.random.default_rng(3)
    own = room(1)
    hourly = rng.normal(0, 1.5, 7 * 24 + 1)
    scattered = with_values(own, own.value + hourly[(own.at - own.at[0]) // HOUR])
    assert find_drift(drifting(scattered, 1.0), room(2)) is None


def test_a_probe_that_spoke_for_an_hour_says_nothing() -> None:
    assert find_drift(drifting(room(1), 3.0), room(2).between(NOW - HOUR, NOW)) is None


# --- defrosts


def without_rises(samples: Samples, hours: int) -> Samples:
    flat = room(9, defrosts=0)
    return with_values(samples, np.where(samples.at >= NOW - hours * HOUR, flat.value, samples.value))


def test_rises_are_counted_once_each() -> None:
    assert len(rises(room(days=1))) == 4


def test_a_sensor_that_lacks_the_rises_its_neighbour_has_is_told() -> None:
    found = find_defrosts_missed(without_rises(room(1), 24), room(2))
    assert found is not None
    assert found.figures == {"missed": 4, "expected": 4}


def test_a_room_that_is_not_defrosted_any_more_is_not_the_sensors_fault() -> None:
    assert find_defrosts_missed(without_rises(room(1), 24), without_rises(room(2), 24)) is None


def test_a_sensor_alone_is_told_after_a_day_without_any() -> None:
    found = find_defrosts_missed(without_rises(room(1), 24))
    assert found is not None
    assert found.figures["expected"] == 4
    assert find_defrosts_missed(without_rises(room(1), 12)) is None


def test_a_room_without_defrosts_lacks_none() -> None:
    assert find_defrosts_missed(room(1, defrosts=0), room(2)) is None


# --- together


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    every=st.sampled_from([1, 5, 15]),
    noise=st.floats(0.03, 0.5),
    defrosts=st.sampled_from([0, 2, 4, 6]),
)
@example(seed=1, every=15, noise=0.375, defrosts=6)  # its defrosts drown in its noise: once told as missed
def test_two_sensors_of_one_room_that_are_well_are_never_told(
    seed: int, every: int, noise: float, defrosts: int
) -> None:
    own = room(seed, every=every, noise=noise, defrosts=defrosts)
    other = room(seed + 1, every=every, noise=noise, defrosts=defrosts)
    found = [find_stuck(own, other), find_jumps(own, other), find_drift(own, other), find_defrosts_missed(own, other)]
    assert found == [None] * 4


def test_nothing_said_is_nothing_found() -> None:
    none = Samples(np.array([], dtype=np.int64), np.array([]))
    assert find_stuck(none, none) is None
    assert find_jumps(none) is None
    assert find_drift(none, none) is None
    assert find_defrosts_missed(none, none) is None
