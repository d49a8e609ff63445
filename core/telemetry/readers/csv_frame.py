"""The frame of a table of values: delimiter, headings, columns of times and the form of its times, given or found out.

By content, not by position: the table begins where rows with a date begin, the headings are the nearest words above.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from core.telemetry.message import Message
from core.telemetry.readers.csv_lines import Record, dated_delimiter, named_delimiter, records, sniff
from core.telemetry.readers.csv_mapping import CsvMapping, places
from core.telemetry.readers.date_formats import is_clock, is_day, is_stamp
from core.telemetry.readers.headings import names_time, plain
from core.telemetry.readers.number_formats import is_number, split_unit
from core.telemetry.readers.text import BadFile, NoTable, first_lines, missing
from core.telemetry.readers.wall_time import ISO, TimeForm, fits, form_of

_SNIFFED_ROWS = 300
_BETWEEN, _LONGEST_UNIT = 4, 8
"""So many lines of another form may lie between headings and the first row with a date."""


@dataclass(frozen=True, slots=True)
class CsvTable:
    """The table as it stands: column names (1, 2, … without headings), units beside them, and the form of times.

    `times` are the places of the time's columns, `above` the lines before the headings, `first` the line of the first
    row, `heading` that of the headings (0 where there are none).
    """

    text: str
    delimiter: str
    names: tuple[str, ...]
    units: tuple[str, ...]
    times: tuple[int, ...]
    time_form: TimeForm
    heading: int
    first: int
    above: tuple[str, ...] = ()
    doubts: tuple[tuple[str, Message], ...] = ()
    """What must be said of the frame: kind and message."""
    sample: tuple[Record, ...] = field(default=())
    """The first rows."""

    def records(self) -> Iterator[Record]:
        """Every row below the headings, read anew each time. Raises BadFile for broken quoting."""
        return records(self.text, self.delimiter, self.first - 1)

    def stamp(self, cells: Sequence[str]) -> str:
        """The time of a row as written. Raises IndexError where the row is too short."""
        if len(self.times) == 1:
            return cells[self.times[0]].strip()
        return " ".join(cells[index].strip() for index in self.times)

    def head(self) -> str:
        """All that stands before the first row, as text."""
        return "\n".join((*self.above, *self.names))


def open_table(text: str, mapping: CsvMapping) -> CsvTable:
    """The table in a text. Raises BadFile when there is none, or when its times can be read in several ways."""
    delimiter, skip = mapping.delimiter, mapping.skip_lines
    if named := named_delimiter(text):
        delimiter, skip = delimiter or named, max(skip, 1)
    if delimiter is None:
        delimiter = dated_delimiter(text, skip)
        if delimiter is None:
            delimiter, skip = sniff(text, skip)
    rows = list(islice(records(text, delimiter, skip, strict=False), _SNIFFED_ROWS))
    if not rows:
        raise NoTable(Message("telemetry.file_empty"))
    table = _framed(text, delimiter, rows, mapping)
    table = replace(table, sample=tuple(islice(table.records(), _SNIFFED_ROWS)))
    if mapping.time_format is not None:
        return replace(table, time_form=TimeForm(mapping.time_format))
    return replace(table, time_form=form_of(_stamps(table, (cells for _, cells in table.records()))))


def _stamps(table: CsvTable, records: Iterable[Sequence[str]]) -> Iterator[str]:
    last = max(table.times, default=0)
    return (stamp for cells in records if len(cells) > last and (stamp := table.stamp(cells)))


def _framed(text: str, delimiter: str, rows: Sequence[Record], mapping: CsvMapping) -> CsvTable:
    """The table without the form of its times. Lines above it are those of the whole text."""
    dated = [_times_in(cells, mapping) for _, cells in rows]
    begin = _longest_run(dated)
    heading = -1
    if begin is None:  # no date as usual: by the given columns and form, or counts; the headings are the first row
        begin = 0 if mapping.header is False or _timed(rows[0][1], mapping) else 1
        heading = begin - 1
    elif mapping.header is not False:
        heading, begin = _heading_above(rows, dated, begin, mapping)
        if mapping.header and heading < 0:
            heading, begin = 0, max(begin, 1)
    else:
        begin = next(place for place, times in enumerate(dated) if times == dated[begin])
    first = rows[begin] if begin < len(rows) else (rows[-1][0] + 1, rows[-1][1])
    if 0 <= heading < begin - 1:  # rows right below the headings that are no units are rows, if damaged ones
        below = [row for row in rows[heading + 1 : begin] if not _of_units(row[1]) and _filled(row[1]) > 1]
        first = below[0] if below and not _is_title(below[0][1]) else first
    names, units, doubts = _named(rows, heading, begin, first)
    number = rows[heading][0] if heading >= 0 else 0
    times = tuple(place for column in mapping.time for place in places(column, names)[:1])
    if not mapping.time:
        times = _times_in(rows[begin][1], mapping) if begin < len(rows) else ()
        times = times or ((0,) if names else ())
    elif len(times) == 1 and begin < len(rows):
        times = _with_clock(rows[begin][1], times[0])
    above = tuple(first_lines(text, (number or first[0]) - 1))
    return CsvTable(text, delimiter, names, units, times, TimeForm(ISO), number, first[0], above, doubts)


# -- times ---------------------------------------------------------------------------------------------------------


def _times_in(cells: Sequence[str], mapping: CsvMapping) -> tuple[int, ...]:
    """The places of a row's time: the first date, with the clock beside it; none where the row has no date."""
    if mapping.time_format is not None and mapping.time_format not in (ISO, "ymd", "dmy", "mdy"):
        return (0,) if not mapping.time and cells and fits(cells[0], mapping.time_format) else ()
    place = next((place for place, cell in enumerate(cells) if is_stamp(cell)), None)
    return () if place is None else _with_clock(cells, place)


def _with_clock(cells: Sequence[str], place: int) -> tuple[int, ...]:
    """The place of a date, and that of the clock on its right or left if the date has none."""
    if place < len(cells) and is_day(cells[place]):
        for beside in (place + 1, place - 1):
            if 0 <= beside < len(cells) and is_clock(cells[beside]):
                return place, beside
    return (place,)


def _timed(first: Sequence[str], mapping: CsvMapping) -> bool:
    """Whether a first row without a usual date holds a time all the same, as a count or in the given form."""
    columns = [column for column in mapping.time or (1,) if isinstance(column, int) and column <= len(first)]
    stamp = " ".join(first[column - 1].strip() for column in columns)
    try:
        return bool(columns) and fits(stamp, mapping.time_format or form_of([stamp]).form)
    except BadFile:
        return True  # a time in more than one form


# -- headings ------------------------------------------------------------------------------------------------------


def _longest_run(dated: Sequence[tuple[int, ...]]) -> int | None:
    """Where the longest run of rows begins that have their dates in the same place; None where no row has one."""
    best, length = None, 0
    start = 0
    for place, times in enumerate(dated):
        if place and times != dated[place - 1]:
            start = place
        if times and place - start + 1 > length:
            best, length = start, place - start + 1
    return best


def _heading_above(
    rows: Sequence[Record], dated: Sequence[tuple[int, ...]], begin: int, mapping: CsvMapping
) -> tuple[int, int]:
    """Which row holds the headings (the nearest above the rows with words where the values are; -1: none), and which
    dated row is the first below.
    """
    wanted, place = dated[begin], begin - 1
    between = 0
    while place >= 0 and between <= _BETWEEN:
        cells = rows[place][1]
        if dated[place] == wanted:
            begin, between = place, 0
        elif _filled(cells) > 1 and not _of_units(cells) and (_is_title(cells) or _names(cells, mapping)):
            return place, begin
        elif _filled(cells) <= 1 or len(cells) < len(rows[begin][1]):
            between += 1  # else a row of the table whose time cannot be read
        place -= 1
    return -1, begin


def _filled(cells: Sequence[str]) -> int:
    return sum(bool(cell.strip()) for cell in cells)


def _is_title(cells: Sequence[str]) -> bool:
    """Whether a row could be headings: one speaks of times, or nothing in it is a number or stands for none."""
    if any(names_time(cell) for cell in cells) and not all(is_number(cell) for cell in cells[1:] if cell.strip()):
        return True
    filled = [cell for cell in cells if cell.strip()]
    return not any(is_number(cell) or missing(cell) for cell in filled)


def _names(cells: Sequence[str], mapping: CsvMapping) -> bool:
    """Whether the row holds what the mapping, or the word for a time, calls columns."""
    wanted = [c for c in (*mapping.time, *(value.column for value in mapping.values)) if isinstance(c, str)]
    return bool(wanted) and all(places(name, [cell.strip() for cell in cells]) for name in wanted)


def _of_units(cells: Sequence[str]) -> bool:
    """Whether nothing but units (one at least known) stands in the row."""
    filled = [cell.strip() for cell in cells if cell.strip()]
    known = [split_unit(f"0 {plain(cell)}")[1] for cell in filled]
    return (
        bool(filled)
        and any(known)
        and not any(names_time(cell) or is_number(cell) for cell in filled)
        and all(unit or len(cell) < _LONGEST_UNIT for unit, cell in zip(known, filled, strict=True))
    )


def _named(
    rows: Sequence[Record], heading: int, begin: int, first: Record
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[tuple[str, Message], ...]]:
    """The columns' names, the units in a row below them, and what must be said of them."""
    if heading < 0:
        width = len(first[1])
        return tuple(str(place + 1) for place in range(width)), ("",) * width, ()
    names = [cell.strip() for cell in rows[heading][1]]
    doubts: list[tuple[str, Message]] = []
    if begin < len(rows):
        names, doubts = _above_their_columns(names, [cells for _, cells in rows[begin : begin + 20]], rows[heading][0])
    beside = next((cells for _, cells in rows[heading + 1 : begin] if _of_units(cells)), [])
    units = tuple(split_unit(f"0 {plain(cell)}")[1] for cell in beside[: len(names)])
    return tuple(names), units + ("",) * (len(names) - len(units)), tuple(doubts)


def _above_their_columns(
    names: list[str], rows: Sequence[Sequence[str]], line: int
) -> tuple[list[str], list[tuple[str, Message]]]:
    """The names at their columns' places. Some programs space headings with more delimiters than their rows.

    Raises BadFile where names and columns do not fit each other.
    """
    width = max(len(names), *(len(cells) for cells in rows))
    used = [any(len(cells) > place and cells[place].strip() for cells in rows) for place in range(width)]
    named = [place < len(names) and bool(names[place]) for place in range(width)]
    unnamed = [place for place in range(1, width) if used[place] and not named[place]]
    empty = [place for place in range(1, width) if named[place] and not used[place]]
    if not unnamed or not empty or min(empty) < min(unnamed):
        return names, []
    if sum(used) != sum(named):
        raise BadFile(Message("telemetry.headings_misplaced"), line)
    words = iter(name for name in names if name)
    return [next(words) if place else "" for place in used], [
        ("shifted_headings", Message("telemetry.headings_shifted"))
    ]
