"""Reads tables of values (CSV and its kin) into readings, by a mapping of columns to points or by their headings.

Nothing is dropped in silence: what cannot be read becomes a bad reading or, without a time, a doubt with its line; what
is no measurement is said or, if the device marked something, an event.
"""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache, lru_cache, partial
from pathlib import Path

import msgspec

from core.telemetry.batch import Gap
from core.telemetry.compact import PointReadings, Readings, State, Values
from core.telemetry.message import Message
from core.telemetry.quality import Quality, Reason
from core.telemetry.readers.cells import Cell, read_cell
from core.telemetry.readers.columns import DetectedColumns, detect_columns, mapping_of
from core.telemetry.readers.csv_frame import CsvTable, open_table
from core.telemetry.readers.csv_mapping import ASSUMED_ZONE, CONVERSIONS, Column, CsvMapping, check_mapping, index_of
from core.telemetry.readers.headings import Role
from core.telemetry.readers.instants import Instants, WallTimes
from core.telemetry.readers.number_formats import LEAST_GROUPED, Decimal, decimal_of, grouped, split_unit
from core.telemetry.readers.table_checks import check_duplicates, check_fractions, check_times, silences
from core.telemetry.readers.text import SIMULATED, BadFile, Doubt, NoTable, read_text, what_of
from core.telemetry.readers.wall_time import parse_wall, resolve, zone_named
from core.telemetry.reading import Reading

__all__ = ["Column", "CsvMapping", "CsvResult", "Event", "parse_csv", "read_csv"]

_TABLE = "table"
_REMEMBERED = 10_000
"""So many different cells are remembered."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something the device noted: `Coupler Attached: Logged`. No measurement."""

    line: int
    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class CsvResult:
    """Every row's readings in the file's order, the silences between them, events, and every doubtful line.

    `device` and `serial` are what the file says of its logger; empty where it says nothing. `clock` tells which
    zone its times are in, and how that is known.
    """

    rows: int
    readings: Sequence[Reading]
    gaps: tuple[Gap, ...]
    doubts: tuple[Doubt, ...]
    columns: tuple[str, ...]
    delimiter: str
    time_format: str
    steps: Mapping[str, timedelta]
    """The usual distance between readings, by point."""
    events: tuple[Event, ...] = ()
    device: str = ""
    serial: str = ""
    clock: str = ""
    zone: tzinfo = UTC
    """Which zone that is."""

    @property
    def damaged(self) -> bool:
        """Whether a line could not be read."""
        return any(doubt.damage for doubt in self.doubts)


@dataclass(slots=True)
class _Rows:
    """The lines that have a time: their numbers and times, and by column of the mapping the cells of values (None where
    a line has no such column) and of units beside them. `noted` has by place what the device noted.
    """

    lines: "array[int]"
    walls: WallTimes
    cells: list[list[str | None]]
    units: list[list[str]]
    noted: dict[int, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Reading:
    """One reading of a table: what it is read by, and the doubts met so far."""

    table: CsvTable
    seen: DetectedColumns
    mapping: CsvMapping
    edge_at: datetime
    doubts: list[Doubt] = field(default_factory=list)


def read_csv(path: Path, mapping: CsvMapping, edge_at: datetime) -> CsvResult:
    """The file as readings; `edge_at` (aware) is when we received it. Raises BadFile when the file does not fit.

    Doubtful lines do not stop it: they are all in the result, with their numbers.
    """
    return parse_csv(read_text(path), mapping, edge_at, path.name.partition(".")[0])


def parse_csv(text: str, mapping: CsvMapping, edge_at: datetime, stem: str = _TABLE) -> CsvResult:
    """As `read_csv`, from text. Columns of measurements that nobody named are called by `stem`."""
    table = open_table(text, mapping)
    seen = detect_columns(table)
    check_mapping(mapping, seen.names, table.heading or 1)
    doubts = [Doubt(table.heading or table.first, kind, message) for kind, message in table.doubts]
    if any(line.strip() for line in table.above[mapping.skip_lines :]):
        above = Message("telemetry.lines_above", line=len(table.above))
        doubts.append(Doubt(mapping.skip_lines + 1, "preamble", above))
    if any(SIMULATED in line for line in table.above):
        mapping = msgspec.structs.replace(mapping, simulated=True)
        doubts.append(Doubt(1, "simulated", Message("telemetry.simulated")))
    if not mapping.values:
        if not table.sample:
            raise NoTable(Message("telemetry.nothing_below_heading"), table.heading)
        values, others = mapping_of(seen, stem, mapping)
        mapping = msgspec.structs.replace(mapping, values=values)
        if others is not None:
            doubts.append(Doubt(table.heading or table.first, "columns", others))
    if table.time_form.doubt is not None:
        doubts.append(Doubt(table.first, "date_order", table.time_form.doubt))
    return _read(_Reading(table, seen, mapping, edge_at, doubts))


def _read(run: _Reading) -> CsvResult:
    table, seen, mapping, doubts = run.table, run.seen, run.mapping, run.doubts
    rows = _rows(run)
    zone, clock = _zone(run, rows.walls)
    instants = resolve(rows.walls, zone, mapping.ambiguous, run.edge_at)
    events = tuple(Event(rows.lines[place], instants[place].at, noted) for place, noted in rows.noted.items())
    points: list[PointReadings] = []
    lines: array[int] = array("q")
    for index, column in enumerate(mapping.values):
        found, theirs = _column(run, rows, instants, index, column)
        points.append(PointReadings(column.point, run.edge_at, mapping.simulated, found))
        lines.extend(theirs)
    readings = Readings(points)
    check_times(rows.lines, rows.walls, instants, doubts)
    check_duplicates(readings, lines, doubts)
    check_fractions(readings, mapping.values, table.first, doubts)
    gaps, steps = silences(readings, mapping.values, mapping.allowed_gap)
    return CsvResult(
        rows=len(rows.lines) + sum(doubt.kind == "malformed_row" for doubt in doubts),
        readings=readings,
        gaps=tuple(gaps),
        doubts=tuple(sorted(doubts, key=lambda doubt: doubt.line)),
        columns=seen.names,
        delimiter=table.delimiter,
        time_format=table.time_form.form,
        steps=steps,
        events=events,
        device=seen.dialect.name if seen.dialect else "",
        serial=seen.serial,
        clock=clock,
        zone=zone,
    )


def _zone(run: _Reading, walls: WallTimes) -> tuple[tzinfo, str]:
    """The zone of times without an offset: the file's own, else the given one, else an assumed one, which is said."""
    given, detected, first = run.mapping.timezone, run.seen.zone, run.table.first
    naive = walls.first_naive()
    if detected is not None:
        if (
            given is not None
            and naive is not None
            and naive.replace(tzinfo=detected) != naive.replace(tzinfo=zone_named(given))
        ):
            own = Message("telemetry.zone_of_file", zone=run.seen.zone_text, given=given)
            run.doubts.append(Doubt(first, "zone", own))
        return detected, f"{detected} ({run.seen.zone_text})"
    if given is not None:
        return zone_named(given), given
    if naive is not None:
        run.doubts.append(Doubt(first, "assumed_zone", Message("telemetry.zone_assumed", zone=ASSUMED_ZONE)))
        return zone_named(ASSUMED_ZONE), f"{ASSUMED_ZONE} (assumed)"
    return zone_named(ASSUMED_ZONE), "offsets in the file"


def _rows(run: _Reading) -> _Rows:
    """The rows that have a time and no more cells than there are columns; the others become doubts."""
    table, doubts = run.table, run.doubts
    names, form = run.seen.names, table.time_form.form
    width = len(names)
    places = [index_of(column.column, names) for column in run.mapping.values]
    units = [None if c.unit_column is None else index_of(c.unit_column, names) for c in run.mapping.values]
    notes = [
        (place, names[place])
        for place, column in enumerate(run.seen.columns)
        if column.role is Role.EVENT and place not in places
    ]
    out = _Rows(array("q"), WallTimes(), [[] for _ in places], [[] for _ in units])
    once = _CellCache()
    for line, cells in table.records():
        if len(cells) > width and any(cell.strip() for cell in cells[width:]):
            doubts.append(_of_another_width(line, len(cells), width))
            continue
        try:
            wall = parse_wall(table.stamp(cells), form)
        except IndexError:
            doubts.append(_of_another_width(line, len(cells), width))
            continue
        except ValueError as error:
            _without_time(run, line, cells, what_of(error))
            continue
        if notes and (noted := _noted(cells, notes)):
            out.noted[len(out.lines)] = noted
        out.lines.append(line)
        out.walls.add(wall)
        for column, place, unit in zip(range(len(places)), places, units, strict=True):
            out.cells[column].append(once[cells[place]] if place < len(cells) else None)
            if unit is not None:
                out.units[column].append(once[cells[unit]] if unit < len(cells) else "")
    return out


def _of_another_width(line: int, there: int, width: int) -> Doubt:
    said = Message("telemetry.columns_unexpected", count=there, wanted=width)
    return Doubt(line, "malformed_row", said, damage=True)


class _CellCache(dict[str, str]):
    """The same text for equal texts: a logger's values repeat. Very many different ones are not all remembered."""

    def __missing__(self, text: str) -> str:
        if len(self) < _REMEMBERED:
            self[text] = text
        return text


def _noted(cells: Sequence[str], notes: Sequence[tuple[int, str]]) -> str:
    """What the device noted in a row."""
    found = ((name, cells[place].strip()) for place, name in notes if place < len(cells))
    return "; ".join(f"{name}: {text}" for name, text in found if text)


def _without_time(run: _Reading, line: int, cells: Sequence[str], why: str | Message) -> None:
    """A row without a time is the headings again, or damaged."""
    if tuple(cell.strip() for cell in cells) == run.table.names:
        run.doubts.append(Doubt(line, "heading", Message("telemetry.headings_again")))
        return
    run.doubts.append(Doubt(line, "malformed_row", Message("telemetry.no_time", why=why), damage=True))


def _column(run: _Reading, rows: _Rows, instants: Instants, index: int, column: Column) -> tuple[Values, "array[int]"]:
    """The values of one column, with their lines. A row in which the device only noted something is none of them."""
    decimal = run.mapping.decimal or _decimal(rows, column, index)
    claimed = {other.unit for other in run.mapping.values if other.column == column.column}
    unit_of = cache(lambda beside: split_unit(f"0 {beside}")[1])
    cell_of = lru_cache(_REMEMBERED)(partial(_read_cell, decimal=decimal, column=column))
    apart = False
    out, lines = Values(), array("q")
    for place, text in enumerate(rows.cells[index]):
        if place in rows.noted and not any((cells[place] or "").strip() for cells in rows.cells):
            continue
        beside = rows.units[index][place] if column.unit_column is not None else None
        unit = column.unit if beside is None else unit_of(beside)
        if unit != column.unit and unit in claimed:
            continue
        line = rows.lines[place]
        if text is None:
            cell = _not_there(column)
        else:
            cell = cell_of(text) if unit == column.unit else _of_another_unit(column, beside or "")
        if cell.said is not None:
            run.doubts.append(Doubt(line, cell.doubt, cell.said, cell.damage))
        elif not apart and text is not None and len(text) >= LEAST_GROUPED and grouped(text, decimal):
            apart = True
            value = f"{cell.value:.10g}"
            said = Message("telemetry.thousands_apart", column=str(column.column), text=text.strip(), value=value)
            run.doubts.append(Doubt(line, "thousands", said))
        lines.append(line)
        out.add(instants.at[place], *_made(column, cell, instants.doubts.get(place, "")))
    return out, lines


def _read_cell(text: str, decimal: Decimal, column: Column) -> Cell:
    cell = read_cell(text, decimal, column.unit)
    if cell.said is None:
        return cell
    return replace(cell, said=Message("telemetry.in_column", column=str(column.column), what=cell.said))


def _not_there(column: Column) -> Cell:
    message = Message("telemetry.no_column_in_line", column=str(column.column))
    return Cell(None, Quality.BAD, Reason.NO_VALUE, "malformed", message, damage=True)


def _of_another_unit(column: Column, beside: str) -> Cell:
    message = Message("telemetry.other_unit", unit=beside, wanted=column.unit)
    return Cell(None, Quality.BAD, Reason.WRONG_UNIT, "wrong_unit", message, damage=True)


def _decimal(rows: _Rows, column: Column, index: int) -> Decimal:
    try:
        cells = zip(rows.lines, rows.cells[index], strict=True)
        return decimal_of((line, split_unit(cell)[0]) for line, cell in cells if cell and "," in cell)
    except BadFile as error:
        raise BadFile(Message("telemetry.in_column", column=str(column.column), what=error.said), error.line) from error


def _made(column: Column, cell: Cell, doubt: str) -> tuple[float | None, State]:
    """The value of one cell, in the unit that is wanted; a doubtful time makes a good value uncertain."""
    value, quality, reason = cell.value, cell.quality, cell.reason
    if doubt and quality is Quality.GOOD:
        quality, reason = Quality.UNCERTAIN, Reason.CLOCK
    unit = column.unit if column.to_unit is None else column.to_unit
    if value is not None and (column.unit, unit) in CONVERSIONS:
        factor, offset = CONVERSIONS[column.unit, unit]
        value = value * factor + offset
    return value, State(quality, reason, unit)
