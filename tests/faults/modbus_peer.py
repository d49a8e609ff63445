"""Modbus devices to test against: pymodbus's server, a hostile one of our own, a keeper that remembers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from pymodbus.framer import FramerType
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from core.telemetry.batch import Gap
from core.telemetry.reading import Reading
from edge.collectors.modbus import ModbusCollector
from edge.collectors.modbus_config import ModbusSource
from edge.collectors.port import SpoolFull
from edge.tasks import end

PREFIX = "plant/hall/cold-room"


class Memory:
    """A keeper in memory; refuses while `full`."""

    def __init__(self) -> None:
        self.readings: list[Reading] = []
        self.gaps: list[Gap] = []
        self.notes: dict[str, str] = {}
        self.full = False

    async def keep(self, readings: Sequence[Reading]) -> None:
        if self.full:
            raise SpoolFull
        self.readings += readings

    async def gap(self, gap: Gap) -> None:
        self.gaps.append(gap)

    async def aside(self, origin: str, payload: bytes, reason: str) -> None:
        raise AssertionError((origin, payload, reason))

    async def save_state(self, key: str, value: str) -> None:
        self.notes[key] = value

    async def load_state(self, key: str) -> str | None:
        return self.notes.get(key)

    def of(self, name: str) -> list[Reading]:
        return [reading for reading in self.readings if reading.point == f"{PREFIX}/{name}"]

    def reasons(self, name: str) -> list[str]:
        return [reading.reason for reading in self.of(name)]

    def values(self, name: str) -> list[object]:
        return [reading.value for reading in self.of(name)]


def registers(address: int, *values: int) -> SimData:
    return SimData(address, values=list(values), datatype=DataType.REGISTERS)


def bits(address: int, *values: bool) -> SimData:
    return SimData(address, values=list(values), datatype=DataType.BITS)


def device(number: int, *holding: SimData, inputs: Sequence[SimData] = (), coils: Sequence[SimData] = ()) -> SimDevice:
    """A device with four separate tables."""
    spare = registers(60_000, 0)
    return SimDevice(
        number, (list(coils) or [bits(0, False)], [bits(0, True)], list(holding) or [spare], list(inputs) or [spare])
    )


@contextlib.asynccontextmanager
async def plc(
    port: int, *devices: SimDevice, framer: FramerType = FramerType.SOCKET, dead: frozenset[int] = frozenset()
) -> AsyncIterator[ModbusTcpServer]:
    """pymodbus's server; nothing comes back from `dead` units."""

    def swallow(sending: bool, data: bytes) -> bytes:
        return b"" if sending and data[0 if framer is FramerType.RTU else 6] in dead else data

    server = ModbusTcpServer(list(devices), framer=framer, address=("127.0.0.1", port), trace_packet=swallow)
    await server.serve_forever(background=True)
    try:
        yield server
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call] # pymodbus leaves it untyped


Answer = Callable[[bytes], bytes | None]
"""From a request (MBAP and PDU) to the bytes to answer, or None for silence."""


@contextlib.asynccontextmanager
async def hostile(answer: Answer) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A TCP server that answers as told. Yields its port and the requests it has seen; an empty answer hangs up."""
    seen: list[bytes] = []
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readexactly(6)
                request = head + await reader.readexactly(int.from_bytes(head[4:6], "big"))
                seen.append(request)
                reply = answer(request)
                if reply == b"":
                    break
                if reply is not None:
                    writer.write(reply)
                    await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], seen
    finally:
        server.close()
        for writer in writers:
            writer.close()
        await server.wait_closed()
        await asyncio.sleep(0)


def asked(request: bytes) -> tuple[int, int, int, int]:
    """Unit, function, address and count of a read request."""
    return request[6], request[7], int.from_bytes(request[8:10], "big"), int.from_bytes(request[10:12], "big")


def reply(request: bytes, pdu: bytes, *, unit: int | None = None, tid: bytes | None = None) -> bytes:
    """A framed answer, right unless told otherwise."""
    body = bytes([request[6] if unit is None else unit]) + pdu
    return (request[:2] if tid is None else tid) + b"\0\0" + len(body).to_bytes(2, "big") + body


def words(*values: int, function: int = 3) -> bytes:
    """The PDU of a register read's answer."""
    data = b"".join(value.to_bytes(2, "big") for value in values)
    return bytes([function, len(data)]) + data


def exception(code: int, function: int = 3) -> bytes:
    return bytes([function | 0x80, code])


def holding(name: str, address: int, kind: str = "int16", **changes: Any) -> dict[str, Any]:
    return {"point": f"{PREFIX}/{name}", "table": "holding", "address": address, "type": kind} | changes


def bus(port: int, *units: dict[str, Any], **changes: Any) -> ModbusSource:
    fields: dict[str, Any] = {
        "name": "bus",
        "protocol": "modbus",
        "transport": {"kind": "tcp", "host": "127.0.0.1", "port": port},
        "timeout": 0.15,
        "retries": 0,
        "units": [{"every": 0.1} | unit for unit in units],
    }
    return ModbusSource.model_validate(fields | changes)


async def until(condition: Callable[[], object], seconds: float = 8.0) -> None:
    """Waits for a condition; fails by AssertionError."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not condition():
        assert loop.time() < end, "waited in vain"
        await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def running(collector: ModbusCollector, keeper: Memory) -> AsyncIterator[asyncio.Task[None]]:
    """Runs a collector once; what it raises is in the task."""
    task = asyncio.create_task(collector.run(keeper))
    try:
        yield task
    finally:
        # not cancelled once only: a request that ends in that very moment swallows it (asyncio.wait_for on 3.11)
        await end([task])
