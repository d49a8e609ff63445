"""The Modbus collector on pymodbus's own server: TCP, RTU over TCP, a serial line."""

import asyncio
import contextlib
import os
import threading
import tty
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from pymodbus.framer import FramerType

from core.telemetry.quality import Quality, Reason
from edge.collectors.modbus import ModbusCollector
from edge.collectors.port import SourceLost
from tests.faults.modbus_peer import PREFIX, Memory, bits, bus, device, holding, plc, registers, running, until
from tests.servers import free_port


def test_every_table_and_type_from_one_server() -> None:
    async def main() -> None:
        port = free_port()
        unit = device(
            1,
            registers(0, 0x0131, 0xFF33, 0x41AC, 0xCCCD, 0x8000, 0x4142, 0x4300, 0x0004),
            inputs=[registers(9, 0x0222)],
            coils=[bits(0, False, True, True)],
        )
        config = bus(
            port,
            {
                "id": 1,
                "points": [
                    holding("probe/t1", 0, scale=0.1, unit="Cel"),
                    holding("probe/t2", 1, scale=0.1, unit="Cel"),
                    holding("probe/t3", 2, "float32", unit="Cel"),
                    holding("probe/t4", 4, sentinels=[0x8000], unit="Cel"),
                    holding("probe/model", 5, "string", length=2),
                    holding("probe/fan", 7, "bit", bit=2),
                    {"point": f"{PREFIX}/probe/rh", "address": "30010", "type": "uint16", "scale": 0.1, "unit": "%"},
                    {"point": f"{PREFIX}/door/open", "table": "coil", "address": 1, "type": "bool"},
                ],
            },
        )
        keeper, collector = Memory(), ModbusCollector(config)
        async with plc(port, unit), running(collector, keeper):
            await until(lambda: len(keeper.of("door/open")) >= 2)
        first = {reading.point.removeprefix(f"{PREFIX}/"): reading for reading in reversed(keeper.readings)}
        assert first["probe/t1"].value == 30.5
        assert first["probe/t2"].value == -20.5
        assert round(float(first["probe/t3"].value or 0), 4) == 21.6
        assert (first["probe/t4"].value, first["probe/t4"].reason) == (None, Reason.SENTINEL)
        assert first["probe/model"].value == "ABC"
        assert first["probe/fan"].value is True
        assert (first["probe/rh"].value, first["probe/rh"].unit) == (54.6, "%")
        assert first["door/open"].value is True
        assert all(reading.source_at is None and reading.at == reading.edge_at for reading in keeper.readings)
        assert collector.zones == {PREFIX}
        assert not collector.connected
        assert collector.live_upto(datetime.now(UTC)) is None

    asyncio.run(main())


def test_a_dead_unit_costs_nobody_else_a_poll() -> None:
    """Beside it a bus on which everybody lives: as many polls there as here, however slow the machine."""

    async def main() -> None:
        def three(port: int) -> ModbusCollector:
            units = ({"id": number, "every": 0.25, "points": [holding(f"u{number}/t", 0)]} for number in (1, 2, 3))
            return ModbusCollector(bus(port, *units, timeout=0.1))

        ports = free_port(), free_port()
        (keeper, collector), (healthy, other) = [(Memory(), three(port)) for port in ports]
        devices = [device(number, registers(0, 11 * number)) for number in (1, 2, 3)]
        async with (
            plc(ports[0], *devices, dead=frozenset({2})),
            plc(ports[1], *devices),
            running(collector, keeper),
            running(other, healthy),
        ):
            await until(lambda: len(keeper.of("u1/t")) >= 10)
        # a dead unit at the driver's own patience would cost 12 s at a time, one asked at every poll its time-outs
        assert len(keeper.of("u1/t")) >= len(healthy.of("u1/t")) - 2
        assert collector.overruns <= other.overruns + 2
        assert set(keeper.values("u1/t")) == {11}
        assert set(keeper.values("u3/t")) == {33}
        assert len(keeper.of("u3/t")) >= 9
        # Every poll of the dead unit is accounted for, though it is asked ever more rarely.
        assert len(keeper.of("u2/t")) >= 9
        assert set(keeper.reasons("u2/t")) == {Reason.COMMUNICATION}
        assert {reading.quality for reading in keeper.of("u2/t")} == {Quality.BAD}

    asyncio.run(main())


def test_units_take_their_turns_spread_over_the_interval() -> None:
    """No unit's first turn comes before its share of the shortest interval, nor its second before an interval more."""

    async def main() -> None:
        port = free_port()
        units = ({"id": number, "every": 0.4, "points": [holding(f"u{number}/t", 0)]} for number in range(1, 5))
        keeper, collector = Memory(), ModbusCollector(bus(port, *units))
        async with plc(port, *(device(number, registers(0, number)) for number in range(1, 5))):
            started = datetime.now(UTC)
            async with running(collector, keeper):
                await until(lambda: len(keeper.of("u4/t")) >= 2)
        for turn in range(4):
            for poll, reading in enumerate(keeper.of(f"u{turn + 1}/t")[:2]):
                assert (reading.at - started).total_seconds() >= 0.1 * turn + 0.4 * poll

    asyncio.run(main())


def test_buses_begin_apart_by_their_names_and_always_alike() -> None:
    """Hundreds that are opened at once, as at the gateway's start, would else all be polled at one instant."""

    def begins(number: int) -> float:
        return ModbusCollector(bus(502, {"id": 1, "points": [holding("u/t", 0)]}, name=f"b{number}")).phase

    found = [begins(number) for number in range(200)]
    assert found == [begins(number) for number in range(200)]
    assert {int(10 * phase) for phase in found} == set(range(10))


def test_an_illegal_address_is_found_and_its_neighbours_are_read() -> None:
    async def main() -> None:
        port = free_port()
        # Registers 0 to 3 and 5 to 7 exist; 4 does not, and lies inside the block that joins them.
        unit = device(1, registers(0, 10, 11, 12, 13), registers(5, 15, 16, 17))
        points = [holding(f"reg/r{address}", address) for address in range(8)]
        keeper, collector = Memory(), ModbusCollector(bus(port, {"id": 1, "points": points}))
        async with plc(port, unit), running(collector, keeper):
            await until(lambda: len(keeper.of("reg/r7")) >= 3)
        for address in (0, 1, 2, 3, 5, 6, 7):
            assert set(keeper.values(f"reg/r{address}")) == {10 + address}, address
        assert set(keeper.reasons("reg/r4")) == {Reason.CONFIGURATION}
        assert len(keeper.of("reg/r4")) >= 3

    asyncio.run(main())


def test_a_refused_address_is_asked_for_again_in_time() -> None:
    async def main() -> None:
        port = free_port()
        config = bus(port, {"id": 1, "points": [holding("reg/r0", 0), holding("reg/r1", 1)]}, retry_refused=0.3)
        keeper, collector = Memory(), ModbusCollector(config)
        async with plc(port, device(1, registers(0, 10))), running(collector, keeper):
            await until(lambda: Reason.CONFIGURATION in keeper.reasons("reg/r1"))
        async with plc(port, device(1, registers(0, 10, 11))), running(collector, keeper):
            await until(lambda: 11 in keeper.values("reg/r1"))

    asyncio.run(main())


def test_rtu_over_tcp() -> None:
    async def main() -> None:
        port = free_port()
        config = bus(
            port,
            {"id": 4, "points": [holding("probe/t1", 1, scale=0.1), holding("probe/rh", 2, scale=0.1)]},
            transport={"kind": "rtu_over_tcp", "host": "127.0.0.1", "port": port},
        )
        keeper, collector = Memory(), ModbusCollector(config)
        unit = device(4, registers(1, 0x0131, 0x0222))
        async with plc(port, unit, framer=FramerType.RTU), running(collector, keeper):
            await until(lambda: len(keeper.of("probe/rh")) >= 3)
        assert set(keeper.values("probe/t1")) == {30.5}
        assert set(keeper.values("probe/rh")) == {54.6}

    asyncio.run(main())


REQUEST = bytes.fromhex("010400010002200B")
RESPONSE = bytes.fromhex("010404013102222ACE")


@contextlib.contextmanager
def serial_line() -> Iterator[tuple[str, list[bytes]]]:
    """A pty with an SHT20 (XY-MD02) on its other end, which knows one request and one answer (facts §4)."""
    master, slave = os.openpty()
    tty.setraw(master)
    tty.setraw(slave)
    seen: list[bytes] = []

    def sht20() -> None:
        held = b""
        while True:
            try:
                data = os.read(master, 256)
            except OSError:
                return
            if data == b"q" or not data:
                return
            held += data
            while len(held) >= 8:
                frame, held = held[:8], held[8:]
                seen.append(frame)
                if frame == REQUEST:
                    os.write(master, RESPONSE)

    thread = threading.Thread(target=sht20)
    thread.start()
    try:
        yield os.ttyname(slave), seen
    finally:
        os.write(slave, b"q")
        thread.join(5)
        os.close(slave)
        os.close(master)


def test_an_sht20_on_a_serial_line() -> None:
    async def main() -> None:
        with serial_line() as (line, seen):
            config = bus(
                0,
                {
                    "id": 1,
                    "points": [
                        {"point": f"{PREFIX}/sht20/temperature", "address": "30002", "type": "int16", "scale": 0.1},
                        {"point": f"{PREFIX}/sht20/humidity", "address": "30003", "type": "uint16", "scale": 0.1},
                    ],
                },
                {"id": 2, "points": [holding("absent/t", 0)]},
                transport={"kind": "serial", "port": line, "baudrate": 9600},
            )
            keeper, collector = Memory(), ModbusCollector(config)
            async with running(collector, keeper):
                await until(lambda: len(keeper.of("sht20/humidity")) >= 3 and keeper.of("absent/t"))
        assert seen[0] == REQUEST
        assert set(keeper.values("sht20/temperature")) == {30.5}
        assert set(keeper.values("sht20/humidity")) == {54.6}
        assert set(keeper.reasons("absent/t")) == {Reason.COMMUNICATION}

    asyncio.run(main())


def test_a_line_that_cannot_be_opened_is_lost_and_says_so_for_every_point() -> None:
    async def main() -> None:
        collector, keeper = ModbusCollector(bus(free_port(), {"id": 1, "points": [holding("u/t", 0)]})), Memory()
        with pytest.raises(SourceLost):
            await collector.run(keeper)
        assert keeper.reasons("u/t") == [Reason.COMMUNICATION]
        assert not collector.connected

    asyncio.run(main())


def test_a_server_that_goes_is_lost_and_one_that_comes_back_is_read_again() -> None:
    async def main() -> None:
        port = free_port()
        collector, keeper = ModbusCollector(bus(port, {"id": 1, "points": [holding("u/t", 0)]})), Memory()
        async with plc(port, device(1, registers(0, 1))):
            task = asyncio.create_task(collector.run(keeper))
            await until(lambda: keeper.of("u/t"))
        with pytest.raises(SourceLost):
            await asyncio.wait_for(task, 8)
        async with plc(port, device(1, registers(0, 2))), running(collector, keeper):
            await until(lambda: 2 in keeper.values("u/t"))

    asyncio.run(main())
