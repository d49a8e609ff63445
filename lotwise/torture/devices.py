"""The soak's devices: MQTT sensors, an OPC UA machine and a Modbus controller that write down all they say."""

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from lotwise.torture.plan import Plan, Script
from lotwise.torture.truth import BAD, GOOD, QUALITY_WORDS, UNCERTAIN, Device, SentValue
from simulators.counting import CountingDevice
from simulators.link import Broker, MqttLink
from simulators.opcua import NAMESPACE, SimulatedServer, Variable
from simulators.tasks import end

INTERVAL = 0.4
"""Seconds between two values of a sensor in a zone with goods."""
LOAD = "torture/load/rig"
"""The zone of the sensors that are only many."""
STATUS = {GOOD: 0x00000000, UNCERTAIN: 0x40000000, BAD: 0x808C0000}
"""OPC UA status codes by quality: Good, Uncertain, BadSensorFailure (OPC 10000-6 A.2)."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(at: int) -> datetime:
    """The instant of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=at)


def micros(at: datetime) -> int:
    """Microseconds since 1970."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def _now() -> int:
    return time.time_ns() // 1000


class Devices:
    """All devices. What they say is in `books`, by device; they go on until `stop`, calm and cold once the plan is
    through.
    """

    def __init__(self, zones: dict[str, str], broker: Broker, ports: tuple[int, int], seed: int, load: float) -> None:
        self._seconds = 0.0
        self._scripts: dict[str, Script] = {}
        self.began = 0.0
        self._random = random.Random(f"torture:{seed}:devices")  # noqa: S311 - repeatable noise
        self._link = MqttLink(broker, "torture-devices")
        self._load = load
        self.books: dict[str, Device] = {}
        self.by_zone: dict[str, Device] = {}
        for zone, protocol in zones.items():
            book = Device(f"{protocol}-probe", zone, protocol)  # type: ignore[arg-type] # one of three words, from run
            self.books[f"{zone}/{book.name}"] = self.by_zone[zone] = book
        for number in range(10 if load else 0):
            book = Device(f"rig-{number}", LOAD, "mqtt")
            self.books[f"{LOAD}/{book.name}"] = book
        opcua, modbus = ports
        variables = {"Temperature": Variable("Double", "temperature", "Cel"), "Sequence": Variable("Int64", "sequence")}
        self.machine = SimulatedServer("machine", variables, port=opcua)
        self._polled = next((book for book in self.books.values() if book.protocol == "modbus"), None)
        self.controller = CountingDevice(modbus, self._asked, self._answered)
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connects and serves; nothing is said yet. Raises BrokerUnreachable, OSError, LiveInstance."""
        await self._link.connect()
        await self.machine.connect()
        await self.controller.connect()

    def begin(self, plan: Plan) -> None:
        """The plan's time begins now."""
        self._seconds, self._scripts = plan.seconds, plan.scripts
        self.began = time.time()
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Says nothing more, and takes everything down."""
        task, self._task = self._task, None
        await end(task)
        await self._link.close()
        await self.machine.close()
        await self.controller.disconnect()

    async def drained(self, within: float) -> int:
        """How many messages the broker has not acknowledged after so many seconds at most."""
        return await self._link.drain(within)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        speakers: list[tuple[float, Callable[[], Awaitable[None]]]] = []
        for book in self.books.values():
            if book.protocol == "modbus":
                continue
            every = 10 / self._load if book.zone == LOAD else INTERVAL
            speakers.append((every, self._speaker(book)))
        due = [loop.time() + self._random.random() * every for every, _ in speakers]
        while True:
            now = loop.time()
            for index, (every, speak) in enumerate(speakers):
                while due[index] <= now:
                    await speak()
                    due[index] += every * self._random.uniform(0.9, 1.1)
            await asyncio.sleep(max(0.002, min(due) - loop.time()))

    def _speaker(self, book: Device) -> Callable[[], Awaitable[None]]:
        script = self._scripts.get(book.zone)

        async def speak() -> None:
            since = time.time() - self.began
            if script is not None and script.quiet(since):
                return
            sent = SentValue(len(book.sent) + 1, _now(), self._value(script, since), self._quality(book, since))
            book.sent.append(sent)
            if book.protocol == "mqtt":
                self._publish(book, sent)
            else:
                await self._show(sent)

        return speak

    def _value(self, script: Script | None, since: float) -> float:
        level = 5.0 if script is None else script.level(min(since, self._seconds))
        return round(level + self._random.uniform(-0.3, 0.3), 2)

    def _quality(self, book: Device, since: float) -> int:
        """Mostly good. Where a sensor falls silent it is good before and after, so that only its silence counts."""
        script = self._scripts.get(book.zone)
        if since > self._seconds - 2 or (script is not None and script.quiet_to):
            return GOOD
        return self._random.choices((GOOD, UNCERTAIN, BAD), (94, 3, 3))[0]

    def _publish(self, book: Device, sent: SentValue) -> None:
        payload = {"t": sent.value, "n": sent.number, "ts": sent.at, "q": QUALITY_WORDS[sent.quality]}
        self._link.publish(
            f"{book.zone}/{book.name}",
            json.dumps(payload).encode(),
            on_ack=lambda: book.acknowledged.add(sent.number),
        )

    async def _show(self, sent: SentValue) -> None:
        at, value = moment(sent.at), self.machine.value
        await self.machine.publish(
            {
                "Temperature": value("Temperature", sent.value, at=at, now=at, status=STATUS[sent.quality]),
                "Sequence": value("Sequence", sent.number, at=at, now=at, status=STATUS[sent.quality]),
            }
        )

    def _asked(self) -> float:
        assert self._polled is not None
        return self._value(self._scripts.get(self._polled.zone), time.time() - self.began)

    def _answered(self, number: int, at: datetime, value: float) -> None:
        assert self._polled is not None
        self._polled.sent.append(SentValue(number, micros(at), value))


def sources(
    zones: dict[str, str], broker_port: int, ports: tuple[int, int], gateway: str, version: str = "3.1.1"
) -> list[dict[str, Any]]:
    """The sources of a gateway that reads these devices, as its configuration has them."""
    opcua, modbus = ports
    out: list[dict[str, Any]] = [
        {
            "name": "sensors",
            "protocol": "mqtt",
            "simulated": True,
            "host": "127.0.0.1",
            "port": broker_port,
            "version": version,
            "client_id": f"{gateway}-sensors",
            "clock": "device",
            "tolerance": "2 s",
            "subscriptions": [
                {
                    "topic": "torture/{area}/{zone}/{device}",
                    "decoder": {
                        "name": "json",
                        "values": {"temperature": "$.t", "sequence": "$.n"},
                        "time": {"path": "$.ts", "format": "epoch_us"},
                        "quality": {"path": "$.q", "good": ["good"], "uncertain": ["uncertain"]},
                    },
                    "points": [
                        {
                            "field": field,
                            "point": f"torture/{{area}}/{{zone}}/{{device}}/{field}",
                            **({"unit": unit} if unit else {}),
                        }
                        for field, unit in (("temperature", "Cel"), ("sequence", ""))
                    ],
                }
            ],
        }
    ]
    for zone, protocol in zones.items():
        if protocol == "opcua":
            nodes = [
                {
                    "node": f"nsu={NAMESPACE};s=machine.{name}",
                    "point": f"{zone}/opcua-probe/{name.lower()}",
                    "report": "timestamp",
                    "sampling": "100 ms",
                    "queue": 1000,
                    **({"unit": unit} if unit else {}),
                }
                for name, unit in (("Temperature", "Cel"), ("Sequence", ""))
            ]
            out.append(
                {
                    "name": "machine",
                    "protocol": "opcua",
                    "simulated": True,
                    "clock": "device",
                    "tolerance": "2 s",
                    "endpoint": f"opc.tcp://127.0.0.1:{opcua}/lotwise/",
                    "publishing": "200 ms",
                    "nodes": nodes,
                }
            )
        if protocol == "modbus":
            points = [
                {
                    "point": f"{zone}/modbus-probe/temperature",
                    "table": "input",
                    "address": 0,
                    "type": "int16",
                    "scale": "0.1",
                    "unit": "Cel",
                },
                {"point": f"{zone}/modbus-probe/sequence", "table": "input", "address": 1, "type": "uint32"},
            ]
            out.append(
                {
                    "name": "controller",
                    "protocol": "modbus",
                    "simulated": True,
                    "timeout": "5 s",
                    "transport": {"kind": "tcp", "host": "127.0.0.1", "port": modbus},
                    "units": [{"id": 1, "every": f"{int(INTERVAL * 1000)} ms", "points": points}],
                }
            )
    return out
