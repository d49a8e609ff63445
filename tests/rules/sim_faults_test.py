"""Faults act on values as they say, and the room that lives follows the clock it is given."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from simulators.dialects import DIALECTS, Identity, Sample
from simulators.faults import Fault, FaultKind, Faults, Measured
from simulators.packml import Command, IllegalCommand, State, after, way
from simulators.physics import RoomSpec
from simulators.rooms import ColdRoom

AT = datetime(2026, 3, 1, 8, 0, 0, 123456, tzinfo=UTC)


def distorted(faults: Faults, *values: float) -> list[object]:
    return [faults.distort({"temperature": Measured(value, "Cel")})["temperature"].value for value in values]


def test_a_frozen_value_stands_still_until_the_fault_is_over() -> None:
    faults = Faults()
    faults.begin(Fault(FaultKind.FREEZE))
    assert distorted(faults, 5.0, 6.0, 7.0) == [5.0, 5.0, 5.0]
    faults.end(FaultKind.FREEZE)
    assert distorted(faults, 8.0) == [8.0]
    faults.begin(Fault(FaultKind.FREEZE))
    assert distorted(faults, 9.0, 10.0) == [9.0, 9.0]


def test_a_spike_comes_every_nth_time() -> None:
    faults = Faults()
    faults.begin(Fault(FaultKind.SPIKE, amount=30.0, every=3))
    assert distorted(faults, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0) == [5.0, 5.0, 35.0, 5.0, 5.0, 35.0]


def test_a_wrong_unit_changes_temperatures_only() -> None:
    faults = Faults()
    faults.begin(Fault(FaultKind.WRONG_UNIT))
    values = faults.distort({"temperature": Measured(5.0, "Cel"), "humidity": Measured(50.0, "%")})
    assert values == {"temperature": Measured(41.0, "[degF]"), "humidity": Measured(50.0, "%")}


def test_a_clock_step_moves_the_stamp() -> None:
    faults = Faults()
    assert faults.stamp(AT) == AT
    faults.begin(Fault(FaultKind.CLOCK_STEP, step=timedelta(hours=-2)))
    assert faults.stamp(AT) == AT - timedelta(hours=2)


@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_every_dialect_says_one_sample_on_topics_without_wildcards(name: str) -> None:
    who = Identity("probe-1", "plant/cold/room-1")
    values = {"temperature": Measured(5.25, "Cel"), "humidity": Measured(51.0, "%")}
    messages = DIALECTS[name].messages(who, Sample(AT, values, 7))
    assert len(messages) == (3 if name == "bare" else 1)
    for topic, payload in messages:
        assert not set(topic) & set("+#{} ")
        assert payload
    assert any(b"5.25" in payload for _, payload in messages)


class Hand:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def living(clock: Callable[[], float], speed_up: float = 60.0) -> ColdRoom:
    room = ColdRoom("p/c/r", RoomSpec(product_kg=0), speed_up=speed_up, clock=clock)
    room._seen = clock()
    return room


def test_a_door_opened_for_a_while_closes_at_its_time_however_late_one_looks() -> None:
    clock = Hand()
    watched, unwatched = living(clock), living(clock)
    for room in (watched, unwatched):
        room.fail_compressor()
        room.open_door(10.0)
    for _ in range(60):
        clock.now += 1.0
        watched.state()
    assert not watched.state().door_open
    assert unwatched.temperature == pytest.approx(watched.temperature, abs=1e-6)
    assert unwatched.state().heat.door == pytest.approx(watched.state().heat.door, rel=1e-6)


def test_power_comes_back_at_its_time() -> None:
    clock = Hand()
    room = living(clock)
    room.power_off(5.0)
    clock.now += 4.9
    assert not room.state().powered
    clock.now += 0.2
    assert room.state().powered


def test_speed_up_moves_the_physics_only() -> None:
    clock = Hand()
    slow, fast = living(clock, 1.0), living(clock, 600.0)
    clock.now += 10
    assert slow.state().elapsed == pytest.approx(10.0)
    assert fast.state().elapsed == pytest.approx(6000.0)


FORBIDDEN = [
    (State.STOPPED, Command.START),
    (State.STOPPED, Command.HOLD),
    (State.IDLE, Command.HOLD),
    (State.IDLE, Command.UNHOLD),
    (State.EXECUTE, Command.START),
    (State.EXECUTE, Command.RESET),
    (State.HELD, Command.START),
    (State.HELD, Command.RESET),
    (State.ABORTED, Command.START),
    (State.ABORTED, Command.RESET),
    (State.ABORTED, Command.UNHOLD),
]


@pytest.mark.parametrize(("state", "command"), FORBIDDEN)
def test_the_machine_refuses_orders_that_make_no_sense(state: State, command: Command) -> None:
    with pytest.raises(IllegalCommand):
        after(state, command)


def test_a_failed_machine_is_cleared_reset_and_started() -> None:
    assert way(State.ABORTED, State.EXECUTE) == [Command.CLEAR, Command.RESET, Command.START]
    assert way(State.EXECUTE, State.EXECUTE) == []
    assert after(State.IDLE, Command.ABORT) is State.ABORTED
