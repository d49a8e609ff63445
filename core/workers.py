"""The processes that serve one address, as each of them knows of the others.

Whichever of them is asked for `/healthz` answers for all: what one of them notices is told to the others by a `Notice`.
"""

import multiprocessing
import time
from ctypes import c_char
from dataclasses import dataclass, field
from multiprocessing.sharedctypes import SynchronizedString

_SPAWN = multiprocessing.get_context("spawn")
_LONGEST = 2000
"""Bytes of a notice; what is longer is cut."""


def _cell() -> SynchronizedString:
    return _SPAWN.Array(c_char, _LONGEST)


@dataclass(frozen=True, slots=True)
class Notice:
    """A text that one process puts up and all read. It goes to a process while that is started, and no other way."""

    _cell: SynchronizedString = field(default_factory=_cell)

    def put(self, text: str) -> None:
        """From now on this is what all read."""
        stamped = f"{time.monotonic()} {text}".encode()[: _LONGEST - 1]
        with self._cell.get_lock():
            self._cell.value = stamped

    def get(self) -> tuple[float, str]:
        """(how many seconds ago it was put up, the text); the text is empty before there is any."""
        with self._cell.get_lock():
            at, _, text = self._cell.value.decode(errors="ignore").partition(" ")
        return (time.monotonic() - float(at) if at else float("inf")), text


@dataclass(frozen=True, slots=True)
class Workers:
    """How many there are, which loops of the leader fail, and what PostgreSQL has refused one of them last."""

    count: int = 1
    failing: Notice = field(default_factory=Notice)
    refused: Notice = field(default_factory=Notice)

    def share(self, of_all: int, least: int = 1) -> int:
        """What one process has of something that all have together, and of which each needs so much to work at all."""
        return max(least, of_all // self.count)
