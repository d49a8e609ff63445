"""The same seed at the same times tells the same; another seed does not. No clock, no network: hands move the time."""

from datetime import UTC, datetime, timedelta
from typing import Any

from simulators.fleet import Fleet
from simulators.rooms import ColdRoom
from simulators.scenario import Scenario
from simulators.sensors import MqttSensor

ROOM = "plant/cold/room-1"


class Hands:
    """A monotonic clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def told(seed: int) -> list[float]:
    """A probe's readings through a compressor's failure and an open door, each half a second."""
    hands = Hands()
    room = ColdRoom(ROOM, "cold_room", speed_up=600, seed=seed, clock=hands)
    await room.start()
    read = room.probe("probe-1")
    acts = {5: room.fail_compressor, 12: room.open_door, 15: room.close_door, 20: room.repair}
    values = []
    for step in range(60):
        acts.get(step, lambda: None)()
        values.append(read())
        hands.now += 0.5
    return values


def run(coroutine: Any) -> Any:
    """Runs a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waited for something")


def test_a_seed_repeats_every_reading_of_a_room_and_another_does_not() -> None:
    first, same, other = run(told(7)), run(told(7)), run(told(8))
    assert first == same
    assert first != other
    assert all(abs(a - b) < 1 for a, b in zip(first, other, strict=True)), "the noise differs, the physics do not"
    assert max(first) > 8


def fleet(seed: int, **sensor: Any) -> Fleet:
    device = {"kind": "mqtt_sensor", "name": "p", "zone": ROOM, "sensor": sensor}
    machine = {"kind": "filling_machine", "name": "f", "zone": ROOM, "port": 14840, "reject_rate": 0.3}
    found = {"name": "x", "seed": seed, "duration": 1, "zones": {ROOM: {}}, "devices": [device, machine]}
    return Fleet(Scenario.model_validate(found))


def test_the_scenarios_seed_reaches_noise_rejects_and_spoiled_payloads() -> None:
    def drawn(seed: int) -> tuple[object, ...]:
        made = fleet(seed)
        sensor, machine = made.devices["p"], made.devices["f"]
        assert isinstance(sensor, MqttSensor)
        read = sensor._probes["temperature"][0]
        noise = [read() for _ in range(20)]
        return noise, sensor._random.random(), machine._random.random()

    assert drawn(3) == drawn(3)
    assert all(a != b for a, b in zip(drawn(3), drawn(4), strict=True))


def test_the_scenarios_sensor_reaches_the_probe() -> None:
    sensor = fleet(1, noise=0, bias=3.0, resolution=0).devices["p"]
    assert isinstance(sensor, MqttSensor)
    assert sensor._probes["temperature"][0]() == 8.0


def test_speed_up_moves_no_clock() -> None:
    device = fleet(1).devices["p"]
    assert isinstance(device, MqttSensor)
    assert abs(device._clock() - datetime.now(UTC)) < timedelta(seconds=1)
