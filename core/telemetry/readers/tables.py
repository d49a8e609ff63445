"""Any logger's file but a report of the Fridge-tag family: told by its content, read as a table.

One pure function from bytes to the result. Unknown files are told what is readable.
"""

import re
from dataclasses import replace
from datetime import datetime

import msgspec

from core.telemetry.readers.csv_file import CsvResult, parse_csv
from core.telemetry.readers.csv_mapping import CsvMapping
from core.telemetry.readers.ems import parse_ems
from core.telemetry.readers.text import BadFile, Doubt, NoTable, decode, unpacked
from core.telemetry.readers.workbook import MAGIC, read_workbook

READABLE = (
    "Readable are text reports of Fridge-tag and Q-tag loggers; tables with a date and values in each row, as CSV or "
    "text between tabs, semicolons or commas, or as a workbook (XLSX, XLS, ODS); and JSON of WHO equipment monitoring. "
    "Export the readings as one of these from the logger's own program."
)
_OTHERS = (
    (b"%PDF", "a PDF shows the readings and does not hold them as data"),
    (b"{\\rtf", "a word processor's document"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
)
_JSON = re.compile(r"\s*(?:\{|\[\s*[\[{\]])")
_MARKUP = re.compile(r"\s*(?:<\?xml|<!doctype|<html|<table|<workbook)", re.IGNORECASE)


def read_table(name: str, data: bytes, mapping: CsvMapping, edge_at: datetime) -> CsvResult:
    """The file of that name as readings. Raises BadFile, saying what is readable where it is none of it."""
    stem = name.rpartition("/")[2].partition(".")[0]
    try:
        found = _read(unpacked(data), stem, mapping, edge_at)
    except NoTable as error:
        raise BadFile(f"{error.message}. {READABLE}", error.line) from error
    if found.rows and not found.readings and not found.events:
        first = next((doubt for doubt in found.doubts if doubt.kind == "malformed_row"), None)
        reason = f"no row has a time that can be read, the first of them: {first.message}" if first else "no readings"
        raise BadFile(f"{reason}. {READABLE}", first.line if first else 0)
    return found


def _read(data: bytes, stem: str, mapping: CsvMapping, edge_at: datetime) -> CsvResult:
    for magic, what in _OTHERS:
        if data.startswith(magic):
            raise NoTable(what)
    if data.startswith(MAGIC):
        return _from_workbook(data, stem, mapping, edge_at)
    try:
        text = decode(data)
    except BadFile as error:
        raise NoTable(error.message, error.line) from error
    if _JSON.match(text):
        return parse_ems(text, stem, mapping, edge_at)
    if _MARKUP.match(text):
        raise NoTable("a web page or XML, whatever its name ends with: open it in a spreadsheet and save it as CSV")
    return parse_csv(text, mapping, edge_at, stem)


def _from_workbook(data: bytes, stem: str, mapping: CsvMapping, edge_at: datetime) -> CsvResult:
    sheet = read_workbook(data, mapping.decimal or ".")
    found = parse_csv(sheet.text, msgspec.structs.replace(mapping, delimiter=","), edge_at, stem)
    if not sheet.others:
        return found
    doubt = Doubt(0, "sheets", f"the sheet {sheet.name!r} is read; not read are {sheet.others}")
    return replace(found, doubts=(doubt, *found.doubts))
