"""Reads a file into rows, in a process of its own (`bounded_process`): a file is of others' making.

The file is standard input; the answer goes to standard output in frames (a length, then so much of msgpack): first
`Found` or `Failed`, then lists of rows.
"""

import hashlib
import os
import struct
import sys
from collections.abc import Iterator, Sequence
from itertools import islice

import msgspec

from core.erp.kernel import bounded_process
from core.erp.kernel.tabular.sheets import MOST_COLUMNS, MOST_LINES, Ask, BadTable, Found, Row
from core.erp.kernel.tabular.text_tables import delimiter_of, rows_of, text_of

LENGTH = struct.Struct(">I")
_ROWS_A_FRAME = 500
_OTHERS = ((b"%PDF", "PDF"), (b"{\\rtf", "RTF"), (b"\x89PNG", "PNG"), (b"\xff\xd8\xff", "JPEG"), (b"\x1f\x8b", "gzip"))
_MARKUP = (b"<?xml", b"<!doctype", b"<html", b"<table")


def main() -> None:
    """Reads what is on standard input and writes what it holds."""
    ask = msgspec.json.decode(bounded_process.asked(), type=Ask)
    bounded_process.bound(ask.memory)
    try:
        for frame in frames(ask, sys.stdin.buffer.read()):
            sys.stdout.buffer.write(LENGTH.pack(len(frame)) + frame)
    except MemoryError:
        os._exit(1)  # there may be no memory left to end in order
    sys.stdout.buffer.flush()


def frames(ask: Ask, data: bytes) -> Iterator[bytes]:
    """The answer."""
    encode = msgspec.msgpack.encode
    try:
        found, rows = read(ask, data)
    except BadTable as error:
        yield encode(error.failed)
        return
    yield encode(found)
    source = iter(rows)
    while some := list(islice(source, _ROWS_A_FRAME)):
        yield encode(some)


def read(ask: Ask, data: bytes) -> tuple[Found, Sequence[Row]]:
    """How the file was read, and its rows that are not blank. Raises BadTable."""
    _known_otherwise(data)
    digest = hashlib.sha256(data).hexdigest()
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        from core.erp.kernel.tabular import workbook_tables as workbooks  # only where there is one: it takes a while

        name, sheet = workbooks.sheet_of(data, ask.sheet, ask.memory)
        rows = _bounded(workbooks.rows_of(data, name, sheet))
        return Found("xlsx", digest, len(rows), sheet=name, merged=workbooks.merged_of(sheet)), rows
    text, encoding = text_of(data, ask.encoding, frozenset(ask.known))
    delimiter, skip = delimiter_of(text, ask.delimiter, frozenset(ask.known))
    rows = _bounded((line, list(cells)) for line, cells in rows_of(text, delimiter, skip))
    return Found("csv", digest, len(rows), encoding=encoding, delimiter=delimiter), rows


def _known_otherwise(data: bytes) -> None:
    head = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for magic, name in _OTHERS:
        if data.startswith(magic):
            raise BadTable("tabular.no_table", kind=name)
    if head.startswith(_MARKUP):
        raise BadTable("tabular.no_table", kind="HTML, XML")
    if not data.strip():
        raise BadTable("tabular.empty_file")


def _bounded(rows: Iterator[Row]) -> list[Row]:
    kept: list[Row] = []
    for line, cells in rows:
        if len(kept) > MOST_LINES:
            raise BadTable("tabular.too_many_lines", most=MOST_LINES)
        while cells and cells[-1] in ("", None):
            cells.pop()
        if len(cells) > MOST_COLUMNS:
            raise BadTable("tabular.too_many_columns", most=MOST_COLUMNS, line=line)
        kept.append((line, cells))
    return kept


if __name__ == "__main__":
    main()
