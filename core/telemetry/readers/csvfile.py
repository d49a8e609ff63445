"""Reads tables of values (CSV and its kin) into readings, by a mapping of columns to points or by their headings.

Nothing is dropped in silence: what cannot be read becomes a bad reading or, without a time, a doubt with its line; what
is no measurement is said or, if the device marked something, an event.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import msgspec

from core.telemetry.batch import Gap
from core.telemetry.quality import Quality, Reason
from core.telemetry.readers.cells import read_cell
from core.telemetry.readers.columns import Seen, chosen, look
from core.telemetry.readers.csvframe import CsvTable, open_table
from core.telemetry.readers.csvmapping import ASSUMED_ZONE, CONVERSIONS, Column, CsvMapping, check_mapping, index_of
from core.telemetry.readers.figures import LEAST_GROUPED, Decimal, decimal_of, grouped, split_unit
from core.telemetry.readers.headings import Role
from core.telemetry.readers.tabledoubts import look_at_fractions, look_at_times, look_for_twins, silences
from core.telemetry.readers.text import SIMULATED, BadFile, Doubt, NoTable, read_text
from core.telemetry.readers.walltime import Instant, parse_wall, resolve, zone_named
from core.telemetry.reading import Reading

__all__ = ["Column", "CsvMapping", "CsvResult", "Event", "parse_csv", "read_csv"]

_TABLE = "table"


@dataclass(frozen=True, slots=True)
class Event:
    """Something the device noted: `Coupler Attached: Logged`. No measurement."""

    line: int
    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class CsvResult:
    """Every row's readings in the file's order, the silences between them, events, and every doubtful line.

    `device` and `serial` are what the file says of its recorder; empty where it says nothing. `clock` tells which
    zone its times are in, and how that is known.
    """

    rows: int
    readings: tuple[Reading, ...]
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


@dataclass(frozen=True, slots=True)
class _Row:
    """A line's time, its cells of values in the order of the mapping (None where the line has no such column), the
    cells of units beside them, and what the device noted.
    """

    line: int
    wall: datetime
    cells: tuple[str | None, ...]
    units: tuple[str, ...]
    noted: str


@dataclass(slots=True)
class _Reading:
    """One reading of a table: what it is read by, and the doubts met so far."""

    table: CsvTable
    seen: Seen
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
    seen = look(table)
    check_mapping(mapping, seen.names, table.heading or 1)
    doubts = [Doubt(table.heading or table.first, kind, message) for kind, message in table.doubts]
    if any(line.strip() for line in table.above[mapping.skip_lines :]):
        lines = f"the lines up to {len(table.above)} are not part of the table, and left out"
        doubts.append(Doubt(mapping.skip_lines + 1, "preamble", lines))
    if any(SIMULATED in line for line in table.above):
        mapping = msgspec.structs.replace(mapping, simulated=True)
        doubts.append(Doubt(1, "simulated", "no device wrote this: its readings are marked as simulated"))
    if not mapping.values:
        if not table.sample:
            raise NoTable("there is no reading in it: it ends after its heading", table.heading)
        values, others = chosen(seen, stem, mapping)
        mapping = msgspec.structs.replace(mapping, values=values)
        if others:
            doubts.append(Doubt(table.heading or table.first, "columns", others))
    if table.time_form.doubt:
        doubts.append(Doubt(table.first, "date_order", table.time_form.doubt))
    return _read(_Reading(table, seen, mapping, edge_at, doubts))


def _read(run: _Reading) -> CsvResult:
    table, seen, mapping, doubts = run.table, run.seen, run.mapping, run.doubts
    rows = list(_rows(run))
    zone, clock = _zone(run, [row.wall for row in rows])
    instants = resolve([row.wall for row in rows], zone, mapping.ambiguous, run.edge_at)
    events = tuple(
        Event(row.line, instant.at, row.noted) for row, instant in zip(rows, instants, strict=True) if row.noted
    )
    readings: list[Reading] = []
    lines: list[int] = []
    for index, column in enumerate(mapping.values):
        for line, reading in _column(run, rows, instants, index, column):
            lines.append(line)
            readings.append(reading)
    look_at_times([(row.line, row.wall) for row in rows], instants, doubts)
    look_for_twins(readings, lines, doubts)
    look_at_fractions(readings, mapping.values, table.first, doubts)
    gaps, steps = silences(readings, mapping.values, mapping.allowed_gap)
    return CsvResult(
        rows=len(rows) + sum(doubt.kind == "malformed_row" for doubt in doubts),
        readings=tuple(readings),
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


def _zone(run: _Reading, walls: Sequence[datetime]) -> tuple[tzinfo, str]:
    """The zone of times without an offset: the file's own, else the given one, else an assumed one, which is said."""
    given, own, first = run.mapping.timezone, run.seen.zone, run.table.first
    naive = next((wall for wall in walls if wall.tzinfo is None), None)
    if own is not None:
        if (
            given is not None
            and naive is not None
            and naive.replace(tzinfo=own) != naive.replace(tzinfo=zone_named(given))
        ):
            message = f"the file says {run.seen.zone_text!r}: that holds, and not {given}"
            run.doubts.append(Doubt(first, "zone", message))
        return own, f"{own} ({run.seen.zone_text})"
    if given is not None:
        return zone_named(given), given
    if naive is not None:
        message = f"its times have no offset and no time zone is given: taken as {ASSUMED_ZONE}"
        run.doubts.append(Doubt(first, "assumed_zone", message))
        return zone_named(ASSUMED_ZONE), f"{ASSUMED_ZONE} (assumed)"
    return zone_named(ASSUMED_ZONE), "offsets in the file"


def _rows(run: _Reading) -> Iterator[_Row]:
    """The rows that have a time and no more cells than there are columns; the others become doubts."""
    table, doubts = run.table, run.doubts
    names, form = run.seen.names, table.time_form.form
    width = len(names)
    places = [index_of(column.column, names) for column in run.mapping.values]
    units = [None if c.unit_column is None else index_of(c.unit_column, names) for c in run.mapping.values]
    united = any(place is not None for place in units)
    notes = [
        (place, names[place]) for place, column in enumerate(run.seen.columns)
        if column.role is Role.EVENT and place not in places
    ]  # fmt: skip
    for line, cells in table.records():
        if len(cells) > width and any(cell.strip() for cell in cells[width:]):
            doubts.append(Doubt(line, "malformed_row", f"{len(cells)} columns, {width} expected", damage=True))
            continue
        try:
            wall = parse_wall(table.stamp(cells), form)
        except IndexError:
            doubts.append(Doubt(line, "malformed_row", f"{len(cells)} columns, {width} expected", damage=True))
            continue
        except ValueError as error:
            _without_time(run, line, cells, str(error))
            continue
        found = tuple(cells[place] if place < len(cells) else None for place in places)
        noted = _noted(cells, notes) if notes else ""
        beside = (
            tuple("" if place is None or place >= len(cells) else cells[place] for place in units) if united else ()
        )
        yield _Row(line, wall, found, beside, noted)


def _noted(cells: Sequence[str], notes: Sequence[tuple[int, str]]) -> str:
    """What the device noted in a row."""
    found = ((name, cells[place].strip()) for place, name in notes if place < len(cells))
    return "; ".join(f"{name}: {text}" for name, text in found if text)


def _without_time(run: _Reading, line: int, cells: Sequence[str], why: str) -> None:
    """A row without a time is the headings again, or damaged."""
    if tuple(cell.strip() for cell in cells) == run.table.names:
        run.doubts.append(Doubt(line, "heading", "the headings again"))
        return
    run.doubts.append(Doubt(line, "malformed_row", f"no time ({why})", damage=True))


def _column(
    run: _Reading, rows: Sequence[_Row], instants: Sequence[Instant], index: int, column: Column
) -> Iterator[tuple[int, Reading]]:
    """The readings of one column, with their lines. A row in which the device only noted something is none of them."""
    decimal = run.mapping.decimal or _decimal(rows, column, index)
    claimed = {other.unit for other in run.mapping.values if other.column == column.column}
    apart = False
    for row, instant in zip(rows, instants, strict=True):
        text = row.cells[index]
        if row.noted and not any(cell and cell.strip() for cell in row.cells):
            continue
        unit = split_unit(f"0 {row.units[index]}")[1] if column.unit_column is not None else column.unit
        if unit != column.unit and unit in claimed:
            continue
        if text is None:
            message = f"no column {column.column!r} in this line"
            run.doubts.append(Doubt(row.line, "malformed", message, damage=True))
            yield row.line, _made(run, column, instant, None, Quality.BAD, Reason.NO_VALUE)
            continue
        if unit != column.unit:
            message = f"the unit is {row.units[index]!r}, not {column.unit}"
            run.doubts.append(Doubt(row.line, "wrong_unit", message, damage=True))
            yield row.line, _made(run, column, instant, None, Quality.BAD, Reason.WRONG_UNIT)
            continue
        cell = read_cell(text, decimal, column.unit)
        if cell.doubt:
            run.doubts.append(Doubt(row.line, cell.doubt, f"{column.column!r}: {cell.message}", cell.damage))
        elif not apart and len(text) >= LEAST_GROUPED and grouped(text, decimal):
            apart = True
            message = f"{column.column!r}: {text.strip()!r} is read as {cell.value:.10g}, its thousands apart"
            run.doubts.append(Doubt(row.line, "thousands", message))
        yield row.line, _made(run, column, instant, cell.value, cell.quality, cell.reason)


def _decimal(rows: Sequence[_Row], column: Column, index: int) -> Decimal:
    try:
        cells = ((row.line, row.cells[index]) for row in rows)
        return decimal_of((line, split_unit(cell)[0]) for line, cell in cells if cell and "," in cell)
    except BadFile as error:
        raise BadFile(f"column {column.column!r}: {error.message}", error.line) from error


def _made(
    run: _Reading, column: Column, instant: Instant, value: float | None, quality: Quality, reason: str
) -> Reading:
    """The reading of one cell, in the unit that is wanted; a doubtful time makes a good value uncertain."""
    if instant.doubt and quality is Quality.GOOD:
        quality, reason = Quality.UNCERTAIN, Reason.CLOCK
    unit = column.unit if column.to_unit is None else column.to_unit
    if value is not None and (column.unit, unit) in CONVERSIONS:
        factor, offset = CONVERSIONS[column.unit, unit]
        value = value * factor + offset
    return Reading(
        point=column.point,
        at=instant.at,
        value=value,
        unit=unit,
        edge_at=run.edge_at,
        source_at=instant.at,
        quality=quality,
        reason=reason,
        simulated=run.mapping.simulated,
    )
