"""Simulated MQTT sensors against real brokers and a paho subscriber."""

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from simulators.dialects import DIALECTS
from simulators.faults import Fault, FaultKind
from simulators.link import Broker, BrokerUnreachable
from simulators.load import MqttLoad
from simulators.rooms import ColdRoom
from simulators.sensors import MqttSensor
from tests.contracts.sim_peers import ZONE, Listener, story, until
from tests.servers import free_port

pytestmark = pytest.mark.usefixtures("test_instance")


def sensor(broker: Broker, dialect: str = "json", room: ColdRoom | None = None, **options: Any) -> MqttSensor:
    room = room or ColdRoom(ZONE)
    probes: dict[str, Any] = {"temperature": (room.probe("p"), "Cel"), "humidity": (room.humidity_probe("p"), "%")}
    return MqttSensor("probe-1", ZONE, probes, broker=broker, dialect=dialect, **{"interval": 0.05} | options)


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_every_dialect_reaches_a_subscriber_and_is_acknowledged(broker: Broker, dialect: str) -> None:
    async def act() -> None:
        with Listener(broker) as listener:
            device = sensor(broker, dialect)
            await device.start()
            await until(lambda: device.report.readings >= 5)
            await device.stop()
            await listener.until(device.report.messages)
            assert device.report.sequences == list(range(1, device.report.readings + 1))
            assert device.report.unacknowledged == []
            assert len(listener.heard) == device.report.messages

    story(act)


def test_twenty_readings_a_second_bear_the_real_time(broker: Broker) -> None:
    async def act() -> None:
        with Listener(broker) as listener:
            device = sensor(broker, room=ColdRoom(ZONE, speed_up=3600))
            begun = datetime.now(UTC)
            await device.start()
            await asyncio.sleep(1.0)
            await device.stop()
            ended = datetime.now(UTC)
            await listener.until(device.report.messages)
        assert 15 <= device.report.readings <= 22
        stamps = [datetime.fromisoformat(document["time"]) for document in listener.documents()]
        assert all(begun <= stamp <= ended for stamp in stamps)
        assert stamps == sorted(set(stamps))

    story(act)


async def under(
    broker: Broker, fault: Fault, before: int = 3, during: int = 6, after: int = 3
) -> tuple[MqttSensor, Listener]:
    """A sensor that tells some readings, some under the fault, and some afterwards."""
    with Listener(broker) as listener:
        device = sensor(broker, interval=60.0, room=ColdRoom(ZONE))
        await device.start()
        await until(lambda: device.report.readings == 1)
        for _ in range(before - 1):
            device.measure()
        await device.fault(fault)
        for _ in range(during):
            device.measure()
        await device.clear(fault.kind)
        for _ in range(after):
            device.measure()
        await device.stop()
        await listener.until(device.report.messages)
    return device, listener


def test_fault_drop_out_loses_readings_and_says_which(broker: Broker) -> None:
    async def act() -> None:
        device, listener = await under(broker, Fault(FaultKind.DROP_OUT))
        assert device.report.lost == [4, 5, 6, 7, 8, 9]
        assert listener.numbers() == device.report.sequences == [1, 2, 3, 10, 11, 12]

    story(act)


def test_fault_freeze_repeats_the_value_with_fresh_times(broker: Broker) -> None:
    async def act() -> None:
        _, listener = await under(broker, Fault(FaultKind.FREEZE))
        frozen = listener.documents()[3:9]
        assert len({(document["temperature"], document["humidity"]) for document in frozen}) == 1
        assert len({document["time"] for document in frozen}) == 6
        assert len({document["temperature"] for document in listener.documents()}) > 2

    story(act)


def test_fault_spike_is_far_off_every_nth_time(broker: Broker) -> None:
    async def act() -> None:
        _, listener = await under(broker, Fault(FaultKind.SPIKE, amount=40.0, every=3))
        spiked = [document["sequence"] for document in listener.documents() if document["temperature"] > 40]
        assert spiked == [6, 9]

    story(act)


def test_fault_duplicate_sends_the_same_message_twice(broker: Broker) -> None:
    async def act() -> None:
        device, listener = await under(broker, Fault(FaultKind.DUPLICATE))
        counts = Counter(listener.heard)
        assert sorted(counts.values()) == [1] * 6 + [2] * 6
        assert device.report.sequences == list(range(1, 13))
        assert device.report.unacknowledged == []

    story(act)


def test_fault_out_of_order_swaps_neighbours_and_loses_nothing(broker: Broker) -> None:
    async def act() -> None:
        device, listener = await under(broker, Fault(FaultKind.OUT_OF_ORDER), during=5)
        assert listener.numbers() == [1, 2, 3, 5, 4, 7, 6, 8, 9, 10, 11]
        assert sorted(device.report.sequences) == list(range(1, 12))

    story(act)


def test_fault_clock_step_moves_the_device_time(broker: Broker) -> None:
    async def act() -> None:
        _, listener = await under(broker, Fault(FaultKind.CLOCK_STEP, step=timedelta(hours=-2)))
        now = datetime.now(UTC)
        off = [now - datetime.fromisoformat(document["time"]) > timedelta(hours=1) for document in listener.documents()]
        assert off == [False] * 3 + [True] * 6 + [False] * 3

    story(act)


def test_fault_wrong_unit_tells_fahrenheit_and_names_it_where_the_dialect_can(broker: Broker) -> None:
    async def act() -> None:
        _, listener = await under(broker, Fault(FaultKind.WRONG_UNIT))
        told = [(document["unit"], document["temperature"] > 30) for document in listener.documents()]
        assert told == [("Cel", False)] * 3 + [("[degF]", True)] * 6 + [("Cel", False)] * 3

    story(act)


def test_fault_garbage_is_not_what_the_dialect_says(broker: Broker) -> None:
    async def act() -> None:
        device, listener = await under(broker, Fault(FaultKind.GARBAGE))
        assert len(listener.heard) == 12
        good = []
        for _, payload in listener.heard:
            try:
                good.append(json.loads(payload)["sequence"])
            except (ValueError, KeyError):
                continue
        assert good == device.report.sequences == [1, 2, 3, 10, 11, 12]
        assert device.report.lost == [4, 5, 6, 7, 8, 9]

    story(act)


def test_fault_disconnect_keeps_readings_on_the_device_and_tells_them_afterwards(broker: Broker) -> None:
    async def act() -> None:
        with Listener(broker) as listener:
            device = sensor(broker, interval=60.0)
            await device.start()
            await until(lambda: device.report.readings == 1)
            await listener.until(1)
            await device.fault(Fault(FaultKind.DISCONNECT))
            for _ in range(5):
                device.measure()
            await asyncio.sleep(0.3)
            assert len(listener.heard) == 1
            await device.clear(FaultKind.DISCONNECT)
            await listener.until(6)
            await device.stop()
        assert sorted(set(listener.numbers())) == [1, 2, 3, 4, 5, 6]
        assert device.report.unacknowledged == []

    story(act)


def test_silence_leaves_no_hole_in_the_sequence(broker: Broker) -> None:
    async def act() -> None:
        device = sensor(broker, interval=0.02)
        await device.start()
        await until(lambda: device.report.readings >= 3)
        device.silence()
        count = device.report.readings
        await asyncio.sleep(0.2)
        assert device.report.readings == count
        device.resume()
        await until(lambda: device.report.readings >= count + 3)
        await device.stop()
        assert device.report.sequences == list(range(1, device.report.readings + 1))

    story(act)


def test_a_load_knows_what_the_broker_acknowledged_and_leaves_no_hole(broker: Broker) -> None:
    async def act() -> None:
        with Listener(broker) as listener:
            load = MqttLoad(ZONE, broker=broker, rate=400, sensors=7, connections=2)
            await load.start()
            await asyncio.sleep(1.0)
            report = await load.stop()
            await listener.until(report.published)
        assert report.complete
        assert 250 <= report.published <= 450
        heard: dict[str, list[int]] = {}
        for document in listener.documents():
            heard.setdefault(document["device"], []).append(document["sequence"])
        assert {name: list(range(1, last + 1)) for name, last in report.last.items()} == heard

    story(act)


def test_a_broker_that_is_not_there_is_named() -> None:
    async def act() -> None:
        with pytest.raises(BrokerUnreachable, match=r"127\.0\.0\.1:\d+"):
            await sensor(Broker(port=free_port())).start()

    story(act)
