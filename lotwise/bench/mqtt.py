"""A broker's queue → readings on disk → acknowledged: how many messages a second one gateway takes."""

import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from edge.collectors.mqtt import MqttCollector
from edge.collectors.mqtt_config import MqttSource
from edge.spool import Spool
from lotwise.bench.broker import SETTLE_TIMEOUT, WINDOW, Broker, broker, disconnect, publisher, settle
from lotwise.bench.figures import figure

DEVICES = 200
METHOD = (
    "QoS 1 JSON messages with a device stamp of {devices} sensors, queued by {broker} (MQTT {version}; queues {keeps})"
    " for a persistent session, then taken by one gateway: decoded, in the spool after its fsync, acknowledged; from"
    " the connection to the fsync of the last, whose acknowledgement leaves at once; afterwards the session is opened"
    " again and must be empty, by the broker's own count too; broker and gateway share the machine"
)


@dataclass(frozen=True, slots=True)
class Drained:
    """What a drain took: seconds by the clock and of this process's processor."""

    seconds: float
    cpu: float


def source(port: int, version: str) -> MqttSource:
    """The gateway's source."""
    return MqttSource.model_validate(
        {
            "name": "bench",
            "protocol": "mqtt",
            "host": "127.0.0.1",
            "port": port,
            "version": version,
            "clock": "device",
            "quiet": 0.2,
            "subscriptions": [
                {
                    "topic": "bench/{zone}/{device}",
                    "decoder": {
                        "name": "json",
                        "values": {"temperature": "$.t"},
                        "time": {"path": "$.ts", "format": "epoch_us"},
                    },
                    "point": "b1/store/{zone}/{device}/temperature",
                    "unit": "Cel",
                }
            ],
        }
    )


def fill(port: int, messages: int) -> None:
    """Publishes all, and returns when the broker has acknowledged them. Each message is another reading."""
    client = publisher(port)
    done: list[int] = []
    client.on_publish = lambda _c, _u, mid, *_: done.append(mid)
    begun = time.time_ns() // 1000 - messages
    try:
        for number in range(messages):
            device = number % DEVICES
            client.publish(
                f"bench/z{device // 4}/d{device % 4}", f'{{"t": {2 + number % 50 / 10}, "ts": {begun + number}}}', qos=1
            )
            if number % WINDOW == 0:
                settle(done, number - 5 * WINDOW)
        settle(done, messages)
    finally:
        disconnect(client)


@contextlib.asynccontextmanager
async def _running(collector: MqttCollector, spool: Spool) -> AsyncIterator["asyncio.Task[None]"]:
    task = asyncio.create_task(collector.run(spool))
    try:
        await _until(lambda: collector.connected, task)
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _until(condition: Callable[[], bool], task: "asyncio.Task[None]") -> None:
    """Looks every 5 ms. Raises what ended the collector, and TimeoutError."""
    async with asyncio.timeout(SETTLE_TIMEOUT):
        while not condition():
            if task.done():
                await task
                raise RuntimeError("the collector ended by itself")
            await asyncio.sleep(0.005)


async def drain(of: Broker, messages: int, folder: Path) -> Drained:
    """Makes the session, fills its queue, and times the gateway on it. Raises RuntimeError if it was not all."""
    async with await Spool.open(folder, "bench", "b1") as spool:
        async with _running(MqttCollector(source(of.port, of.version)), spool):
            pass
        await asyncio.to_thread(fill, of.port, messages)
        collector = MqttCollector(source(of.port, of.version))
        begun, cpu = time.perf_counter(), time.process_time()
        async with _running(collector, spool) as task:
            await _until(lambda: collector.counts["kept"] >= messages, task)
            took = Drained(time.perf_counter() - begun, time.process_time() - cpu)
            # the acknowledgements of the last chunk leave right after its fsync; let them reach the broker
            await asyncio.sleep(0.5)
        kept = (await spool.depth()).readings
        again = MqttCollector(source(of.port, of.version))
        async with _running(again, spool):
            await asyncio.sleep(1.0)
        left = again.counts["received"] + await of.unacknowledged()
    if kept != messages or left:
        raise RuntimeError(f"{kept} of {messages} are in the spool, and {left} were not acknowledged")
    return took


def run(messages: int, *, embedded: bool = False) -> None:
    """Prints `messages_per_s` and `cpu_s_per_million`."""
    with tempfile.TemporaryDirectory(prefix="lotwise-bench-") as folder:
        of = broker(Path(folder) / "broker", embedded=embedded)
        of.start()
        try:
            took = asyncio.run(drain(of, messages, Path(folder) / "spool"))
        finally:
            of.stop()
    method = METHOD.format(devices=DEVICES, broker=of.name, version=of.version, keeps=of.keeps)
    method += f"; load average {os.getloadavg()[0]:.1f}"
    figure("mqtt", "messages_per_s", messages / took.seconds, "1/s", messages, method)
    figure(
        "mqtt",
        "cpu_s_per_million",
        took.cpu / messages * 1e6,
        "s",
        messages,
        f"processor seconds of the gateway's process, user and system, over the same span, with {of.name}",
    )
