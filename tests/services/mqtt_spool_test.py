"""The MQTT collector on the real spool: what the broker is told follows what is on disk."""

import asyncio
import logging
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from core.telemetry.batch import Confirmed, ConfirmReply, decode_body
from core.telemetry.quality import Quality
from core.telemetry.reading import Reading
from edge import supervisor
from edge.collectors.mqtt import MqttCollector
from edge.spool import SentMark, Spool, SpoolOptions
from edge.tasks import end
from tests.services.mqtt_support import Mosquitto, mosquitto, publish, source, until


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with mosquitto(tmp_path / "mosquitto") as one:
        yield one


async def taken(spool: Spool) -> list[Reading]:
    """Sends and confirms all that is cut, as the core would; what it carried."""
    await spool.flush()
    batches = await spool.unsent(1_000_000)
    await spool.mark_sent([SentMark(batch.row, batch.attempt, batch.row, "s1") for batch in batches])
    asks = await spool.outstanding()
    everything = tuple(Confirmed(ask.epoch, ask.partition, ask.upto, ()) for ask in asks)
    await spool.settle(asks, ConfirmReply(everything, "s1", {}), {})
    return [one for batch in batches for one in decode_body(batch.body).readings]


def test_a_spool_at_its_bound_leaves_messages_with_the_broker_until_the_core_has_confirmed(
    broker: Mosquitto, tmp_path: Path
) -> None:
    """Also those that had come already and were refused: whoever has the session next is given them."""

    async def main() -> None:
        def collector() -> MqttCollector:
            return MqttCollector(source(broker.port, receive_maximum=50))

        options = SpoolOptions(max_bytes=10_000, cut_every=timedelta(milliseconds=20))
        async with await Spool.open(tmp_path / "spool", "gw", "site", options) as spool:
            first = collector()
            running = asyncio.create_task(first.run(spool))
            await until(lambda: first.connected)
            sent = [("plant/room/probe/temperature", number) for number in range(1000)]
            await asyncio.to_thread(publish, broker.port, sent)
            await until(lambda: first.counts["spool_full"])
            await end([running])
            assert first.counts["kept"] < first.counts["received"]
            found: list[Reading] = []
            running = asyncio.create_task(collector().run(spool))
            try:
                while len(found) < len(sent):
                    found += await taken(spool)
                    await asyncio.sleep(0.01)
            finally:
                await end([running])
        assert [reading.value for reading in found] == list(range(1000))
        assert spool.dropped_readings == 0

    asyncio.run(main())


def test_a_text_that_cannot_be_written_down_stops_nobody(broker: Mosquitto, tmp_path: Path) -> None:
    async def main() -> None:
        subscription = {
            "topic": "plant/{device}",
            "decoder": {"name": "json", "values": {"state": "$.s", "t": {"path": "$.t", "unit_path": "$.u"}}},
            "point": "site/area/room/{device}/{field}",
        }
        collector = MqttCollector(source(broker.port, subscriptions=[subscription]))
        async with await Spool.open(tmp_path / "spool", "gw", "site") as spool:
            running = asyncio.create_task(collector.run(spool))
            try:
                await until(lambda: collector.connected)
                said = [r'{"s": "\ud800", "t": 4}', r'{"t": 5, "u": "\udfff"}', '{"t": 6}']
                await asyncio.to_thread(publish, broker.port, [("plant/probe", text) for text in said])
                await until(lambda: collector.counts["kept"] == len(said) or running.done())
                found = await taken(spool)
            finally:
                await end([running])
        assert [(one.point.rpartition("/")[2], one.value, one.unit, one.quality) for one in found] == [
            ("state", None, "", Quality.BAD),
            ("t", 4, "", Quality.GOOD),
            ("t", 5, "?", Quality.GOOD),
            ("t", 6, "", Quality.GOOD),
        ]

    asyncio.run(main())


def test_a_broker_that_restarts_is_told_once_each_way(
    broker: Mosquitto, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(supervisor, "LONGEST_PAUSE", 0.05)
    config = source(broker.port)

    async def main() -> None:
        async with await Spool.open(tmp_path / "spool", "gw", "site") as spool:
            gateway = supervisor.Supervisor([partial(MqttCollector, config)], spool)
            (plant,) = gateway.sources

            async def until_it_is(*, connected: bool) -> None:
                await until(lambda: plant.connected is connected)
                await gateway.mark()

            running = asyncio.create_task(gateway.run())
            try:
                await until_it_is(connected=True)
                await asyncio.to_thread(broker.stop)
                await until_it_is(connected=False)
                await until(lambda: plant.restarts > 3)
                await asyncio.to_thread(broker.start)
                await until_it_is(connected=True)
            finally:
                await end([running])

    with caplog.at_level(logging.WARNING):
        asyncio.run(main())
    lost, back = [record.message for record in caplog.records]
    assert lost.startswith("source plant lost: ")
    assert back == "source plant is back"
