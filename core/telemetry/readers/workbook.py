"""Workbooks (XLSX, XLS, XLSB, ODS) as the text of a table, read by a process of its own with bounded time and memory.

A workbook is a packed file of others' making: what it costs to unpack is not known before. Days and times come out by
the cells' types, whichever date system the workbook counts in; numbers as they are kept, whatever their format shows.
"""

import csv
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from core.telemetry.message import Message, from_json
from core.telemetry.readers.date_formats import is_stamp
from core.telemetry.readers.number_formats import Decimal
from core.telemetry.readers.text import MAX_BYTES, BadFile

MAGIC = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
"""How files begin that may be workbooks: packed XML, and Microsoft's compound files."""
SECONDS, MEMORY = 60, 1024 * 1024 * 1024
_REFUSED = 3
_TIMES = 4
"""So many times its unpacked size takes a workbook at least to be read."""
_LEAST_TIME = timedelta(milliseconds=500)


@dataclass(frozen=True, slots=True)
class Sheet:
    """The sheet that holds the table, as CSV with commas; the others that have rows with a date, and how many."""

    text: str
    name: str
    others: Sequence[tuple[str, int]]


def read_workbook(data: bytes, decimal: Decimal = ".", memory: int = MEMORY) -> Sheet:
    """The sheet with the most rows that have a date. `memory` bounds what reading it may take, in bytes.

    Raises BadFile for no workbook, a locked one, one too large.
    """
    command = [sys.executable, "-m", "core.telemetry.readers.workbook", decimal, str(memory)]
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise BadFile(Message("telemetry.workbook_slow", seconds=SECONDS)) from error
    if done.returncode == _REFUSED:
        raise BadFile(from_json(json.loads(done.stderr)))
    if done.returncode:
        raise BadFile(Message("telemetry.workbook_heavy"))
    head, _, text = done.stdout.decode("utf-8").partition("\n")
    answer = json.loads(head)
    return Sheet(text, answer["name"], answer["others"])


# -- in the process of its own --------------------------------------------------------------------------------------


def main() -> int:
    """Reads a workbook from standard input, writes what `read_workbook` needs; 3 and a message where it is none."""
    from python_calamine import CalamineError, CalamineWorkbook, PasswordError

    decimal, memory = sys.argv[1], int(sys.argv[2])
    bound(memory)
    data = sys.stdin.buffer.read()
    if (size := unpacked_size(data)) > memory // _TIMES:
        return _refuse(Message("telemetry.workbook_too_large", size=size))
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(data))
        sheets = [(name, book.get_sheet_by_name(name).to_python(skip_empty_area=False)) for name in book.sheet_names]
    except PasswordError:
        return _refuse(Message("telemetry.workbook_locked"))
    except CalamineError as error:
        return _refuse(Message("telemetry.workbook_unreadable", why=str(error)))
    tables = [(name, list(_cells(rows, decimal))) for name, rows in sheets]
    dated = {name: sum(any(map(is_stamp, cells)) for cells in rows) for name, rows in tables}
    name, rows = max(tables, key=lambda table: dated[table[0]], default=("", []))
    others = [(other, count) for other, count in dated.items() if other != name and count]
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    if len(out.getvalue()) > MAX_BYTES:
        return _refuse(Message("telemetry.sheet_too_large", most=MAX_BYTES))
    head = json.dumps({"name": name, "others": others})
    sys.stdout.buffer.write(f"{head}\n{out.getvalue()}".encode())
    return 0


def bound(memory: int) -> None:
    """Limits this process, where the system can."""
    try:
        import resource
    except ImportError:  # no such limits on Windows: the time limit of the caller remains
        return
    for kind, wanted in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, SECONDS)):
        _, most = resource.getrlimit(kind)  # of the process that started this one: it cannot be raised
        limit = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
        resource.setrlimit(kind, (limit, limit))


def unpacked_size(data: bytes) -> int:
    """What a packed workbook says it unpacks to: told at once, where the limit of memory takes its time."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as book:
            return sum(part.file_size for part in book.infolist())
    except zipfile.BadZipFile:
        return len(data)  # the older form, or no workbook at all


def _refuse(why: Message) -> int:
    sys.stderr.write(json.dumps(why.as_json()))
    return _REFUSED


def _cells(rows: Sequence[Sequence[Any]], decimal: str) -> Iterator[list[str]]:
    """Rows of text. A midnight comes as a day: it is one only where the whole column holds days."""
    width = max((len(row) for row in rows), default=0)
    timed = {place for place in range(width) for row in rows if place < len(row) and isinstance(row[place], datetime)}
    for row in rows:
        yield [_text(cell, decimal, timed=place in timed) for place, cell in enumerate(row)]


def _text(cell: object, decimal: str, *, timed: bool) -> str:
    match cell:
        case datetime():
            return whole_seconds(cell).isoformat(" ")
        case date():
            return f"{cell.isoformat()} 00:00:00" if timed else cell.isoformat()
        case time():
            return whole_seconds(datetime.combine(date(2000, 1, 1), cell)).strftime("%H:%M:%S")
        case bool():
            return str(cell).upper()
        case float():
            return (str(int(cell)) if cell.is_integer() and abs(cell) < 2**53 else repr(cell)).replace(".", decimal)
        case _:
            return " ".join(str(cell).split())


def whole_seconds(at: datetime) -> datetime:
    """A day's fraction has no exact seconds: the nearest, within half a millisecond."""
    nearest = (at + _LEAST_TIME).replace(microsecond=0)
    return nearest if abs(nearest - at) <= timedelta(milliseconds=1) else at


if __name__ == "__main__":
    sys.exit(main())
