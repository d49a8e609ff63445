"""The simulated physics are honest: they keep their energy, go where they must, and repeat themselves by seed."""

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.physics import PRESETS, STEP_S, Room, RoomSpec, Sensor, SensorSpec

temperatures = st.floats(-30, 40)


quick = settings(deadline=None, max_examples=40)


def off(**changes: float) -> Room:
    room = Room(RoomSpec(**changes))
    room.failed = True
    return room


@quick
@given(start=temperatures, ambient=temperatures, product=st.floats(0, 5000), door=st.booleans())
def test_without_compressor_a_room_goes_monotonically_to_the_ambient(
    start: float, ambient: float, product: float, door: bool
) -> None:
    room = off(start=start, ambient=ambient, product_kg=product)
    room.door_open = door
    seen = [room.air]
    for _ in range(20):
        room.advance(600)
        seen.append(room.air)
    distances = [abs(value - ambient) for value in seen]
    assert all(later <= earlier + 1e-9 for earlier, later in itertools.pairwise(distances))
    assert all(min(start, ambient) - 1e-9 <= value <= max(start, ambient) + 1e-9 for value in seen)


@quick
@given(
    start=temperatures,
    ambient=temperatures,
    spans=st.lists(st.tuples(st.floats(0, 4000), st.booleans(), st.booleans()), max_size=12),
    load=st.floats(1, 2000),
    load_temperature=temperatures,
)
def test_energy_in_the_room_is_what_came_in_less_what_was_taken_out(
    start: float, ambient: float, spans: list[tuple[float, bool, bool]], load: float, load_temperature: float
) -> None:
    room = Room(RoomSpec(start=start, ambient=ambient))
    before = room.energy
    for seconds, door, healthy in spans:
        room.door_open, room.failed = door, not healthy
        room.advance(seconds)
    room.load(load, load_temperature)
    room.advance(500)
    heat = room.heat
    gained = heat.walls + heat.door - heat.removed + heat.loaded
    assert room.energy - before == pytest.approx(gained, rel=1e-6, abs=10.0)


def test_in_the_end_an_empty_room_has_the_temperature_around_it() -> None:
    room = off(start=5.0, ambient=30.0, product_kg=0)
    room.advance(48 * 3600)
    assert room.air == pytest.approx(30.0, abs=0.01)


@quick
@given(start=st.floats(-25, 10), minutes=st.integers(1, 120))
def test_an_open_door_warms_a_cold_room_faster(start: float, minutes: int) -> None:
    shut, opened = off(start=start), off(start=start)
    opened.door_open = True
    for room in (shut, opened):
        room.advance(60 * minutes)
    assert opened.air > shut.air > start


@pytest.mark.parametrize("kind", sorted(PRESETS))
def test_a_healthy_compressor_cycles_and_holds_its_band(kind: str) -> None:
    room = Room(PRESETS[kind])
    room.advance(86_400)
    seen, starts = [], 0
    for _ in range(6 * 360):
        was = room.running
        room.advance(10)
        starts += room.running and not was
        seen.append(room.air)
    slack = 0.7  # the rest time and one step past the threshold
    assert min(seen) > room.setpoint - room.hysteresis / 2 - slack
    assert max(seen) < room.setpoint + room.hysteresis / 2 + slack
    assert starts >= 2
    assert max(seen) - min(seen) > 0.2


def test_a_failed_compressor_takes_a_cold_room_past_eight_degrees_and_a_repair_brings_it_back() -> None:
    room = Room(PRESETS["cold_room"])
    room.failed = True
    room.advance(12 * 3600)
    assert room.air > 8.0
    room.failed = False
    room.advance(6 * 3600)
    assert room.air < 6.5


@pytest.mark.parametrize("stop", ["powered", "enabled"])
def test_no_power_or_no_order_means_no_cooling(stop: str) -> None:
    room = Room(RoomSpec(start=12))
    setattr(room, stop, False)
    room.advance(3600)
    assert room.run_seconds == 0
    assert room.air > 12


def test_the_compressor_rests_between_two_runs() -> None:
    room = Room(RoomSpec(hysteresis=0.01, shortest_rest=300))
    changes: list[tuple[float, bool]] = []
    for _ in range(4000):
        was = room.running
        room.advance(STEP_S)
        if room.running != was:
            changes.append((room.elapsed, room.running))
    rests = [on - ended for (ended, was), (on, _) in itertools.pairwise(changes) if not was]
    assert rests
    assert min(rests) >= 300


@quick
@given(pieces=st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_the_steps_it_is_moved_in_hardly_matter(pieces: list[int]) -> None:
    once, often = off(start=5.0), off(start=5.0)
    once.advance(sum(pieces) * STEP_S)
    for piece in pieces:
        often.advance(piece * STEP_S)
    assert often.air == pytest.approx(once.air, abs=1e-6)


def test_a_room_cannot_go_back() -> None:
    with pytest.raises(ValueError, match="cannot go back"):
        Room(RoomSpec()).advance(-1)


def test_warm_product_warms_the_room_and_nothing_cannot_be_loaded() -> None:
    plain, loaded = off(start=5.0), off(start=5.0)
    loaded.load(500, 20.0)
    for room in (plain, loaded):
        room.advance(3600)
    assert loaded.air > plain.air + 1
    with pytest.raises(ValueError, match="cannot load"):
        plain.load(0, 20.0)


@given(seed=st.text(max_size=8), truth=temperatures)
def test_a_sensor_repeats_itself_by_seed(seed: str, truth: float) -> None:
    one, same, other = (Sensor(SensorSpec(noise=0.3, resolution=0), text) for text in (seed, seed, seed + "x"))
    told = [[sensor.read(truth, second) for second in range(20)] for sensor in (one, same, other)]
    assert told[0] == told[1]
    assert told[0] != told[2]


@given(truth=temperatures, resolution=st.sampled_from([0.0625, 0.1, 0.5]))
def test_a_sensor_shows_steps_of_its_resolution(truth: float, resolution: float) -> None:
    shown = Sensor(SensorSpec(noise=0.2, resolution=resolution), "s").read(truth, 0)
    assert shown / resolution == pytest.approx(round(shown / resolution), abs=1e-4)


def test_a_sensor_drifts_lags_and_is_biased_as_told() -> None:
    drifting = Sensor(SensorSpec(noise=0, resolution=0, lag=0, drift_per_day=0.5, bias=0.2), "s")
    assert drifting.read(5.0, 2 * 86_400) == pytest.approx(6.2)
    slow = Sensor(SensorSpec(noise=0, resolution=0, lag=600), "s")
    assert slow.read(0.0, 0.0) == 0.0
    assert slow.read(10.0, 600.0) == pytest.approx(10 * (1 - math.exp(-1)))
