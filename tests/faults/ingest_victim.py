"""A worker process to be killed, or frozen and woken: stops inside the transaction, after the landing, until the sign
it gives of it is taken away.
"""

import asyncio
import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from core.erp.kernel.unit import Unit
from core.ingest import transaction
from core.ingest.stream import NatsSettings
from core.ingest.worker import IngestWorker
from core.telemetry.batch import Gap, Watermark
from core.telemetry.reading import Reading
from tests.faults.ingest_running import QUICK
from tests.keys import opened


class Stuck:
    """Judges nothing; hangs when it is given a reading, and says so by a file, for as long as that is there."""

    def __init__(self, sign: Path) -> None:
        self._sign = sign

    def fold(
        self,
        u: Unit,  # noqa: ARG002 - the port's
        readings: Sequence[Reading],
        conflicts: Sequence[tuple[Reading, Reading]],  # noqa: ARG002 - the port's parameters
        watermarks: Sequence[tuple[str, Watermark]],  # noqa: ARG002 - the port's parameters
        gaps: Sequence[tuple[str, Gap]],  # noqa: ARG002 - the port's parameters
    ) -> None:
        if readings:
            self._sign.touch()
            while self._sign.exists():
                time.sleep(0.02)


async def main(database: str, url: str, sign: str) -> None:
    transaction.IDLE_TIMEOUT = timedelta(seconds=1)
    engine = opened(database)
    await IngestWorker(engine, NatsSettings(urls=(url,)), Stuck(Path(sign)), "victim", options=QUICK).run(
        asyncio.Event()
    )


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
