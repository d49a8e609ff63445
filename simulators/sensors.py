"""An MQTT sensor: measures at its interval, speaks its maker's dialect, and can be made to fail."""

import asyncio
import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from simulators.dialects import DIALECTS, Identity, Message, Sample, garbage
from simulators.fault_link import FaultLink
from simulators.faults import FaultKind, Measured
from simulators.guard import refuse_unmarked
from simulators.link import Broker, MqttLink
from simulators.physics import SensorSpec
from simulators.rooms import ColdRoom
from simulators.tasks import end

Clock = Callable[[], datetime]
Probe = Callable[[], float | int | bool | str]


def real_time() -> datetime:
    """Now, in UTC: the clock every reading is stamped with."""
    return datetime.now(UTC)


@dataclass
class Report:
    """What a device did. `sequences` are those told, `lost` those taken and not told, `acknowledged` those the
    broker has acknowledged (MQTT only; each at least once).
    """

    device: str
    protocol: str
    readings: int = 0
    messages: int = 0
    sequences: list[int] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    acknowledged: set[int] = field(default_factory=set)

    @property
    def unacknowledged(self) -> list[int]:
        """Sequence numbers told of which the broker has not acknowledged every message."""
        return [number for number in self.sequences if number not in self.acknowledged]


class MqttSensor(FaultLink):
    """One sensor with its own connection.

    `probes` gives each quantity's reader and UCUM unit. Sequence numbers count measurements from 1 without holes;
    with `sequence` they are told along. Live methods act at once. Starting needs LOTWISE_INSTANCE=test.
    """

    def __init__(
        self,
        name: str,
        zone: str,
        probes: Mapping[str, tuple[Probe, str]],
        *,
        broker: Broker,
        dialect: str = "json",
        interval: float = 10.0,
        sequence: bool = True,
        topic: str | None = None,
        seed: int = 0,
        clock: Clock = real_time,
    ) -> None:
        if interval <= 0:
            raise ValueError(f"{name}: interval must be above zero, not {interval} s")
        super().__init__()
        self.identity = Identity(name, zone, topic)
        self.dialect = DIALECTS[dialect]
        self.interval = interval
        self.report = Report(name, "mqtt")
        self._probes = dict(probes)
        self._tell_sequence = sequence
        self._clock = clock
        self._random = random.Random(f"{seed}:{name}:garbage")  # noqa: S311 - spoils payloads
        self._broker = broker
        self.task: asyncio.Task[None] | None = None
        self._silent = False
        self._held: tuple[int, list[Message]] | None = None
        self._count = 0

    @classmethod
    def in_room(
        cls,
        room: ColdRoom,
        name: str,
        *,
        broker: Broker,
        humidity: bool = False,
        sensor: SensorSpec | None = None,
        **options: Any,
    ) -> Self:
        """A temperature (and humidity) sensor in a room; options as for the class."""
        probes: dict[str, tuple[Probe, str]] = {"temperature": (room.probe(name, sensor), "Cel")}
        if humidity:
            probes["humidity"] = (room.humidity_probe(name), "%")
        return cls(name, room.zone, probes, broker=broker, **({"seed": room.seed} | options))

    @property
    def name(self) -> str:
        """Its name."""
        return self.identity.name

    @property
    def silent(self) -> bool:
        """Whether it was told to be."""
        return self._silent

    async def start(self) -> None:
        """Connects and begins to measure. Raises BrokerUnreachable, LiveInstance."""
        refuse_unmarked(os.environ.get("LOTWISE_INSTANCE"))
        self._link = MqttLink(self._broker, f"sim-{self.name}-{os.getpid()}")
        await self._link.connect()
        self.task = asyncio.create_task(self._run(), name=f"sensor {self.name}")

    async def stop(self, drain: float = 10.0) -> None:
        """Stops measuring, waits so many seconds for the broker's acknowledgements, and disconnects."""
        task, self.task = self.task, None
        try:
            await end(task)
        finally:
            await self._disconnect(drain)

    async def _disconnect(self, drain: float) -> None:
        link = self._link
        if link is None:
            return
        self._release()
        try:
            await self.clear(FaultKind.DISCONNECT)
            await link.drain(drain)
        finally:
            await link.close()
            self._link = None

    def silence(self) -> None:
        """Stops measuring, as an empty battery would; the connection stays."""
        self._silent = True

    def resume(self) -> None:
        """Measures again; the sequence goes on without a hole."""
        self._silent = False

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            if not self._silent:
                self.measure()
            due += self.interval
            await asyncio.sleep(max(0.0, due - loop.time()))

    def measure(self) -> None:
        """Takes one reading now and tells it as the faults allow. Needs a started sensor."""
        self._count += 1
        values = self.faults.distort({name: Measured(read(), unit) for name, (read, unit) in self._probes.items()})
        self.publish_sample(
            Sample(self.faults.stamp(self._clock()), values, self._count if self._tell_sequence else None)
        )

    def publish_sample(self, sample: Sample) -> None:
        """Sends one sample: dropped, spoiled, doubled or delayed if a fault says so."""
        number = self._count
        self.report.readings += 1
        if self.faults.has(FaultKind.DROP_OUT):
            self.report.lost.append(number)
            return
        messages = self.dialect.messages(self.identity, sample)
        if self.faults.has(FaultKind.GARBAGE):
            self.report.lost.append(number)
            messages = [(topic, garbage(payload, self._random)) for topic, payload in messages]
            self._publish(None, messages)
            return
        if self.faults.has(FaultKind.OUT_OF_ORDER) and self._held is None:
            self._held = (number, messages)
            return
        self._publish(number, messages)
        if self.faults.hits(FaultKind.DUPLICATE):
            self._publish(None, messages)
        self._release()

    def _release(self) -> None:
        if self._held is not None:
            (number, messages), self._held = self._held, None
            self._publish(number, messages)

    def _publish(self, number: int | None, messages: list[Message]) -> None:
        assert self._link is not None, f"{self.name} is not started"
        if number is not None:
            self.report.sequences.append(number)
        waiting = len(messages)

        def acknowledged() -> None:
            nonlocal waiting
            waiting -= 1
            if waiting == 0 and number is not None:
                self.report.acknowledged.add(number)

        for topic, payload in messages:
            self.report.messages += 1
            self._link.publish(topic, payload, on_ack=acknowledged)
