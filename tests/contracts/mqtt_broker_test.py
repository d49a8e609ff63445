"""What a gateway asks of any MQTT broker: the embedded one, a Mosquitto, or the one given by LOTWISE_TEST_MQTT_URL.

Every test has a client id and topics of its own, so that a broker which others use too will do.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import paho.mqtt.publish as paho
import pytest

from core.telemetry.quality import Quality
from edge.collectors.mqtt import MqttCollector, MqttSource
from edge.collectors.mqtt_points import QUEUED
from edge.tasks import end
from lotwise.embedded.nats import EmbeddedNats
from simulators.link import Broker
from tests.servers import given_mqtt
from tests.services.mqtt_support import MemoryKeeper, mosquitto, open_session, running, until

MAKES = ("embedded 3.1.1", "mosquitto 3.1.1", "mosquitto 5")


class Plant:
    """A topic tree nobody else has, on one broker; what is published there, and the source that reads it."""

    def __init__(self, broker: Broker, version: str) -> None:
        self.broker = broker
        self._version = version
        self._name = f"lotwise-{secrets.token_hex(6)}"

    def publish(self, values: Sequence[float]) -> None:
        """Publishes one after the other by QoS 1, and returns when the broker has them all."""
        secret, name = self.broker.password, self.broker.username
        login = {"username": name, "password": secret.get_secret_value() if secret else None} if name else None
        topic = f"{self._name}/room-1/probe-2/temperature"
        paho.multiple(
            [{"topic": topic, "payload": str(value), "qos": 1} for value in values],
            hostname=self.broker.host,
            port=self.broker.port,
            auth=login,
            tls={"ca_certs": self.broker.ca_file} if self.broker.ca_file else None,
        )

    def source(self) -> MqttSource:
        """Reads every room and probe of the tree by one wildcard topic."""
        settings: dict[str, Any] = {
            "name": "plant",
            "protocol": "mqtt",
            "host": self.broker.host,
            "port": self.broker.port,
            "clock": "gateway",
            "client_id": self._name,
            "version": self._version,
            "quiet": 0.2,
            "subscriptions": [
                {
                    "topic": f"{self._name}/{{zone}}/{{device}}/temperature",
                    "decoder": "number",
                    "unit": "Cel",
                    "point": "site/area/{zone}/{device}/temperature",
                }
            ],
        }
        if self.broker.username:
            settings |= {"username": self.broker.username, "password": self.broker.password}
        if self.broker.ca_file:
            settings |= {"tls": {"ca": self.broker.ca_file}}
        return MqttSource.model_validate(settings)


@pytest.fixture(params=MAKES)
def plant(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Plant]:
    make, version = request.param.split()
    with contextlib.ExitStack() as stack:
        if make == "embedded":
            server = EmbeddedNats(tmp_path, mqtt=True)
            stack.callback(server.stop)
            server.start()
            assert server.mqtt_port is not None
            broker = Broker(port=server.mqtt_port)
        else:
            broker = given_mqtt() or Broker(port=stack.enter_context(mosquitto(tmp_path)).port)
        made = Plant(broker, version)
        yield made


def story(act: Callable[[], Any]) -> None:
    asyncio.run(act())


def test_what_is_published_is_kept_once_and_in_order(plant: Plant) -> None:
    async def main() -> None:
        keeper = MemoryKeeper()
        async with running(MqttCollector(plant.source()), keeper):
            await asyncio.to_thread(plant.publish, [n / 10 for n in range(200)])
            await until(lambda: len(keeper.readings) >= 200)
        assert keeper.values == [n / 10 for n in range(200)]
        assert {(one.point, one.quality) for one in keeper.readings} == {
            ("site/area/room-1/probe-2/temperature", Quality.GOOD)
        }

    story(main)


def test_the_session_holds_what_came_while_the_gateway_was_away(plant: Plant) -> None:
    async def main() -> None:
        await open_session(plant.source())
        await asyncio.to_thread(plant.publish, [n / 10 for n in range(100)])
        keeper = MemoryKeeper()
        async with running(MqttCollector(plant.source()), keeper):
            await until(lambda: len(keeper.readings) >= 100)
        assert keeper.values == [n / 10 for n in range(100)]
        assert {one.reason for one in keeper.readings} == {QUEUED}

    story(main)


@pytest.mark.parametrize("plant", MAKES[1:], indirect=True)  # the embedded one takes ten seconds to give it again
def test_what_was_never_kept_is_given_again(plant: Plant) -> None:
    async def main() -> None:
        stuck, keeper = MemoryKeeper(), MemoryKeeper()
        stuck.open.clear()
        async with running(MqttCollector(plant.source()), stuck) as task:
            await asyncio.to_thread(plant.publish, [float(n) for n in range(10)])
            await until(lambda: stuck.calls)
            await end([task])
        assert stuck.readings == []
        async with running(MqttCollector(plant.source()), keeper):  # another process, that remembers nothing
            await until(lambda: len(keeper.readings) >= 10)
        assert keeper.values == [float(n) for n in range(10)]

    story(main)
