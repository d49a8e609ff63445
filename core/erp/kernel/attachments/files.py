"""`files/<sha256>` in the data folder: what is written is on disk before anybody is told, and is read back verified."""

import hashlib
import logging
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import IO

from core.erp.kernel.attachments.content import identify
from core.erp.kernel.attachments.rules import ALLOWED, UnfitFile, extension_of, fitting_name, safe_name
from core.erp.kernel.errors import Busy, FileDamaged, Invalid, TooLarge

log = logging.getLogger(__name__)

FILES = "files"
MOST = 64 * 1024 * 1024
"""Bytes of one file."""
LEAST_FREE = 256 * 1024**2
"""Bytes that stay free for the database beside it."""
PART = 1024 * 1024
INCOMING = ".incoming-"
NAME = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file on disk, fsynced, not yet attached to anything: the name it is given back under, its type, bytes, hash."""

    path: Path
    name: str
    media_type: str
    size: int
    sha256: str


class FileStore:
    """The folder of files of one installation, shared by all processes that serve it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, source: IO[bytes], name: str) -> StoredFile:
        """Copies the file to disk and checks name and content. Blocks: to be called in a thread.

        Raises Invalid (name, type), TooLarge, Busy (no room). What is refused leaves nothing behind.
        """
        try:
            name = safe_name(name)
        except UnfitFile as error:
            raise Invalid(error.message) from error
        self._room()
        fresh = self.folder / f"{INCOMING}{uuid.uuid4().hex}"
        try:
            size, sha256 = self._written(fresh, source)
            stored = self._checked(fresh, name, size, sha256)
            fresh.replace(stored.path)
            _sync_folder(self.folder)
        except OSError as error:
            raise _no_room(error) from error
        finally:
            fresh.unlink(missing_ok=True)
        return stored

    def _room(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            free = shutil.disk_usage(self.folder).free
        except OSError as error:
            raise _no_room(error) from error
        if free < LEAST_FREE:
            raise Busy("attachments.disk_full", extra={"retry_after": 60})

    def _written(self, fresh: Path, source: IO[bytes]) -> tuple[int, str]:
        """(bytes, hash) of the copy, which is on disk when this returns."""
        hashing, size = hashlib.sha256(), 0
        source.seek(0)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
            while part := source.read(PART):
                size += len(part)
                if size > MOST:
                    raise TooLarge("attachments.too_large", limit=f"{MOST // 1024**2} MiB", extra={"most": MOST})
                hashing.update(part)
                target.write(part)
            target.flush()
            os.fsync(target.fileno())
        return size, hashing.hexdigest()

    def _checked(self, fresh: Path, name: str, size: int, sha256: str) -> StoredFile:
        try:
            with fresh.open("rb") as file:
                kind = identify(file, name)
        except UnfitFile as error:
            raise Invalid("attachments.unfit", name=name, why=error.message) from error
        fitting = fitting_name(name, kind)
        if fitting is None:
            extension, content = extension_of(name), kind.extensions[0]
            raise Invalid(
                "attachments.named_otherwise", name=name, extension=extension, content=content, allowed=ALLOWED
            )
        return StoredFile(self.folder / sha256, fitting, kind.media, size, sha256)

    @contextmanager
    def verified(self, sha256: str) -> Iterator[BufferedReader]:
        """The file, open at its beginning, after every byte was read and found as it was. Raises FileDamaged."""
        with self.opened(sha256) as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                log.error("%s is damaged: it is not what was attached", self.folder / sha256)
                raise FileDamaged("attachments.damaged")
            file.seek(0)
            yield file

    @contextmanager
    def opened(self, sha256: str) -> Iterator[BufferedReader]:
        """The file as it is. Raises FileDamaged where it is not there or cannot be read, ValueError for no hash."""
        if not NAME.fullmatch(sha256):
            raise ValueError(f"{sha256!r} is no SHA-256")
        try:
            file = (self.folder / sha256).open("rb")
        except OSError as error:
            log.error("%s is missing: %s", self.folder / sha256, error)  # noqa: TRY400 - the administrator needs no trace
            raise FileDamaged("attachments.missing") from error
        with file:
            yield file

    def names(self) -> dict[str, os.stat_result]:
        """Every file by its hash, with its size and times."""
        found = {}
        with suppress(FileNotFoundError), os.scandir(self.folder) as entries:
            for entry in entries:
                if NAME.fullmatch(entry.name):
                    with suppress(FileNotFoundError):  # swept meanwhile
                        found[entry.name] = entry.stat()
        return found

    def remove(self, sha256: str, older_than: float) -> bool:
        """Removes a file that was written before that time (seconds); False where it was written anew or is gone."""
        path = self.folder / sha256
        try:
            if path.stat().st_mtime >= older_than:
                return False
            path.unlink()
        except FileNotFoundError:
            return False
        return True

    def remove_broken_off(self, older_than: float) -> int:
        """Removes uploads that broke off before that time (seconds); gives how many."""
        old = [path for path in self.folder.glob(f"{INCOMING}*") if path.stat().st_mtime < older_than]
        for path in old:
            path.unlink(missing_ok=True)
        return len(old)


def _no_room(error: OSError) -> Busy:
    return Busy("attachments.not_kept", why=error.strerror or str(error), extra={"retry_after": 60})


def _sync_folder(folder: Path) -> None:
    """The new name is on disk too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
