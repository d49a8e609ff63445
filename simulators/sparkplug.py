"""A Sparkplug B 3.0 edge node with its devices: born, dying and reborn as the specification says, and made to fail."""

import asyncio
import os
import random
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from google.protobuf.message import DecodeError

from simulators.dialects import Message, garbage
from simulators.fault_link import FaultLink
from simulators.faults import FaultKind, Measured
from simulators.guard import refuse_unmarked
from simulators.link import Broker, MqttLink
from simulators.physics import SensorSpec
from simulators.rooms import ColdRoom
from simulators.sensors import Clock, Probe, Report, real_time
from simulators.sparkplug_messages import SparkplugEncoder, SparkplugSample, asks_for_rebirth
from simulators.tasks import end

KEPT_MAX = 100_000
"""Readings a node keeps while nobody listens; then it forgets the oldest."""
LATE_AT_ONCE = 50
"""Readings of a device in one message, when what was kept is told."""
TICK = timedelta(milliseconds=1)
"""Times have whole milliseconds: two readings are at least so far apart."""


@dataclass(frozen=True)
class Round:
    """One reading of everything: its number, the node's time, and the values of each device ("" is the node)."""

    number: int
    at: datetime
    values: Mapping[str, Mapping[str, Measured]]

    def of(self, device: str, *, late: bool = False) -> SparkplugSample:
        """What a device has to tell of it."""
        return SparkplugSample(self.at, self.values[device], late)


def probes_in(room: ColdRoom, name: str, sensor: SensorSpec | None, *, humidity: bool) -> dict[str, tuple[Probe, str]]:
    """What a device in a room measures: each quantity's reader and UCUM unit."""
    probes: dict[str, tuple[Probe, str]] = {"temperature": (room.probe(name, sensor), "Cel")}
    if humidity:
        probes["humidity"] = (room.humidity_probe(name), "%")
    return probes


class SparkplugNode(FaultLink):
    """One edge node, one connection, several devices.

    It reads all its devices at its interval and tells each reading in one DDATA a device (and its own uptime in NDATA),
    QoS 0 as the specification has it. Devices tell a `sequence` that counts the node's readings from 1. A rebirth
    command is obeyed at once. What is read while the connection is down is told afterwards, marked as historical.
    It does not wait for a primary host. Needs LOTWISE_INSTANCE=test.
    """

    def __init__(
        self,
        name: str,
        devices: Mapping[str, Mapping[str, tuple[Probe, str]]],
        *,
        broker: Broker,
        group: str = "plant",
        interval: float = 1.0,
        seed: int = 0,
        clock: Clock = real_time,
    ) -> None:
        if interval <= 0:
            raise ValueError(f"{name}: interval must be above zero, not {interval} s")
        super().__init__()
        self.name = name
        self.interval = interval
        self.report = Report(name, "sparkplug")
        self.encoder = SparkplugEncoder(group, name)
        self.task: asyncio.Task[None] | None = None
        self._devices = {device: dict(probes) for device, probes in devices.items()}
        self._silent: set[str] = set()
        self._born: set[str] = set()
        self._broker = broker
        self._clock = clock
        self._random = random.Random(f"{seed}:{name}:garbage")  # noqa: S311 - spoils payloads
        self._begun: datetime | None = None
        self._taken: datetime | None = None
        self._last: Round | None = None
        self._kept: deque[Round] = deque(maxlen=KEPT_MAX)
        self._held: tuple[int, list[Message]] | None = None
        self._count = 0

    @property
    def silent(self) -> bool:
        """Whether the node itself was told to be."""
        return "" in self._silent

    async def start(self) -> None:
        """Connects, is born, and begins to measure. Raises BrokerUnreachable, LiveInstance."""
        refuse_unmarked(os.environ.get("LOTWISE_INSTANCE"))
        self._begun = self._clock()
        self._link = MqttLink(
            self._broker,
            f"sim-{self.name}-{os.getpid()}",
            will=self.encoder.will,
            topics=[self.encoder.topic("NCMD")],
            on_message=self._commanded,
            on_up=self._publish_births,
        )
        await self._link.connect()
        self.task = asyncio.create_task(self._run(), name=f"node {self.name}")

    async def stop(self) -> None:
        """Stops measuring, tells what it kept, dies and disconnects."""
        task, self.task = self.task, None
        try:
            await end(task)
        finally:
            await self._disconnect()

    async def _disconnect(self) -> None:
        link = self._link
        if link is None:
            return
        try:
            await self.clear(FaultKind.DISCONNECT)
            self._release()
            self.report.lost.extend(found.number for found in self._kept)
            link.publish_now(*self.encoder.death())
        finally:
            await link.close()
            self._link = None

    def silence(self, device: str = "") -> None:
        """A device dies, and the node says so (DDEATH). Without one the node stops measuring; its connection stays."""
        self._silent.add(device)
        if device in self._born and device:
            self._born.discard(device)
            self._send([self.encoder.device_death(device, self.faults.stamp(self._clock()))])

    def resume(self, device: str = "") -> None:
        """A device is back, and is born with the next reading; or the node measures again."""
        self._silent.discard(device)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due += self.interval
            await asyncio.sleep(max(0.0, due - loop.time()))
            if "" not in self._silent:
                self.measure()

    def _commanded(self, _topic: str, payload: bytes) -> None:
        try:
            rebirth = asks_for_rebirth(payload)
        except DecodeError:
            return  # nothing an edge node could obey
        if rebirth:
            self._publish_births()

    def _publish_births(self) -> None:
        """Tells the births of node and devices, with a new reading; a silent node repeats its last, at its old time."""
        self._born.clear()
        if "" in self._silent and self._last is not None:
            self._publish_samples(self._last)
        else:
            self.measure()

    def measure(self) -> None:
        """Takes one reading of everything now and tells it as the faults allow. Needs a started node."""
        self._last = self._take()
        self.report.readings += 1
        self._publish_samples(self._last)

    def _take(self) -> Round:
        self._count += 1
        now = self._clock()
        self._taken = now if self._taken is None else max(now, self._taken + TICK)
        assert self._begun is not None, f"{self.name} is not started"
        alive = {device: probes for device, probes in self._devices.items() if device not in self._silent}
        measured = self.faults.distort(
            {
                f"{device}/{quantity}": Measured(read(), unit)
                for device, probes in alive.items()
                for quantity, (read, unit) in probes.items()
            }
        )
        values = {
            device: {quantity: measured[f"{device}/{quantity}"] for quantity in probes}
            | {"sequence": Measured(self._count)}
            for device, probes in alive.items()
        }
        uptime = Measured(int((now - self._begun).total_seconds()), "s")
        return Round(self._count, self.faults.stamp(self._taken), {"": {"uptime": uptime}, **values})

    def _publish_samples(self, found: Round) -> None:
        """Sends one reading: kept, dropped, spoiled, doubled or delayed if the connection or a fault says so."""
        assert self._link is not None, f"{self.name} is not started"
        if not self._link.up:
            self._kept.append(found)
            return
        alive = [device for device in found.values if not device or device not in self._silent]
        messages = [self._message(device, found) for device in alive]
        if self.faults.has(FaultKind.DROP_OUT):
            self.report.lost.append(found.number)
            return
        if self.faults.has(FaultKind.GARBAGE):
            self.report.lost.append(found.number)
            self._send((topic, garbage(payload, self._random)) for topic, payload in messages)
            return
        if self.faults.has(FaultKind.OUT_OF_ORDER) and self._held is None:
            self._held = (found.number, messages)
            return
        self._publish(found.number, messages)
        if self.faults.hits(FaultKind.DUPLICATE):
            self._send(messages)
        self._release()
        self._publish_kept()

    def _message(self, device: str, found: Round) -> Message:
        """A device's birth if it was not born yet, else its data."""
        samples = found.of(device)
        if device in self._born:
            return self.encoder.data(device, found.at, [samples])
        self._born.add(device)
        return self.encoder.birth(device, found.at, samples) if device else self.encoder.node_birth(found.at, samples)

    def _publish_kept(self) -> None:
        """What was read while nobody listened, of the devices that live."""
        now = self.faults.stamp(self._clock())
        while self._kept:
            rounds = [self._kept.popleft() for _ in range(min(LATE_AT_ONCE, len(self._kept)))]
            for device in sorted(self._born):
                late = [found.of(device, late=True) for found in rounds if device in found.values]
                if late:
                    self._send([self.encoder.data(device, now, late)])
            self.report.sequences.extend(found.number for found in rounds)

    def _publish(self, number: int, messages: list[Message]) -> None:
        if number not in self.report.sequences[-1:]:  # a silent node that is born again repeats its last
            self.report.sequences.append(number)
        self._send(messages)

    def _send(self, messages: Iterable[Message]) -> None:
        assert self._link is not None, f"{self.name} is not started"
        for topic, payload in messages:
            self.report.messages += 1
            self._link.publish_now(topic, payload)

    def _release(self) -> None:
        if self._held is not None:
            (number, messages), self._held = self._held, None
            self._publish(number, messages)
