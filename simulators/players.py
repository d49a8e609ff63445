"""The devices that replay a recording: each protocol's way to tell a line."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Literal

from asyncua import ua

from simulators.controller import ColdRoomController
from simulators.dialects import DIALECTS, Identity, Sample
from simulators.faults import Measured
from simulators.link import Broker, MqttLink
from simulators.opcua import SimulatedServer, Variable
from simulators.recordings import Recorded
from simulators.rooms import ColdRoom
from simulators.sensors import Clock, Report
from simulators.unit import PROBES

Protocol = Literal["mqtt", "opcua", "modbus"]
WAITING_MAX = 1_000
VARIABLES = {"Temperature": Variable("Double", "temperature", "Cel"), "Sequence": Variable("Int64", "sequence")}


@dataclass(frozen=True)
class Device:
    """Who replays: its name and zone, and where it is reached."""

    name: str
    zone: str
    broker: Broker = field(default_factory=Broker)
    host: str = "127.0.0.1"
    port: int = 4840


class Player(ABC):
    """One protocol's way to tell a line."""

    def __init__(self, device: Device, report: Report, clock: Clock) -> None:
        self.device = device
        self.report = report
        self.clock = clock

    @property
    def read(self) -> bool:
        """Whether anybody would hear it; who speaks to a broker need not ask."""
        return True

    @abstractmethod
    async def open(self) -> None:
        """Connects, or begins to serve."""

    @abstractmethod
    async def play(self, number: int, line: Recorded) -> None:
        """Tells one line."""

    @abstractmethod
    async def close(self) -> None:
        """Ends it, with everything told."""


class _Mqtt(Player):
    """Plain JSON with the recorded time, acknowledged by the broker."""

    async def open(self) -> None:
        self.link = MqttLink(self.device.broker, f"replay-{self.device.name}")
        self.who = Identity(self.device.name, self.device.zone)
        await self.link.connect()

    async def play(self, number: int, line: Recorded) -> None:
        value = Measured(line.value, line.unit)
        for topic, payload in DIALECTS["json"].messages(self.who, Sample(line.at, {"temperature": value}, number)):
            self.link.publish(topic, payload, on_ack=lambda: self.report.acknowledged.add(number))
        if self.link.settle() >= WAITING_MAX:
            await self.link.drain(30.0)

    async def close(self) -> None:
        await self.link.drain(30.0)
        await self.link.close()


class _OpcUa(Player):
    """A variable whose source time is the recorded one, with history."""

    @property
    def read(self) -> bool:
        return self.server.subscribed

    async def open(self) -> None:
        self.server = SimulatedServer(self.device.name, VARIABLES, port=self.device.port, host=self.device.host)
        await self.server.connect()

    async def play(self, number: int, line: Recorded) -> None:
        now = self.clock()
        status = ua.StatusCodes.BadNoData if line.value is None else ua.StatusCodes.Good
        value = self.server.value("Temperature", line.value or 0.0, at=line.at, now=now, status=status)
        sequence = self.server.value("Sequence", number, at=line.at, now=now)
        await self.server.publish({"Temperature": value, "Sequence": sequence})

    async def close(self) -> None:
        await self.server.close()


class _Modbus(Player):
    """The cold-room controller, whose eight probes all show the recorded value, and before the first none."""

    @property
    def read(self) -> bool:
        return self.controller.units[1].report.messages > 0

    async def open(self) -> None:
        self.controller = ColdRoomController(
            self.device.name, ColdRoom(self.device.zone), port=self.device.port, host=self.device.host
        )
        self.controller.units[1].probes = [lambda: self.shown] * PROBES
        self.controller.units[1].broken = set(range(PROBES))
        self.shown = 0.0
        await self.controller.start()

    async def play(self, number: int, line: Recorded) -> None:
        del number
        unit = self.controller.units[1]
        unit.broken = set(range(PROBES)) if line.value is None else set()
        self.shown = line.value or 0.0

    async def close(self) -> None:
        await self.controller.stop()


LINGER = {"mqtt": 0.0, "opcua": 2.0, "modbus": 2.0}
"""Seconds a server stays up after the last line, so that it can be read."""
PLAYERS: dict[str, type[Player]] = {"mqtt": _Mqtt, "opcua": _OpcUa, "modbus": _Modbus}
"""Who plays a protocol."""
