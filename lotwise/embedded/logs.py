"""Logs of servers that run for years: each is bounded, the one before is kept beside it.

A server writes to the file that it was given at its start, so the file stays and is emptied; it is open for appending.
"""

import contextlib
import os
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path

MAX_BYTES = 10 * 2**20
"""What a log may have; with the one before it, twice as much."""
LOOK_EVERY = 10.0


def bound(log: Path, most: int = MAX_BYTES) -> None:
    """Empties a log that has grown past `most`, after copying it to `NAME.1`. Without room for that it stays as it is.

    A line written between the two is lost.
    """
    before = log.with_name(f"{log.name}.1")
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size <= most:
            return
        try:
            shutil.copyfile(log, before)
        except OSError:
            with contextlib.suppress(OSError):
                before.unlink(missing_ok=True)
            return
        before.chmod(log.stat().st_mode)
        os.truncate(log, 0)


def bound_all(logs: Sequence[Path], ended: threading.Event, every: float = LOOK_EVERY) -> None:
    """Keeps them bounded until `ended`."""
    while not ended.wait(every):
        for log in logs:
            bound(log)
