"""The process that runs scenarios for the pages: `python -m lotwise.simulations.host DATA_DIR`.

It answers on a socket in the data folder, one line a question, and ends with whoever started it. Little is imported
before somebody starts a scenario: most servers of a test instance never run one.
"""

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lotwise.embedded.local import reachable

if TYPE_CHECKING:
    from lotwise.simulations.runs import Runs

log = logging.getLogger("lotwise.simulators")

SOCKET, LOCK = "simulators.sock", "simulators.lock"
LONGEST_LINE = 1024 * 1024
MEMORY = 2 * 1024**3
"""Bytes of address space that all simulated devices together may take."""


class Host:
    """Answers questions. The runs are made at the first question that needs them."""

    def __init__(self) -> None:
        self._runs: Runs | None = None

    async def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        """What is answered: `{"runs": […]}`, `{}`, or `{"refused": why}`."""
        if asked["ask"] == "runs" and self._runs is None:
            return {"runs": []}
        if self._runs is None:
            from lotwise.simulations.runs import Runs

            self._runs = Runs(os.environ.get("LOTWISE_DATABASE_URL"))
        return await self._runs.answer(asked)

    async def close(self) -> None:
        """Takes every device down."""
        if self._runs is not None:
            await self._runs.close()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One question, one answer."""
        with contextlib.closing(writer), contextlib.suppress(ConnectionError, ValueError):
            asked = json.loads(await reader.readline())
            answer = await self.answer(asked)
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()


async def serve(folder: Path) -> None:
    """Until SIGTERM."""
    stop, loop, host = asyncio.Event(), asyncio.get_running_loop(), Host()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    path = folder / SOCKET
    path.unlink(missing_ok=True)
    before = os.umask(0o177)
    try:
        with reachable(path) as name:
            server = await asyncio.start_unix_server(host.connected, name, limit=LONGEST_LINE)
    finally:
        os.umask(before)
    async with server:
        await stop.wait()
    await host.close()
    path.unlink(missing_ok=True)


def main() -> None:
    """Waits until no other process runs simulators on this data folder, then serves. Ends with its parent."""
    from core.erp.kernel.bounded_process import limit_memory
    from simulators.guard import LiveInstance, refuse_unmarked

    folder = Path(sys.argv[1]).absolute()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    for noisy in ("asyncua", "pymodbus.logging"):  # their warnings are of servers and clients that are meant to fail
        logging.getLogger(noisy).setLevel(logging.ERROR)
    try:
        refuse_unmarked(os.environ.get("LOTWISE_INSTANCE"))
    except LiveInstance as error:
        sys.exit(str(error))
    limit_memory(MEMORY)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        asyncio.run(serve(folder))


if __name__ == "__main__":
    main()
