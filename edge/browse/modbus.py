"""Scans a Modbus device: given units and registers, one request at a time, read twice, and says what they may mean.

Nothing is written. A device says nothing of what its registers are, so all that comes of this is a guess.
"""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from edge.browse.found import BrowsedSource, CannotBrowse, FoundPoint, Names
from edge.browse.guesses import ORDERED, Guess, guesses
from edge.browse.quantities import JUDGED
from edge.collectors.modbus_blocks import Block
from edge.collectors.modbus_bus import Bus, Garbled, NoAnswer, Refused
from edge.collectors.modbus_config import CELLS, Kind, ModbusPoint, ModbusSource, Table

PAUSE = 0.05
"""Seconds between two requests: the device has its own work to do."""
AT_ONCE = 16
"""Cells of one request at most; many small devices answer no more."""
MOST = 4096
"""Cells of a scan in all, over all units."""
PASSES = 2
BETWEEN = 1.0
"""Seconds between two passes."""
GUESSES = (
    "Modbus says nothing of what its registers mean: every form, scale and unit here is a GUESS. Compare them with the"
    " device's display and manual before anything is judged by them."
)
_RANGE = re.compile(r"(coil|discrete|holding|input):(\d+)(?:-(\d+))?")
_UNITS = re.compile(r"(\d+)(?:-(\d+))?")
_MOST_UNITS = 255
_NOBODY = "site/area/zone/device/browse"


@dataclass(frozen=True, slots=True)
class Range:
    """Cells [first, last] of a table; 0-based addresses, as on the wire."""

    table: Table
    first: int
    last: int


@dataclass(slots=True)
class UnitScan:
    """What a unit answered: cells by table, for each pass; and what it did not."""

    unit: int
    passes: list[dict[Table, dict[int, int]]] = field(default_factory=list)
    troubles: dict[str, None] = field(default_factory=dict)


def ranges(texts: Sequence[str]) -> list[Range]:
    """Ranges such as `input:0-31`. Raises CannotBrowse."""
    found = []
    for text in texts:
        match = _RANGE.fullmatch(text.strip())
        if match is None:
            raise CannotBrowse(f"{text!r} is no range of registers such as input:0-31 (coil, discrete, holding, input)")
        first = int(match[2])
        last = int(match[3] or first)
        if not first <= last < CELLS:
            raise CannotBrowse(f"{text!r}: addresses go from 0 to {CELLS - 1}, the lower one first")
        found.append(Range(Table(match[1]), first, last))
    return found


def units(text: str) -> list[int]:
    """Unit ids such as `1`, `1-8` or `1,5,17`. Raises CannotBrowse."""
    found: list[int] = []
    for part in text.split(","):
        match = _UNITS.fullmatch(part.strip())
        if match is None or int(match[2] or match[1]) > _MOST_UNITS:
            raise CannotBrowse(f"{text!r} names no units such as 1, 1-8 or 1,5,17 (at most {_MOST_UNITS})")
        found += range(int(match[1]), int(match[2] or match[1]) + 1)
    return sorted(set(found))


def source_of(transport: Mapping[str, Any], timeout: float) -> ModbusSource:
    """The device as a source, by which it is reached. Raises pydantic's ValidationError."""
    nobody = {"point": _NOBODY, "table": "input", "address": 0, "type": "uint16"}
    return ModbusSource.model_validate(
        {
            "name": "browse",
            "protocol": "modbus",
            "transport": transport,
            "timeout": timedelta(seconds=timeout),
            "units": [{"id": 1, "points": [nobody]}],
        }
    )


async def scan(
    transport: Mapping[str, Any],
    unit_ids: Sequence[int],
    wanted: Sequence[Range],
    stop: asyncio.Event,
    *,
    timeout: float = 1.0,
    progress: Callable[[str], None] = lambda _text: None,
) -> list[UnitScan]:
    """Reads every unit's cells twice. Ends early at `stop`, with what was read so far.

    Costs at most (requests × timeout), and a unit that does not answer its first two requests is left alone. Raises
    CannotBrowse (more cells than a scan may have), SourceLost, SourceMisconfigured.
    """
    cells = len(unit_ids) * sum(one.last - one.first + 1 for one in wanted)
    if cells > MOST:
        raise CannotBrowse(f"{cells} cells in all, at most {MOST} in one scan: name fewer units or registers")
    bus = Bus(source_of(transport, timeout))
    await bus.open()
    try:
        scans = [UnitScan(unit) for unit in unit_ids]
        for turn in range(PASSES):
            if turn:
                await _pause(stop, BETWEEN)
            for one in scans:
                if not stop.is_set() and (not turn or one.passes):
                    progress(f"unit {one.unit}, pass {turn + 1} of {PASSES}")
                    # what the device refused once it is not asked for again
                    await _Pass(bus, one, _runs(one.passes[0]) if turn else wanted, stop).run()
        return scans
    finally:
        bus.close()


def _block(table: Table, start: int, count: int) -> Block:
    """A read of these cells; a block has a point, by which its cells are sized."""
    kind = Kind.BOOL if table.of_bits else Kind.UINT16
    nobody = ModbusPoint.model_validate({"point": _NOBODY, "table": table, "address": start, "type": kind})
    return Block(table, start, count, (nobody,))


def _runs(cells: Mapping[Table, Mapping[int, int]]) -> list[Range]:
    """The cells that were read, as ranges."""
    out: list[Range] = []
    for table, read in cells.items():
        for cell in sorted(read):
            if out and out[-1].table is table and out[-1].last == cell - 1:
                out[-1] = Range(table, out[-1].first, cell)
            else:
                out.append(Range(table, cell, cell))
    return out


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return


class _Pass:
    """One pass over one unit."""

    def __init__(self, bus: Bus, scan_of: UnitScan, wanted: Sequence[Range], stop: asyncio.Event) -> None:
        self._bus = bus
        self._scan = scan_of
        self._wanted = wanted
        self._stop = stop
        self._cells: dict[Table, dict[int, int]] = {}
        self._silent = 0
        self._answered = False

    async def run(self) -> None:
        """Reads all ranges."""
        for one in self._wanted:
            for start in range(one.first, one.last + 1, AT_ONCE):
                await self._read(one.table, start, min(AT_ONCE, one.last + 1 - start))
                if self._gone or self._stop.is_set():
                    break
        if self._gone:
            self._scan.troubles["no answer"] = None
        if self._cells:
            self._scan.passes.append(self._cells)

    @property
    def _gone(self) -> bool:
        return not self._answered and self._silent >= 2  # noqa: PLR2004 - one answer may get lost

    async def _read(self, table: Table, start: int, count: int) -> None:
        """Reads cells; where the device refuses a block, its halves, down to single cells."""
        if self._gone or self._stop.is_set():
            return
        await _pause(self._stop, PAUSE)
        try:
            cells = await self._bus.read(self._scan.unit, _block(table, start, count), 0)
        except Refused as refusal:
            self._answered = True
            if count > 1 and refusal.code in {2, 3, 4}:
                await self._read(table, start, count // 2)
                await self._read(table, start + count // 2, count - count // 2)
            elif refusal.code not in {2, 4}:
                self._scan.troubles[f"{table} {start}: refused with exception {refusal.code}"] = None
        except NoAnswer:
            self._silent += 1
            self._scan.troubles[f"{table} {start}+{count}: no answer"] = None
        except Garbled as error:
            self._scan.troubles[str(error)] = None
        else:
            self._answered = True
            self._cells.setdefault(table, {}).update((start + n, int(cell)) for n, cell in enumerate(cells))


def found(
    scans: Sequence[UnitScan], transport: Mapping[str, Any], name: str, names: Names, *, everything: bool = False
) -> BrowsedSource:
    """What the scan gives, as a source of that name."""
    lines: list[str] = []
    points: list[FoundPoint] = []
    units_made: list[dict[str, Any]] = []
    alone = sum(bool(one.passes) for one in scans) == 1
    for one in scans:
        lines += [f"unit {one.unit}  {trouble}" for trouble in one.troubles]
        made: list[dict[str, Any]] = []
        for table in Table:
            for guess in _guesses(one, table):
                taken = everything or bool(guess.quantity)
                point = _point(one, table, guess, name, names, alone=alone) if taken else None
                lines.append(_line(one, guess, point))
                if point is not None:
                    points.append(point)
                    made.append(_configured(guess, point))
        if made:
            units_made.append({"id": one.unit, "points": made})
    source = (
        {"name": name, "protocol": "modbus", "transport": dict(transport), "units": units_made} if units_made else None
    )
    notes = (GUESSES,) if points else ()
    return BrowsedSource(tuple(lines), source, tuple(points), notes)


def _guesses(one: UnitScan, table: Table) -> list[Guess]:
    tables = [cells[table] for cells in one.passes if table in cells]
    last = set(tables[-1]) if tables else set()
    whole = [cells for cells in tables if last <= cells.keys()]
    return guesses(table, whole) if whole else []


def _moved(one: UnitScan, guess: Guess) -> bool:
    cells = range(guess.address, guess.address + guess.width)
    seen = {tuple(done.get(guess.table, {}).get(cell) for cell in cells) for done in one.passes}
    return len(seen) > 1


def _point(one: UnitScan, table: Table, guess: Guess, name: str, names: Names, *, alone: bool) -> FoundPoint:
    device = name if alone else f"{name}-{one.unit}"
    address = names.address(device, f"{guess.quantity or guess.kind}-{table}-{guess.address}")
    setting = table in {Table.HOLDING, Table.COIL}
    role = "required" if guess.quantity in JUDGED and not setting else "machine"
    remarks = [f"{guess.words}, {guess.unit or 'no unit'}"]
    if guess.others:
        remarks.append(f"or {', or '.join(guess.others)}")
    if setting and guess.quantity:
        remarks.append("holding registers are settings as often as measurements: nothing is judged by it yet")
    value = guess.shown
    moved = "moves" if _moved(one, guess) else "did not move"
    where = f"unit {one.unit} {table} {guess.address}"
    return FoundPoint(address, guess.quantity or "state", guess.unit, role, f"{value}, {moved}", where, tuple(remarks))


def _line(one: UnitScan, guess: Guess, point: FoundPoint | None) -> str:
    value = guess.shown
    others = f"; or {', or '.join(guess.others)}" if guess.others else ""
    where = f"→ {point.address}" if point else "not taken"
    moved = "moves" if _moved(one, guess) else "did not move"
    return f"unit {one.unit}  {guess.table} {guess.address}  guess: {guess.words} = {value}{others}  ({moved})  {where}"


def _configured(guess: Guess, point: FoundPoint) -> dict[str, Any]:
    order = {"order": str(guess.order)} if guess.kind in ORDERED else {}
    length = {"length": guess.width} if guess.kind is Kind.STRING else {}
    scale = {"scale": float(guess.scale)} if guess.scale != "1" else {}
    unit = {"unit": guess.unit} if guess.unit else {}
    base = {"point": point.address, "table": str(guess.table), "address": guess.address, "type": str(guess.kind)}
    return {**base, **order, **length, **scale, **unit}
