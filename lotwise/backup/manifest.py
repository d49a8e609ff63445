"""Is a base backup as PostgreSQL wrote it? Its own manifest says the size and SHA-256 of every file, and of itself.

`pg_verifybackup` does the same; that of the wheel ends with a segmentation fault (18.4, on Linux), so it is done here.
"""

import hashlib
import json
from pathlib import Path

MANIFEST = "backup_manifest"
_OURS = {MANIFEST, "recovery.signal"}


def faults(base: Path) -> list[str]:
    """What is wrong with a base backup made with SHA-256 checksums; empty: every file is there, whole and no other."""
    path = base / MANIFEST
    if not path.is_file():
        return [f"{path} is missing"]
    raw = path.read_bytes()
    try:
        manifest = json.loads(raw)
        files = {entry["Path"]: entry for entry in manifest["Files"]}
        # the last line is the checksum of all before it
        whole, checksum = raw[: raw.rindex(b'"Manifest-Checksum"')], manifest["Manifest-Checksum"]
    except (ValueError, KeyError, TypeError):
        return [f"{path} is no manifest"]
    found = [] if hashlib.sha256(whole).hexdigest() == checksum else [f"{path} does not match its own checksum"]
    for name, entry in files.items():
        found += _fault(base / name, name, entry)
    there = {p.relative_to(base).as_posix() for p in base.rglob("*") if p.is_file()}
    found += [f"{name} is not in the manifest" for name in sorted(there - files.keys() - _OURS) if not _is_log(name)]
    return found


def _is_log(name: str) -> bool:
    """The log itself is no part of a manifest: the server checks each of its records as it plays them."""
    return name.startswith("pg_wal/")


def _fault(path: Path, name: str, entry: dict[str, object]) -> list[str]:
    if not path.is_file():
        return [f"{name} is missing"]
    if path.stat().st_size != entry["Size"]:
        return [f"{name} has {path.stat().st_size} bytes, not {entry['Size']}"]
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != entry["Checksum"]:
            return [f"{name} is damaged"]
    return []
