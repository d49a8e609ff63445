"""A load of many MQTT sensors at a steady rate, which knows what the broker has acknowledged."""

import asyncio
import os
import random
import time
from dataclasses import dataclass, field

from simulators.dialects import DIALECTS, Identity, Sample
from simulators.faults import Measured
from simulators.guard import refuse_unmarked
from simulators.link import Broker, MqttLink
from simulators.sensors import Clock, real_time
from simulators.tasks import end

TICK_S = 0.01
WAITING_MAX = 5_000
"""Messages in flight at which the load waits for the broker instead of piling up more."""


def load_filter(zone: str, prefix: str) -> str:
    """Topic filter of a load's sensors; the last level is the sensor's name."""
    return f"load/{zone}/{prefix}/{{name}}"


@dataclass
class LoadReport:
    """What was sent and acknowledged. Sequences run from 1 to `last` for each sensor, without holes."""

    published: int = 0
    acknowledged: int = 0
    seconds: float = 0.0
    last: dict[str, int] = field(default_factory=dict)
    unacknowledged: dict[str, set[int]] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether the broker has acknowledged every message."""
        return self.published == self.acknowledged


class MqttLoad:
    """`sensors` sensors, together `rate` messages a second at QoS 1, over a few connections.

    Sensors are named `<prefix>-001` and so on, in one zone, speak plain JSON and tell their sequence. Needs
    LOTWISE_INSTANCE=test.
    """

    def __init__(
        self,
        zone: str,
        *,
        broker: Broker,
        rate: float,
        sensors: int = 10,
        connections: int = 2,
        prefix: str = "load",
        mean: float = 5.0,
        seed: int = 0,
        clock: Clock = real_time,
    ) -> None:
        if rate <= 0 or sensors <= 0 or connections <= 0:
            raise ValueError("a load needs a rate, sensors and connections above zero")
        self.zone = zone
        self.rate = rate
        self.dialect = DIALECTS["json"]
        self.who = [Identity(f"{prefix}-{n:03d}", zone, load_filter(zone, prefix)) for n in range(1, sensors + 1)]
        self.report = LoadReport(
            last={who.name: 0 for who in self.who}, unacknowledged={who.name: set() for who in self.who}
        )
        self._mean = mean
        self._clock = clock
        self._random = random.Random(f"{seed}:{prefix}")  # noqa: S311 - measurement noise, not a secret
        self._links = [MqttLink(broker, f"sim-{prefix}-{os.getpid()}-{n}") for n in range(connections)]
        self.task: asyncio.Task[None] | None = None
        self._begun = 0.0

    async def start(self) -> None:
        """Connects and begins. Raises BrokerUnreachable, LiveInstance."""
        refuse_unmarked(os.environ.get("LOTWISE_INSTANCE"))
        for link in self._links:
            await link.connect()
        self._begun = time.monotonic()
        self.task = asyncio.create_task(self._run(), name="load")

    async def stop(self, drain: float = 30.0) -> LoadReport:
        """Stops sending, waits so many seconds for the acknowledgements, disconnects, and tells what became of it."""
        task, self.task = self.task, None
        if task is not None:
            self.report.seconds = time.monotonic() - self._begun
        try:
            await end(task)
        finally:
            for link in self._links:
                await link.drain(drain)
                await link.close()
        return self.report

    async def send(self, count: int) -> None:
        """Sends so many messages as fast as the broker acknowledges, apart from the steady rate."""
        for _ in range(count):
            self._one()
            await self._wait_for_room()

    async def _run(self) -> None:
        sent = 0
        while True:
            due = int((time.monotonic() - self._begun) * self.rate)
            for _ in range(min(due - sent, WAITING_MAX)):
                self._one()
                sent += 1
            await self._wait_for_room()
            await asyncio.sleep(TICK_S)

    async def _wait_for_room(self) -> None:
        # acknowledgements come from paho's thread; an event for each would cost more than looking
        while sum(link.settle() for link in self._links) >= WAITING_MAX:  # noqa: ASYNC110 - the library tells of progress by no event
            await asyncio.sleep(TICK_S)

    def _one(self) -> None:
        """The next sensor's next reading."""
        number = self.report.published
        self.report.published += 1
        who = self.who[number % len(self.who)]
        link = self._links[number % len(self.who) % len(self._links)]
        sequence = self.report.last[who.name] = self.report.last[who.name] + 1
        waiting = self.report.unacknowledged[who.name]
        waiting.add(sequence)

        def acknowledged() -> None:
            self.report.acknowledged += 1
            waiting.discard(sequence)

        value = Measured(round(self._random.gauss(self._mean, 0.2), 2), "Cel")
        messages = self.dialect.messages(who, Sample(self._clock(), {"temperature": value}, sequence))
        for topic, payload in messages[:-1]:
            link.publish(topic, payload)
        link.publish(*messages[-1], on_ack=acknowledged)
