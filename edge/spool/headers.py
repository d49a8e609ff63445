"""Reads a spool's headers from outside, also while its gateway runs: what `lotwise prove` lays beside the core's."""

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from edge.spool.records import micros, moment, moment_or_none
from edge.spool.retention import HOUR
from edge.spool.schema import FILE


class SpoolHeader(msgspec.Struct, frozen=True):
    """One batch as the spool knows it.

    `sha256` is the hash of what would be sent now; where a tombstone stands for dropped readings, `replaced` is the
    hash of the batch it stands for and `dropped` how many readings that had.
    """

    epoch: str
    partition: int
    number: int
    kind: str
    sha256: bytes
    replaced: bytes | None
    count: int
    dropped: int
    first_at: datetime | None
    last_at: datetime | None
    cut_at: datetime
    attempt: int
    sent: bool
    confirmed_at: datetime | None


class FoldedHeaders(msgspec.Struct, frozen=True):
    """A run of batches of one hour whose headers were folded; `chain` is their chained hash by ascending number, empty
    where it cannot be known (see `edge.spool.retention`).
    """

    epoch: str
    partition: int
    hour: datetime
    first_number: int
    last_number: int
    batches: int
    count: int
    first_at: datetime | None
    last_at: datetime | None
    chain: bytes


class SpoolHeaders(msgspec.Struct, frozen=True):
    """All that a spool says of a span, and whose it is. `uncut` counts the commits kept and not yet cut."""

    gateway: str
    batches: tuple[SpoolHeader, ...]
    folds: tuple[FoldedHeaders, ...]
    uncut: int


def spool_headers(data_dir: Path, start: datetime, stop: datetime) -> SpoolHeaders:
    """Every batch cut in [start, stop), by epoch, partition and number, and every fold of an hour that meets it.

    Raises FileNotFoundError when there is no spool, sqlite3.Error when it cannot be read.
    """
    path = data_dir / FILE
    if not path.exists():
        raise FileNotFoundError(f"no spool at {path}")
    with closing(_read_only(path)) as db:
        batches = db.execute(
            "SELECT e.epoch, b.partition, b.number, b.kind, b.sha256, b.replaced, b.count, b.dropped, b.first_at,"
            " b.last_at, b.cut_at, b.attempt, b.sequence IS NOT NULL, b.confirmed_at"
            " FROM batch b JOIN epoch e ON e.id = b.epoch WHERE b.cut_at >= ? AND b.cut_at < ?"
            " ORDER BY b.epoch, b.partition, b.number",
            (micros(start), micros(stop)),
        )
        folds = db.execute(
            "SELECT e.epoch, f.partition, f.hour, f.first_number, f.last_number, f.batches, f.count, f.first_at,"
            " f.last_at, f.chain FROM fold f JOIN epoch e ON e.id = f.epoch WHERE f.hour > ? AND f.hour < ?"
            " ORDER BY f.epoch, f.partition, f.first_number",
            (micros(start) - HOUR, micros(stop)),
        )
        owner = db.execute("SELECT value FROM meta WHERE key = 'gateway'").fetchone()
        return SpoolHeaders(
            owner[0] if owner else "",
            tuple(_header(row) for row in batches),
            tuple(_fold(row) for row in folds),
            db.execute("SELECT count(*) FROM raw").fetchone()[0],
        )


def _read_only(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
    # one view of the file for all three queries
    connection.execute("BEGIN")
    return connection


def _header(row: tuple[Any, ...]) -> SpoolHeader:
    return SpoolHeader(
        epoch=row[0],
        partition=row[1],
        number=row[2],
        kind=row[3],
        sha256=row[4],
        replaced=row[5],
        count=row[6],
        dropped=row[7],
        first_at=moment_or_none(row[8]),
        last_at=moment_or_none(row[9]),
        cut_at=moment(row[10]),
        attempt=row[11],
        sent=bool(row[12]),
        confirmed_at=moment_or_none(row[13]),
    )


def _fold(row: tuple[Any, ...]) -> FoldedHeaders:
    return FoldedHeaders(
        row[0],
        row[1],
        moment(row[2]),
        row[3],
        row[4],
        row[5],
        row[6],
        moment_or_none(row[7]),
        moment_or_none(row[8]),
        row[9],
    )
