"""Cold-room controllers that speak Modbus TCP, RTU frames over TCP, or RTU on a serial line: the server and its units.

One server may answer for several units, as a gateway to a serial bus does; each unit controls its own room.
"""

import os
import random
from collections.abc import Callable, Mapping
from typing import cast

from pymodbus import FramerType
from pymodbus.constants import ExcCodes
from pymodbus.pdu import ModbusPDU
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from simulators.devices import SerialLine
from simulators.faults import Fault, FaultKind
from simulators.guard import refuse_unmarked
from simulators.physics import SensorSpec
from simulators.rooms import ColdRoom
from simulators.sensors import Report
from simulators.serialline import SETTINGS_REFUSED, PtyLine
from simulators.unit import PROBES, Unit

_FUNCTION_TABLES = {1: "coil", 5: "coil", 15: "coil", 2: "discrete", 4: "input"}


class ColdRoomController:
    """A Modbus server for one room (unit 1) or several (by unit number), on a TCP port or, if one is given, a serial
    line. Needs LOTWISE_INSTANCE=test to start.
    """

    def __init__(
        self,
        name: str,
        rooms: ColdRoom | Mapping[int, ColdRoom],
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        serial: SerialLine | None = None,
        rtu_over_tcp: bool = False,
        sensor: SensorSpec | None = None,
    ) -> None:
        self.name = name
        self.host = host
        self.port = port
        self._serial = serial
        self._line = None if serial is None or serial.pty is None else PtyLine(serial.pty)
        self._framer = FramerType.RTU if rtu_over_tcp else FramerType.SOCKET
        spec = sensor or SensorSpec(noise=0.05, resolution=0.1)
        self.units = {
            number: Unit(
                number,
                room,
                [room.probe(f"{name}.{number}.{n}", spec) for n in range(PROBES)],
                f"LW-{name[:8].upper()}-{number:03d}",
                report=Report(f"{name}.{number}", "modbus"),
            )
            for number, room in (rooms if isinstance(rooms, Mapping) else {1: rooms}).items()
        }
        self._unit_at = 6 if serial is None and not rtu_over_tcp else 0
        self._random = random.Random(f"{name}:garbage")  # noqa: S311 - spoils frames
        self._server: ModbusTcpServer | ModbusSerialServer | None = None

    async def start(self) -> None:
        """Starts to answer. Raises LiveInstance; OSError if the port is taken or no line can be made."""
        refuse_unmarked(os.environ.get("LOTWISE_INSTANCE"))
        if self._line is not None:
            self._line.open()
        await self.connect()

    async def stop(self) -> None:
        """Stops answering and closes every connection."""
        await self.disconnect()
        if self._line is not None:
            self._line.close()

    async def connect(self) -> None:
        """Brings the server up; nothing happens if it is."""
        if self._server is None:
            server = self._make()
            try:
                await server.serve_forever(background=True)
            except (RuntimeError, SETTINGS_REFUSED) as error:
                where = f"{self.host}:{self.port}" if self._serial is None else self._serial.port
                raise OSError(f"{self.name} cannot serve on {where}: {error}") from error
            self._server = server

    def _make(self) -> ModbusTcpServer | ModbusSerialServer:
        units = [self._device(unit) for unit in self.units.values()]
        if self._serial is None:
            return ModbusTcpServer(
                units,
                framer=self._framer,
                address=(self.host, self.port),
                trace_pdu=self._on_request,
                trace_packet=self._corrupt,
            )
        return ModbusSerialServer(
            units,
            port=self._line.inner if self._line is not None else self._serial.port or "",
            baudrate=self._serial.baudrate,
            parity=self._serial.parity,
            stopbits=self._serial.stopbits,
            trace_pdu=self._on_request,
            trace_packet=self._corrupt,
        )

    async def disconnect(self) -> None:
        """Takes the server down, for all its units; a serial line falls silent."""
        if self._server is not None:
            server, self._server = self._server, None
            await server.shutdown()  # type: ignore[no-untyped-call] # pymodbus leaves it untyped

    def kill(self, unit: int = 1) -> None:
        """The unit does not answer any more; the others do."""
        self.units[unit].dead = True

    def revive(self, unit: int = 1) -> None:
        """The unit answers again."""
        self.units[unit].dead = False

    silence = kill
    resume = revive

    def break_probe(self, probe: int, unit: int = 1) -> None:
        """The probe (0 to 7) shows the error code."""
        self.units[unit].broken.add(probe)

    def repair_probe(self, probe: int, unit: int = 1) -> None:
        """The probe measures again."""
        self.units[unit].broken.discard(probe)

    async def fault(self, fault: Fault, unit: int = 1) -> None:
        """The fault acts on a unit from now on; a disconnect on the whole server."""
        self.units[unit].faults.begin(fault)
        if fault.kind is FaultKind.DISCONNECT:
            await self.disconnect()

    async def clear(self, kind: FaultKind, unit: int = 1) -> None:
        """The fault is over."""
        self.units[unit].faults.end(kind)
        if kind is FaultKind.DISCONNECT:
            await self.connect()

    def _on_request(self, sending: bool, pdu: ModbusPDU) -> ModbusPDU:
        """Lets a request pass only if somebody is there to answer it: a dead unit is silent, and so is none."""
        unit = self.units.get(pdu.dev_id)
        if sending or (unit is not None and not unit.dead and not unit.faults.has(FaultKind.DROP_OUT)):
            return pdu
        # the server takes "no request" for an answer, though its signature does not say so
        return cast("ModbusPDU", None)

    def _corrupt(self, sending: bool, frame: bytes) -> bytes:
        """What goes over the wire: a unit under garbage answers with what is no answer."""
        if not sending or len(frame) <= self._unit_at:
            return frame
        unit = self.units.get(frame[self._unit_at])
        if unit is None or not unit.faults.has(FaultKind.GARBAGE):
            return frame
        return self._random.choice((frame[: len(frame) // 2], self._random.randbytes(len(frame))))

    def _device(self, unit: Unit) -> SimDevice:
        """The unit's map as pymodbus wants it; values are filled in at each request."""

        async def act(
            function: int,
            start: int,
            address: int,
            _count: int,
            registers: list[int],
            written: list[int] | list[bool] | None,
        ) -> ExcCodes | None:
            table = _FUNCTION_TABLES.get(function, "holding")
            if written is not None:
                return _write(unit, table, address, written)
            unit.report.messages += 1
            unit.report.readings += table == "input"
            images: dict[str, Callable[[], dict[int, list[int]]]] = {
                "input": unit.inputs,
                "holding": unit.holding,
                "coil": lambda: unit.bits(coils=True),
                "discrete": lambda: unit.bits(coils=False),
            }
            for first, words in images[table]().items():
                registers[first - start : first - start + len(words)] = words
            return None

        bits = [SimData(0, values=[False] * 16, datatype=DataType.BITS)]
        inputs = [
            SimData(at, values=[0] * count, datatype=DataType.REGISTERS)
            for at, count in ((0, PROBES), (10, 5), (20, 8))
        ]
        holding = [SimData(0, values=[0] * 4, datatype=DataType.REGISTERS)]
        return SimDevice(unit.number, (list(bits), list(bits), holding, inputs), action=act)


def _write(unit: Unit, table: str, address: int, written: list[int] | list[bool]) -> ExcCodes | None:
    for offset, value in enumerate(written):
        if table == "coil":
            unit.write_coil(address + offset, on=bool(value))
        elif not unit.write_register(address + offset, int(value)):
            return ExcCodes.ILLEGAL_VALUE
    return None
