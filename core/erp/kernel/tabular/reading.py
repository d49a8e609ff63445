"""A file read into rows by a process of its own (`reading_process`), and the rows taken as often as they are needed."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import IO

import msgspec

from core.erp.kernel import bounded_process
from core.erp.kernel.errors import Invalid
from core.erp.kernel.tabular.mapping import Mapping
from core.erp.kernel.tabular.reading_process import LENGTH
from core.erp.kernel.tabular.sheets import MOST_BYTES, Ask, Failed, Found, Row
from core.erp.kernel.words import Message

SECONDS = 60.0
MEMORY = 768 * 1024 * 1024
_ROWS = msgspec.msgpack.Decoder(list[Row])


@dataclass(frozen=True)
class Table:
    """A file's rows, on disk: read again each time, a few hundred in memory. Not to be iterated twice at once."""

    name: str
    found: Found
    _rows: IO[bytes]
    _begin: int

    def rows(self) -> Iterator[Row]:
        """Every row that is not blank, with its line."""
        self._rows.seek(self._begin)
        while head := self._rows.read(LENGTH.size):
            yield from _ROWS.decode(self._rows.read(LENGTH.unpack(head)[0]))


@asynccontextmanager
async def read_table(name: str, file: IO[bytes], mapping: Mapping, known: Collection[str]) -> AsyncIterator[Table]:
    """The table in a file on disk, whose headings may be the `known` ones (`fields.heading_key`).

    Raises Invalid: no table, nothing said that must be, more than there may be, too long or too much memory to read.
    """
    size = await asyncio.to_thread(file.seek, 0, 2)
    if size > MOST_BYTES:
        raise Invalid("tabular.too_large", most=MOST_BYTES)
    file.seek(0)
    ask = Ask(sorted(known), mapping.encoding, mapping.delimiter, mapping.sheet, MEMORY)
    with TemporaryFile() as answer:
        module = "core.erp.kernel.tabular.reading_process"
        code = await bounded_process.run(module, msgspec.json.encode(ask), file, answer, seconds=SECONDS)
        if code:
            raise Invalid("tabular.takes_too_long" if code in bounded_process.TOO_LONG else "tabular.takes_too_much")
        yield await asyncio.to_thread(_table, name, answer)


def _table(name: str, answer: IO[bytes]) -> Table:
    answer.seek(0)
    head = answer.read(LENGTH.size)
    if not head:
        raise Invalid("tabular.takes_too_much")
    first = msgspec.msgpack.decode(answer.read(LENGTH.unpack(head)[0]), type=Found | Failed)
    if isinstance(first, Failed):
        raise Invalid(Message(first.id, **first.params))
    return Table(name, first, answer, answer.tell())
