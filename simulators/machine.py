"""A filling machine that speaks OPC UA: states, counters, a chamber, status codes and a memory of its own."""

import asyncio
import math
import os
import random
from collections.abc import Awaitable, Callable

from asyncua import ua

from simulators.faults import Fault, FaultKind, Faults, Measured
from simulators.guard import refuse_unmarked
from simulators.opcua import SimulatedServer, Variable
from simulators.opcua_security import Guarded
from simulators.packml import WORDS, Command, IllegalCommand, State, after, way
from simulators.physics import RoomSpec, SensorSpec
from simulators.rooms import ColdRoom
from simulators.sensors import Clock, Report, real_time
from simulators.tasks import end

CHAMBER = RoomSpec(
    air_capacity=60_000, wall=15, door=80, cooling=900, setpoint=18, start=18, hysteresis=0.6, product_kg=20
)
"""The machine's own chamber: small, quick, kept at 18 °C."""
VARIABLES: dict[str, Variable] = {
    "State": Variable("Int32", "state"),
    "StateText": Variable("String", "state_text"),
    "Good": Variable("UInt32", "good"),
    "Reject": Variable("UInt32", "reject"),
    "ChamberTemperature": Variable("Double", "chamber_temperature", "Cel"),
    "Speed": Variable("Double", "speed", "/min"),
    "Sequence": Variable("Int64", "sequence"),
}
"""What it publishes, with history."""


class FillingMachine:
    """One machine with its OPC UA server at opc.tcp://host:port/lotwise/.

    Nodes are `ns=2;s=<name>.<Variable>`. Each tick gives every variable a new source time; `Sequence` counts ticks
    from 1. The machine lives from `start` to `stop`; `disconnect`/`connect` take only its server down and up again on
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
        guarded: Guarded | None = None,
        clock: Clock = real_time,
    ) -> None:
        self.name = name
        self.zone = zone
        self.interval = interval
        self.speed = bottles_per_minute
        self.reject_rate = reject_rate
        self.chamber = ColdRoom(zone, CHAMBER, speed_up=speed_up, seed=seed)
        methods = {order.name.title(): self._method(order) for order in Command}
        self.server = SimulatedServer(name, VARIABLES, port=port, host=host, methods=methods, guarded=guarded)
        self.faults = Faults()
        self.report = Report(name, "opcua")
        self.state = State.IDLE
        self.good = 0
        self.reject = 0
        self.task: asyncio.Task[None] | None = None
        self._probe = self.chamber.probe(name, SensorSpec(noise=0.05, lag=10))
        self._speed_up = speed_up
        self._clock = clock
        self._random = random.Random(f"{seed}:{name}:reject")  # noqa: S311 - which bottle fails, not a secret
        self._due_bottles = 0.0
        self._status: dict[str, int] = {}
        self._count = 0
        self._held: tuple[int, dict[str, ua.DataValue]] | None = None
        self._silent = False

    @property
    def endpoint(self) -> str:
        """URL of its server."""
        return self.server.endpoint

    @property
    def silent(self) -> bool:
        """Whether it was told to be."""
        return self._silent

    def node(self, variable: str) -> ua.NodeId:
        """Node id of a variable."""
        return self.server.node(variable)

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
            await self._release()
        finally:
            await self.server.close()
            await self.chamber.stop()

    async def connect(self) -> None:
        """Brings the server up; nothing happens if it is."""
        await self.server.connect()

    async def disconnect(self) -> None:
        """Takes the server down; the machine itself goes on and remembers."""
        await self.server.disconnect()

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
        if kind is FaultKind.OUT_OF_ORDER:
            await self._release()

    def _method(self, order: Command) -> Callable[..., Awaitable[object]]:
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
            await self._execute_commands()
            self._produce(self.interval * self._speed_up)
            if not self._silent:
                await self.tick()
            due += self.interval
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def _execute_commands(self) -> None:
        """Takes an order a client wrote to `Command`; one that cannot be is answered with minus its number."""
        written = await self.server.take_command()
        if not written:
            return
        try:
            self.command(Command(written))
            answer = 0
        except (IllegalCommand, ValueError):
            answer = -written
        await self.server.answer_command(answer)

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
        values = {
            "State": int(self.state),
            "StateText": WORDS[self.state],
            "Good": self.good,
            "Reject": self.reject,
            "Speed": self.speed if self.state is State.EXECUTE else 0.0,
            "Sequence": self._count,
        }
        chamber = self.faults.distort({"chamber": Measured(self._probe(), "Cel")})["chamber"].value
        if self.faults.has(FaultKind.GARBAGE) and self._count % 2:
            chamber = math.nan
        now = self._clock()
        stamp = self.faults.stamp(now)
        return {
            name: self.server.value(name, value, at=stamp, now=now, status=self._status_of(name))
            for name, value in {**values, "ChamberTemperature": chamber}.items()
        }

    def _status_of(self, name: str) -> int:
        if name == "ChamberTemperature" and self.faults.has(FaultKind.GARBAGE) and not self._count % 2:
            return int(ua.StatusCodes.BadSensorFailure)
        return self._status.get(name, int(ua.StatusCodes.Good))

    async def tick(self) -> None:
        """Takes one reading of everything, remembers it and serves it."""
        self._count += 1
        self.report.readings += 1
        if self.faults.has(FaultKind.DROP_OUT):
            self.report.lost.append(self._count)
            return
        values = self._values()
        if self.faults.has(FaultKind.OUT_OF_ORDER) and self._held is None:
            self._held = (self._count, values)
            return
        await self._publish(self._count, values)
        await self._release()

    async def _publish(self, number: int, values: dict[str, ua.DataValue]) -> None:
        self.report.sequences.append(number)
        self.report.messages += len(values)
        await self.server.publish(values)

    async def _release(self) -> None:
        if self._held is not None:
            held, self._held = self._held, None
            await self._publish(*held)
