"""A table as it stands in a file, before anybody knows what its columns mean: rows of cells, each row with its line.

What the process that reads files answers (`reading_process`), and what is asked of it.
"""

from typing import Literal

import msgspec

MOST_BYTES = 32 * 1024 * 1024
MOST_LINES, MOST_COLUMNS = 100_000, 300
"""Bounds of one file."""
ENCODINGS = {"utf-8": "utf-8", "utf-16": "utf-16", "gbk": "gb18030", "windows-1252": "cp1252"}
"""What a file's letters may be said to be, and Python's name for it (GB 18030 contains GBK)."""
DELIMITERS = (",", ";", "\t", "|")


class Ask(msgspec.Struct, frozen=True):
    """What is known of a file: how its headings may read (`fields.heading_key`), and what was said of it."""

    known: list[str]
    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None
    memory: int = 512 * 1024 * 1024


class Day(msgspec.Struct, frozen=True, tag="day", array_like=True):
    """A cell that the workbook says is a date, as ISO writes it."""

    iso: str


class Stamp(msgspec.Struct, frozen=True, tag="stamp", array_like=True):
    """A cell that the workbook says is a date with a time of day, which has no zone, as ISO writes it."""

    iso: str


class Odd(msgspec.Struct, frozen=True, tag="odd", array_like=True):
    """A cell that holds no value: `what` is `error` (a formula that failed) or `duration`; `text` as it shows."""

    what: Literal["error", "duration"]
    text: str


Cell = str | float | bool | Day | Stamp | Odd | None
"""Text as it stands, or of a workbook's cell its typed value; None for an empty one."""
Row = tuple[int, list[Cell]]
"""A line's number (1 for the first) and its cells."""


class Found(msgspec.Struct, frozen=True, tag=True):
    """How the file was read. `merged` are the ranges of merged cells: first and last row, and their name (`B3:B7`)."""

    form: Literal["csv", "xlsx"]
    sha256: str
    rows: int
    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None
    merged: list[tuple[int, int, str]] = []


class Failed(msgspec.Struct, frozen=True, tag=True):
    """Why the file cannot be read: a message's id and its parameters."""

    id: str
    params: dict[str, str | int | list[str]]


class BadTable(Exception):
    """The file is no table that can be read: a message's id and its parameters."""

    def __init__(self, message: str, **params: str | int | list[str]) -> None:
        super().__init__(message, params)
        self.failed = Failed(message, params)
