"""Devices that answer under another unit's number, or with four bytes a register: said so, and taken where allowed."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import ValidationError
from pymodbus.framer import FramerRTU

from core.telemetry.quality import Quality
from edge.collectors.modbus import GARBLED, ModbusCollector
from tests.faults.modbus_peer import Answer, Memory, asked, bus, holding, hostile, reply, running, until, words


def values(answer: Answer, unit: dict[str, Any], name: str = "d/t") -> tuple[Memory, list[bytes]]:
    """What one poll of a server that answers so brings."""

    async def main() -> tuple[Memory, list[bytes]]:
        async with hostile(answer) as (port, seen):
            keeper = Memory()
            async with running(ModbusCollector(bus(port, unit)), keeper):
                await until(lambda: keeper.of(name))
            return keeper, seen

    return asyncio.run(main())


def as_unit(other: int) -> Answer:
    return lambda request: reply(request, words(41), unit=other)


@pytest.mark.parametrize("other", [0, 7, 255])
def test_an_answer_of_another_unit_says_which(other: int, caplog: pytest.LogCaptureFixture) -> None:
    keeper, _ = values(as_unit(other), {"id": 1, "points": [holding("d/t", 0)]})
    assert (keeper.of("d/t")[0].quality, keeper.reasons("d/t")[0]) == (Quality.BAD, GARBLED)
    assert f"answered as unit {other}; `answers_as: [{other}]` allows it" in caplog.text


def test_an_answer_of_another_unit_may_be_allowed() -> None:
    keeper, _ = values(as_unit(0), {"id": 1, "answers_as": [0, 255], "points": [holding("d/t", 0, scale=0.1)]})
    assert (keeper.values("d/t")[0], keeper.of("d/t")[0].quality) == (4.1, Quality.GOOD)


def test_a_refusal_of_another_unit_may_be_allowed_too() -> None:
    unit = {"id": 1, "answers_as": [0], "points": [holding("d/t", 0)]}
    keeper, _ = values(lambda request: reply(request, b"\x83\x02", unit=0), unit)
    assert keeper.reasons("d/t")[0] == "configuration_error"


@contextlib.asynccontextmanager
async def rtu(other: int) -> AsyncIterator[dict[str, Any]]:
    """RTU frames through a socket, answered as another unit."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await reader.readexactly(8)
                frame = bytes([other]) + words(41)
                writer.write(frame + FramerRTU.compute_CRC(frame).to_bytes(2, "big"))
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield {"kind": "rtu_over_tcp", "host": "127.0.0.1", "port": server.sockets[0].getsockname()[1]}


@pytest.mark.parametrize("allowed", [True, False])
def test_serial_frames_of_another_unit_are_told_and_allowed_as_well(
    allowed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> Memory:
        keeper = Memory()
        unit = {"id": 1, "points": [holding("d/t", 0)], "answers_as": [9] if allowed else []}
        async with rtu(9) as transport, running(ModbusCollector(bus(1, unit, transport=transport)), keeper):
            await until(lambda: keeper.of("d/t"))
        return keeper

    keeper = asyncio.run(main())
    assert keeper.values("d/t")[0] == (41 if allowed else None)
    assert ("answered as unit 9" in caplog.text) is not allowed


def wide(request: bytes) -> bytes:
    """Each register as four bytes: the float of its address."""
    _, function, address, count = asked(request)
    data = b"".join(struct.pack(">f", each + 0.5) for each in range(address, address + count))
    return reply(request, bytes([function, len(data)]) + data)


def test_four_bytes_a_register_are_told(caplog: pytest.LogCaptureFixture) -> None:
    keeper, _ = values(wide, {"id": 1, "points": [holding("d/t", 4, "float32")]})
    assert keeper.reasons("d/t")[0] == GARBLED
    assert "answered with 4 bytes a register; `register_bytes: 4`" in caplog.text


def test_four_bytes_a_register_are_read_where_the_unit_says_so() -> None:
    points = [holding("d/t", 4, "float32"), holding("d/u", 5, "float32"), holding("d/i", 7, "uint32")]
    keeper, seen = values(wide, {"id": 1, "register_bytes": 4, "points": points}, "d/i")
    assert (keeper.values("d/t")[0], keeper.values("d/u")[0]) == (4.5, 5.5)
    assert keeper.values("d/i")[0] == struct.unpack(">I", struct.pack(">f", 7.5))[0]
    assert asked(seen[0])[2:] == (4, 4), "registers are counted as the device counts them"


def test_requests_of_wide_registers_fit_into_an_answer() -> None:
    points = [holding(f"d/p{n}", n, "float32") for n in range(100)]
    _, seen = values(wide, {"id": 1, "register_bytes": 4, "points": points}, "d/p99")
    assert [asked(request)[3] for request in seen[:2]] == [62, 38]


@pytest.mark.parametrize(
    ("units", "message"),
    [
        ([{"id": 1, "register_bytes": 4, "points": [holding("d/t", 0)]}], "a register of 4 bytes holds"),
        (
            [
                {"id": 1, "answers_as": [2], "points": [holding("d/t", 0)]},
                {"id": 2, "points": [holding("d/u", 0)]},
            ],
            "unit 1 cannot answer as 2",
        ),
    ],
)
def test_what_cannot_be_is_refused(units: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        bus(1, *units)
