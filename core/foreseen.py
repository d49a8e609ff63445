"""What will go wrong soon, told while there is time to mend it: a disk that fills, a certificate that ends."""

import shutil
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

FULL_WITHIN = timedelta(hours=24)
"""A disk that is full in less, as it has filled lately, is told."""
LOOK_BACK = timedelta(hours=1)
"""Over how long it is reckoned how fast a disk fills, and how much of that must have been seen at least (half)."""
SAMPLE_EVERY = timedelta(minutes=1)
ROOM_LOW = 2**30
"""Bytes: less room than this is told at once, however slowly it goes."""
ENDS_WITHIN = timedelta(days=30)
"""A certificate that ends in less is told."""


class FillingDisk:
    """A probe of `/healthz`: whether the data folder's disk will soon be full."""

    def __init__(
        self,
        folder: Path,
        free: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder, self._free, self._clock = folder, free, clock
        self._samples: deque[tuple[float, int]] = deque()

    def __call__(self) -> str | None:
        """What is wrong, in a sentence."""
        trouble = self.trouble()
        if trouble is None:
            return None
        free, full_in = trouble
        if full_in is None:
            return f"{free / 2**20:.0f} MiB free in the data folder"
        hours = full_in.total_seconds() / 3600
        return f"the data folder's disk is full in {hours:.1f} h, as it fills now; {free / 2**30:.1f} GiB free"

    def trouble(self) -> tuple[int, timedelta | None] | None:
        """The bytes that are free, and in what they are used up; None if nothing is wrong. A disk that cannot be asked
        is told of by the probe for room.
        """
        nearest = next(path for path in [self._folder.absolute(), *self._folder.absolute().parents] if path.exists())
        try:
            free = self._free(nearest)
        except OSError:
            return None
        if free < ROOM_LOW:
            return free, None
        full_in = self._full_in(free)
        return None if full_in is None or full_in >= FULL_WITHIN else (free, full_in)

    def _full_in(self, free: int) -> timedelta | None:
        """How long until it is full at the rate of the last hour; None: it does not fill, or too little was seen."""
        now, samples = self._clock(), self._samples
        if not samples or now - samples[-1][0] >= SAMPLE_EVERY.total_seconds():
            samples.append((now, free))
        while now - samples[0][0] > LOOK_BACK.total_seconds():
            samples.popleft()
        began, free_then = samples[0]
        if now - began < LOOK_BACK.total_seconds() / 2 or free >= free_then:
            return None
        return timedelta(seconds=free * (now - began) / (free_then - free))


def certificate_probe(
    file: Path | None, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Callable[[], str | None]:
    """A probe of `/healthz`: whether the server's own certificate ends soon; None where a proxy ends TLS."""

    def probe() -> str | None:
        if file is None:
            return None
        try:
            return ending(_end(file), now())
        except (OSError, ValueError) as error:
            return f"the certificate cannot be read: {error}"

    return probe


def _end(file: Path) -> datetime:
    return x509.load_pem_x509_certificates(file.read_bytes())[0].not_valid_after_utc


def certificate_end(file: Path | None) -> datetime | None:
    """When a certificate ends; None where there is none, or it cannot be read."""
    try:
        return None if file is None else _end(file)
    except (OSError, ValueError):
        return None


def ending(ends: datetime, now: datetime) -> str | None:
    """What is wrong with a certificate that ends then; None if nothing is yet."""
    if ends <= now:
        return f"the certificate ended on {ends:%Y-%m-%d}"
    if ends - now < ENDS_WITHIN:
        return f"the certificate ends on {ends:%Y-%m-%d}, in {(ends - now).days} days"
    return None
