"""One bus: a client with one request in flight, and every way a unit can fail told apart."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from pymodbus.exceptions import ConnectionException, ModbusException, ModbusIOException
from pymodbus.framer.rtu import FramerRTU
from pymodbus.pdu import ExceptionResponse, ModbusPDU

from edge.collectors.modbus_blocks import Block
from edge.collectors.modbus_config import ModbusSource, SerialTransport, Table, TcpTransport
from edge.collectors.modbus_line import Client, name_of, opened
from edge.collectors.port import SourceLost
from edge.tasks import end

MBAP_UNIT = 6
"""Where a Modbus TCP frame names its unit."""
CRC_BYTES = 2
_GATEWAY_FAILURES = {10, 11}
"""Exception codes by which a TCP-to-serial gateway says that the unit behind it is not reached or silent."""


class NoAnswer(Exception):
    """The unit stayed silent through all attempts, or a gateway says so for it."""


class ConnectionClosed(NoAnswer):
    """The other side closed the connection instead of answering."""


class Garbled(Exception):
    """Something came back that is no answer to the request: cut short, of another unit, of another size."""


class Refused(Exception):
    """The unit answered with an exception code (application protocol §7)."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code}")
        self.code = code


class Bus:
    """Opens the line, reads blocks, one at a time. Opens it again when it was lost."""

    def __init__(self, config: ModbusSource) -> None:
        self._config = config
        self._timeout = config.timeout.total_seconds()
        self._client: Client | None = None
        self._received_frames = 0
        self._gone: asyncio.Future[Any] | None = None
        self._used = False
        self._frames_named = isinstance(config.transport, TcpTransport)
        self._asked = 0
        self._answered_as: int | None = None
        """The unit that answered last, if it was not the one asked."""
        self._allowed: dict[int, set[int]] = {}
        for unit in config.units:
            self._allowed.setdefault(unit.id, set()).update(unit.answers_as)
        self._late: dict[int, float] = {}
        """Unit → until when (the loop's time) an answer to an attempt that was given up may still come."""
        # The driver logs every silent unit on every attempt; the collector logs changes.
        driver = logging.getLogger("pymodbus.logging")
        if driver.level == logging.NOTSET:
            driver.setLevel(logging.CRITICAL)

    @property
    def name(self) -> str:
        """Host and port, or the serial port."""
        return name_of(self._config)

    async def open(self) -> None:
        """Raises SourceLost if the line cannot be opened, SourceMisconfigured if it cannot have its settings."""
        self.close()
        self._gone = asyncio.get_running_loop().create_future()
        self._used = False
        self._client = await opened(self._config, self._trace, self._connection)

    def close(self) -> None:
        """Closes the line; the next read opens it again."""
        if self._client is not None:
            self._client.close()
            self._client = None

    async def read(self, unit: int, block: Block, retries: int) -> list[int] | list[bool]:
        """The block's cells, as many as it counts. Raises NoAnswer, Garbled, Refused, or as `open` does when the line
        is gone and cannot be opened again.

        A connection that has served and is closed is no attempt: many devices close an idle one, some after every
        answer. The request goes out again at once on a new one.
        """
        await self._drain_late_answer(unit)
        attempt = 0
        while True:
            served = self._used
            try:
                cells = await self._once(unit, block)
            except (NoAnswer, Garbled) as failure:
                if isinstance(failure, ConnectionClosed) and served:
                    continue
                self._expect_late(unit)
                if isinstance(failure, Garbled) and not self._frames_named:
                    await asyncio.sleep(self._timeout)  # what is no answer may still go on
                if attempt == retries:
                    raise
                attempt += 1
            else:
                if attempt:
                    self._expect_late(unit)
                return cells

    def _expect_late(self, unit: int) -> None:
        self._late[unit] = asyncio.get_running_loop().time() + self._timeout

    async def _drain_late_answer(self, unit: int) -> None:
        """Asks a unit nothing more before it is too late for an answer that it owes, where frames carry no number.

        That answer would pass for the one to the unit's next block. While nothing is asked, and from a unit that is
        not asked, the driver drops it.
        """
        if not self._frames_named and unit in self._late:
            await asyncio.sleep(self._late.pop(unit) - asyncio.get_running_loop().time())

    async def _once(self, unit: int, block: Block) -> list[int] | list[bool]:
        if self._client is None or not self._client.connected:
            await self.open()
        assert self._client is not None
        self._received_frames, self._asked, self._answered_as = 0, unit, None
        try:
            answer = await self._ask(_READ[block.table](self._client)(block.start, count=block.count, device_id=unit))
        except ConnectionException as error:
            if self._received_frames:
                # the driver hangs up on what it cannot decode: this unit's fault, and the next is asked on a new line
                self._resynchronise()
                raise Garbled(f"unit {unit}: {self._no_answer(str(error))}") from error
            raise SourceLost(f"{self.name}: {error}") from error
        except ModbusIOException as error:
            raise self._failure(unit, block, str(error)) from error
        except ModbusException as error:
            raise Garbled(str(error)) from error
        return self._cells(unit, block, answer)

    async def _ask(self, asking: Coroutine[Any, Any, ModbusPDU]) -> ModbusPDU:
        """The driver's answer. Raises HungUp as soon as the other side closes: the driver would wait its timeout."""
        assert self._gone is not None
        request = asyncio.create_task(asking)
        waited: list[asyncio.Future[Any]] = [request, self._gone]
        try:
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if request.done():
                return request.result()
        finally:
            await end([request])
        self.close()
        if self._received_frames:
            raise Garbled(f"{self._received_frames} bytes that are no answer, then the connection was closed")
        raise ConnectionClosed(f"{self.name} closes the connection instead of answering")

    def _failure(self, unit: int, block: Block, text: str) -> NoAnswer | Garbled:
        where = f"unit {unit}, {block.table} {block.start}+{block.count}"
        if self._received_frames:
            self._resynchronise()
            return Garbled(f"{where}: {self._no_answer(text)}")
        return NoAnswer(f"{where}: no answer within {self._timeout} s")

    def _no_answer(self, text: str) -> str:
        other = self._answered_as
        if other is not None:
            return f"answered as unit {other}; `answers_as: [{other}]` allows it, if that is the device"
        return f"{self._received_frames} bytes that are no answer ({text})"

    def _cells(self, unit: int, block: Block, answer: ModbusPDU) -> list[int] | list[bool]:
        if isinstance(answer, ExceptionResponse):
            if answer.exception_code in _GATEWAY_FAILURES:
                raise NoAnswer(f"unit {unit}: the gateway says it does not answer ({answer.exception_code})")
            raise Refused(answer.exception_code)
        if block.table.of_bits:
            bits = list(answer.bits)
            # Bits come in whole bytes, filled up with zeros.
            if (block.count + 7) // 8 * 8 == len(bits) and answer.function_code == _FUNCTION[block.table]:
                return bits[: block.count]
            count = len(bits)
        else:
            registers = list(answer.registers)
            wanted = block.count * block.points[0].words
            if len(registers) == wanted and answer.function_code == _FUNCTION[block.table]:
                return registers
            count = len(registers)
            if count == 2 * wanted:
                self._resynchronise()
                raise Garbled(f"unit {unit}: answered with 4 bytes a register; `register_bytes: 4` reads them as such")
        self._resynchronise()
        raise Garbled(f"unit {unit}: asked {block.count} cells of {block.table}, got {count} by {answer.function_code}")

    def _resynchronise(self) -> None:
        """A TCP stream that once lost its framing is closed; a serial line is quiet again by the next request."""
        if not isinstance(self._config.transport, SerialTransport):
            self.close()

    def _connection(self, there: bool) -> None:
        if not there and self._gone is not None and not self._gone.done():
            self._gone.set_result(None)

    def _trace(self, sending: bool, data: bytes) -> bytes:
        if not sending:
            self._received_frames += len(data)
            self._used = True
            answered_as = self._unit_of(data)
            if answered_as not in {None, self._asked}:
                if answered_as in self._allowed.get(self._asked, ()):
                    return self._as_asked(data)
                self._answered_as = answered_as
        return data

    def _unit_of(self, data: bytes) -> int | None:
        """The unit that an answer is of; None while it is not there whole."""
        if self._frames_named:
            return data[MBAP_UNIT] if len(data) > MBAP_UNIT else None
        crc = int.from_bytes(data[-2:], "big")
        return data[0] if len(data) > CRC_BYTES + 1 and FramerRTU.check_CRC(data[:-CRC_BYTES], crc) else None

    def _as_asked(self, data: bytes) -> bytes:
        """The answer of a unit that may answer so, as the driver takes it."""
        asked = bytes([self._asked])
        if self._frames_named:
            return data[:MBAP_UNIT] + asked + data[MBAP_UNIT + 1 :]
        frame = asked + data[1:-CRC_BYTES]
        return frame + FramerRTU.compute_CRC(frame).to_bytes(CRC_BYTES, "big")


_READ: dict[Table, Callable[[Client], Callable[..., Any]]] = {
    Table.COIL: lambda client: client.read_coils,
    Table.DISCRETE: lambda client: client.read_discrete_inputs,
    Table.HOLDING: lambda client: client.read_holding_registers,
    Table.INPUT: lambda client: client.read_input_registers,
}
_FUNCTION = {Table.COIL: 1, Table.DISCRETE: 2, Table.HOLDING: 3, Table.INPUT: 4}
