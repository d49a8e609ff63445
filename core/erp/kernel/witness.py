"""The witness: each seal's number and hash in a file of the data folder, outside the database.

What was once witnessed stays so: a restored backup, a cut trail or one written anew no longer agree with the file. A
line a seal, after a line that names the witness; `restored` says that QA has signed a restored backup, and from which
seal on the trail goes on.
"""

import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

WITNESS_FILE = "audit-heads.jsonl"
"""The file's name in the data folder."""


NEVER = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Head:
    """A seal's number and hash, as a line says them."""

    number: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A line that says nothing: torn by a crash, or edited."""

    raw: bytes


@dataclass(frozen=True, slots=True)
class Header:
    """The first line: the witness's name."""

    name: str


@dataclass(frozen=True, slots=True)
class Restored:
    """QA signed that the database was restored: seals beyond `number` that were witnessed before are gone."""

    number: int
    restoration: int
    at: datetime


Line = Head | Unreadable | Header | Restored


def _parse(raw: bytes) -> Line:
    if not raw.endswith(b"\n"):
        return Unreadable(raw[:200])
    try:
        values = json.loads(raw)
        if "witness" in values:
            return Header(str(values["witness"]))
        if "restored" in values:
            return Restored(int(values["restored"]), int(values["restoration"]), datetime.fromisoformat(values["at"]))
        return Head(int(values["seal"]), bytes.fromhex(values["hash"]))
    except (ValueError, KeyError, TypeError):
        return Unreadable(raw[:200])


class Witness:
    """The witness's file. Reading needs no lock; `appending` lets one process write at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0
        self._inode = 0
        self.name: str | None = None
        self.last: Head | None = None
        """The newest seal that counts, number 0 before the first; its hash is empty where no line says it."""
        self.restored_at = NEVER
        """When the newest restoration was signed, as far as this witness knows."""
        self.broken = False
        """Whether a line could not be read."""

    @property
    def exists(self) -> bool:
        """Whether there is such a file."""
        return self.path.exists()

    def refresh(self) -> None:
        """Takes in what others have appended; reads all of it anew where the file is another or shorter."""
        if not self.path.exists():
            self._reset()
            return
        with self.path.open("rb") as file:
            found = os.fstat(file.fileno())
            if found.st_ino != self._inode or found.st_size < self._offset:
                self._reset()
                self._inode = found.st_ino
            file.seek(self._offset)
            for raw in file:
                if not raw.endswith(b"\n"):
                    break  # torn: whoever appends next takes it away
                self._apply(_parse(raw))
                self._offset += len(raw)

    def _reset(self) -> None:
        self._offset, self._inode, self.name, self.last, self.broken = 0, 0, None, None, False
        self.restored_at = NEVER

    def _apply(self, line: Line) -> None:
        match line:
            case Header(name):
                self.name, self.last = name, Head(0, b"")
            case Head():
                self.last = line
            case Restored(number, _, at):
                self.last = Head(min(number, self.last.number if self.last else 0), b"")
                self.restored_at = at
            case Unreadable():
                self.broken = True

    def begin(self, now: datetime) -> None:
        """Makes the file, where there is none."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = {"witness": secrets.token_hex(8), "begun": now.isoformat()}
        with self.path.open("ab") as file, _locked(file):
            if file.tell() == 0:
                _write(file, [line])
        self.refresh()

    def append(self, heads: Sequence[Head]) -> None:
        """Writes the heads that come next, on disk when this returns. What another process has written is left out."""
        with self.path.open("r+b") as file, _locked(file):
            self._seek_end(file)
            after = self.last.number if self.last is not None else 0
            _write(file, [{"seal": h.number, "hash": h.hash.hex()} for h in heads if h.number > after])
        self.refresh()

    def restored(self, number: int, restoration: int, at: datetime) -> None:
        """QA signed at that time: the trail goes on after seal `number`."""
        with self.path.open("r+b") as file, _locked(file):
            self._seek_end(file)
            _write(file, [{"restored": number, "restoration": restoration, "at": at.isoformat()}])
        self.refresh()

    def _seek_end(self, file: BinaryIO) -> None:
        """Behind the last whole line; one that a crash has torn goes."""
        self.refresh()
        file.truncate(self._offset)
        file.seek(self._offset)

    def lines(self) -> Iterator[Line]:
        """All lines that are there when this begins."""
        with self.path.open("rb") as file:
            size, read = os.fstat(file.fileno()).st_size, 0
            for raw in file:
                read += len(raw)
                if read > size:
                    return
                yield _parse(raw)


@contextmanager
def _locked(file: BinaryIO) -> Iterator[None]:
    """One process at a time; the lock goes with the file's closing."""
    fcntl.flock(file, fcntl.LOCK_EX)
    yield


def _write(file: BinaryIO, lines: Sequence[Mapping[str, object]]) -> None:
    if lines:
        file.write("".join(json.dumps(line) + "\n" for line in lines).encode())
        file.flush()
        os.fsync(file.fileno())
