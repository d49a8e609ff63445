"""What a Modbus source is configured with: the bus, its units, their points. Every error names its field."""

import re
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from edge.collectors.port import Clock, PointAddress, SourceConfig

Seconds = Annotated[timedelta, Field(gt=timedelta(0))]

MAX_REGISTERS = 125
"""Registers one read may ask for (Modbus application protocol 1.1b3, §6.3)."""
MAX_BITS = 2000
"""Coils or discrete inputs one read may ask for (same, §6.1)."""
WIDE = 4
CELLS = 65536
"""Addresses of a table, 0 to 65535."""


class Table(StrEnum):
    """The four tables of a unit; each has its own read function."""

    COIL = "coil"
    DISCRETE = "discrete"
    HOLDING = "holding"
    INPUT = "input"

    @property
    def of_bits(self) -> bool:
        """Whether its cells are single bits rather than 16-bit registers."""
        return self in {Table.COIL, Table.DISCRETE}


class Order(StrEnum):
    """How a device lays the bytes of a value into registers; A is the most significant byte."""

    ABCD = "ABCD"
    CDAB = "CDAB"
    BADC = "BADC"
    DCBA = "DCBA"


class Kind(StrEnum):
    """How the raw registers are read."""

    BOOL = "bool"
    BIT = "bit"
    INT8 = "int8"
    UINT8 = "uint8"
    INT16 = "int16"
    UINT16 = "uint16"
    INT32 = "int32"
    UINT32 = "uint32"
    INT64 = "int64"
    UINT64 = "uint64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    STRING = "string"


REGISTERS: dict[Kind, int] = {
    Kind.BIT: 1,
    Kind.INT8: 1,
    Kind.UINT8: 1,
    Kind.INT16: 1,
    Kind.UINT16: 1,
    Kind.INT32: 2,
    Kind.UINT32: 2,
    Kind.INT64: 4,
    Kind.UINT64: 4,
    Kind.FLOAT32: 2,
    Kind.FLOAT64: 4,
}
"""Registers a value of each kind takes; a string says its own length."""

_NOTATION = re.compile(r"([0134])(\d{4}|\d{5})\Z")
_NOTATION_TABLE = {"0": Table.COIL, "1": Table.DISCRETE, "3": Table.INPUT, "4": Table.HOLDING}


def parse_notation(text: str) -> tuple[Table, int]:
    """Table and 0-based address of the manuals' 1-based notation: "40001" and "400001" are holding register 0.

    Raises ValueError for any other text.
    """
    found = _NOTATION.match(text)
    if found is None or not 0 < int(found[2]) <= CELLS:
        raise ValueError(f"{text!r} is not an address such as '40001' or '300001'; a 0-based address is a plain number")
    return _NOTATION_TABLE[found[1]], int(found[2]) - 1


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TcpTransport(_Strict):
    """Modbus TCP (MBAP header)."""

    kind: Literal["tcp"]
    host: str = Field(min_length=1)
    port: int = Field(default=502, ge=1, le=65535)


class RtuOverTcpTransport(_Strict):
    """RTU frames through a TCP socket, as serial servers without protocol conversion speak."""

    kind: Literal["rtu_over_tcp"]
    host: str = Field(min_length=1)
    port: int = Field(default=502, ge=1, le=65535)


class SerialTransport(_Strict):
    """RTU frames on a serial line."""

    kind: Literal["serial"]
    port: str = Field(min_length=1)
    baudrate: int = Field(default=9600, ge=110)
    parity: Literal["N", "E", "O"] = "N"
    stopbits: Literal[1, 2] = 1
    bytesize: Literal[7, 8] = 8


Transport = Annotated[TcpTransport | RtuOverTcpTransport | SerialTransport, Field(discriminator="kind")]


class ModbusPoint(_Strict):
    """One value of a unit.

    `address` as a number is 0-based, as it goes over the wire. As text it is the manuals' 1-based notation
    ("40001" is holding register 0, "30002" input register 1), which also names the table. Quote it in YAML.
    The value is raw × scale + offset, in `unit` (UCUM). `sentinels` are raw values by which the device says that
    it has none: compared with the decoded number before scaling and, for integers, with its unsigned bit pattern.
    """

    point: PointAddress
    table: Table
    address: int = Field(ge=0, lt=CELLS)
    type: Kind
    bit: int | None = Field(default=None, ge=0, le=15)
    """Which bit of the register, 0 the least significant; for type `bit` only."""
    byte: Literal["low", "high"] = "low"
    """Which half of the register, for int8 and uint8."""
    length: int | None = Field(default=None, ge=1, le=MAX_REGISTERS)
    """Registers of a string."""
    encoding: Literal["ascii", "utf-8", "latin-1"] = "ascii"
    order: Order = Order.ABCD
    register_bytes: Literal[2, 4] = 2
    """Bytes of one register of this device; said once, for the unit."""
    scale: Decimal = Decimal(1)
    offset: Decimal = Decimal(0)
    sentinels: tuple[int | float, ...] = ()
    valid: tuple[float, float] | None = None
    """Lowest and highest value, after scaling, that the sensor can measure; outside is bad."""
    unit: str = ""

    @model_validator(mode="before")
    @classmethod
    def _notation(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("address"), str):
            return data
        table, address = parse_notation(data["address"])
        if data.get("table", table) != table:
            raise ValueError(f"address {data['address']!r} is of table {table}, not {data['table']}")
        filled = data | {"table": table, "address": address}
        return filled if "type" in filled or not table.of_bits else filled | {"type": Kind.BOOL}

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if self.table.of_bits != (self.type is Kind.BOOL):
            raise ValueError("type bool goes with coils and discrete inputs, and only bool does; in a register say bit")
        if (self.type is Kind.BIT) != (self.bit is not None):
            raise ValueError("type bit needs `bit` (0 to 15), and only it does")
        if (self.type is Kind.STRING) != (self.length is not None):
            raise ValueError("type string needs `length` (registers), and only it does")
        if not self.is_number and (self.scale != 1 or self.offset != 0 or self.sentinels or self.valid):
            raise ValueError(f"scale, offset, sentinels and valid make no sense for type {self.type}")
        impossible = [str(each) for each in self.sentinels if not self._can_be(each)]
        if impossible:
            raise ValueError(f"sentinels are raw values, and no {self.type} can be {', '.join(impossible)}")
        if self.scale == 0 or not self.scale.is_finite() or not self.offset.is_finite():
            raise ValueError("scale must be a number other than 0, offset a number")
        if self.valid is not None and not self.valid[0] < self.valid[1]:
            raise ValueError("valid is [lowest, highest]")
        if self.register_bytes == WIDE and not self.table.of_bits and REGISTERS.get(self.type, 0) * 2 < WIDE:
            raise ValueError(f"a register of 4 bytes holds a number of 32 bits or half of one of 64, no {self.type}")
        if self.address + self.width > CELLS:
            raise ValueError("the value reaches past the last address, 65535")
        return self

    def _can_be(self, raw: float) -> bool:
        """Whether the raw number, or for an integer its unsigned bit pattern, can be this."""
        if self.type in {Kind.FLOAT32, Kind.FLOAT64}:
            return True
        bits = 8 if self.type in {Kind.INT8, Kind.UINT8} else 16 * REGISTERS[self.type]
        return -(1 << bits - 1) <= raw < 1 << bits and raw == int(raw)

    @property
    def is_number(self) -> bool:
        """Whether it can be scaled."""
        return self.type not in {Kind.BOOL, Kind.BIT, Kind.STRING}

    @property
    def width(self) -> int:
        """Cells it takes in its table: registers, or 1 bit."""
        if self.table.of_bits:
            return 1
        return self.length if self.length is not None else REGISTERS[self.type] // self.words

    @property
    def words(self) -> int:
        """Words of 16 bits, or bits, that one cell of the table brings."""
        return 1 if self.table.of_bits else self.register_bytes // 2


class ModbusUnit(_Strict):
    """One device on the bus and what is read from it. The same id may stand twice, at different intervals."""

    id: int = Field(ge=0, le=255)
    every: Seconds = timedelta(seconds=10)
    """Poll interval."""
    max_registers: int = Field(default=MAX_REGISTERS, ge=1, le=MAX_REGISTERS)
    max_bits: int = Field(default=MAX_BITS, ge=1, le=MAX_BITS)
    holes: int = Field(default=4, ge=0, le=MAX_BITS)
    """Unwanted cells that may be read along to join two neighbours into one request."""
    answers_as: tuple[Annotated[int, Field(ge=0, le=255)], ...] = ()
    """Other unit ids under which it answers: some devices and gateways answer as 0 or 255 whatever they are asked."""
    register_bytes: Literal[2, 4] = 2
    """Bytes of one register: 4 in devices that answer one asked register with four bytes (Enron, Daniel)."""
    points: tuple[ModbusPoint, ...] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _wide(cls, data: Any) -> Any:
        """Says to each point how long the unit's registers are, where they are not as the standard has them."""
        points = data.get("points") if isinstance(data, dict) else None
        if not isinstance(points, list | tuple) or data.get("register_bytes") != WIDE:
            return data
        return data | {"points": [p | {"register_bytes": WIDE} if isinstance(p, dict) else p for p in points]}

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for point in self.points:
            if not point.table.of_bits and point.width > self.max_registers:
                raise ValueError(
                    f"{point.point}: {point.width} registers, more than max_registers {self.max_registers}"
                )
        return self

    def maximum(self, table: Table) -> int:
        """Largest block of a table, in its cells."""
        return self.max_bits if table.of_bits else min(self.max_registers, 2 * MAX_REGISTERS // self.register_bytes)


class ModbusSource(SourceConfig):
    """One bus (a TCP connection or a serial line) and its units.

    Modbus has no stamps: every reading is judged by the gateway's receipt of the answer, so `clock` must be
    `gateway` (the default here). A unit that does not answer costs `timeout` × (`retries` + 1), once, and then one
    `timeout` per back-off, which doubles from its interval to `backoff_max`.
    """

    protocol: Literal["modbus"]
    clock: Clock = Clock.GATEWAY
    transport: Transport
    timeout: Seconds = timedelta(seconds=0.5)
    retries: int = Field(default=1, ge=0, le=10)
    backoff_max: Seconds = timedelta(seconds=60)
    retry_refused: Seconds = timedelta(minutes=5)
    """After this long an address that the device refused is asked for again."""
    units: tuple[ModbusUnit, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_owner(self) -> Self:
        if self.clock is not Clock.GATEWAY:
            raise ValueError("Modbus carries no time stamps: clock must be gateway")
        seen: set[str] = set()
        for unit in self.units:
            for point in unit.points:
                if point.point in seen:
                    raise ValueError(f"{point.point} is configured twice")
                seen.add(point.point)
        ids = {unit.id for unit in self.units}
        for unit in self.units:
            if taken := (ids - {unit.id}).intersection(unit.answers_as):
                raise ValueError(f"unit {unit.id} cannot answer as {min(taken)}, which is another unit of the bus")
        return self
