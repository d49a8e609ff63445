"""An export as a workbook (XLSX): the rows go over a pipe to a process of its own that writes it (`workbook_process`).

Writing a workbook takes a processor several times as long as reading its rows: so it does not take it from others who
wait for this server.
"""

import tempfile
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import islice

import msgspec

from core.erp.kernel import bounded_process
from core.erp.kernel.errors import Invalid
from core.erp.kernel.tabular.export import Cell, Export, Row
from core.erp.kernel.tabular.spool import Spool
from core.erp.kernel.tabular.workbook_process import LENGTH, SECONDS, Ask

SAFE_DIGITS = 15
"""So many digits of a number a spreadsheet keeps: a longer one would become another number, and goes out as text."""
_ROWS_A_FRAME = 500


def write_workbook(export: Export, rows: Iterable[Row], spool: Spool) -> None:
    """Writes the rows to the spool's file; for use in a thread. Raises Invalid where that takes too much time or
    memory, Abandoned, TooLarge.
    """
    with tempfile.TemporaryDirectory(prefix="lotwise-export-") as folder:
        ask = Ask(export.heads(), [field.kind for field in export.fields], folder)
        try:
            code = _hand_over(ask, _frames(export, rows), spool)
        except BrokenPipeError:
            code = -1
    if code:
        raise Invalid("tabular.workbook_too_slow")
    spool.take_over()


def _hand_over(ask: Ask, frames: Iterable[bytes], spool: Spool) -> int:
    """Gives the process all frames and returns its exit code. Raises BrokenPipeError when it has died before."""
    module = "core.erp.kernel.tabular.workbook_process"
    with bounded_process.fed(module, msgspec.json.encode(ask), spool.file, seconds=SECONDS) as process:
        assert process.stdin is not None
        for frame in frames:
            spool.check()
            process.stdin.write(LENGTH.pack(len(frame)))
            process.stdin.write(frame)
    return process.returncode


def _frames(export: Export, rows: Iterable[Row]) -> Iterator[bytes]:
    cells, encoder, source = export.cells(), msgspec.msgpack.Encoder(), iter(rows)
    while some := list(islice(source, _ROWS_A_FRAME)):
        yield encoder.encode([[_plain(cell(value)) for cell, value in zip(cells, row, strict=True)] for row in some])


def _plain(cell: Cell) -> Cell:
    """Numbers that a spreadsheet keeps, as such; longer ones as text with all their digits."""
    match cell:
        case Decimal():
            digits = len(cell.as_tuple().digits)
            return float(cell) if digits <= SAFE_DIGITS else format(cell, "f")
        case bool() | float() | str() | None:
            return cell
        case int():
            return cell if abs(cell) < 10**SAFE_DIGITS else str(cell)
        case _:
            return cell
