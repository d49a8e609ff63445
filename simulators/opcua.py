"""An OPC UA server of simulated variables that can be taken down and brought up again, with a memory that stays."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from asyncua import Server, ua
from asyncua.common.callback import CallbackType

from simulators.history import MachineMemory
from simulators.opcua_security import Guarded, guard

NAMESPACE = "urn:lotwise:simulators"
Method = Callable[..., Awaitable[object]]


@dataclass(frozen=True)
class Variable:
    """One node: its OPC UA type, the quantity of its point, and its UCUM unit."""

    kind: str
    quantity: str
    unit: str = ""


class SimulatedServer:
    """One folder of variables, served at opc.tcp://host:port/lotwise/ as `ns=2;s=<folder>.<Variable>`.

    Every variable has a history of all that was ever published, also while the server was down. Beside them stand
    the methods given, and `Command` (Int32, writable). It lets in whom `guarded` says: everybody unless given.
    """

    def __init__(
        self,
        folder: str,
        variables: Mapping[str, Variable],
        *,
        port: int,
        host: str = "127.0.0.1",
        methods: Mapping[str, Method] | None = None,
        guarded: Guarded | None = None,
    ) -> None:
        self.folder = folder
        self.variables = dict(variables)
        self.endpoint = f"opc.tcp://{host}:{port}/lotwise/"
        self.memory = MachineMemory()
        self._host = host
        self._guarded = guarded or Guarded()
        self._methods = dict(methods or {})
        self._last: dict[str, ua.DataValue] = {}
        self.up = False
        """Whether it serves now."""
        self.subscribed = False
        """Whether a client has ever subscribed to a variable."""
        self._server: Server | None = None

    def node(self, variable: str) -> ua.NodeId:
        """Node id of a variable."""
        return ua.NodeId(f"{self.folder}.{variable}", 2)

    def value(
        self, variable: str, value: object, *, at: datetime, now: datetime, status: int = ua.StatusCodes.Good
    ) -> ua.DataValue:
        """A value of a variable with its status, source time and server time."""
        return ua.DataValue(
            Value=ua.Variant(value, ua.VariantType[self.variables[variable].kind]),
            StatusCode=ua.StatusCode(status),
            SourceTimestamp=at,
            ServerTimestamp=now,
        )

    async def connect(self) -> None:
        """Brings the server up, with the values published last; nothing happens if it is. Raises OSError."""
        if self._server is None:
            server = await self._build()
            await server.start()
            self._server = server
        elif not self.up:
            await self._server.bserver.start()
        self.up = True

    async def disconnect(self) -> None:
        """Takes the server down: its port and every session. The memory stays, and `connect` is quick."""
        if self._server is not None and self.up:
            self.up = False
            await self._server.bserver.stop()

    async def close(self) -> None:
        """Takes the server down for good; the memory stays."""
        if self._server is not None:
            server, self._server, self.up = self._server, None, False
            await server.stop()

    async def _build(self) -> Server:
        server = Server(user_manager=self._guarded.user_manager())
        await server.init()
        server.set_endpoint(self.endpoint)
        server.set_server_name(f"Lotwise simulated {self.folder}")
        await guard(server, self.folder, self._host, self._guarded)
        server.iserver.history_manager.set_storage(self.memory)
        server.subscribe_server_callback(CallbackType.ItemSubscriptionCreated, self._on_subscription)
        index = await server.register_namespace(NAMESPACE)
        folder = await server.nodes.objects.add_object(ua.NodeId(self.folder, index), f"{index}:{self.folder}")
        for name, variable in self.variables.items():
            empty = ua.Variant("" if variable.kind == "String" else 0, ua.VariantType[variable.kind])
            node = await folder.add_variable(self.node(name), f"{index}:{name}", empty)
            await node.write_attribute(ua.AttributeIds.Historizing, ua.DataValue(True))
            await node.set_attr_bit(ua.AttributeIds.AccessLevel, ua.AccessLevel.HistoryRead)
            await node.set_attr_bit(ua.AttributeIds.UserAccessLevel, ua.AccessLevel.HistoryRead)
        command = await folder.add_variable(
            self.node("Command"), f"{index}:Command", ua.Variant(0, ua.VariantType.Int32)
        )
        await command.set_writable()
        for name, method in self._methods.items():
            await folder.add_method(ua.NodeId(f"{self.folder}.{name}", index), f"{index}:{name}", method, [], [])
        for name in self.variables.keys() - self._last.keys():
            nothing = ua.DataValue(StatusCode=ua.StatusCode(ua.StatusCodes.BadWaitingForInitialData))
            await server.write_attribute_value(self.node(name), nothing)
        await self._write(server, self._last)
        return server

    def _on_subscription(self, _event: object, _service: object) -> None:
        self.subscribed = True

    async def publish(self, values: Mapping[str, ua.DataValue]) -> None:
        """Remembers the values, and shows them to whoever is connected."""
        self._last |= values
        for name, value in values.items():
            self.memory.remember(self.node(name), value)
        if self._server is not None:
            await self._write(self._server, values)

    async def take_command(self) -> int:
        """What a client has written to `Command`; 0 if nothing, or the server is down."""
        if self._server is None or not self.up:
            return 0
        written = await self._server.get_node(self.node("Command")).read_value()
        return written if isinstance(written, int) and written > 0 else 0

    async def answer_command(self, answer: int) -> None:
        """Puts an answer into `Command`: 0 for done, minus the number for refused."""
        if self._server is not None:
            await self._server.get_node(self.node("Command")).write_value(ua.Variant(answer, ua.VariantType.Int32))

    async def _write(self, server: Server, values: Mapping[str, ua.DataValue]) -> None:
        for name, value in values.items():
            await server.write_attribute_value(self.node(name), value)
