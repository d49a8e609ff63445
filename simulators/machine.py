"""A filling machine that speaks OPC UA: states, counters, a chamber, status codes and a memory of its own."""

import asyncio
import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from asyncua import Server, ua

from simulators.faults import Fault, FaultKind, Faults, Measured
from simulators.guard import refuse_unmarked
from simulators.history import MachineMemory
from simulators.packml import WORDS, Command, IllegalCommand, State, after, way
from simulators.physics import RoomSpec, SensorSpec
from simulators.rooms import ColdRoom
from simulators.sensors import Clock, Report, real_time
from simulators.tasks import end

NAMESPACE = "urn:lotwise:simulators:filling"
CHAMBER = RoomSpec(
    air_capacity=60_000, wall=15, door=80, cooling=900, setpoint=18, start=18, hysteresis=0.6, product_kg=20
)
"""The machine's own chamber: small, quick, kept at 18 °C."""


@dataclass(frozen=True)
class Variable:
    """One node of the machine: its OPC UA type, the quantity of its point, and its UCUM unit."""

    kind: str
    quantity: str
    unit: str = ""


VARIABLES: dict[str, Variable] = {
    "State": Variable("Int32", "state"),
    "StateText": Variable("String", "state_text"),
    "Good": Variable("UInt32", "good"),
    "Reject": Variable("UInt32", "reject"),
    "ChamberTemperature": Variable("Double", "chamber_temperature", "Cel"),
    "Speed": Variable("Double", "speed", "/min"),
    "Sequence": Variable("Int64", "sequence"),
}
"""What it publishes, with history. `Command` (Int32) beside these is writable."""


class FillingMachine:
    """One machine with its OPC UA server at opc.tcp://host:port/lotwise/.

    Nodes are `ns=2;s=<name>.<Variable>`. Each tick gives every variable a new source time; `Sequence` counts ticks.
    The machine lives from `start` to `stop`; `disconnect`/`connect` take only its server down and up again on
    the same port: meanwhile it goes on and remembers, so that a client can backfill. Needs LOTWISE_INSTANCE=test.
    """

    def __init__(
        self,
        name: str,
        zone: str,
        *,
        port: int,
        host: str = "127.0.0.1",
        interval: float = 1.0,
        bottles_per_minute: float = 120.0,
        reject_rate: float = 0.01,
        speed_up: float = 1.0,
        seed: int = 0,
        clock: Clock = real_time,
    ) -> None:
        self.name = name
        self.zone = zone
        self.endpoint = f"opc.tcp://{host}:{port}/lotwise/"
        self.interval = interval
        self.speed = bottles_per_minute
        self.reject_rate = reject_rate
        self.chamber = ColdRoom(zone, CHAMBER, speed_up=speed_up, seed=seed)
        self.memory = MachineMemory()
        self.faults = Faults()
        self.report = Report(name, "opcua")
        self.state = State.IDLE
        self.good = 0
        self.reject = 0
        self._probe = self.chamber.probe(name, SensorSpec(noise=0.05, lag=10))
        self._speed_up = speed_up
        self._clock = clock
        self._random = random.Random(f"{seed}:{name}:reject")  # noqa: S311 - which bottle fails, not a secret
        self._due_bottles = 0.0
        self._status: dict[str, int] = {}
        self._count = 0
        self._last: dict[str, ua.DataValue] = {}
        self._silent = False
        self._server: Server | None = None
        self.task: asyncio.Task[None] | None = None

    def node(self, variable: str) -> ua.NodeId:
        """Node id of a variable."""
        return ua.NodeId(f"{self.name}.{variable}", 2)

    async def start(self) -> None:
        """Starts machine and server. Raises LiveInstance; OSError if the port is taken."""
        refuse_unmarked(os.environ.get("LOTWISE_INSTANCE"))
        await self.chamber.start()
        await self.tick()
        await self.connect()
        self.task = asyncio.create_task(self._run(), name=f"machine {self.name}")

    async def stop(self) -> None:
        """Stops machine and server."""
        task, self.task = self.task, None
        try:
            await end(task)
        finally:
            await self.disconnect()
            await self.chamber.stop()

    async def connect(self) -> None:
        """Brings the server up; nothing happens if it is."""
        if self._server is not None:
            return
        server = Server()
        await server.init()
        server.set_endpoint(self.endpoint)
        server.set_server_name(f"Lotwise simulated filling machine {self.name}")
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        server.iserver.history_manager.set_storage(self.memory)
        index = await server.register_namespace(NAMESPACE)
        folder = await server.nodes.objects.add_object(ua.NodeId(self.name, index), f"{index}:{self.name}")
        for name, variable in VARIABLES.items():
            empty = ua.Variant("" if variable.kind == "String" else 0, ua.VariantType[variable.kind])
            node = await folder.add_variable(self.node(name), f"{index}:{name}", empty)
            await node.write_attribute(ua.AttributeIds.Historizing, ua.DataValue(True))
            await node.set_attr_bit(ua.AttributeIds.AccessLevel, ua.AccessLevel.HistoryRead)
            await node.set_attr_bit(ua.AttributeIds.UserAccessLevel, ua.AccessLevel.HistoryRead)
        command = await folder.add_variable(
            self.node("Command"), f"{index}:Command", ua.Variant(0, ua.VariantType.Int32)
        )
        await command.set_writable()
        for order in Command:
            method = ua.NodeId(f"{self.name}.{order.name.title()}", index)
            await folder.add_method(method, f"{index}:{order.name.title()}", self._method(order), [], [])
        await self._write_all(server, self._last)
        await server.start()
        self._server = server

    async def disconnect(self) -> None:
        """Takes the server down; the machine itself goes on and remembers."""
        if self._server is not None:
            server, self._server = self._server, None
            await server.stop()

    def command(self, order: Command) -> None:
        """Gives the machine an order. Raises IllegalCommand."""
        self.state = after(self.state, order)

    def bring_to(self, state: State) -> None:
        """Gives the orders that lead to a state, one after another."""
        for order in way(self.state, state):
            self.command(order)

    def set_status(self, variable: str, status: str | None) -> None:
        """From now on the variable has this OPC UA status (such as `BadSensorFailure`), or with None a good one.

        Raises ValueError for an unknown variable or status.
        """
        code = None if status is None else getattr(ua.StatusCodes, status, None)
        if variable not in VARIABLES or (status is not None and code is None):
            raise ValueError(f"{self.name} has no variable {variable!r}, or OPC UA no status {status!r}")
        if code is None:
            self._status.pop(variable, None)
        else:
            self._status[variable] = code

    def silence(self) -> None:
        """No new values from now on; the server stays up."""
        self._silent = True

    def resume(self) -> None:
        """New values again."""
        self._silent = False

    async def fault(self, fault: Fault) -> None:
        """The fault acts from now on."""
        self.faults.begin(fault)
        if fault.kind is FaultKind.DISCONNECT:
            await self.disconnect()

    async def clear(self, kind: FaultKind) -> None:
        """The fault is over."""
        self.faults.end(kind)
        if kind is FaultKind.DISCONNECT:
            await self.connect()

    def _method(self, order: Command) -> Callable[..., object]:
        async def call(_parent: ua.NodeId, *_arguments: object) -> object:
            try:
                self.command(order)
            except IllegalCommand:
                return ua.StatusCode(ua.StatusCodes.BadInvalidState)
            return []

        return call

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            await self._obey()
            self._produce(self.interval * self._speed_up)
            if not self._silent:
                await self.tick()
            due += self.interval
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def _obey(self) -> None:
        """Takes an order a client wrote to `Command`; one that cannot be is answered with minus its number."""
        if self._server is None:
            return
        node = self._server.get_node(self.node("Command"))
        written = await node.read_value()
        if not isinstance(written, int) or written <= 0:
            return
        try:
            self.command(Command(written))
            answer = 0
        except (IllegalCommand, ValueError):
            answer = -written
        await node.write_value(ua.Variant(answer, ua.VariantType.Int32))

    def _produce(self, seconds: float) -> None:
        if self.state is not State.EXECUTE:
            return
        self._due_bottles += self.speed * seconds / 60
        while self._due_bottles >= 1:
            self._due_bottles -= 1
            if self._random.random() < self.reject_rate:
                self.reject += 1
            else:
                self.good += 1

    def _values(self) -> dict[str, ua.DataValue]:
        """Every variable now, as the faults leave it."""
        truth = {
            "State": Measured(int(self.state)),
            "StateText": Measured(WORDS[self.state]),
            "Good": Measured(self.good),
            "Reject": Measured(self.reject),
            "ChamberTemperature": Measured(self._probe(), "Cel"),
            "Speed": Measured(self.speed if self.state is State.EXECUTE else 0.0, "/min"),
        }
        told = truth | self.faults.distort({"ChamberTemperature": truth["ChamberTemperature"]})
        told["Sequence"] = Measured(self._count)
        now = self._clock()
        stamp = self.faults.stamp(now)
        return {name: self._data_value(name, measured, stamp, now) for name, measured in told.items()}

    def _data_value(self, name: str, measured: Measured, stamp: datetime, now: datetime) -> ua.DataValue:
        status = self._status.get(name, ua.StatusCodes.Good)
        if name == "ChamberTemperature" and self.faults.has(FaultKind.GARBAGE):
            status = ua.StatusCodes.BadSensorFailure
        return ua.DataValue(
            Value=ua.Variant(measured.value, ua.VariantType[VARIABLES[name].kind]),
            StatusCode=ua.StatusCode(status),
            SourceTimestamp=stamp,
            ServerTimestamp=now,
        )

    async def tick(self) -> None:
        """Takes one reading of everything, remembers it and serves it."""
        self._count += 1
        self.report.readings += 1
        if self.faults.has(FaultKind.DROP_OUT):
            self.report.lost.append(self._count)
            return
        values = self._last = self._values()
        self.report.sequences.append(self._count)
        self.report.messages += len(values)
        for name, value in values.items():
            self.memory.remember(self.node(name), value)
        if self._server is not None:
            await self._write_all(self._server, values)

    async def _write_all(self, server: Server, values: dict[str, ua.DataValue]) -> None:
        for name, value in values.items():
            await server.write_attribute_value(self.node(name), value)
