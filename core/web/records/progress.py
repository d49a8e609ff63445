"""How far a long act is, told while it goes on: lines of JSON, the last of which has the answer itself.

Only a script asks for it; what it cannot read to the end it sends again as a browser does, under the same key.
"""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from tempfile import TemporaryFile
from typing import IO

from fastapi import Response
from fastapi.responses import StreamingResponse

PROGRESS = "x-progress"
"""The header by which a page's script asks for it."""
SoFar = Callable[[int, int], None]
"""Told by any thread: so many lines of so many."""
_RUNNING: set[asyncio.Task[Response]] = set()
"""What goes on although nobody listens any more: it ends as it would have."""


def copied(file: IO[bytes]) -> IO[bytes]:
    """The file once more, to outlive its form."""
    kept = TemporaryFile()  # noqa: SIM115 - whoever is done with it closes it: it outlives this call
    file.seek(0)
    shutil.copyfileobj(file, kept)
    kept.seek(0)
    return kept


def told_so_far(file: IO[bytes], answered: Callable[[IO[bytes], SoFar], Awaitable[Response]]) -> StreamingResponse:
    """The answer, and before it how far it is. The file is closed when it is done with."""
    return StreamingResponse(_lines(file, answered), media_type="application/x-ndjson")


async def _lines(file: IO[bytes], answered: Callable[[IO[bytes], SoFar], Awaitable[Response]]) -> AsyncIterator[bytes]:
    queue, loop = asyncio.Queue[tuple[int, int] | None](), asyncio.get_running_loop()

    def so_far(done: int, of: int) -> None:
        loop.call_soon_threadsafe(queue.put_nowait, (done, of))

    async def work() -> Response:
        try:
            return await answered(file, so_far)
        finally:
            file.close()
            queue.put_nowait(None)

    task = asyncio.create_task(work())
    _RUNNING.add(task)
    task.add_done_callback(_RUNNING.discard)
    while (told := await queue.get()) is not None:
        yield _line(done=told[0], of=told[1])
    answer = await task
    to = answer.headers.get("location")
    yield _line(to=to) if to else _line(page=bytes(answer.body).decode())


def _line(**told: object) -> bytes:
    return f"{json.dumps(told)}\n".encode()
