"""A file that is read while it is written: the database is done with an export in seconds, however slow the reader is.

A thread writes to a file on disk, bounded in bytes; whoever asked gets the bytes as they come. A reader who goes away
ends the writer. A fault after the first bytes cannot be told any more: it breaks the download off, so that a part is
never taken for the whole.
"""

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from tempfile import TemporaryFile
from typing import IO

from core.erp.kernel.errors import TooLarge

GIB = 1024**3
MOST = 4 * GIB
"""Bytes of one export."""
_PART = 256 * 1024


class Abandoned(Exception):
    """Whoever asked for the file has gone: nobody needs the rest."""


class Spool:
    """The writer's side. `file` is on disk; a program of its own may write there, and `take_over` then tells how much
    there is.
    """

    def __init__(self, file: IO[bytes], progress: Callable[[], object], most: int) -> None:
        self.file, self._told, self._most = file, progress, most
        self.size, self.gone = 0, False

    def check(self) -> None:
        """Raises Abandoned when the reader has gone: to be called now and then."""
        if self.gone:
            raise Abandoned

    def write(self, part: bytes) -> None:
        """Appends it; from now on it can be read. Raises Abandoned, TooLarge."""
        self.check()
        if self.size + len(part) > self._most:
            raise TooLarge("tabular.export_too_large", most=self._most)
        self.file.write(part)
        self.file.flush()
        self.size += len(part)
        self._told()

    def take_over(self) -> None:
        """What another program has written to `file` can be read. Raises TooLarge."""
        self.size = os.fstat(self.file.fileno()).st_size
        if self.size > self._most:
            raise TooLarge("tabular.export_too_large", most=self._most)
        self._told()


async def spooled(write: Callable[[Spool], None], *, most: int = MOST) -> AsyncGenerator[bytes, None]:
    """What `write` writes, as it is written; it runs in a thread of its own. Raises what it raises.

    To be closed (`aclosing`, or read to the end): only then the thread has ended and the file is gone.
    """
    loop, more = asyncio.get_running_loop(), asyncio.Event()
    done: asyncio.Future[None] = loop.create_future()
    with TemporaryFile() as file:
        spool = Spool(file, lambda: loop.call_soon_threadsafe(more.set), most)

        def work() -> None:
            try:
                write(spool)
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is raised where the result is read
                loop.call_soon_threadsafe(done.set_exception, error)
            else:
                loop.call_soon_threadsafe(done.set_result, None)

        thread = threading.Thread(target=work, name="export", daemon=True)
        done.add_done_callback(lambda _: more.set())
        thread.start()
        try:
            offset = 0
            while True:
                more.clear()
                finished = done.done()
                while part := await asyncio.to_thread(os.pread, file.fileno(), min(_PART, spool.size - offset), offset):
                    offset += len(part)
                    yield part
                if finished:
                    done.result()
                    return
                await more.wait()
        finally:
            spool.gone = True
            if not done.done():
                await asyncio.wait([done])
            await asyncio.to_thread(thread.join)
            if not done.cancelled():
                done.exception()  # taken: it was raised above, or nobody is there to be told


async def begun(parts: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The same parts, once the first is there: a fault before it is raised here, where it can still be answered."""
    first = await anext(parts, b"")
    return _following(first, parts)


async def _following(first: bytes, parts: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(parts) as rest:
        yield first
        async for part in rest:
            yield part
