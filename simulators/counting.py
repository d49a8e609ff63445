"""A Modbus device that counts its answers: each read says a new number, and the device keeps its own book of them."""

import os
from collections.abc import Callable
from datetime import datetime

from pymodbus import FramerType
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from simulators.guard import refuse_unmarked
from simulators.sensors import Clock, real_time

TEMPERATURE, NUMBER = 0, 1
"""Input registers: temperature (int16 × 0.1 °C), and the number of the answer (uint32, high word first)."""
REGISTERS = 3
_INPUT = 4

Answered = Callable[[int, datetime, float], None]


class CountingDevice:
    """One unit (1) on a TCP port. `read` gives the temperature, °C; `answered` is told (number, when, °C as told) of
    every answer. Numbers go on while it is down. Needs LOTWISE_INSTANCE=test.
    """

    def __init__(self, port: int, read: Callable[[], float], answered: Answered, clock: Clock = real_time) -> None:
        self.port = port
        self._read = read
        self._answered = answered
        self._clock = clock
        self._number = 0
        self._server: ModbusTcpServer | None = None

    async def connect(self) -> None:
        """Brings it up; nothing happens if it is. Raises LiveInstance; OSError if the port is taken."""
        refuse_unmarked(os.environ.get("LOTWISE_INSTANCE"))
        if self._server is not None:
            return
        server = ModbusTcpServer([self._device()], framer=FramerType.SOCKET, address=("127.0.0.1", self.port))
        try:
            await server.serve_forever(background=True)
        except RuntimeError as error:
            raise OSError(f"no Modbus on port {self.port}: {error}") from error
        self._server = server

    async def disconnect(self) -> None:
        """Takes it down, and cuts whoever is connected."""
        if self._server is not None:
            server, self._server = self._server, None
            await server.shutdown()  # type: ignore[no-untyped-call] # pymodbus leaves it untyped

    def _device(self) -> SimDevice:
        async def act(
            function: int,
            start: int,
            address: int,
            count: int,
            registers: list[int],
            written: list[int] | list[bool] | None,
        ) -> ExcCodes | None:
            if written is not None or function != _INPUT or (address, count) != (0, REGISTERS):
                return ExcCodes.ILLEGAL_ADDRESS
            self._number += 1
            tenths = round(self._read() * 10)
            words = [tenths & 0xFFFF, self._number >> 16, self._number & 0xFFFF]
            registers[-start : REGISTERS - start] = words
            self._answered(self._number, self._clock(), tenths / 10)
            return None

        bits = [SimData(0, values=[False] * 16, datatype=DataType.BITS)]
        holding = [SimData(0, values=[0] * 4, datatype=DataType.REGISTERS)]
        inputs = [SimData(0, values=[0] * REGISTERS, datatype=DataType.REGISTERS)]
        return SimDevice(1, (list(bits), list(bits), holding, inputs), action=act)
