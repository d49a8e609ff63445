"""A table in a text file (CSV and its kin): its letters, what stands between its cells, and its rows. Pure.

Nothing is guessed: an encoding or a delimiter is proved by the file's own marks, or by headings that are known here, or
has to be said.
"""

import re
from collections.abc import Collection, Iterator
from itertools import islice

from core.erp.kernel.tabular.fields import heading_key
from core.erp.kernel.tabular.sheets import DELIMITERS, ENCODINGS, BadTable
from core.telemetry.readers.csv_lines import Record, named_delimiter, records
from core.telemetry.readers.text import BadFile, utf16_form

LOOKED_AT = 10
"""Rows among which the headings are."""
_BOM = b"\xef\xbb\xbf"
_SHOWN = 60


def text_of(data: bytes, stated: str | None, known: Collection[str]) -> tuple[str, str]:
    """(the file's text, the encoding by its name here). Raises BadTable: it is none, or may be several."""
    if data.startswith(_BOM):
        return _decoded(data[len(_BOM) :], "utf-8"), "utf-8"
    form = utf16_form(data)
    if form is not None:
        return _decoded(data, "utf-16", form).removeprefix("\ufeff"), "utf-16"
    if b"\0" in data:
        raise BadTable("tabular.not_text", line=data[: data.index(b"\0")].count(b"\n") + 1)
    if stated is not None:
        return _decoded(data, stated), stated
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        return _proved(data, known)


def _decoded(data: bytes, name: str, form: str | None = None) -> str:
    try:
        return data.decode(form or ENCODINGS[name])
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise BadTable("tabular.not_that_encoding", encoding=name, line=line) from error


def _proved(data: bytes, known: Collection[str]) -> tuple[str, str]:
    """The one of the encodings without a mark under which headings with other letters than ASCII are known ones."""
    readings: dict[str, str] = {}
    for name in ("gbk", "windows-1252"):
        try:
            readings[name] = data.decode(ENCODINGS[name])
        except UnicodeDecodeError:
            continue
    foreign = {key for key in known if not key.isascii()}
    proved = [name for name, text in readings.items() if _matches(text, foreign)]
    if len(proved) == 1:
        return readings[proved[0]], proved[0]
    line = next(number for number, line in enumerate(data.splitlines(), start=1) if not line.isascii())
    choices = [f"{name}: {_line(text, line)}" for name, text in readings.items()]
    raise BadTable("tabular.say_encoding", line=line, choices=choices)


def _matches(text: str, known: Collection[str]) -> bool:
    head = text[: 64 * 1024].splitlines()[:LOOKED_AT]
    return any(heading_key(cell.strip('" ')) in known for line in head for cell in re.split(r"[,;\t|]", line))


def _line(text: str, number: int) -> str:
    return next(islice(text.splitlines(), number - 1, None), "")[:_SHOWN]


def delimiter_of(text: str, stated: str | None, known: Collection[str]) -> tuple[str, int]:
    """(what stands between the cells, lines to pass over). Raises BadTable where several are possible."""
    named = named_delimiter(text)
    if named is not None:
        return stated or named, 1
    if stated is not None:
        return stated, 0
    matched = {delimiter: _known_cells(text, delimiter, known) for delimiter in DELIMITERS}
    most = max(matched.values())
    best = [delimiter for delimiter, count in matched.items() if count == most]
    if most and len(best) == 1:
        return best[0], 0
    widths = {delimiter: _width(text, delimiter) for delimiter in best}
    widest = max(widths.values())
    wide = [delimiter for delimiter, width in widths.items() if width == widest]
    if widest <= 1:
        return ",", 0  # one column: nothing stands between its cells
    if len(wide) == 1:
        return wide[0], 0
    raise BadTable("tabular.say_delimiter", choices=[_NAMES[delimiter] for delimiter in wide])


_NAMES = {",": ",", ";": ";", "\t": "tab", "|": "|"}


def _first(text: str, delimiter: str) -> list[list[str]]:
    try:
        return [cells for _, cells in islice(records(text, delimiter, 0, strict=False), LOOKED_AT)]
    except BadFile:
        return []


def _known_cells(text: str, delimiter: str, known: Collection[str]) -> int:
    rows = _first(text, delimiter)
    return max((sum(heading_key(cell) in known for cell in cells) for cells in rows), default=0)


def _width(text: str, delimiter: str) -> int:
    return max((len(cells) for cells in _first(text, delimiter)[:1]), default=0)


def rows_of(text: str, delimiter: str, skip: int) -> Iterator[Record]:
    """The rows that are not blank, each with the number of its first line. Raises BadTable for broken quoting."""
    begun = skip + 1
    try:
        for line, cells in records(text, delimiter, skip):
            begun = line
            yield line, cells
    except BadFile as error:
        raise BadTable("tabular.broken_quotes", line=begun + 1, last=error.line) from error
