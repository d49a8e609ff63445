"""Writes a workbook row by row with little memory, in a process of its own (`bounded_process`).

Rows come on standard input in frames: a length, then so much of msgpack, a list of rows. It imports little, to be up
soon.
"""

import struct
import sys
from collections.abc import Iterable, Iterator
from datetime import date
from typing import IO, Any

import msgspec

from core.erp.kernel import bounded_process
from core.erp.kernel.tabular.fields import Kind
from core.erp.kernel.tabular.formulas import runs

MOST_ROWS = 1_048_576
"""Of a sheet; what is more goes onto the next."""
MOST_LETTERS = 32_767
"""Of a cell, in units of UTF-16."""
SECONDS = 900.0
MEMORY = 512 * 1024 * 1024
"""Bounds of this process."""
LENGTH = struct.Struct(">I")
_WIDTHS = {Kind.MOMENT: 27, Kind.DATE: 12, Kind.FLAG: 8, Kind.INTEGER: 12, Kind.DECIMAL: 14}
_WIDTH = 24


class Ask(msgspec.Struct, frozen=True):
    """The rows above the values, each column's kind, and where there is room for what it has to put aside."""

    heads: list[list[str]]
    kinds: list[Kind]
    folder: str
    most_rows: int = MOST_ROWS


def main() -> None:
    """Reads rows from standard input and writes the workbook to standard output, a file."""
    ask = msgspec.json.decode(bounded_process.asked(), type=Ask)
    bounded_process.bound(MEMORY, int(SECONDS))
    write(ask, _read(sys.stdin.buffer), sys.stdout.buffer)


def _read(source: IO[bytes]) -> Iterator[list[Any]]:
    decoder = msgspec.msgpack.Decoder(list[list[Any]])
    while head := source.read(LENGTH.size):
        yield from decoder.decode(source.read(LENGTH.unpack(head)[0]))


def write(ask: Ask, rows: Iterable[list[Any]], out: IO[bytes]) -> None:
    """The workbook of these rows."""
    from xlsxwriter import Workbook  # only this process needs it

    with Workbook(out, {"constant_memory": True, "tmpdir": ask.folder, "in_memory": False}) as book:
        sheets = _Sheets(book, ask)
        for row in rows:
            sheets.add(row)


class _Sheets:
    """The sheets of a workbook, one after another, as their rows come."""

    def __init__(self, book: Any, ask: Ask) -> None:
        self._book, self._ask, self._row = book, ask, 0
        self._head = book.add_format({"bold": True, "bottom": 1})
        self._day = book.add_format({"num_format": "yyyy-mm-dd"})
        self._text = book.add_format({"quote_prefix": True})
        self._dates = {place for place, kind in enumerate(ask.kinds) if kind is Kind.DATE}
        self._sheet: Any = None
        self._next()

    def add(self, row: list[Any]) -> None:
        """One row of values."""
        if self._row == self._ask.most_rows:
            self._next()
        sheet = self._sheet
        for place, cell in enumerate(row):
            if cell is None:
                continue
            if type(cell) is not str:
                sheet.write_number(self._row, place, cell)
            elif place in self._dates and (day := _day(cell)) is not None:
                sheet.write_datetime(self._row, place, day, self._day)
            else:
                # editing such a cell must not make a formula of it: it is marked as text
                sheet.write_string(self._row, place, _short(cell), self._text if runs(cell) else None)
        self._row += 1

    def _next(self) -> None:
        self._sheet, self._row = self._book.add_worksheet(), 0
        for head in self._ask.heads:
            for place, label in enumerate(head):
                self._sheet.write_string(self._row, place, label, self._head)
            self._row += 1
        for place, kind in enumerate(self._ask.kinds):
            self._sheet.set_column(place, place, _WIDTHS.get(kind, _WIDTH))
        self._sheet.freeze_panes(1, 0)


_FIRST_DAY = date(1900, 3, 1)
"""Spreadsheets count a 29 February 1900 that never was: days before it are kept as text."""


def _day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if day >= _FIRST_DAY else None


def _short(text: str) -> str:
    """A text that fits into a cell; one that does not says so at its end, since it would be cut without a word."""
    if len(text) <= MOST_LETTERS // 2 or len(text.encode("utf-16-le")) // 2 <= MOST_LETTERS:
        return text
    note = f" … ({len(text)} letters: the rest is in the CSV)"
    kept = text.encode("utf-16-le")[: 2 * (MOST_LETTERS - len(note))].decode("utf-16-le", "ignore")
    return kept + note


if __name__ == "__main__":
    main()
