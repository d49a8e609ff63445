"""Work on files of others' making is done by a process of its own, with bounds of time and memory.

What a file costs to read, and a document to set, is not known before. The process is started without a shell, knows no
secret of ours (its environment is what is asked of it and where our code is), answers into a file, and is killed with
all it started when it takes too long. `bound` is what it calls first, before it reads a byte.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import IO

ASKED = "LOTWISE_ASKED"
"""The variable that carries what is asked, as JSON."""
MEMORY = 1024 * 1024 * 1024
SECONDS = 180.0
PROCESSOR = 120
DISK = 4 * 1024**3
"""By default: bytes of address space, seconds by the clock, seconds of a processor, bytes of any file it writes."""
TOO_LONG = frozenset({-signal.SIGXCPU, -signal.SIGKILL})
"""Exit codes of a process that took more time than it may; every other one but 0 is a lack of memory, or a fault."""


async def run(
    module: str, asked: bytes, source: IO[bytes] | None, answer: IO[bytes], *, seconds: float = SECONDS
) -> int:
    """Runs `python -m module` to its end and returns its exit code, one of TOO_LONG where it had to be killed.

    `source` (its standard input) and `answer` (its standard output) are files on disk.
    """
    process = await asyncio.create_subprocess_exec(
        *_command(module),
        stdin=source.fileno() if source is not None else subprocess.DEVNULL,
        stdout=answer.fileno(),
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=_environment(asked),
    )
    try:
        async with asyncio.timeout(seconds):
            return await process.wait()
    except TimeoutError:
        return -signal.SIGXCPU
    finally:
        _kill(process.pid)
        await process.wait()


@contextlib.contextmanager
def fed(module: str, asked: bytes, answer: IO[bytes], *, seconds: float = SECONDS) -> Iterator[subprocess.Popen[bytes]]:
    """The process while the block writes to its standard input, and until it has ended; for use in a thread.

    A process that takes too long is killed: writing to it raises BrokenPipeError. Its exit code is there afterwards.
    """
    with subprocess.Popen(
        _command(module),
        stdin=subprocess.PIPE,
        stdout=answer.fileno(),
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=_environment(asked),
    ) as process:
        watch = threading.Timer(seconds, _kill, (process.pid,))
        watch.start()
        try:
            yield process
            assert process.stdin is not None
            process.stdin.close()
            process.wait()
        finally:
            watch.cancel()
            _kill(process.pid)


def _command(module: str) -> list[str]:
    return [sys.executable, "-m", module]


def _environment(asked: bytes) -> dict[str, str]:
    return {ASKED: asked.decode(), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # with what it may have started itself
        os.killpg(pid, signal.SIGKILL)


# --- in the process of its own


def asked() -> bytes:
    """What is asked of this process."""
    return os.environ[ASKED].encode()


def bound(memory: int = MEMORY, processor: int = PROCESSOR) -> None:
    """Limits this process's memory, time, files and priority, where the system knows such limits."""
    limit_memory(memory)
    try:
        import resource
    except ImportError:  # not on this system: the time by the clock remains
        return
    resource.setrlimit(resource.RLIMIT_CPU, (processor, processor))
    resource.setrlimit(resource.RLIMIT_FSIZE, (DISK, DISK))


def limit_memory(memory: int) -> None:
    """Limits this process's address space, where the system knows such a limit, and lets those who wait for a page go
    first.
    """
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    os.nice(5)
