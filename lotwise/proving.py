"""`lotwise prove`: spool, confirmations and series store side by side, for a gateway and a span.

Every batch that the gateway's spool cut in the span must be confirmed under the same hash; what was confirmed must add
up (count = landed + duplicates + conflicts + dead letters); what landed must be in PostgreSQL under its batch; what is
shipped must be in the series store, equal reading by reading. Hours whose headers the spool has folded are proved by
their chained hash.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, text

from core.series.port import SeriesStore
from core.series.rows import VALUE_COLUMNS, from_row
from core.telemetry.batch import CHAIN_START, chain, encode
from core.telemetry.reading import Reading
from edge.spool import FoldedHeaders, SpoolHeader, SpoolHeaders, spool_headers

_US = timedelta(microseconds=1)
_SHOWN = 50
_CHUNK = 500
_DEPTHS = ("", "*/", "*/*/", "*/*/*/")
_LANDED = text(
    f"SELECT r.batch_id, p.address, {', '.join('r.' + name for name in VALUE_COLUMNS.split(', '))} FROM reading r "  # noqa: S608 - our own column names
    "JOIN series_point p ON p.id = r.point_id WHERE r.batch_id = ANY(:ids) AND r.batch_id BETWEEN :low AND :high "
    "AND r.at BETWEEN :start AND :stop ORDER BY p.address, r.at"
)


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that does not agree."""

    kind: str
    epoch: str
    partition: int
    number: int | None
    detail: str


@dataclass(slots=True)
class Side:
    """One side's figures."""

    batches: int = 0
    readings: int = 0
    more: dict[str, int | str] = field(default_factory=dict)


@dataclass(slots=True)
class Report:
    """What the three sides say. `ok` only if they agree and there was something to agree on."""

    gateway: str
    start: datetime
    stop: datetime
    spool: Side = field(default_factory=Side)
    core: Side = field(default_factory=Side)
    series: Side = field(default_factory=Side)
    differences: list[Difference] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """Whether there was no reading to prove anything by."""
        return self.spool.readings == 0

    @property
    def ok(self) -> bool:
        """Whether delivery is proved."""
        return not self.empty and not self.differences

    def as_json(self) -> str:
        """One JSON object."""
        told = {**asdict(self), "ok": self.ok, "empty": self.empty}
        return json.dumps(told, default=lambda value: value.isoformat())


def prove(
    gateway: str, start: datetime, stop: datetime, spool_dir: Path, engine: Engine, series: SeriesStore | None
) -> Report:
    """Lays the three side by side for batches cut in [start, stop). `series` is the store behind, None without one.

    Raises FileNotFoundError (no spool there), sqlite3.Error, SQLAlchemy's OperationalError, StoreUnavailable,
    ValueError (the spool is another gateway's).
    """
    report = Report(gateway, start, stop)
    spool = spool_headers(spool_dir, start, stop)
    if spool.gateway != gateway:
        raise ValueError(f"the spool at {spool_dir} is {spool.gateway or 'nobody'}'s, not {gateway}'s")
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as conn:
        core = _core_batches(conn, gateway, start, stop, spool)
        _lay_batches(report, spool.batches, core)
        _lay_folds(report, spool.folds, core)
        _strangers(report, spool, core, start, stop)
        _account(report, core.values())
        _lay_series(report, conn, [row for row in core.values() if row.landed_count], series)
    if spool.uncut:
        report.spool.more["commits not yet cut"] = spool.uncut
    return report


_Key = tuple[str, int, int]


def _core_batches(
    conn: Connection, gateway: str, start: datetime, stop: datetime, spool: SpoolHeaders
) -> dict[_Key, Any]:
    """The core's batches of the span, and those that a fold names beyond its ends."""
    query = (
        "SELECT id, epoch, partition, number, kind, sha256, count, landed_count, duplicate_count, conflict_count, "
        "dead_count, first_at, last_at, cut_at, status FROM batch WHERE gateway = :g AND "
    )
    rows = list(
        conn.execute(text(query + "cut_at >= :start AND cut_at < :stop"), {"g": gateway, "start": start, "stop": stop})
    )
    for fold in spool.folds:
        rows += conn.execute(
            text(query + "epoch = :e AND partition = :p AND number BETWEEN :low AND :high"),
            {
                "g": gateway, "e": fold.epoch, "p": fold.partition, "low": fold.first_number,
                "high": fold.last_number,
            },
        )  # fmt: skip
    return {(row.epoch, row.partition, row.number): row for row in rows}


def _lay_batches(report: Report, batches: Sequence[SpoolHeader], core: dict[_Key, Any]) -> None:
    for header in batches:
        report.spool.batches += 1
        report.spool.readings += header.count
        if header.dropped:
            report.spool.more["readings dropped by the byte bound"] = (
                int(report.spool.more.get("readings dropped by the byte bound", 0)) + header.dropped
            )
        row = core.get((header.epoch, header.partition, header.number))
        if row is None:
            state = "confirmed to the gateway, but not here" if header.confirmed_at else "not confirmed"
            _differ(report, "missing", header, f"{header.count} readings: {state}")
        elif bytes(row.sha256) not in {header.sha256, header.replaced}:
            _differ(report, "hash", header, f"spool {header.sha256.hex()}, core {bytes(row.sha256).hex()}")
    for (epoch, partition), run in groupby(batches, key=lambda header: (header.epoch, header.partition)):
        numbers = [header.number for header in run]
        holes = sorted(set(range(numbers[0], numbers[-1] + 1)) - set(numbers))
        report.differences += [
            Difference("hole", epoch, partition, number, "the spool's own numbers have a hole")
            for number in holes[:_SHOWN]
        ]


def _differ(report: Report, kind: str, header: SpoolHeader, detail: str) -> None:
    report.differences.append(Difference(kind, header.epoch, header.partition, header.number, detail))


def _lay_folds(report: Report, folds: Sequence[FoldedHeaders], core: dict[_Key, Any]) -> None:
    for fold in folds:
        report.spool.batches += fold.batches
        report.spool.readings += fold.count
        link, missing = CHAIN_START, []
        for number in range(fold.first_number, fold.last_number + 1):
            row = core.get((fold.epoch, fold.partition, number))
            if row is None:
                missing.append(number)
            else:
                link = chain(link, bytes(row.sha256))
        if missing:
            detail = f"{len(missing)} of {fold.batches} batches of a folded hour are not confirmed"
            report.differences.append(Difference("missing", fold.epoch, fold.partition, missing[0], detail))
        elif link != fold.chain:
            detail = f"chained hash of numbers {fold.first_number} to {fold.last_number} differs"
            report.differences.append(Difference("hash", fold.epoch, fold.partition, fold.first_number, detail))


def _strangers(report: Report, spool: SpoolHeaders, core: dict[_Key, Any], start: datetime, stop: datetime) -> None:
    """What the core has confirmed in the span and the spool does not know."""
    known = {(header.epoch, header.partition, header.number) for header in spool.batches}
    for (epoch, partition, number), row in sorted(core.items()):
        folded = any(
            fold.epoch == epoch and fold.partition == partition and fold.first_number <= number <= fold.last_number
            for fold in spool.folds
        )
        if not folded and (epoch, partition, number) not in known and start <= row.cut_at < stop:
            report.differences.append(
                Difference("stranger", epoch, partition, number, "confirmed, but unknown to this spool")
            )


def _account(report: Report, rows: Iterable[Any]) -> None:
    names = ("landed_count", "duplicate_count", "conflict_count", "dead_count")
    for row in rows:
        report.core.batches += 1
        report.core.readings += row.count
        parts = [getattr(row, name) for name in names]
        for name, count in zip(names, parts, strict=True):
            label = name.removesuffix("_count")
            report.core.more[label] = int(report.core.more.get(label, 0)) + count
        if row.kind == "readings" and sum(parts) != row.count:
            detail = f"{row.count} readings came, {' + '.join(map(str, parts))} are accounted for"
            report.differences.append(Difference("count", row.epoch, row.partition, row.number, detail))


def _lay_series(report: Report, conn: Connection, rows: Sequence[Any], series: SeriesStore | None) -> None:
    """Counts what landed under each batch, and compares what is shipped with the store behind, reading by reading."""
    ours: defaultdict[str, list[Reading]] = defaultdict(list)
    hashed = hashlib.sha256()
    gone = unshipped = 0
    for row, readings in _landed(conn, sorted(rows, key=attrgetter("id"))):
        if not readings and row.status == "shipped" and series is not None:
            gone += row.landed_count
            continue
        report.series.batches += 1
        report.series.readings += len(readings)
        for reading in readings:
            hashed.update(encode(reading))
        if len(readings) != row.landed_count:
            detail = f"{row.landed_count} landed, {len(readings)} are in PostgreSQL"
            report.differences.append(Difference("count", row.epoch, row.partition, row.number, detail))
        if series is None:
            continue
        if row.status != "shipped":
            unshipped += row.landed_count
            continue
        for reading in readings:
            ours[reading.point].append(reading)
    report.series.more["sha256"] = hashed.hexdigest()
    if series is not None:
        report.series.more |= {"waiting to be shipped": unshipped, "shipped and dropped from PostgreSQL": gone}
        _compare(report, conn, ours, series)


def _landed(conn: Connection, rows: Sequence[Any]) -> Iterator[tuple[Any, list[Reading]]]:
    """Each batch with what PostgreSQL holds under it, by point and time."""
    for first in range(0, len(rows), _CHUNK):
        some = rows[first : first + _CHUNK]
        found: defaultdict[int, list[Reading]] = defaultdict(list)
        values = conn.execute(
            _LANDED,
            {
                "ids": [row.id for row in some], "low": some[0].id, "high": some[-1].id,
                "start": min(row.first_at for row in some), "stop": max(row.last_at for row in some),
            },
        )  # fmt: skip
        for batch_id, address, *columns in values:
            found[batch_id].append(from_row(address, columns))
        for row in some:
            yield row, found[row.id]


def _compare(report: Report, conn: Connection, ours: dict[str, list[Reading]], series: SeriesStore) -> None:
    refused = _refused(conn)
    equal = 0
    for point, readings in sorted(ours.items()):
        start, stop = min(r.at for r in readings), max(r.at for r in readings) + _US
        theirs = {reading.at: reading for reading in series.read(point, start, stop)}
        for reading in readings:
            if theirs.get(reading.at) == reading:
                equal += 1
            elif (point, reading.at) not in refused:
                kind = "unlike" if reading.at in theirs else "absent"
                detail = f"{point} at {reading.at.isoformat()} is {kind} in the series store"
                report.differences.append(Difference(kind, "", -1, None, detail))
    report.series.more["equal in the series store"] = equal


def _refused(conn: Connection) -> set[tuple[str, datetime]]:
    rows = conn.execute(text("SELECT point, reading_at FROM dead_letter WHERE kind = 'unstored'"))
    return {(point, at) for point, at in rows}
