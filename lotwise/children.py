"""Processes of ours that run side by side, their lines told with their names, started again when they die."""

import asyncio
import contextlib
import logging
import signal
import sys
import time
from collections.abc import Mapping, Sequence

from lotwise.embedded.process import die_with_parent

log = logging.getLogger("lotwise.up")

FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
WELL_AFTER = 60.0
"""Seconds of life after which the next death counts as the first; one that ends itself before, at its first start,
cannot start at all.
"""
STOP_WITHIN = 30.0


class CannotStart(RuntimeError):
    """A child ended by itself at its first start; its own lines say why."""


class Child:
    """One process, started again later and later when it dies: `lotwise` with these words, or a module of ours."""

    def __init__(
        self, name: str, words: Sequence[str], environment: Mapping[str, str], *, module: str | None = None
    ) -> None:
        self.name = name
        self.restarts = 0
        program = ["-c", "from lotwise.cli import main; main()"] if module is None else ["-m", module]
        self._command = [sys.executable, *program, *words]
        self._environment = dict(environment)
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """Its process while it runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def run(self) -> None:
        """Until `stop`. Raises CannotStart."""
        wait = 0.0
        while not self._stopping.is_set():
            began = time.monotonic()
            code = await self._once()
            lived = time.monotonic() - began
            if self._stopping.is_set():
                return
            if code > 0 and not self.restarts and lived < WELL_AFTER:
                raise CannotStart(f"{self.name} cannot start (exit {code}); its reason stands above")
            wait = FIRST_WAIT if lived >= WELL_AFTER or not wait else min(wait * 2, LONGEST_WAIT)
            how = signal.Signals(-code).name if code < 0 else f"exit {code}"
            log.warning("%s has ended (%s): starting it again in %.1f s", self.name, how, wait)
            await asyncio.sleep(wait)
            self.restarts += 1

    async def _once(self) -> int:
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            # the terminal's Ctrl-C reaches only us: we stop them in order
            start_new_session=True,
            # runs between fork and exec; it only calls prctl
            preexec_fn=die_with_parent(signal.SIGTERM),
        )
        assert self._process.stdout is not None
        while line := await _line(self._process.stdout):
            print(f"{self.name:<6} | {line.decode(errors='replace').rstrip()}", file=sys.stderr, flush=True)
        return await self._process.wait()

    async def stop(self) -> None:
        """Stops it in order; kills it where that takes too long."""
        self._stopping.set()
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_WITHIN)
        except TimeoutError:
            log.warning("%s did not stop within %.0f s: killed", self.name, STOP_WITHIN)
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def _line(stream: asyncio.StreamReader) -> bytes:
    """The next line, or as much of it as fits; empty at the end."""
    try:
        return await stream.readuntil()
    except asyncio.IncompleteReadError as end:
        return end.partial
    except asyncio.LimitOverrunError as long:
        return await stream.read(long.consumed)
