"""One owner of a folder at a time: `flock` on a file in it, which the kernel gives back however the owner ends."""

import errno
import fcntl
import os
from pathlib import Path


class FolderInUse(RuntimeError):
    """Another process owns the folder."""


class FolderLock:
    """An exclusive lock on `path`, which bears the owner's process id for people to read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    def acquire(self) -> None:
        """Takes it. Raises FolderInUse naming who has it, and OSError where the file cannot be made."""
        file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.pread(file, 20, 0).decode(errors="replace").strip() or "another process"
            os.close(file)
            raise FolderInUse(f"{self.path.parent} is in use by process {owner}") from error
        os.ftruncate(file, 0)
        self._file = file
        self._write_owner()

    def _write_owner(self) -> None:
        assert self._file is not None
        try:
            os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            # the lock is what counts; on a full disk its file stays empty
            if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise

    def release(self) -> None:
        """Gives it back; the file stays, so that two owners never lock two files of one name."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
