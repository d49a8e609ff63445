"""The frame of a table of values: mapping, delimiter, header, records and the form of its times, given or found out."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from core.telemetry.address import BadAddress, check_point
from core.telemetry.readers.text import BadFile
from core.telemetry.readers.walltime import Ambiguous, fits, form_of

_DELIMITERS = (";", "\t", "|", ",")
_SNIFFED_LINES = 50
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
    What is not given is found out: `delimiter`, `time_format`, and whether there is a `header` line. `allowed_gap` in
    minutes; by default 1.5 usual steps.
    """

    values: tuple[Column, ...]
    time: tuple[str | int, ...] = (1,)
    time_format: str | None = None
    timezone: str = "UTC"
    ambiguous: Ambiguous = Ambiguous.ORDER
    delimiter: str | None = None
    header: bool | None = None
    skip_lines: int = 0
    allowed_gap: float | None = None
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class CsvTable:
    """The table as it stands: column names (1, 2, … without a header), records with their lines, the form of times."""

    delimiter: str
    names: tuple[str, ...]
    records: tuple[tuple[int, list[str]], ...]
    time_format: str

    def stamp(self, cells: Sequence[str], times: Sequence[int]) -> str:
        """The time of a record as written. Raises IndexError where the record is too short."""
        return " ".join(cells[index].strip() for index in times)


def open_table(text: str, mapping: CsvMapping) -> CsvTable:
    """The table in a text. Raises BadFile when there is none, or when its times can be read in two ways."""
    delimiter = mapping.delimiter or _sniff(text, mapping.skip_lines)
    records = list(_records(text, delimiter, mapping.skip_lines))
    if not records:
        raise BadFile("the file is empty")
    first = records[0][1]
    header = _has_header(first, mapping) if mapping.header is None else mapping.header
    names = tuple(cell.strip() for cell in first) if header else tuple(str(n) for n in range(1, len(first) + 1))
    body = tuple(records[1:] if header else records)
    form = mapping.time_format
    if form is None:
        times = [found for column in mapping.time if (found := _find(column, names)) is not None]
        stamps = [" ".join(cells[n].strip() for n in times) for _, cells in body if len(cells) > max(times, default=0)]
        form = form_of([stamp for stamp in stamps if stamp])
    return CsvTable(delimiter, names, body, form)


def _has_header(first: Sequence[str], mapping: CsvMapping) -> bool:
    """A first line whose time column holds a time is no header."""
    places = [column for column in mapping.time if isinstance(column, int) and column <= len(first)]
    if len(places) < len(mapping.time):
        return True
    stamp = " ".join(first[place - 1].strip() for place in places)
    return not fits(stamp, mapping.time_format or form_of([stamp]))


def _sniff(text: str, skip: int) -> str:
    """The delimiter that cuts most lines like the first; a semicolon, tab or bar goes before a comma."""
    lines = [line for line in text.splitlines()[skip : skip + _SNIFFED_LINES] if line.strip()]
    if not lines:
        raise BadFile("the file is empty")

    def score(delimiter: str) -> int:
        counts = [line.count(delimiter) for line in lines]
        return sum(count == counts[0] for count in counts) if counts[0] else 0

    best = max(_DELIMITERS, key=score)
    if not score(best):
        raise BadFile(f"no delimiter found in {lines[0][:60]!r}: give it (one of ; , | or tab)", skip + 1)
    return best


def _records(text: str, delimiter: str, skip: int) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of every record that is not blank. Raises BadFile for broken quoting."""
    stream = io.StringIO(text, newline="")
    for _ in range(skip):
        stream.readline()
    reader = csv.reader(stream, delimiter=delimiter, strict=True)
    line = skip + 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield line, cells
            line = skip + reader.line_num + 1
    except csv.Error as error:
        raise BadFile(f"broken table: {error}", skip + reader.line_num) from error


def check_mapping(mapping: CsvMapping, names: Sequence[str]) -> None:
    """Every fault of the mapping at once. Raises BadFile."""
    wanted = (*mapping.time, *(column.column for column in mapping.values))
    there = ", ".join(names)
    faults = [f"no column {name!r} (there are {there})" for name in wanted if _find(name, names) is None]
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


def _find(wanted: str | int, names: Sequence[str]) -> int | None:
    if isinstance(wanted, int):
        return wanted - 1 if 1 <= wanted <= len(names) else None
    lowered = [name.lower() for name in names]
    return lowered.index(wanted.strip().lower()) if wanted.strip().lower() in lowered else None


def index_of(wanted: str | int, names: Sequence[str]) -> int:
    """Where the column is. Raises BadFile where it is not."""
    found = _find(wanted, names)
    if found is None:
        raise BadFile(f"no column {wanted!r}")
    return found
