"""Attachments in a backup: one folder for all backups of an installation, since a file of that hash never changes."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from core.erp.kernel.attachments.files import PART, FileStore


@dataclass(frozen=True, slots=True)
class Copied:
    """How many files were copied, and the names of those that are not what their name says: they were not."""

    count: int
    damaged: tuple[str, ...]


def copy_files(source: Path, target: Path) -> Copied:
    """Copies the attachments that the target lacks, each compared with its hash. Raises OSError."""
    kept, there = FileStore(source).names(), FileStore(target).names()
    lacking = [name for name, stat in kept.items() if name not in there or there[name].st_size != stat.st_size]
    if lacking:
        target.mkdir(parents=True, exist_ok=True, mode=0o700)
    damaged = [name for name in sorted(lacking) if not _copied(source / name, target / name)]
    return Copied(len(lacking) - len(damaged), tuple(damaged))


def _copied(source: Path, target: Path) -> bool:
    """Whether the copy is on disk and is what its name says; otherwise nothing is left of it."""
    fresh, hashing = target.with_name(target.name + ".part"), hashlib.sha256()
    try:
        with source.open("rb") as given, fresh.open("wb") as taken:
            while part := given.read(PART):
                hashing.update(part)
                taken.write(part)
            taken.flush()
            os.fsync(taken.fileno())
        whole = hashing.hexdigest() == target.name
        if whole:
            fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)
    return whole
