"""The frame of a table of values: mapping, delimiter, header, records and the form of its times, given or found out."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal

import msgspec

from core.telemetry.address import BadAddress, check_point
from core.telemetry.readers.text import BadFile, lines_of
from core.telemetry.readers.walltime import ISO, Ambiguous, fits, form_of

_DELIMITERS = (";", "\t", "|", ",")
_SNIFFED_LINES, _SNIFFED_LETTERS = 50, 100_000
_QUOTED = re.compile(r'"[^"]*"')
_NAMED_DELIMITER = re.compile(r"sep=([;,|\t])[\r\n]", re.IGNORECASE)
"""A first line that tells Excel what stands between the cells."""
_CLOCK = re.compile(r"\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?(?: ?[AaPp][Mm])?")
FIRST_COLUMN: tuple[str | int, ...] = (1,)
"""Where the time is if it is not said; with the second, if that one holds a time of day beside a date."""
CONVERSIONS = {
    ("[degF]", "Cel"): (5 / 9, -160 / 9),
    ("K", "Cel"): (1.0, -273.15),
    ("Cel", "[degF]"): (1.8, 32.0),
}
"""Factor and offset by which a unit becomes another."""


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A column of values: its name or number (1 for the first), the point it goes to, its unit (UCUM).

    With `to_unit` the value is converted (between °C, °F and K) before it becomes a reading.
    """

    column: str | int
    point: str
    unit: str = ""
    to_unit: str | None = None


class CsvMapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to read a table. `time` names one column or several, joined by a space (date and time apart).

    `time_format`: strptime, "iso", "unix", "unix_ms" or "unix_us". `timezone` holds for times without an offset.
    What is not given is found out: `delimiter`, `time_format`, `decimal` ("." or ","), whether there is a `header`
    line, and lines before the table (`skip_lines` 0). `allowed_gap` in minutes; by default 1.5 usual steps.
    """

    values: tuple[Column, ...] = ()
    time: tuple[str | int, ...] = FIRST_COLUMN
    time_format: str | None = None
    timezone: str = "UTC"
    ambiguous: Ambiguous = Ambiguous.ORDER
    delimiter: str | None = None
    decimal: Literal[".", ","] | None = None
    header: bool | None = None
    skip_lines: int = 0
    allowed_gap: float | None = None
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class CsvTable:
    """The table as it stands: column names (1, 2, … without a header) and the form of times.

    `times` are the places of the time's columns, `skipped` the lines before the table that are no part of it.
    """

    text: str
    delimiter: str
    names: tuple[str, ...]
    header: bool
    times: tuple[int, ...]
    time_format: str
    skipped: int

    def records(self) -> Iterator[tuple[int, list[str]]]:
        """Line and cells of every record but the header, read anew each time. Raises BadFile for broken quoting."""
        return islice(_records(self.text, self.delimiter, self.skipped), int(self.header), None)

    def stamp(self, cells: Sequence[str]) -> str:
        """The time of a record as written. Raises IndexError where the record is too short."""
        if len(self.times) == 1:
            return cells[self.times[0]].strip()
        return " ".join(cells[index].strip() for index in self.times)


def open_table(text: str, mapping: CsvMapping) -> CsvTable:
    """The table in a text. Raises BadFile when there is none, or when its times can be read in two ways."""
    delimiter, skip = mapping.delimiter, mapping.skip_lines
    if named := _NAMED_DELIMITER.match(text):
        delimiter, skip = delimiter or named[1], max(skip, 1)
    if delimiter is None:
        delimiter, skip = _sniff(text, skip)
    first = next(_records(text, delimiter, skip), None)
    if first is None:
        raise BadFile("the file is empty")
    header = _has_header(first[1], mapping) if mapping.header is None else mapping.header
    names = tuple(cell.strip() for cell in first[1]) if header else tuple(str(n + 1) for n in range(len(first[1])))
    times = tuple(found for column in mapping.time if (found := _find(column, names)) is not None)
    table = CsvTable(text, delimiter, names, header, times, mapping.time_format or ISO, skip)
    some = [cells for _, cells in islice(table.records(), _SNIFFED_LINES)]
    if mapping.time == FIRST_COLUMN and _clock_beside(some):
        table = replace(table, times=(0, 1))
    if mapping.time_format is not None:
        return table
    try:
        form = form_of(_stamps(table, some))
    except BadFile:
        form = form_of(_stamps(table, (cells for _, cells in table.records())))  # a later date may tell
    return replace(table, time_format=form)


def _stamps(table: CsvTable, records: Iterable[Sequence[str]]) -> list[str]:
    last = max(table.times, default=0)
    return [stamp for cells in records if len(cells) > last and (stamp := table.stamp(cells))]


def _clock_beside(some: Sequence[Sequence[str]]) -> bool:
    """Whether the first column holds days and the second times of day."""
    filled = [cells for cells in some if len(cells) > 1 and cells[0].strip()]
    return bool(filled) and all(":" not in cells[0] and _CLOCK.fullmatch(cells[1].strip()) for cells in filled)


def _has_header(first: Sequence[str], mapping: CsvMapping) -> bool:
    """A first line whose time column holds a time is no header."""
    places = [column for column in mapping.time if isinstance(column, int) and column <= len(first)]
    if len(places) < len(mapping.time):
        return True
    stamp = " ".join(first[place - 1].strip() for place in places)
    try:
        return not fits(stamp, mapping.time_format or form_of([stamp]))
    except BadFile:
        return False  # a time in more than one form


def _sniff(text: str, skip: int) -> tuple[str, int]:
    """The delimiter that cuts most lines alike (a semicolon, tab or bar goes before a comma), and how many lines lie
    before the first that has one.
    """
    lines = [_QUOTED.sub("", line) for line in lines_of(text[:_SNIFFED_LETTERS])[skip : skip + _SNIFFED_LINES]]
    filled = [line for line in lines if line.strip()]
    if not filled:
        raise BadFile("the file is empty")

    def alike(delimiter: str) -> int:
        """How many lines have the commonest number of them."""
        return max(Counter(line.count(delimiter) for line in filled if delimiter in line).values(), default=0)

    best = max(_DELIMITERS, key=alike)
    if not alike(best):
        raise BadFile(f"no delimiter found in {filled[0][:60]!r}: give it (one of ; , | or tab)", skip + 1)
    return best, skip + next(index for index, line in enumerate(lines) if best in line)


def _records(text: str, delimiter: str, skip: int) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of every record that is not blank. Raises BadFile for broken quoting."""
    stream = io.StringIO(text, newline="")
    for _ in range(skip):
        stream.readline()
    reader = csv.reader(stream, delimiter=delimiter, strict=True)
    line = skip + 1
    try:
        for cells in reader:
            if cells and (cells[0] or any(cell.strip() for cell in cells)):
                yield line, cells
            line = skip + reader.line_num + 1
    except csv.Error as error:
        raise BadFile(f"broken table: {error}", skip + reader.line_num) from error


def check_mapping(mapping: CsvMapping, names: Sequence[str]) -> None:
    """Every fault of the mapping at once. Raises BadFile."""
    wanted = (*mapping.time, *(column.column for column in mapping.values))
    there = ", ".join(names)
    faults = [f"no column {name!r} (there are {there})" for name in wanted if not _places(name, names)]
    for name in wanted:
        if len(places := _places(name, names)) > 1:
            numbers = ", ".join(str(place + 1) for place in places)
            faults.append(f"several columns are called {name!r}: give the number, one of {numbers}")
    for column in mapping.values:
        try:
            check_point(column.point)
        except BadAddress as error:
            faults.append(str(error))
        if column.to_unit not in (None, column.unit) and (column.unit, column.to_unit) not in CONVERSIONS:
            faults.append(f"{column.column!r}: cannot convert {column.unit!r} to {column.to_unit!r}")
    if not mapping.values:
        faults.append("no column of values is given")
    if faults:
        raise BadFile("; ".join(faults), mapping.skip_lines + 1)


def _places(wanted: str | int, names: Sequence[str]) -> list[int]:
    """Where the columns are that have the number or name; names compare without case."""
    if isinstance(wanted, int):
        return [wanted - 1] if 1 <= wanted <= len(names) else []
    bare = wanted.strip().lower()
    return [place for place, name in enumerate(names) if name.lower() == bare]


def _find(wanted: str | int, names: Sequence[str]) -> int | None:
    return next(iter(_places(wanted, names)), None)


def index_of(wanted: str | int, names: Sequence[str]) -> int:
    """Where the column is. Raises BadFile where it is not."""
    found = _find(wanted, names)
    if found is None:
        raise BadFile(f"no column {wanted!r}")
    return found
