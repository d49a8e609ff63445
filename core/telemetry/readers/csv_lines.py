"""A table's lines: the delimiter between its cells, and every record with the number of its line. Pure."""

import csv
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice

from core.telemetry.message import Message
from core.telemetry.readers.date_formats import is_stamp
from core.telemetry.readers.text import BadFile, NoTable, lines_of

_DELIMITERS = (";", "\t", "|", ",")
_SNIFFED_LINES, _SNIFFED_LETTERS = 400, 200_000
_QUOTED = re.compile(r'"[^"]*"')
_NAMED_DELIMITER = re.compile(r"sep=([;,|\t])[\r\n]", re.IGNORECASE)
"""A first line that tells Excel what stands between the cells."""
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")

Record = tuple[int, list[str]]
"""A row: the number of its line, and its cells."""


def named_delimiter(text: str) -> str | None:
    """The delimiter that the first line names for Excel (`sep=;`); None where it does not."""
    match = _NAMED_DELIMITER.match(text)
    return None if match is None else match[1]


def dated_delimiter(text: str, skip: int) -> str | None:
    """The delimiter by which most lines have a cell with a date and another one; None if none has."""
    lines = lines_of(text[:_SNIFFED_LETTERS])[skip : skip + _SNIFFED_LINES]
    counted = {}
    for delimiter in _DELIMITERS:
        rows = csv.reader((line for line in lines if delimiter in line), delimiter=delimiter)
        try:
            counted[delimiter] = sum(any(is_stamp(cell) for cell in cells) for cells in rows)
        except csv.Error:
            counted[delimiter] = 0
    best = max(_DELIMITERS, key=lambda delimiter: counted[delimiter])
    return best if counted[best] else None


def sniff(text: str, skip: int) -> tuple[str, int]:
    """The delimiter that cuts most lines alike (a semicolon, tab or bar goes before a comma), and how many lines lie
    before the first that has one.
    """
    lines = [_QUOTED.sub("", line) for line in lines_of(text[:_SNIFFED_LETTERS])[skip : skip + _SNIFFED_LINES]]
    filled = [line for line in lines if line.strip()]
    if not filled:
        raise NoTable(Message("telemetry.file_empty"))

    def alike(delimiter: str) -> int:
        """How many lines have the commonest number of them."""
        return max(Counter(line.count(delimiter) for line in filled if delimiter in line).values(), default=0)

    best = max(_DELIMITERS, key=alike)
    if not alike(best):
        raise NoTable(Message("telemetry.no_delimiter", text=filled[0][:60]), skip + 1)
    return best, skip + next(index for index, line in enumerate(lines) if best in line)


def records(text: str, delimiter: str, skip: int, *, strict: bool = True) -> Iterator[Record]:
    """Line number and cells of every record that is not blank. Raises BadFile for broken quoting."""
    # lines one by one with their ends, as a text stream gives them, which would hold the text again at 4 bytes a letter
    lines = (match[0] for match in _LINE.finditer(text))
    reader = csv.reader(islice(lines, skip, None), delimiter=delimiter, strict=strict)
    line = skip + 1
    try:
        for cells in reader:
            if cells and (cells[0] or any(cell.strip() for cell in cells)):
                yield line, cells
            line = skip + reader.line_num + 1
    except csv.Error as error:
        raise BadFile(Message("telemetry.table_broken", why=str(error)), skip + reader.line_num) from error
