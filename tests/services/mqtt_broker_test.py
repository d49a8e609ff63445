"""The MQTT collector against a real Mosquitto: nothing lost, nothing twice, nothing old taken as new."""

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import pytest

from core.telemetry.quality import Quality, Reason
from core.telemetry.sparkplug import Metric, Payload
from edge.collectors.decoders.base import WRONG_TYPE
from edge.collectors.mqtt import MqttCollector
from edge.collectors.mqtt_points import QUEUED
from edge.collectors.port import SourceLost
from lotwise.embedded.nats import EmbeddedNats
from tests.services.mqtt_support import (
    MemoryKeeper,
    Mosquitto,
    mosquitto,
    open_session,
    publish,
    running,
    source,
    until,
)

VERSIONS = pytest.mark.parametrize("mqtt", ["5", "3.1.1"])


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with mosquitto(tmp_path / "mosquitto") as one:
        yield one


def temperatures(count: int, device: str = "probe") -> list[tuple[str, object]]:
    return [(f"plant/room/{device}/temperature", index / 10) for index in range(count)]


def test_the_overridden_private_method_belongs_to_the_pinned_version() -> None:
    assert version("paho-mqtt") == "2.2.0"


@VERSIONS
def test_messages_become_readings_at_their_points(broker: Mosquitto, mqtt: str) -> None:
    async def main() -> None:
        keeper, collector = MemoryKeeper(), MqttCollector(source(broker.port, version=mqtt))
        async with running(collector, keeper):
            before = datetime.now(UTC)
            await asyncio.to_thread(publish, broker.port, [("plant/room-1/probe-2/temperature", "4.25")])
            await until(lambda: keeper.readings)
        (reading,) = keeper.readings
        assert (reading.point, reading.value, reading.unit) == ("site/area/room-1/probe-2/temperature", 4.25, "Cel")
        assert reading.quality is Quality.GOOD
        assert before <= reading.at == reading.edge_at <= datetime.now(UTC)
        assert collector.zones == {"site/area/room-1"}

    asyncio.run(main())


@VERSIONS
def test_the_session_holds_what_came_while_we_were_away(broker: Mosquitto, mqtt: str) -> None:
    async def main() -> None:
        config = source(broker.port, version=mqtt)
        await open_session(config)
        await asyncio.to_thread(publish, broker.port, temperatures(500))
        keeper = MemoryKeeper()
        async with running(MqttCollector(config), keeper):
            await until(lambda: len(keeper.readings) >= 500)
            await asyncio.sleep(0.3)
        assert keeper.values == [index / 10 for index in range(500)]
        assert {(one.quality, one.reason) for one in keeper.readings} == {(Quality.UNCERTAIN, QUEUED)}
        assert len({one.at for one in keeper.readings}) == 500

    asyncio.run(main())


@VERSIONS
def test_nothing_is_acknowledged_before_it_is_kept(broker: Mosquitto, mqtt: str) -> None:
    async def main() -> None:
        config = source(broker.port, version=mqtt)
        keeper = MemoryKeeper()
        async with running(MqttCollector(config), keeper) as task:
            keeper.open.clear()
            await asyncio.to_thread(publish, broker.port, temperatures(10))
            await until(lambda: keeper.calls)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        assert keeper.readings == []
        again = MemoryKeeper()  # of another process, that remembers nothing
        async with running(MqttCollector(source(broker.port, version=mqtt)), again):
            await until(lambda: len(again.readings) >= 10)
        assert again.values == [index / 10 for index in range(10)]

    asyncio.run(main())


@VERSIONS
def test_what_was_kept_but_not_acknowledged_is_not_read_twice(
    broker: Mosquitto, mqtt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        config = source(broker.port, version=mqtt)
        keeper, collector = MemoryKeeper(), MqttCollector(config)
        async with running(collector, keeper) as task:
            assert collector._link is not None
            monkeypatch.setattr(collector._link, "ack", lambda _mids: None)  # the acknowledgements are lost
            await asyncio.to_thread(publish, broker.port, temperatures(10))
            await until(lambda: len(keeper.readings) == 10)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        async with running(MqttCollector(config), keeper):
            await until(lambda: collector.counts["repeated"] == 10)
            await asyncio.to_thread(publish, broker.port, temperatures(3, "other"))
            await until(lambda: len(keeper.readings) == 13)
        assert len(keeper.readings) == 13
        third = MemoryKeeper()
        async with running(MqttCollector(source(broker.port, version=mqtt)), third):
            await asyncio.sleep(0.5)
        assert third.readings == []  # the repeated ones were acknowledged this time

    asyncio.run(main())


def test_a_full_spool_stops_acknowledging_and_loses_nothing(broker: Mosquitto) -> None:
    async def main() -> None:
        keeper, collector = MemoryKeeper(), MqttCollector(source(broker.port, receive_maximum=50))
        async with running(collector, keeper):
            keeper.full = True
            await asyncio.to_thread(publish, broker.port, temperatures(400))
            await until(lambda: keeper.refusals >= 2)
            assert collector.counts["received"] <= 50
            await asyncio.sleep(0.2)
            held = collector.live_upto(datetime.now(UTC))
            assert held is not None
            assert held < datetime.now(UTC) - timedelta(seconds=0.2)
            keeper.full = False
            await until(lambda: len(keeper.readings) == 400)
        assert keeper.values == [index / 10 for index in range(400)]

    asyncio.run(main())


def test_a_flood_that_nobody_queues_stops_being_read(broker: Mosquitto) -> None:
    async def main() -> None:
        keeper, collector = MemoryKeeper(), MqttCollector(source(broker.port, receive_maximum=10, keepalive=2))
        async with running(collector, keeper) as task:
            keeper.full = True
            publishing = asyncio.to_thread(publish, broker.port, temperatures(3000), qos=0)
            await publishing
            await until(lambda: keeper.refusals)
            await asyncio.sleep(4)  # longer than one and a half keep-alives: the broker must not drop us
            assert collector.counts["received"] < 3000
            assert not task.done()
            keeper.full = False
            await until(lambda: len(keeper.readings) == 3000)
        assert keeper.values == [index / 10 for index in range(3000)]

    asyncio.run(main())


@VERSIONS
def test_a_broker_that_restarts_is_a_loss_and_resumed(broker: Mosquitto, mqtt: str) -> None:
    async def main() -> None:
        keeper, collector = MemoryKeeper(), MqttCollector(source(broker.port, version=mqtt))
        async with running(collector, keeper) as task:
            await asyncio.to_thread(publish, broker.port, temperatures(5))
            await until(lambda: len(keeper.readings) == 5)
            assert collector.live_upto(datetime.now(UTC)) is not None
            await asyncio.to_thread(broker.stop)
            with pytest.raises(SourceLost):
                await asyncio.wait_for(task, 5)
            assert collector.live_upto(datetime.now(UTC)) is None
            assert not collector.connected
        with pytest.raises(SourceLost):
            await collector.run(keeper)
        await asyncio.to_thread(broker.start)
        async with running(collector, keeper):
            await asyncio.to_thread(publish, broker.port, temperatures(5, "later"))
            await until(lambda: len(keeper.readings) == 10)
        assert keeper.gaps == []

    asyncio.run(main())


def test_a_session_the_broker_has_forgotten_is_a_gap(broker: Mosquitto) -> None:
    async def main() -> None:
        keeper, collector = MemoryKeeper(), MqttCollector(source(broker.port))
        async with running(collector, keeper):
            pass
        left = datetime.now(UTC)
        await asyncio.to_thread(broker.stop)
        (broker.folder / "mosquitto.db").unlink(missing_ok=True)
        await asyncio.to_thread(broker.start)
        async with running(collector, keeper):
            await until(lambda: keeper.gaps)
        (gap,) = keeper.gaps
        assert (gap.scope, gap.reason) == ("source:plant", "session_lost")
        assert gap.start <= left < gap.stop

    asyncio.run(main())


def test_what_a_broker_does_not_queue_is_a_gap_after_a_break(broker: Mosquitto) -> None:
    async def main() -> None:
        keeper, config = MemoryKeeper(), source(broker.port)
        async with running(MqttCollector(config), keeper):
            await asyncio.to_thread(publish, broker.port, temperatures(1), qos=0)
            await until(lambda: keeper.readings)
        async with running(MqttCollector(config), keeper):
            await until(lambda: keeper.gaps)
        (gap,) = keeper.gaps
        assert (gap.scope, gap.reason) == ("source:plant", "not_queued_while_disconnected")
        assert gap.start < gap.stop

    asyncio.run(main())


def test_a_broker_lost_while_the_spool_is_full_shows_as_lost_and_nothing_is_twice(broker: Mosquitto) -> None:
    async def main() -> None:
        keeper, config = MemoryKeeper(), source(broker.port)
        collector = MqttCollector(config)
        async with running(collector, keeper) as task:
            keeper.full = True
            await asyncio.to_thread(publish, broker.port, temperatures(20))
            await until(lambda: keeper.refusals)
            await asyncio.to_thread(broker.stop)
            await until(lambda: not collector.connected)
            assert collector.live_upto(datetime.now(UTC)) is None
            assert not task.done()
            keeper.full = False
            with pytest.raises(SourceLost):
                await asyncio.wait_for(task, 10)
        await asyncio.to_thread(broker.start)
        again = MqttCollector(config)
        async with running(again, keeper):
            await until(lambda: again.counts["repeated"] == 20)
        assert keeper.values == [index / 10 for index in range(20)]

    asyncio.run(main())


def test_a_connection_that_breaks_off_is_told_as_that(broker: Mosquitto) -> None:
    """The library's own word for it is "Unspecified error"."""

    async def main() -> None:
        collector = MqttCollector(source(broker.port))
        async with running(collector, MemoryKeeper()) as task:
            await until(lambda: collector.connected)
            await asyncio.to_thread(broker.kill)
            with pytest.raises(SourceLost, match=rf"^127\.0\.0\.1:{broker.port}: the connection broke off$"):
                await asyncio.wait_for(task, 10)

    asyncio.run(main())


def test_an_old_retained_value_is_never_taken_as_new(broker: Mosquitto) -> None:
    stamp = datetime.now(UTC) - timedelta(hours=3)
    dated = {
        "topic": "dated/+",
        "decoder": {"name": "json", "values": {"t": "t"}, "time": {"path": "ts"}},
        "point": "site/area/room/{1}/t",
    }
    bare = {"topic": "bare/+", "decoder": "number", "point": "site/area/room/{1}/t"}

    async def main() -> None:
        publish(broker.port, [("bare/a", 4.0), ("dated/b", json.dumps({"t": 5, "ts": stamp.isoformat()}))], retain=True)
        config = source(broker.port, subscriptions=[dated, bare], clock="device_within")
        keeper, collector = MemoryKeeper(), MqttCollector(config)
        async with running(collector, keeper):
            await until(lambda: keeper.readings and keeper.asides)
            await asyncio.to_thread(publish, broker.port, [("bare/a", 4.5)])
            await until(lambda: len(keeper.readings) == 2)
        assert [(one.value, one.at, one.quality) for one in keeper.readings[:1]] == [(5, stamp, Quality.GOOD)]
        assert keeper.values[1] == 4.5
        ((origin, payload, reason),) = keeper.asides
        assert (origin, payload) == ("bare/a", b"4.0")
        assert "retained" in reason

    asyncio.run(main())


def test_queued_values_with_a_stamp_keep_their_time_however_old(broker: Mosquitto) -> None:
    subscription = {
        "topic": "probe/+",
        "decoder": {"name": "json", "values": {"t": "t"}, "time": {"path": "ts", "format": "epoch_ms"}},
        "point": "site/area/room/{1}/t",
    }

    async def main() -> None:
        config = source(broker.port, subscriptions=[subscription], clock="device_within")
        await open_session(config)
        hour_ago = int(time.time() * 1000) - 3_600_000
        messages = [("probe/a", json.dumps({"t": index, "ts": hour_ago + index})) for index in range(5)]
        await asyncio.to_thread(publish, broker.port, messages)
        keeper, collector = MemoryKeeper(), MqttCollector(config)
        async with running(collector, keeper):
            await until(lambda: len(keeper.readings) == 5)
            assert collector.live_upto(datetime.now(UTC)) is None  # perhaps more of the queue is to come
            await until(lambda: collector.live_upto(datetime.now(UTC)) is not None)
            upto = collector.live_upto(datetime.now(UTC))
            assert upto is not None
            assert upto < datetime.now(UTC) - config.tolerance
            await asyncio.to_thread(publish, broker.port, messages[:1])
            await until(lambda: len(keeper.readings) == 6)
        assert {one.quality for one in keeper.readings[:5]} == {Quality.GOOD}
        assert all(one.at == one.source_at for one in keeper.readings[:5])
        assert (keeper.readings[5].quality, keeper.readings[5].reason) == (Quality.UNCERTAIN, Reason.CLOCK)

    asyncio.run(main())


def test_what_cannot_be_read_goes_aside_and_costs_nothing_else(broker: Mosquitto) -> None:
    async def main() -> None:
        config = source(broker.port, max_payload=1000)
        keeper, collector = MemoryKeeper(), MqttCollector(config)
        hostile: list[tuple[str, object]] = [
            ("plant/room/a/temperature", "warm"),
            ("plant/room/a/temperature", "NaN"),
            ("plant/room/a/temperature", "9" * 5_000_000),
            ("plant/bad zone/ä/temperature", "1.0"),
            ("plant//b/temperature", "1.0"),
            ("plant/room/a/temperature", "4.5"),
        ]
        async with running(collector, keeper):
            await asyncio.to_thread(publish, broker.port, hostile)
            await until(lambda: 4.5 in keeper.values and len(keeper.asides) == 2)
        assert [(one.value, one.reason) for one in keeper.readings] == [
            ("warm", WRONG_TYPE),
            (None, Reason.NOT_A_NUMBER),
            (1.0, ""),
            (4.5, ""),
        ]
        assert keeper.readings[2].point == "site/area/bad-zone/-/temperature"
        reasons = [reason for _, _, reason in keeper.asides]
        assert "5000000 bytes" in reasons[0]
        assert "not a point" in reasons[1]
        assert len(keeper.asides[0][1]) <= 65_536
        assert collector.counts["aside"] == 2

    asyncio.run(main())


def test_a_shared_subscription_divides_the_messages(broker: Mosquitto) -> None:
    async def main() -> None:
        keepers = MemoryKeeper(), MemoryKeeper()
        first, second = (
            MqttCollector(source(broker.port, client_id=f"gateway-{index}", shared_group="plant")) for index in "12"
        )
        async with running(first, keepers[0]), running(second, keepers[1]):
            await asyncio.to_thread(publish, broker.port, temperatures(40))
            await until(lambda: len(keepers[0].readings) + len(keepers[1].readings) >= 40)
            await asyncio.sleep(0.2)
        assert keepers[0].readings
        assert keepers[1].readings
        assert sorted(keepers[0].values + keepers[1].values) == [index / 10 for index in range(40)]

    asyncio.run(main())


def test_a_sparkplug_node_without_birth_is_asked_for_it_over_the_broker(broker: Mosquitto) -> None:
    import paho.mqtt.client as paho

    subscription = {"topic": "spBv1.0/G/#", "decoder": "sparkplug_b", "point": "site/area/room/{device}/{field}"}
    asked: list[tuple[str, Payload]] = []

    def command(_client: object, _data: object, message: paho.MQTTMessage) -> None:
        asked.append((message.topic, Payload.FromString(bytes(message.payload))))

    async def main() -> None:
        node = paho.Client(paho.CallbackAPIVersion.VERSION2)
        node.on_message = command
        node.connect("127.0.0.1", broker.port)
        node.subscribe("spBv1.0/G/NCMD/N")
        node.loop_start()
        keeper, collector = MemoryKeeper(), MqttCollector(source(broker.port, subscriptions=[subscription]))
        try:
            async with running(collector, keeper):
                data = Payload(timestamp=1, seq=5, metrics=[Metric(alias=1, float_value=4.5)])
                node.publish("spBv1.0/G/NDATA/N", data.SerializeToString())
                await until(lambda: asked)
                birth = Payload(timestamp=1, seq=0, metrics=[Metric(name="t", alias=1, datatype=9, float_value=4.0)])
                node.publish("spBv1.0/G/NBIRTH/N", birth.SerializeToString())
                node.publish("spBv1.0/G/NDATA/N", Payload(timestamp=1, seq=1, metrics=data.metrics).SerializeToString())
                await until(lambda: len(keeper.readings) == 2)
        finally:
            node.disconnect()
            node.loop_stop()
            node._reset_sockets()
        assert [(one.point, one.value) for one in keeper.readings] == [
            ("site/area/room/G-N/t", 4.0),
            ("site/area/room/G-N/t", 4.5),
        ]
        ((topic, payload),) = asked
        assert topic == "spBv1.0/G/NCMD/N"
        assert [(one.name, one.boolean_value) for one in payload.metrics] == [("Node Control/Rebirth", True)]
        assert "without a birth" in keeper.asides[0][2]

    asyncio.run(main())


def test_the_embedded_broker_speaks_the_same_way(mqtt_broker: EmbeddedNats) -> None:
    port = mqtt_broker.mqtt_port
    assert port is not None

    async def main() -> None:
        config = source(port, version="3.1.1")
        await open_session(config)
        await asyncio.to_thread(publish, port, temperatures(200))
        keeper, collector = MemoryKeeper(), MqttCollector(config)
        async with running(collector, keeper):
            await until(lambda: len(keeper.readings) == 200)
            await asyncio.to_thread(publish, port, temperatures(20, "live"))
            await until(lambda: len(keeper.readings) == 220)
        assert sorted(keeper.values[:200]) == [index / 10 for index in range(200)]

    asyncio.run(main())
