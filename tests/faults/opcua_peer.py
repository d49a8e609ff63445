"""A real OPC UA server to test against, and a keeper that remembers."""

import asyncio
import contextlib
import pickle
from collections import UserDict
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from asyncua import Server, ua
from asyncua.server.internal_server import InternalServer

from core.telemetry.batch import Gap
from core.telemetry.reading import Reading
from edge.collectors.opcua import OpcUaCollector
from edge.collectors.opcua_config import OpcUaSource
from edge.tasks import end

NAMESPACE = "urn:test:machine"
ZONE = "plant/hall/cell"


class Memory:
    """A keeper in memory."""

    def __init__(self) -> None:
        self.readings: list[Reading] = []
        self.gaps: list[Gap] = []
        self.notes: dict[str, str] = {}
        self.set_aside: list[tuple[str, bytes, str]] = []

    async def keep(self, readings: Sequence[Reading]) -> None:
        self.readings += readings

    async def gap(self, gap: Gap) -> None:
        self.gaps.append(gap)

    async def aside(self, origin: str, payload: bytes, reason: str) -> None:
        self.set_aside.append((origin, payload, reason))

    async def save_state(self, key: str, value: str) -> None:
        self.notes[key] = value

    async def load_state(self, key: str) -> str | None:
        return self.notes.get(key)

    def of(self, quantity: str) -> list[Reading]:
        return [reading for reading in self.readings if reading.point.endswith(f"/{quantity}")]

    def values(self, quantity: str) -> list[object]:
        return [reading.value for reading in self.of(quantity)]


class _Nodes(UserDict[ua.NodeId, Any]):
    """The standard address space, copied node by node as it is touched."""

    def __init__(self, frozen: dict[ua.NodeId, bytes]) -> None:
        super().__init__()
        self._frozen = frozen

    def __missing__(self, key: ua.NodeId) -> Any:
        if key not in self._frozen:
            raise KeyError(key)
        node = self.data[key] = pickle.loads(self._frozen[key])
        return node

    def __contains__(self, key: object) -> bool:
        return key in self.data or key in self._frozen


class QuickServer(InternalServer):  # type: ignore[misc] # asyncua publishes no types
    """asyncua's server, which builds its standard address space (seconds of work) once a process, not once a server."""

    _frozen: ClassVar[dict[ua.NodeId, bytes]] = {}

    async def load_standard_address_space(self, shelf_file: Path | None = None) -> None:
        if not self._frozen:
            await super().load_standard_address_space(shelf_file)
            self._frozen.update({key: pickle.dumps(node) for key, node in self.aspace._nodes.items()})
        self.aspace._nodes = _Nodes(self._frozen)


class Machine:
    """An asyncua server with some variables."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.server = Server(QuickServer())
        self.nodes: dict[str, Any] = {}

    @property
    def endpoint(self) -> str:
        return f"opc.tcp://127.0.0.1:{self.port}"

    async def start(self, variables: dict[str, object], *, history: Any = None, numbered: bool = False) -> None:
        await self.server.init()
        self.server.set_endpoint(self.endpoint)
        index = await self.server.register_namespace(NAMESPACE)
        if history is not None:
            self.server.iserver.history_manager.set_storage(history)
            await history.init()
        for number, (name, value) in enumerate(variables.items(), start=1000):
            # asyncua's SQLite history makes table names of identifiers and refuses those of text.
            node_id = ua.NodeId(number if numbered else name, index)
            self.nodes[name] = await self.server.nodes.objects.add_variable(node_id, name, value)
        await self.server.start()

    async def historize(self, *names: str) -> None:
        for name in names:
            await self.server.historize_node_data_change(self.nodes[name])

    async def write(self, name: str, value: object, at: datetime | None = None, status: int = 0) -> None:
        kind = None
        if isinstance(value, int) and not isinstance(value, bool):
            kind = ua.VariantType.Int64
        await self.nodes[name].write_value(
            ua.DataValue(
                ua.Variant(value, kind), StatusCode=ua.StatusCode(status), SourceTimestamp=at or datetime.now(UTC)
            )
        )


@contextlib.asynccontextmanager
async def machine(port: int, variables: dict[str, object], **options: Any) -> AsyncIterator[Machine]:
    made = Machine(port)
    await made.start(variables, **options)
    try:
        yield made
    finally:
        await made.server.stop()


def source(machine_: Machine | str, *names: str, **changes: Any) -> OpcUaSource:
    endpoint = machine_ if isinstance(machine_, str) else machine_.endpoint
    nodes = changes.pop("nodes", None) or [
        {"node": f"nsu={NAMESPACE};s={name}", "point": f"{ZONE}/machine/{name}", "sampling": 0.05} for name in names
    ]
    fields: dict[str, Any] = {
        "name": "machine",
        "protocol": "opcua",
        "endpoint": endpoint,
        "publishing": 0.05,
        "timeout": 2,
        "longest_silence": 60,
        "nodes": nodes,
    }
    return OpcUaSource.model_validate(fields | changes)


async def until(condition: Callable[[], object], seconds: float = 8.0) -> None:
    """Waits for a condition; fails by AssertionError."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not condition():
        assert loop.time() < end, "waited in vain"
        await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def running(collector: OpcUaCollector, keeper: Memory) -> AsyncIterator[asyncio.Task[None]]:
    """Runs a collector once; what it raises is in the task."""
    task = asyncio.create_task(collector.run(keeper))
    try:
        yield task
    finally:
        await end([task])
