"""The process that `spool_kill_test` kills: keeps numbered readings and says on its output which are safe.

`spool_victim.py FOLDER START`; prints "kept FROM TO" once every reading in [FROM, TO) is on disk.
"""

import asyncio
import itertools
import sys
from datetime import timedelta
from pathlib import Path

from edge.spool import Spool, SpoolOptions
from tests.services.edge_readings import reading

SIZES = (1, 3, 40, 250)


async def keep_on(folder: Path, start: int) -> None:
    options = SpoolOptions(batch_readings=20, cut_every=timedelta(milliseconds=10))
    async with await Spool.open(folder, "gw", "plant", options) as spool:
        position = itertools.count(start, 1000)

        async def lane(size: int) -> None:
            while True:
                first = next(position)
                await spool.keep([reading(n) for n in range(first, first + size)])
                sys.stdout.write(f"kept {first} {first + size}\n")
                sys.stdout.flush()

        async def ticks() -> None:
            while True:
                await asyncio.sleep(0.03)
                await spool.watermarks((), range(64))

        await asyncio.gather(ticks(), *(lane(size) for size in SIZES))


if __name__ == "__main__":
    asyncio.run(keep_on(Path(sys.argv[1]), int(sys.argv[2])))
