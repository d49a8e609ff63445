"""A simulated Sparkplug B edge node against real brokers: what a subscriber hears, and what a command does."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from core.telemetry.sparkplug import DataType, Metric, Payload
from simulators.faults import Fault, FaultKind
from simulators.link import Broker, MqttLink
from simulators.rooms import ColdRoom
from simulators.sparkplug import SparkplugNode, probes_in
from tests.contracts.sim_peers import ZONE, Listener, story, until

pytestmark = pytest.mark.usefixtures("test_instance")


def node(broker: Broker, **options: Any) -> SparkplugNode:
    room = ColdRoom(ZONE)
    devices = {name: probes_in(room, name, None, humidity=False) for name in ("probe-a", "probe-b")}
    return SparkplugNode("edge-1", devices, broker=broker, **{"interval": 60.0} | options)


def messages_of(listener: Listener) -> list[tuple[str, Payload]]:
    """Kind (and device) of each message of the node's, with what it said."""
    found = []
    for topic, payload in listener.heard:
        levels = topic.split("/")
        if levels[2] != "NCMD":
            found.append((" ".join([levels[2], *levels[4:]]), Payload.FromString(payload)))
    return found


def kinds(listener: Listener) -> list[str]:
    return [kind for kind, _ in messages_of(listener)]


def bd_seq(payload: Payload) -> int:
    return next(metric.long_value for metric in payload.metrics if metric.name == "bdSeq")


BIRTHS = ["NBIRTH", "DBIRTH probe-a", "DBIRTH probe-b"]
DATA = ["NDATA", "DDATA probe-a", "DDATA probe-b"]


def with_listener(broker: Broker, act: Callable[[Listener], Awaitable[None]]) -> None:
    async def main() -> None:
        with Listener(broker) as listener:
            await act(listener)

    story(main)


def test_it_is_born_tells_and_dies_in_the_order_of_its_numbers(broker: Broker) -> None:
    async def act(listener: Listener) -> None:
        device = node(broker)
        await device.start()
        device.measure()
        device.measure()
        await device.stop()
        await listener.until(10)
        assert kinds(listener) == [*BIRTHS, *DATA, *DATA, "NDEATH"]
        payloads = [payload for _, payload in messages_of(listener)]
        assert [payload.seq for payload in payloads[:-1]] == list(range(9))
        assert bd_seq(payloads[0]) == bd_seq(payloads[-1])

    with_listener(broker, act)


def test_the_broker_tells_the_death_of_a_node_that_is_cut_off_and_what_it_kept_comes_afterwards(broker: Broker) -> None:
    async def act(listener: Listener) -> None:
        device = node(broker)
        await device.start()
        await device.fault(Fault(FaultKind.DISCONNECT))
        await listener.until(4)
        assert kinds(listener) == [*BIRTHS, "NDEATH"]
        for _ in range(3):
            device.measure()
        await device.clear(FaultKind.DISCONNECT)
        await listener.until(10)
        await device.stop()
        await listener.until(11)
        first, second = (payload for kind, payload in messages_of(listener) if kind == "NBIRTH")
        assert (bd_seq(first), bd_seq(second), second.seq) == (0, 1, 0)
        assert kinds(listener)[4:] == [*BIRTHS, *DATA, "NDEATH"]
        late = [payload for kind, payload in messages_of(listener) if kind == "DDATA probe-a"]
        assert [metric.is_historical for payload in late for metric in payload.metrics] == [True] * 6
        assert sorted(device.report.sequences) == [1, 2, 3, 4, 5]

    with_listener(broker, act)


def test_a_rebirth_command_is_answered_at_once_and_anything_else_by_nothing(broker: Broker) -> None:
    async def act(listener: Listener) -> None:
        device = node(broker)
        commander = MqttLink(broker, "commander")
        await commander.connect()
        await device.start()
        topic = "spBv1.0/plant/NCMD/edge-1"
        rebirth = Metric(name="Node Control/Rebirth", datatype=DataType.BOOLEAN.value, boolean_value=True)
        commander.publish(topic, b"\xff\xff garbage")
        commander.publish(topic, Payload(metrics=[Metric(name="Node Control/Reboot")]).SerializeToString())
        commander.publish(topic, Payload(metrics=[rebirth]).SerializeToString())
        await until(lambda: len(kinds(listener)) >= 6)
        device.silence()
        before = device.report.readings
        commander.publish(topic, Payload(metrics=[rebirth]).SerializeToString())
        await until(lambda: len(kinds(listener)) >= 9)
        await commander.drain()
        await commander.close()
        await device.stop()
        assert kinds(listener)[:9] == BIRTHS * 3
        births = [payload for kind, payload in messages_of(listener) if kind == "NBIRTH"]
        assert [(bd_seq(payload), payload.seq) for payload in births] == [(0, 0)] * 3
        assert device.report.readings == before, "a silent node repeats its last reading"
        assert births[1].metrics[-1].timestamp == births[2].metrics[-1].timestamp

    with_listener(broker, act)


def test_a_device_dies_and_is_born_again_while_its_node_lives(broker: Broker) -> None:
    async def act(listener: Listener) -> None:
        device = node(broker)
        await device.start()
        device.silence("probe-b")
        device.measure()
        device.resume("probe-b")
        device.measure()
        device.measure()
        await device.stop()
        await listener.until(13)
        expected = [*BIRTHS, "DDEATH probe-b", *DATA[:2], *DATA[:2], BIRTHS[2], *DATA, "NDEATH"]
        assert kinds(listener) == expected
        assert [payload.seq for _, payload in messages_of(listener)[:-1]] == list(range(len(expected) - 1))

    with_listener(broker, act)


@pytest.mark.parametrize(
    ("kind", "numbers"),
    [
        (FaultKind.DROP_OUT, [0, 1, 2, 9, 10, 11]),
        (FaultKind.DUPLICATE, [0, 1, 2, 3, 4, 5, 3, 4, 5, 6, 7, 8, 6, 7, 8, 9, 10, 11]),
        (FaultKind.OUT_OF_ORDER, [0, 1, 2, 6, 7, 8, 3, 4, 5, 9, 10, 11]),
    ],
)
def test_faults_of_the_way_show_in_the_numbers(broker: Broker, kind: FaultKind, numbers: list[int]) -> None:
    async def act(listener: Listener) -> None:
        device = node(broker)
        await device.start()
        await device.fault(Fault(kind))
        device.measure()
        device.measure()
        await device.clear(kind)
        device.measure()
        await device.stop()
        await listener.until(len(numbers) + 1)
        assert [payload.seq for _, payload in messages_of(listener)[:-1]] == numbers
        assert device.report.lost == ([2, 3] if kind is FaultKind.DROP_OUT else [])

    with_listener(broker, act)


def test_a_connection_that_breaks_by_itself_is_made_again_with_a_birth(broker: Broker) -> None:
    async def act(listener: Listener) -> None:
        device = node(broker)
        await device.start()
        await listener.until(3)  # what is on its way when a connection breaks is lost
        assert device._link is not None
        device._link._client.socket().shutdown(2)
        await until(lambda: kinds(listener).count("NBIRTH") == 2)
        await device.stop()
        births = [bd_seq(payload) for kind, payload in messages_of(listener) if kind == "NBIRTH"]
        assert births == [0, 1]
        assert "NDEATH" in kinds(listener)[3:]

    with_listener(broker, act)


def test_an_interval_must_be_above_zero(broker: Broker) -> None:
    with pytest.raises(ValueError, match="above zero"):
        node(broker, interval=0)
