"""Any logger's file but a report of the Fridge-tag family: told by its content, read as a table.

One pure function from bytes to the result. Unknown files are told what is readable.
"""

import re
from dataclasses import replace
from datetime import datetime

import msgspec

from core.telemetry.message import Message
from core.telemetry.readers.csv_file import CsvResult, parse_csv
from core.telemetry.readers.csv_mapping import CsvMapping
from core.telemetry.readers.ems import parse_ems
from core.telemetry.readers.text import BadFile, Doubt, NoTable, decode, unpacked
from core.telemetry.readers.workbook import MAGIC, read_workbook

READABLE = Message("telemetry.readable")
"""Told with every file of which nothing can be read."""
_OTHERS = (
    (b"%PDF", "telemetry.is_pdf"),
    (b"{\\rtf", "telemetry.is_document"),
    (b"\x89PNG", "telemetry.is_picture"),
    (b"\xff\xd8\xff", "telemetry.is_picture"),
)
_JSON = re.compile(r"\s*(?:\{|\[\s*[\[{\]])")
_MARKUP = re.compile(r"\s*(?:<\?xml|<!doctype|<html|<table|<workbook)", re.IGNORECASE)


def read_table(name: str, data: bytes, mapping: CsvMapping, edge_at: datetime) -> CsvResult:
    """The file of that name as readings. Raises BadFile, saying what is readable where it is none of it."""
    stem = name.rpartition("/")[2].partition(".")[0]
    try:
        found = _read(unpacked(data), stem, mapping, edge_at)
    except NoTable as error:
        raise BadFile(Message("telemetry.not_readable", why=error.said, readable=READABLE), error.line) from error
    if found.rows and not found.readings and not found.events:
        first = next((doubt for doubt in found.doubts if doubt.kind == "malformed_row"), None)
        why = Message("telemetry.no_row_has_time", first=first.said) if first else Message("telemetry.no_readings")
        raise BadFile(Message("telemetry.not_readable", why=why, readable=READABLE), first.line if first else 0)
    return found


def _read(data: bytes, stem: str, mapping: CsvMapping, edge_at: datetime) -> CsvResult:
    for magic, what in _OTHERS:
        if data.startswith(magic):
            raise NoTable(Message(what))
    if data.startswith(MAGIC):
        return _from_workbook(data, stem, mapping, edge_at)
    try:
        text = decode(data)
    except BadFile as error:
        raise NoTable(error.said, error.line) from error
    if _JSON.match(text):
        return parse_ems(text, stem, mapping, edge_at)
    if _MARKUP.match(text):
        raise NoTable(Message("telemetry.is_web_page"))
    return parse_csv(text, mapping, edge_at, stem)


def _from_workbook(data: bytes, stem: str, mapping: CsvMapping, edge_at: datetime) -> CsvResult:
    sheet = read_workbook(data, mapping.decimal or ".")
    found = parse_csv(sheet.text, msgspec.structs.replace(mapping, delimiter=","), edge_at, stem)
    if not sheet.others:
        return found
    others = [Message("telemetry.sheet_with_dates", name=name, count=count) for name, count in sheet.others]
    doubt = Doubt(0, "sheets", Message("telemetry.sheets_not_read", name=sheet.name, others=others))
    return replace(found, doubts=(doubt, *found.doubts))
