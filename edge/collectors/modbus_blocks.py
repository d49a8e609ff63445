"""Which registers are read together. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from edge.collectors.modbus_config import ModbusPoint, ModbusUnit, Table
from edge.collectors.modbus_values import Decoder


@dataclass(frozen=True)
class Block:
    """One read request: cells [start, start + count) of a table, and the points that lie wholly within."""

    table: Table
    start: int
    count: int
    points: tuple[ModbusPoint, ...]

    @cached_property
    def parts(self) -> tuple[tuple[ModbusPoint, slice, Decoder], ...]:
        """Each point, where it stands in the words (or bits) of the answer, and what decodes it."""
        return tuple(
            (point, slice(first, first + point.width * point.words), Decoder(point))
            for point in self.points
            for first in [(point.address - self.start) * point.words]
        )

    def halves(self) -> tuple["Block", "Block"]:
        """Its points in two blocks of about the same number, in order of address. Needs two points or more."""
        middle = len(self.points) // 2
        return block_of(self.points[:middle]), block_of(self.points[middle:])


def block_of(points: Sequence[ModbusPoint]) -> Block:
    """The smallest block around points of one table."""
    start = min(point.address for point in points)
    stop = max(point.address + point.width for point in points)
    return Block(points[0].table, start, stop - start, tuple(points))


def plan(unit: ModbusUnit, points: Sequence[ModbusPoint]) -> list[Block]:
    """Every point in exactly one block; no block above the unit's maximum; no run of unwanted cells inside a block
    longer than the unit's `holes`.
    """
    blocks: list[Block] = []
    for table in Table:
        group: list[ModbusPoint] = []
        stop = 0
        ordered = sorted((p for p in points if p.table is table), key=lambda p: (p.address, p.width))
        for point in ordered:
            end = max(stop, point.address + point.width)
            if group and (point.address - stop > unit.holes or end - group[0].address > unit.maximum(table)):
                blocks.append(block_of(group))
                group, end = [], point.address + point.width
            group.append(point)
            stop = end
        if group:
            blocks.append(block_of(group))
    return blocks


class Plan:
    """The blocks of one unit as experience has shaped them: split where the device refuses an address, and without
    the points it refuses altogether, until it is time to ask again.
    """

    def __init__(self, unit: ModbusUnit, retry_refused: timedelta) -> None:
        self._unit = unit
        self._retry = retry_refused
        self.blocks = plan(unit, unit.points)
        self._whole = len(self.blocks)
        self.refused: dict[str, tuple[ModbusPoint, str]] = {}
        """Point → itself and the reason of its bad quality."""
        self._ask_again: datetime | None = None

    def learn(self, blocks: Sequence[Block], refused: dict[str, tuple[ModbusPoint, str]], now: datetime) -> None:
        """Keeps what one poll found out, for a time: a device that failed for a moment is not split for ever."""
        self.blocks = list(blocks)
        self.refused |= refused
        if self.refused or len(self.blocks) > self._whole:
            self._ask_again = self._ask_again or now + self._retry

    def start_over(self, now: datetime) -> bool:
        """Forgets refusals and splits when it is time to ask again; whether it was."""
        if self._ask_again is None or now < self._ask_again:
            return False
        self.blocks = plan(self._unit, self._unit.points)
        self.refused = {}
        self._ask_again = None
        return True
