"""Devices that answer wrongly, late or not at all: each costs its own points a value and nobody else anything."""

import asyncio
import contextlib
import itertools
import os
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError
from pymodbus.framer import FramerRTU

from core.telemetry.quality import Quality, Reason
from edge.collectors.modbus import BUSY, GARBLED, ModbusCollector
from edge.collectors.port import SourceLost, SourceMisconfigured
from edge.tasks import end
from tests.faults.modbus_peer import (
    Answer,
    Memory,
    asked,
    bus,
    exception,
    holding,
    hostile,
    reply,
    running,
    until,
    words,
)


def collect(answer: Answer, *units: dict[str, Any], polls: int, of: str, **changes: Any) -> tuple[Memory, list[bytes]]:
    """Polls a hostile server until a point has that many readings."""

    async def main() -> tuple[Memory, list[bytes]]:
        async with hostile(answer) as (port, seen):
            keeper = Memory()
            async with running(ModbusCollector(bus(port, *units, **changes)), keeper):
                await until(lambda: len(keeper.of(of)) >= polls)
            return keeper, seen

    return asyncio.run(main())


ONE = {"id": 1, "points": [holding("u1/t", 0)]}
TWO = {"id": 2, "points": [holding("u2/t", 0)]}


def good(request: bytes) -> bytes:
    _, function, address, count = asked(request)
    return reply(request, words(*range(address, address + count), function=function))


def for_unit_one(wrong: Answer) -> Answer:
    """Unit 1 is hostile, unit 2 answers its address."""
    return lambda request: wrong(request) if asked(request)[0] == 1 else good(request)


HOSTILE: dict[str, tuple[Answer, str]] = {
    "silence": (lambda _: None, Reason.COMMUNICATION),
    "frame cut short": (lambda request: good(request)[:-1], GARBLED),
    "header only": (lambda request: request[:7], GARBLED),
    "wrong unit id": (lambda request: reply(request, words(1), unit=9), GARBLED),
    "wrong transaction id": (lambda request: reply(request, words(1), tid=b"\xff\xfe"), GARBLED),
    "too few registers": (lambda request: reply(request, b"\x03\x00"), GARBLED),
    "too many registers": (lambda request: reply(request, words(1, 2, 3)), GARBLED),
    "another function": (lambda request: reply(request, words(1, function=4)), GARBLED),
    "byte count beyond the frame": (lambda request: reply(request, b"\x03\x08\x00\x01"), GARBLED),
    "an odd byte count": (lambda request: reply(request, b"\x03\x01\x00"), GARBLED),
    "unknown function": (lambda request: reply(request, b"\x55\x00\x01"), GARBLED),
    "noise": (lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n", GARBLED),
    "protocol id not 0": (lambda request: good(request)[:2] + b"\x00\x01" + good(request)[4:], GARBLED),
    "gateway says the target is silent": (lambda request: reply(request, exception(11)), Reason.COMMUNICATION),
    "gateway has no path": (lambda request: reply(request, exception(10)), Reason.COMMUNICATION),
    "illegal function": (lambda request: reply(request, exception(1)), Reason.CONFIGURATION),
    "illegal address": (lambda request: reply(request, exception(2)), Reason.CONFIGURATION),
    "illegal value": (lambda request: reply(request, exception(3)), Reason.CONFIGURATION),
    "device failure": (lambda request: reply(request, exception(4)), Reason.DEVICE),
    "busy": (lambda request: reply(request, exception(6)), BUSY),
    "an exception nobody knows": (lambda request: reply(request, exception(77)), Reason.DEVICE),
}


@pytest.mark.parametrize("how", sorted(HOSTILE))
def test_each_wrong_answer_is_bad_with_its_reason_and_the_other_unit_is_read(how: str) -> None:
    wrong, reason = HOSTILE[how]
    keeper, _ = collect(for_unit_one(wrong), ONE, TWO, polls=3, of="u1/t")
    assert set(keeper.reasons("u1/t")) == {reason}
    assert {(reading.value, reading.quality) for reading in keeper.of("u1/t")} == {(None, Quality.BAD)}
    assert len(keeper.of("u2/t")) >= 2
    assert set(keeper.values("u2/t")) == {0}


def test_a_right_answer_after_a_wrong_one_is_taken() -> None:
    wrong_once = iter([True])

    def answer(request: bytes) -> bytes:
        if next(wrong_once, False):
            return reply(request, words(666), tid=b"\xff\xfe") + good(request)
        return good(request)

    keeper, _ = collect(answer, ONE, polls=2, of="u1/t")
    assert keeper.values("u1/t") == [0, 0]


def test_one_illegal_address_inside_a_block_of_a_hundred() -> None:
    def answer(request: bytes) -> bytes:
        _, _, address, count = asked(request)
        if address <= 63 < address + count:
            return reply(request, exception(2))
        return good(request)

    points = [holding(f"reg/r{number}", number) for number in range(100)]
    keeper, seen = collect(answer, {"id": 1, "points": points}, polls=3, of="reg/r99")
    for number in range(100):
        expected: set[object] = {None} if number == 63 else {number}
        assert set(keeper.values(f"reg/r{number}")) == expected, number
        assert len(keeper.of(f"reg/r{number}")) == len(keeper.of("reg/r99"))
    assert set(keeper.reasons("reg/r63")) == {Reason.CONFIGURATION}
    # The search: one block, then two halves a level, seven levels down.
    assert 13 <= sum(1 for request in seen if asked(request)[2] <= 63 < sum(asked(request)[2:])) + 6 <= 15
    # Once found, it is not asked for again, and the rest is read in the few blocks the search left.
    third = [asked(request)[2:] for request in seen[-7:]]
    assert all(not address <= 63 < address + count for address, count in third)


def test_a_hole_that_may_not_be_read_parts_the_block_and_loses_nobody() -> None:
    def answer(request: bytes) -> bytes:
        _, _, address, count = asked(request)
        return reply(request, exception(2)) if address <= 2 < address + count else good(request)

    points = [holding("reg/a", 0), holding("reg/b", 4)]
    keeper, _ = collect(answer, {"id": 1, "points": points}, polls=3, of="reg/b")
    assert set(keeper.values("reg/a")) == {0}
    assert set(keeper.values("reg/b")) == {4}


def test_a_unit_that_answers_nothing_but_rubbish_costs_the_others_no_more_than_a_dead_one() -> None:
    """It has sixteen values, and each request to it costs a time-out."""
    points = [holding(f"reg/r{number}", number) for number in range(16)]
    rubbish = for_unit_one(lambda request: reply(request, words(1), unit=9))
    keeper, seen = collect(rubbish, {"id": 1, "points": points}, TWO, polls=20, of="u2/t")
    asked_bad = sum(1 for request in seen if asked(request)[0] == 1)
    # at most two requests a time, after 1, 2, 4, 8 and 16 intervals; and never parted so far that all are asked for
    assert asked_bad <= 12
    assert set(keeper.values("u2/t")) == {0}
    for number in range(16):
        assert set(keeper.reasons(f"reg/r{number}")) == {GARBLED}
        assert len(keeper.of(f"reg/r{number}")) == len(keeper.of("reg/r0")) >= 10


def test_a_device_without_the_function_is_not_searched_register_by_register() -> None:
    points = [holding(f"reg/r{number}", number) for number in range(60)]
    keeper, seen = collect(
        lambda request: reply(request, exception(1)), {"id": 1, "points": points}, TWO, polls=3, of="reg/r59"
    )
    assert set(keeper.reasons("reg/r0")) == {Reason.CONFIGURATION}
    assert sum(1 for request in seen if asked(request)[0] == 1) == 1


def test_a_device_that_failed_for_a_moment_is_not_split_for_ever() -> None:
    failing = [True]

    async def main() -> None:
        def answer(request: bytes) -> bytes:
            return reply(request, exception(4)) if failing else good(request)

        async with hostile(answer) as (port, seen):
            points = [holding(f"reg/r{number}", number) for number in range(16)]
            keeper = Memory()
            config = bus(port, {"id": 1, "points": points}, retry_refused=0.5)
            async with running(ModbusCollector(config), keeper):
                await until(lambda: len(keeper.of("reg/r0")) >= 2)
                assert set(keeper.reasons("reg/r0")) == {Reason.DEVICE}
                failing.clear()
                await until(lambda: keeper.values("reg/r15")[-1] == 15)
                await until(lambda: asked(seen[-1])[2:] == (0, 16) and asked(seen[-2])[2:] == (0, 16))
                assert keeper.values("reg/r7")[-1] == 7

    asyncio.run(main())


def test_a_dead_unit_is_asked_ever_more_rarely_and_heard_when_it_returns() -> None:
    alive: list[bool] = []

    async def main() -> None:
        def answer(request: bytes) -> bytes | None:
            return good(request) if asked(request)[0] == 2 or alive else None

        async with hostile(answer) as (port, seen):
            keeper = Memory()
            collector = ModbusCollector(bus(port, ONE, TWO, timeout=0.05, backoff_max=0.4, retries=1))
            async with running(collector, keeper):
                await until(lambda: len(keeper.of("u1/t")) >= 14)
                asked_dead = sum(1 for request in seen if asked(request)[0] == 1)
                # 2 attempts at first, then after 1, 2, 4, 4 intervals one each.
                assert 4 <= asked_dead <= 7 + collector.overruns
                assert len(keeper.of("u2/t")) >= 13
                alive.append(True)
                await until(lambda: 0 in keeper.values("u1/t"))
                before = len(keeper.of("u1/t"))
                await until(lambda: len(keeper.of("u1/t")) >= before + 3)
                assert keeper.values("u1/t")[-3:] == [0, 0, 0]

    asyncio.run(main())


def test_a_connection_that_hangs_up_is_opened_again() -> None:
    calls: list[bytes] = []

    def answer(request: bytes) -> bytes:
        calls.append(request)
        return b"" if len(calls) % 3 == 0 else good(request)

    keeper, _ = collect(answer, ONE, polls=8, of="u1/t", retries=1)
    assert keeper.values("u1/t").count(0) >= 7


def test_a_device_that_hangs_up_after_every_answer_loses_no_poll() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            writer.write(good(await reader.readexactly(12)))
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        keeper = Memory()
        apart = [holding("u1/a", 0), holding("u1/b", 100), holding("u1/c", 200)]
        # with the time-out waited for once a block, three polls would take half a minute
        config = bus(server.sockets[0].getsockname()[1], {"id": 1, "points": apart}, timeout=3)
        async with running(ModbusCollector(config), keeper):
            await until(lambda: len(keeper.of("u1/c")) >= 3, seconds=5)
        server.close()
        await server.wait_closed()
        assert {reading.value for reading in keeper.readings} == {0, 100, 200}

    asyncio.run(main())


def test_a_device_that_hangs_up_on_everybody_is_silent_not_lost() -> None:
    """As one does that serves one master only, and has one."""
    keeper, _ = collect(lambda _: b"", ONE, polls=3, of="u1/t", retries=1)
    assert set(keeper.reasons("u1/t")) == {Reason.COMMUNICATION}


@pytest.mark.parametrize("how", ["keeps silent", "hangs up", "sends too little"])
def test_a_device_that_refuses_without_an_exception_loses_only_what_it_refuses(
    how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Register 2 is not there, and no read may span more than eight."""

    def answer(request: bytes) -> bytes | None:
        _, _, address, count = asked(request)
        if address <= 2 < address + count or count > 8:
            return {"keeps silent": None, "hangs up": b""}.get(how, reply(request, b"\x03\x00"))
        return good(request)

    async def main() -> tuple[Memory, list[bytes]]:
        async with hostile(answer) as (port, seen):
            points = [holding(f"reg/r{number}", number) for number in (0, 1, 2, 3, 100)]
            wide = [holding("reg/r200", 200), holding("reg/r220", 220)]
            unit = {"id": 1, "every": 0.05, "holes": 30, "points": points + wide}
            config = bus(port, unit, TWO, retry_refused=0.7, backoff_max=1)
            keeper = Memory()
            async with running(ModbusCollector(config), keeper):
                await until(lambda: all(keeper.values(f"reg/r{n}")[-1:] == [n] for n in (0, 1, 3, 100, 200, 220)), 20)
                learnt = len(keeper.of("reg/r0"))
                # when it is time to ask again, nothing of what was learnt is lost
                await until(lambda: len(keeper.of("reg/r0")) >= learnt + 16)
            for number in (0, 1, 3, 100, 200, 220):
                assert set(keeper.values(f"reg/r{number}")[-15:]) == {number}
            return keeper, seen

    keeper, _ = asyncio.run(main())
    assert set(keeper.values("reg/r2")) == {None}
    assert set(keeper.values("u2/t")) == {0}
    assert len([record for record in caplog.records if "not for plant/hall/cold-room/reg/r2" in record.message]) == 1


def test_what_is_wrong_with_an_answer_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    collect(lambda request: reply(request, words(1), unit=255), ONE, polls=4, of="u1/t")
    told = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert len(told) == 1
    assert "unit 1 does not answer what it is asked" in told[0]


def test_a_bus_too_slow_for_its_intervals_skips_polls_and_counts_them() -> None:
    async def main() -> None:
        async with hostile(good) as (port, _):
            config = bus(port, {"id": 1, "every": 0.05, "points": [holding("u1/t", 0)]})
            keeper = Memory()

            class Slow(Memory):
                async def keep(self, readings: Any) -> None:
                    await asyncio.sleep(0.12)
                    await keeper.keep(readings)

            collector = ModbusCollector(config)
            async with running(collector, Slow()):
                await until(lambda: len(keeper.of("u1/t")) >= 5)
            assert 5 <= collector.overruns <= 15

    asyncio.run(main())


def test_the_watermark_stays_behind_what_is_not_kept_and_waits_for_a_full_spool() -> None:
    async def main() -> None:
        async with hostile(good) as (port, _):
            keeper = Memory()
            collector = ModbusCollector(bus(port, ONE))
            async with running(collector, keeper):
                await until(lambda: len(keeper.of("u1/t")) >= 2)
                keeper.full = True
                await asyncio.sleep(0.3)
                held = collector.live_upto(datetime.now(UTC))
                kept = len(keeper.readings)
                assert held is not None
                await asyncio.sleep(0.2)
                assert collector.live_upto(datetime.now(UTC)) == held
                keeper.full = False
                await until(lambda: len(keeper.readings) > kept)
                # The reading that waited was taken after the watermark that waited for it.
                assert keeper.readings[kept].at >= held
                await until(lambda: (collector.live_upto(datetime.now(UTC)) or held) > held + timedelta(seconds=0.2))

    asyncio.run(main())


@pytest.mark.parametrize(
    "changes",
    [
        {"units": []},
        {"timeout": 0},
        {"retries": -1},
        {"clock": "device"},
        {"transport": {"kind": "udp", "host": "h", "port": 502}},
        {"transport": {"kind": "tcp", "host": "h", "port": 0}},
        {"transport": {"kind": "serial", "port": "/dev/ttyS0", "parity": "X"}},
        {"units": [ONE, ONE]},
        {"units": [ONE | {"every": 0}]},
        {"units": [ONE | {"id": 256}]},
        {"units": [ONE | {"max_registers": 126}]},
        {"units": [{"id": 1, "max_registers": 3, "points": [holding("a/b", 0, "int64")]}]},
        {"speed": 3},
    ],
)
def test_sources_that_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        bus(502, ONE, **changes)


@contextlib.asynccontextmanager
async def rtu_line(delay: Callable[[int], float]) -> AsyncIterator[dict[str, Any]]:
    """A line without frame numbers, on which registers show their address, so many seconds after a unit was asked."""
    answers: set[asyncio.Task[None]] = set()

    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(delay(request[0]))
        body = request[:2] + b"\x02" + request[2:4]
        writer.write(body + FramerRTU.compute_CRC(body).to_bytes(2, "big"))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                answers.add(asyncio.create_task(answer(await reader.readexactly(8), writer)))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield {"kind": "rtu_over_tcp", "host": "127.0.0.1", "port": server.sockets[0].getsockname()[1]}
    finally:
        await end(answers)
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0)


@pytest.mark.parametrize("retries", [0, 1])
def test_a_late_answer_on_a_line_without_numbers_is_not_taken_for_the_next_block(retries: int) -> None:
    """The unit's first and fifth answer come when they are given up already. Blocks A and B have the same size, and
    neither must show the other's value: not when A was tried again, nor when B is first in the unit's next poll.
    """

    async def main() -> None:
        turns = itertools.count()
        async with rtu_line(lambda unit: 0.45 if unit == 1 and next(turns) in {0, 4} else 0.1) as line:
            unit = {"id": 1, "holes": 0, "points": [holding("reg/a", 100), holding("reg/b", 200)]}
            keeper = Memory()
            # the other unit keeps the line open: nobody takes it for dead
            config = bus(0, unit, TWO | {"every": 0.5}, transport=line, timeout=0.3, retries=retries)
            async with running(ModbusCollector(config), keeper):
                await until(lambda: keeper.values("reg/a").count(100) >= 2 and keeper.values("reg/b").count(200) >= 2)
        assert set(keeper.values("reg/a")) <= {100, None}
        assert set(keeper.values("reg/b")) <= {200, None}

    asyncio.run(main())


def test_a_serial_port_that_is_not_there_is_a_lost_line() -> None:
    async def main() -> None:
        line = {"kind": "serial", "port": "/dev/no-such-port"}
        with pytest.raises(SourceLost, match=r"no-such-port: .*No such file"):
            await ModbusCollector(bus(0, ONE, transport=line)).run(Memory())

    asyncio.run(main())


def test_settings_that_a_serial_port_cannot_have_are_the_operators() -> None:
    """A pseudo-terminal knows no parity; the system's error for that is of no kind that lines are lost by."""

    async def main() -> None:
        master, slave = os.openpty()
        keeper = Memory()
        line = {"kind": "serial", "port": os.ttyname(slave), "parity": "E"}
        try:
            with pytest.raises(SourceMisconfigured, match=r"/dev/pts/\d+ with 9600 8E1: .*Invalid argument"):
                await ModbusCollector(bus(0, ONE, transport=line)).run(keeper)
        finally:
            os.close(slave)
            os.close(master)
        assert keeper.reasons("u1/t") == [Reason.COMMUNICATION]

    asyncio.run(main())
