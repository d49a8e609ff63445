"""A table in a workbook (XLSX): the rows of one sheet, with the types that its cells have.

Run by a process of its own (`reading_process`): a workbook is a packed file of others' making.
"""

import io
import re
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any
from xml.etree.ElementTree import ParseError, fromstring

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, PasswordError

from core.erp.kernel.tabular.sheets import BadTable, Cell, Day, Odd, Row, Stamp
from core.telemetry.readers.workbook import unpacked_size, whole_seconds

OLD_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""Microsoft's compound files: workbooks of before 2007, and those that are locked with a password."""
_ROOM = 6
"""So many times its unpacked size it takes at least to read a workbook."""
_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_OFFICE = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_FAILED = re.compile(
    rb'<(?:\w+:)?c\b([^>]*\bt="e"[^>]*)>(?:<(?:\w+:)?f\b[^>]*(?:/>|>[^<]*</(?:\w+:)?f>))?<(?:\w+:)?v>([^<]*)'
)
"""A cell of the type "error": its attributes, and what shows."""
_PLACE = re.compile(rb'\br="([A-Z]+)(\d+)"')


def sheet_of(data: bytes, stated: str | None, memory: int) -> tuple[str, CalamineSheet]:
    """(name, sheet) of the one with a table. Raises BadTable: no workbook, locked, too large, several sheets."""
    if data.startswith(OLD_MAGIC):
        raise BadTable("tabular.old_workbook")
    if unpacked_size(data) > memory // _ROOM:
        raise BadTable("tabular.too_large_unpacked", size=unpacked_size(data))
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(data))
        sheets = {name: book.get_sheet_by_name(name) for name in book.sheet_names}
    except PasswordError as error:
        raise BadTable("tabular.locked_workbook") from error
    except CalamineError as error:
        raise BadTable("tabular.no_workbook", reason=str(error)) from error
    filled = [name for name, sheet in sheets.items() if sheet.start is not None]
    if stated is not None:
        if stated not in sheets:
            raise BadTable("tabular.no_such_sheet", sheet=stated, choices=filled)
        return stated, sheets[stated]
    if len(filled) != 1:
        raise BadTable(
            "tabular.say_sheet" if filled else "tabular.empty_file", **({"choices": filled} if filled else {})
        )
    return filled[0], sheets[filled[0]]


def rows_of(data: bytes, name: str, sheet: CalamineSheet) -> Iterator[Row]:
    """The rows that are not blank, each with its number in the sheet. Cells of formulas have the value last shown."""
    failed = _failed_formulas(data, name)
    for number, cells in enumerate(sheet.to_python(skip_empty_area=False), start=1):
        row = [failed.get((number, place)) or _cell(cell) for place, cell in enumerate(cells)]
        if any(cell is not None for cell in row):
            yield number, row


def merged_of(sheet: CalamineSheet) -> list[tuple[int, int, str]]:
    """First and last row of each range of merged cells, and its name."""
    found = []
    for (top, left), (bottom, right) in sheet.merged_cell_ranges or []:
        found.append((top + 1, bottom + 1, f"{_letters(left)}{top + 1}:{_letters(right)}{bottom + 1}"))
    return found


def _letters(column: int) -> str:
    """A column as spreadsheets call it (0 is A)."""
    text, rest = "", column + 1
    while rest:
        rest, place = divmod(rest - 1, 26)
        text = chr(ord("A") + place) + text
    return text


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - ord("A") + 1
    return number - 1


def _cell(value: Any) -> Cell:
    match value:
        case "":
            return None
        case datetime():
            return Stamp(whole_seconds(value).isoformat())
        case date():
            return Day(value.isoformat())
        case time() | timedelta():
            return Odd("duration", str(value))
        case bool() | float() | str():
            return value
        case _:
            return float(value)


def _failed_formulas(data: bytes, name: str) -> dict[tuple[int, int], Odd]:
    """(row, column) → what shows, of cells whose formula failed: the reader takes them for empty, and they are not."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as book:
            part = book.read(_part_of(book, name))
    except (KeyError, ParseError, StopIteration, zipfile.BadZipFile) as error:
        raise BadTable("tabular.no_workbook", reason=str(error)) from error
    failed = {}
    for attributes, shown in _FAILED.findall(part):
        place = _PLACE.search(attributes)
        text = shown.decode("utf-8", "replace")
        if place is None:
            raise BadTable("tabular.failed_formula_somewhere", value=text)
        failed[int(place[2]), _column(place[1])] = Odd("error", text)
    return failed


def _part_of(book: zipfile.ZipFile, name: str) -> str:
    """The name of the packed file that holds the sheet."""
    sheets = fromstring(book.read("xl/workbook.xml")).iter(f"{_MAIN}sheet")  # noqa: S314 - in a process with bounds
    key = next(sheet.attrib[f"{_OFFICE}id"] for sheet in sheets if sheet.attrib["name"] == name)
    links = fromstring(book.read("xl/_rels/workbook.xml.rels"))  # noqa: S314 - in a process with bounds
    target = next(link.attrib["Target"] for link in links if link.attrib["Id"] == key)
    return target.removeprefix("/") if target.startswith("/") else f"xl/{target}"
