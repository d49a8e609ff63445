"""What registers may mean. Modbus says nothing of that, so every answer here is a guess, by plausibility. Pure."""

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge.collectors.modbus_config import Kind, Order, Table
from edge.collectors.modbus_values import in_order

SENTINELS = (0x8000, 0x7FFF)
"""Words by which a device says that it has no value, often. 0xFFFF is −1 or 65535 as often, and no sentinel here."""
_ROOM = (-95.0, 60.0)
"""°C that a store, a freezer or a yard can have; ultra-cold is −90."""
_HUMID = 100.0
_FLOAT = (0.01, 10_000.0)
"""Sizes of a float32 that somebody measured. Two 16-bit numbers side by side hardly ever look like one."""
_HIGH_WORD = 4
"""A 32-bit counter that has not run for years has a higher word below this."""
_LETTERS = 3
"""Registers in a row that are printable are text from so many on; numbers hardly ever are."""
_FINE, _TENTH, _HUNDREDTH = "0.01", "0.1", 100
ORDERED = frozenset({Kind.FLOAT32, Kind.UINT32})
"""Forms of two registers, whose order has to be said."""
_LEAST = 10
"""A word smaller than this is a state or a count as often as 0.1 to 0.9 °C."""


@dataclass(frozen=True, slots=True)
class Guess:
    """A form that cells [address, address + width) may have: `value` is what they would say so.

    `others` are forms that are plausible, too, in words. `quantity` is "" where it is no climate.
    """

    table: Table
    address: int
    width: int
    kind: Kind
    order: Order
    scale: str
    value: float | bool | str | None
    quantity: str
    unit: str
    others: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """The form, in words."""
        order = f" {self.order}" if self.kind in ORDERED else ""
        scale = f" × {self.scale}" if self.scale != "1" else ""
        return f"{self.kind}{order}{scale}"

    @property
    def shown(self) -> str:
        """The value with its unit, for people."""
        if self.value is None:
            return "no value"
        value = f"{self.value:.6g}" if isinstance(self.value, float) else repr(self.value)
        return f"{value} {self.unit}".rstrip()


def guesses(table: Table, passes: Sequence[Mapping[int, int]]) -> list[Guess]:
    """A guess for every cell that could be read, in order of address; two cells that look like one float are one.

    `passes` are the cells as read one after the other, all of the same addresses.
    """
    last = passes[-1]
    found: list[Guess] = []
    address = min(last, default=0)
    while address <= max(last, default=-1):
        if address not in last:
            address += 1
            continue
        guess = _bit(table, address, last) if table.of_bits else _registers(table, address, passes)
        found.append(guess)
        address += guess.width
    return found


def _registers(table: Table, address: int, passes: Sequence[Mapping[int, int]]) -> Guess:
    text = _text(table, address, passes[-1])
    return text or _float(table, address, passes) or _word(table, address, passes)


def _text(table: Table, address: int, cells: Mapping[int, int]) -> Guess | None:
    """Text that begins here: printable characters, two a register, at most padded with zeros."""
    stop = address
    while stop in cells and cells[stop] and all(_prints(byte) for byte in cells[stop].to_bytes(2, "big")):
        stop += 1
    if stop - address < _LETTERS:
        return None
    text = b"".join(cells[at].to_bytes(2, "big") for at in range(address, stop)).decode("ascii")
    return Guess(table, address, stop - address, Kind.STRING, Order.ABCD, "1", text, "", "")


def _prints(byte: int) -> bool:
    return 0x20 <= byte < 0x7F  # noqa: PLR2004 - ASCII's printable characters


def _bit(table: Table, address: int, cells: Mapping[int, int]) -> Guess:
    return Guess(table, address, 1, Kind.BOOL, Order.ABCD, "1", bool(cells[address]), "", "")


def _float(table: Table, address: int, passes: Sequence[Mapping[int, int]]) -> Guess | None:
    if address + 1 not in passes[-1]:
        return None
    plausible = []
    for order in Order:
        values = [_as_float((cells[address], cells[address + 1]), order) for cells in passes]
        if all(value is not None for value in values):
            plausible.append((order, values[-1]))
    if not plausible:
        return None
    order, value = plausible[0]
    assert value is not None
    others = tuple(f"float32 {other}: {figure:.6g}" for other, figure in plausible[1:] if figure is not None)
    climate = _ROOM[0] <= value <= _ROOM[1]
    quantity, unit = ("temperature", "Cel") if climate else ("", "")
    return Guess(table, address, 2, Kind.FLOAT32, order, "1", value, quantity, unit, others)


def _as_float(words: Sequence[int], order: Order) -> float | None:
    (value,) = struct.unpack(">f", in_order(words, order))
    return value if math.isfinite(value) and _FLOAT[0] <= abs(value) <= _FLOAT[1] else None


def _word(table: Table, address: int, passes: Sequence[Mapping[int, int]]) -> Guess:
    last = passes[-1][address]
    if last in SENTINELS:
        return Guess(table, address, 1, Kind.INT16, Order.ABCD, _TENTH, None, "", "", ("no value just now",))
    signed = last - 0x10000 if last & 0x8000 else last
    others = _longer(address, passes[-1])
    if abs(signed) < _LEAST:
        return Guess(table, address, 1, Kind.UINT16, Order.ABCD, "1", float(last), "", "", others)
    tenth, hundredth = signed / 10, signed / _HUNDREDTH
    if _ROOM[0] <= hundredth <= _ROOM[1] and abs(signed) >= _HUNDREDTH:
        others = (f"int16 × 0.01: {hundredth:g}", *others)
    if _ROOM[0] <= tenth <= _ROOM[1]:
        others = (f"uint16 × 0.1: {tenth:g} %", *others) if tenth > 0 else others
        return Guess(table, address, 1, Kind.INT16, Order.ABCD, _TENTH, tenth, "temperature", "Cel", others)
    if 0 < tenth <= _HUMID:
        return Guess(table, address, 1, Kind.UINT16, Order.ABCD, _TENTH, tenth, "humidity", "%", others)
    if _ROOM[0] <= hundredth <= _ROOM[1]:
        return Guess(table, address, 1, Kind.INT16, Order.ABCD, _FINE, hundredth, "temperature", "Cel", others[1:])
    return Guess(table, address, 1, Kind.UINT16, Order.ABCD, "1", float(last), "", "", others)


def _longer(address: int, cells: Mapping[int, int]) -> tuple[str, ...]:
    """The 32-bit number that begins here, where its high word is small: a counter."""
    if address + 1 not in cells:
        return ()
    high, low = cells[address], cells[address + 1]
    forms = []
    if high < _HIGH_WORD and low >= _LEAST:
        forms.append(f"uint32 ABCD: {high << 16 | low}")
    if 0 < low < _HIGH_WORD and high >= _LEAST:
        forms.append(f"uint32 CDAB: {low << 16 | high}")
    return tuple(forms)
