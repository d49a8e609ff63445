"""Mean kinetic temperature: the table of facts §1, and what must always hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.telemetry.mkt import NotApplicable, mean_kinetic_temperature

HOUR = 3600.0
TEMPERATURES = st.floats(-90, 60)
WEIGHTS = st.floats(0.001, 1e6)


@pytest.mark.parametrize(
    ("pairs", "expected", "digits"),
    [
        ([(20, 2), (2, 4), (25, 1)], 15.68, 0.005),
        ([(2, 1), (2, 1), (5, 1), (8, 1), (8, 1), (8, 1), (8, 1)], 6.25, 0.005),
        ([(24, 696), (40, 24)], 25.26, 0.005),
        ([(5, 18), (14, 6)], 8.285, 0.0005),
        ([(5, 22), (15, 2)], 6.462, 0.0005),
        ([(24, 717), (29, 3)], 24.027, 0.0005),
    ],
)
def test_the_table_of_facts(pairs: list[tuple[float, float]], expected: float, digits: float) -> None:
    values, hours = zip(*pairs, strict=True)
    found = mean_kinetic_temperature(values, [hour * HOUR for hour in hours])
    assert found == pytest.approx(expected, abs=digits)


@given(st.lists(st.tuples(TEMPERATURES, WEIGHTS), min_size=1, max_size=50), st.floats(20, 200))
def test_never_below_the_mean_nor_beyond_the_extremes(pairs: list[tuple[float, float]], energy: float) -> None:
    values, seconds = [value for value, _ in pairs], [weight for _, weight in pairs]
    mean = sum(value * weight for value, weight in pairs) / sum(seconds)
    found = mean_kinetic_temperature(values, seconds, energy)
    assert found >= mean - 1e-6
    assert min(values) - 1e-6 <= found <= max(values) + 1e-6


@given(st.lists(st.tuples(TEMPERATURES, WEIGHTS), min_size=1, max_size=20), st.floats(0.01, 100))
def test_only_the_shares_of_time_count(pairs: list[tuple[float, float]], factor: float) -> None:
    values, seconds = [value for value, _ in pairs], [weight for _, weight in pairs]
    scaled = mean_kinetic_temperature(values, [weight * factor for weight in seconds])
    assert scaled == pytest.approx(mean_kinetic_temperature(values, seconds), abs=1e-6)


def test_what_it_cannot_say_is_an_error() -> None:
    with pytest.raises(NotApplicable):
        mean_kinetic_temperature([], [])
    with pytest.raises(NotApplicable):
        mean_kinetic_temperature([5.0], [0.0])
    for values, seconds, energy in (
        ([5.0], [1.0, 2.0], 83.0),
        ([5.0], [-1.0], 83.0),
        ([5.0], [float("nan")], 83.0),
        ([-300.0], [1.0], 83.0),
        ([float("nan")], [1.0], 83.0),
        ([5.0], [1.0], 0.0),
    ):
        with pytest.raises(ValueError, match=r"interval|absolute zero|positive"):
            mean_kinetic_temperature(values, seconds, energy)
