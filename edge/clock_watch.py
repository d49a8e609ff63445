"""Whether the gateway's clock can be trusted: it was not set, and it is where the stream server's is."""

import logging
from datetime import datetime

from edge.health import ClockHealth

log = logging.getLogger("lotwise.edge")

STEP = 1.0
"""Seconds by which the clock must jump against the monotonic one to count as set."""


class ClockWatch:
    """Notices a clock that is set or that is away from the stream server's. Says so once for each change."""

    def __init__(self, max_offset: float) -> None:
        self._max_offset = max_offset
        self._last: tuple[float, float] | None = None
        self._ok = True
        self.steps = 0

    def tick(self, wall: datetime, monotonic: float) -> None:
        """Compares how far both clocks went since the last tick."""
        if self._last is not None:
            jump = (wall.timestamp() - self._last[0]) - (monotonic - self._last[1])
            if abs(jump) > STEP:
                self.steps += 1
                log.warning("the clock was set by %+.1f s", jump)
        self._last = (wall.timestamp(), monotonic)

    def judge(self, offset: float | None) -> ClockHealth:
        """What health says about an offset (seconds ahead of the stream server; None: unknown)."""
        ok = offset is None or abs(offset) <= self._max_offset
        trouble = None if ok else f"{offset:+.3f} s from the stream server's clock, allowed {self._max_offset} s"
        if ok is not self._ok:
            log.warning("the clock: %s", trouble or "within its tolerance again")
            self._ok = ok
        return ClockHealth(ok, offset, self.steps, trouble)
