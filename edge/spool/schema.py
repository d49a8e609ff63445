"""The spool's file: its tables, how it is opened, and what happens to one that is damaged."""

import logging
import sqlite3
from datetime import datetime
from pathlib import Path

log = logging.getLogger("lotwise.edge.spool")

FILE = "spool.sqlite"
VERSION = 1

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE epoch (
    id INTEGER PRIMARY KEY, epoch TEXT NOT NULL UNIQUE, site TEXT NOT NULL,
    previous BLOB, started_at INTEGER NOT NULL
);
CREATE TABLE counter (
    epoch INTEGER NOT NULL REFERENCES epoch, partition INTEGER NOT NULL, last INTEGER NOT NULL,
    PRIMARY KEY (epoch, partition)
) WITHOUT ROWID;
-- kept, not yet cut: one row a group commit
CREATE TABLE raw (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE batch (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    epoch INTEGER NOT NULL REFERENCES epoch, partition INTEGER NOT NULL, number INTEGER NOT NULL,
    kind TEXT NOT NULL, sha256 BLOB NOT NULL, replaced BLOB,
    count INTEGER NOT NULL, dropped INTEGER NOT NULL DEFAULT 0, first_at INTEGER, last_at INTEGER,
    cut_at INTEGER NOT NULL, size INTEGER NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 1, sequence INTEGER, incarnation TEXT, sent_at INTEGER, confirmed_at INTEGER,
    UNIQUE (epoch, partition, number)
);
CREATE INDEX batch_unsent ON batch (id) WHERE sequence IS NULL AND confirmed_at IS NULL;
CREATE INDEX batch_open ON batch (epoch, partition, number, sequence, incarnation) WHERE confirmed_at IS NULL;
CREATE INDEX batch_done ON batch (confirmed_at) WHERE confirmed_at IS NOT NULL;
-- in a table of its own, so that walking headers never reads payloads
CREATE TABLE payload (batch INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE fold (
    epoch INTEGER NOT NULL REFERENCES epoch, partition INTEGER NOT NULL, first_number INTEGER NOT NULL,
    hour INTEGER NOT NULL, last_number INTEGER NOT NULL, batches INTEGER NOT NULL, count INTEGER NOT NULL,
    first_at INTEGER, last_at INTEGER, chain BLOB NOT NULL,
    PRIMARY KEY (epoch, partition, first_number)
) WITHOUT ROWID;
CREATE TABLE point (point TEXT PRIMARY KEY, last_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE aside (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, origin TEXT NOT NULL, reason TEXT NOT NULL,
    size INTEGER NOT NULL, payload BLOB NOT NULL
);
"""


def open_spool(folder: Path, now: datetime) -> sqlite3.Connection:
    """The folder's spool, made if there is none. A damaged file is moved aside, loudly, and a new one begun.

    Commits are on disk when they return (WAL, synchronous FULL). Raises sqlite3.Error if even a new file cannot be
    opened (folder not writable, disk full).
    """
    path = folder / FILE
    if path.exists():
        damage = _damage(path)
        if damage is not None:
            _move_aside(path, damage, now)
    connection = connect(path)
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
        connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {VERSION}; COMMIT;")
    return connection


def connect(path: Path) -> sqlite3.Connection:
    """A connection with the spool's settings; transactions are begun and ended by hand."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        connection.execute("PRAGMA cache_size = -16384")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _damage(path: Path) -> str | None:
    """What is wrong with the file, or None. A busy or unreadable disk is not damage and raises."""
    try:
        connection = connect(path)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        return str(error)
    try:
        if connection.execute("PRAGMA user_version").fetchone()[0] not in {0, VERSION}:
            return "written by another version of the spool"
        findings = [row[0] for row in connection.execute("PRAGMA quick_check(5)")]
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        return str(error)
    finally:
        connection.close()
    return None if findings == ["ok"] else "; ".join(findings)


def _move_aside(path: Path, damage: str, now: datetime) -> None:
    stamp = now.strftime("%Y%m%dT%H%M%S%fZ")
    for suffix in ("", "-wal", "-shm"):
        file = path.with_name(path.name + suffix)
        if file.exists():
            file.rename(path.with_name(f"{path.name}.damaged-{stamp}{suffix}"))
    log.error(
        "the spool %s is damaged (%s): moved aside as *.damaged-%s. A new epoch begins; batches that the core has not "
        "confirmed are lost unless they can be taken from that file, and the lost epoch must be closed in the core by "
        "a signed act",
        path,
        damage,
        stamp,
    )
