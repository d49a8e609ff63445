"""Readings in columns are the readings they were made of."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.telemetry.batch import Body, digest, digest_of, encode_body
from core.telemetry.compact import PointReadings, Readings, State, Values
from core.telemetry.quality import Quality
from core.telemetry.reading import Reading

START = datetime(2026, 3, 2, tzinfo=UTC)
GOOD = State(Quality.GOOD, "", "Cel")
_MADE = st.builds(
    lambda point, minute, value, fast: Reading(
        f"s/a/z/d/{point}",
        START + timedelta(minutes=minute),
        value,
        "Cel",
        START,
        START + timedelta(minutes=minute + fast),
        *((Quality.BAD, "no_value") if value is None else (Quality.GOOD, "")),
    ),
    st.sampled_from(["temperature", "humidity"]),
    st.integers(-60, 60),
    st.sampled_from([None, -40.0, 0.0, 4.1]),
    st.sampled_from([0, 7]),
)


@given(st.lists(_MADE, max_size=30))
def test_columns_give_back_every_reading_in_its_place(readings: list[Reading]) -> None:
    compact = Readings.of(readings)
    assert (len(compact), list(compact)) == (len(readings), readings)
    assert compact == readings
    assert [compact[place] for place in range(-len(readings), len(readings))] == readings * 2
    assert compact[1:-1] == tuple(readings[1:-1])
    with pytest.raises(IndexError):
        compact[len(readings)]


@given(st.lists(_MADE, max_size=20))
def test_the_hash_of_a_batch_is_found_without_keeping_its_body(readings: list[Reading]) -> None:
    assert digest_of(readings, len(readings)) == digest(encode_body(Body(tuple(readings))))


@pytest.mark.parametrize("count", [15, 16, 2**16 - 1, 2**16])
def test_the_hash_of_any_length(count: int) -> None:
    one = Reading("s/a/z/d/q", START, 4.1, "Cel", START)
    assert digest_of([one] * count, count) == digest(encode_body(Body((one,) * count)))


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 7))
def test_parts_hold_everything_once_and_part_no_instant(times: list[int], most: int) -> None:
    values = Values()
    for place, at in enumerate(times):
        values.add(at, float(place), GOOD)
    values = values.in_time()
    assert list(values.value) == sorted(range(len(times)), key=lambda place: times[place])  # of one time in their order
    parts = [
        values.at[first:stop] for _, first, stop in Readings([PointReadings("p", START, False, values)]).parts(most)
    ]
    assert [at for part in parts for at in part] == sorted(times)
    assert not any(before[-1] == after[0] for before, after in pairwise(parts))


def test_only_numbers_are_a_loggers() -> None:
    with pytest.raises(TypeError, match="no number"):
        Readings.of([Reading("s/a/z/d/q", START, "open", "", START)])
