"""A serial line without hardware: two pseudo-terminals, and what is written into one comes out of the other."""

import asyncio
import contextlib
import os
import sys
from pathlib import Path

if sys.platform == "win32":
    SETTINGS_REFUSED: type[Exception] = ValueError
else:
    import termios

    SETTINGS_REFUSED = termios.error
"""What the opening of a port with settings that it cannot have raises, which is no OSError."""
CHUNK = 4096


class PtyLine:
    """One line from `inner` (the device's end) to `outer` (the path at which a gateway finds the other).

    Bytes pass between `open` and `close`. As on a wire, what nobody is there to read is lost. Needs a POSIX system.
    """

    def __init__(self, outer: Path) -> None:
        self.outer = outer
        self.inner = ""
        self._masters: tuple[int, int] | None = None
        self._slaves: tuple[int, ...] = ()

    def open(self) -> None:
        """Makes the line, from within a running loop. Raises OSError if anything but an old link is at the path."""
        import tty

        if self.outer.is_symlink():
            self.outer.unlink()  # of a simulator that was killed
        pairs = (os.openpty(), os.openpty())
        # the ends stay open here, so that a peer that goes away hangs nothing up
        self._masters, self._slaves = (pairs[0][0], pairs[1][0]), (pairs[0][1], pairs[1][1])
        try:
            for master, slave in pairs:
                tty.setraw(slave)
                os.set_blocking(master, False)
            self.inner = os.ttyname(self._slaves[0])
            self.outer.symlink_to(os.ttyname(self._slaves[1]))
        except OSError:
            self._close_ends()
            raise
        loop = asyncio.get_running_loop()
        here, there = self._masters
        loop.add_reader(here, self._pass, here, there)
        loop.add_reader(there, self._pass, there, here)

    @staticmethod
    def _pass(source: int, sink: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(sink, os.read(source, CHUNK))

    def close(self) -> None:
        """Takes the line away; nothing happens if there is none."""
        if self._masters is None:
            return
        loop = asyncio.get_running_loop()
        for master in self._masters:
            loop.remove_reader(master)
        self._close_ends()
        if self.outer.is_symlink():
            self.outer.unlink()

    def _close_ends(self) -> None:
        for end in (*(self._masters or ()), *self._slaves):
            os.close(end)
        self._masters, self._slaves, self.inner = None, (), ""
