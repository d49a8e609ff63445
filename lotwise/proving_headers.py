"""Headers side by side: every batch that the spool cut is confirmed under the same hash, and nothing else is.

Both sides fold headers by the hour, at times of their own; where one has folded and the other has not, the chained
hash is carried on over the headers that still stand by themselves, up to where both can be compared.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, text

from core.telemetry.batch import CHAIN_START, chain
from edge.spool import FoldedHeaders, SpoolHeader, SpoolHeaders
from lotwise.proof import SHOWN, Report

Run = tuple[str, int]
"""An epoch and a partition."""
Key = tuple[str, int, int]
"""An epoch, a partition and a number."""

_HOUR = timedelta(hours=1)
_ROWS = text(
    "SELECT id, epoch, partition, number, kind, sha256, count, landed_count, duplicate_count, conflict_count, "
    "dead_count, first_at, last_at, cut_at, status FROM batch WHERE gateway = :g AND cut_at >= :start "
    "AND cut_at < :stop"
)
_FOLDS = text(
    "SELECT epoch, partition, first_number, last_number, chain, hour, gone, count, landed_count, duplicate_count, "
    "conflict_count, 0 AS dead_count, first_at, last_at FROM batch_fold WHERE gateway = :g AND hour >= :start "
    "AND hour < :stop ORDER BY epoch, partition, first_number"
)
_PARTS = ("landed_count", "duplicate_count", "conflict_count", "dead_count")


@dataclass(slots=True)
class CoreHeaders:
    """The core's batches and folds of some whole hours."""

    rows: dict[Key, Any] = field(default_factory=dict)
    folds: dict[Run, list[Any]] = field(default_factory=dict)

    def fold_of(self, key: Key) -> Any | None:
        """The fold that a number is in."""
        runs = self.folds.get(key[:2], ())
        return next((fold for fold in runs if fold.first_number <= key[2] <= fold.last_number), None)


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What of the core's side the span is proved by: batches, and folds whose batches are no longer told apart."""

    rows: Sequence[Any]
    folds: Sequence[Any]


def whole_hours(start: datetime, stop: datetime) -> tuple[datetime, datetime]:
    """The span widened to full hours (UTC): folds can only be compared whole."""
    first = start.replace(minute=0, second=0, microsecond=0)
    last = stop.replace(minute=0, second=0, microsecond=0)
    return first, last if last == stop else last + _HOUR


def core_headers(conn: Connection, gateway: str, start: datetime, stop: datetime) -> CoreHeaders:
    """The core's headers of whole hours."""
    values = {"g": gateway, "start": start, "stop": stop}
    found = CoreHeaders({(row.epoch, row.partition, row.number): row for row in conn.execute(_ROWS, values)})
    for run, folds in groupby(conn.execute(_FOLDS, values), key=lambda fold: (fold.epoch, fold.partition)):
        found.folds[run] = list(folds)
    return found


def compare_headers(report: Report, spool: SpoolHeaders, core: CoreHeaders) -> Confirmed:
    """Lays the spool's headers of whole hours beside the core's; counts and tells what the report's span has."""
    inside = [header for header in spool.batches if report.start <= header.cut_at < report.stop]
    _compare_batches(report, inside, core)
    _compare_holes(report, inside)
    for fold in spool.folds:
        report.spool.batches += fold.batches
        report.spool.readings += fold.count
    _compare_hours(report, spool, core)
    return _account(report, inside, spool, core)


def _compare_batches(report: Report, inside: Iterable[SpoolHeader], core: CoreHeaders) -> None:
    for header in inside:
        report.spool.batches += 1
        report.spool.readings += header.count
        if header.dropped:
            report.spool.add("readings dropped by the byte bound", header.dropped)
        key = (header.epoch, header.partition, header.number)
        row = core.rows.get(key)
        if row is None and core.fold_of(key) is None:
            state = "confirmed to the gateway, but not here" if header.confirmed_at else "not confirmed"
            report.differ("missing", f"{header.count} readings: {state}", *key)
        elif row is not None and bytes(row.sha256) not in {header.sha256, header.replaced}:
            report.differ("hash", f"spool {header.sha256.hex()}, core {bytes(row.sha256).hex()}", *key)


def _compare_holes(report: Report, inside: Iterable[SpoolHeader]) -> None:
    for (epoch, partition), run in groupby(inside, key=lambda header: (header.epoch, header.partition)):
        numbers = [header.number for header in run]
        for number in sorted(set(range(numbers[0], numbers[-1] + 1)) - set(numbers))[:SHOWN]:
            report.differ("hole", "the spool's own numbers have a hole", epoch, partition, number)


# -- folds -------------------------------------------------------------------------------------------------------------


def _compare_hours(report: Report, spool: SpoolHeaders, core: CoreHeaders) -> None:
    """Every run of numbers that either side has folded."""
    singles = {(header.epoch, header.partition, header.number): header for header in spool.batches}
    ours: defaultdict[Run, dict[int, FoldedHeaders]] = defaultdict(dict)
    for fold in spool.folds:
        ours[fold.epoch, fold.partition][fold.first_number] = fold
    for run in sorted(ours.keys() | core.folds.keys()):
        theirs = {fold.first_number: fold for fold in core.folds.get(run, ())}
        for first in sorted(ours[run].keys() | theirs.keys()):
            _compare_hour(report, run, first, (ours[run].get(first), theirs.get(first)), (singles, core.rows))


def _compare_hour(
    report: Report,
    run: Run,
    first: int,
    folds: tuple[FoldedHeaders | None, Any | None],
    beside: tuple[Mapping[Key, SpoolHeader], Mapping[Key, Any]],
) -> None:
    singles, rows = beside
    last = max(fold.last_number for fold in folds if fold is not None)

    def sent(number: int) -> bytes | None:
        header = singles.get((*run, number))
        return None if header is None else _sent(header, rows.get((*run, number)))

    def confirmed(number: int) -> bytes | None:
        row = rows.get((*run, number))
        return None if row is None else bytes(row.sha256)

    spool_link, unknown = _link(folds[0], first, last, sent)
    core_link, missing = _link(folds[1], first, last, confirmed)
    span = f"of numbers {first} to {last}, a folded hour"
    if unknown:
        report.differ("stranger", f"{len(unknown)} {span}, are confirmed but unknown to this spool", *run, unknown[0])
    if missing:
        report.differ("missing", f"{len(missing)} {span}, are not confirmed", *run, missing[0])
    if folds[0] is not None and not folds[0].chain:
        report.spool.add("folded hours with dropped readings, of which only the numbers are compared", 1)
    elif not unknown and not missing and spool_link != core_link:
        report.differ("hash", f"the chained hash {span}, differs", *run, first)


def _link(fold: Any, first: int, last: int, of: Callable[[int], bytes | None]) -> tuple[bytes, list[int]]:
    """The chained hash from a fold, if there is one, over single batches to the last; and the numbers not there."""
    link, number = (CHAIN_START, first) if fold is None else (bytes(fold.chain), fold.last_number + 1)
    missing = []
    for each in range(number, last + 1):
        sha256 = of(each)
        if sha256 is None:
            missing.append(each)
        else:
            link = chain(link, sha256)
    return link, missing


def _sent(header: SpoolHeader, row: Any | None) -> bytes:
    """The hash under which a batch arrived, where a tombstone may stand for it: the core keeps a tombstone's row."""
    if header.replaced is None:
        return header.sha256
    if row is None:
        return header.replaced
    sha256 = bytes(row.sha256)
    return sha256 if sha256 == header.replaced else header.sha256


# -- what was confirmed -----------------------------------------------------------------------------------------------


def _account(report: Report, inside: Sequence[SpoolHeader], spool: SpoolHeaders, core: CoreHeaders) -> Confirmed:
    """What became of what was confirmed in the span, or in an hour that the spool has folded."""
    hours: defaultdict[Run, list[FoldedHeaders]] = defaultdict(list)
    for fold in spool.folds:
        hours[fold.epoch, fold.partition].append(fold)
    firsts = {(fold.epoch, fold.partition, fold.first_number) for fold in spool.folds}
    known = {(header.epoch, header.partition, header.number) for header in inside}
    rows = []
    for key, row in sorted(core.rows.items()):
        folded = any(fold.first_number <= key[2] <= fold.last_number for fold in hours[key[:2]])
        if folded or report.start <= row.cut_at < report.stop:
            rows.append(row)
            if not folded and key not in known and core.fold_of(key) is None:
                report.differ("stranger", "confirmed, but unknown to this spool", *key)
    for row in rows:
        report.core.batches += 1
        _add(report, row)
    whole = [
        fold
        for fold in _all(core)
        if _within(report, fold) or (fold.epoch, fold.partition, fold.first_number) in firsts
    ]
    for fold in whole:
        report.core.batches += fold.gone
        _add(report, fold)
    return Confirmed(rows, [*whole, *_account_partly(report, inside, core, whole)])


def _account_partly(
    report: Report, inside: Sequence[SpoolHeader], core: CoreHeaders, whole: Sequence[Any]
) -> Iterable[Any]:
    """Counts batches of the span that are in folds which reach beyond it, by what the spool says; gives those folds."""
    whole_ids = {id(fold) for fold in whole}
    partly: dict[int, Any] = {}
    for header in inside:
        key = (header.epoch, header.partition, header.number)
        found = core.fold_of(key)
        if found is not None and key not in core.rows and id(found) not in whole_ids:
            report.core.batches += 1
            report.core.readings += header.count
            partly[id(found)] = found
    return partly.values()


def _all(core: CoreHeaders) -> Iterator[Any]:
    return (fold for folds in core.folds.values() for fold in folds)


def _within(report: Report, fold: Any) -> bool:
    return bool(report.start <= fold.hour and fold.hour + _HOUR <= report.stop)


def _add(report: Report, header: Any) -> None:
    """Adds what became of a batch's readings, or of all those of a fold; it must add up."""
    report.core.readings += header.count
    parts = [getattr(header, name) for name in _PARTS]
    for name, count in zip(_PARTS, parts, strict=True):
        report.core.add(name.removesuffix("_count"), count)
    if getattr(header, "kind", "readings") == "readings" and sum(parts) != header.count:
        number = getattr(header, "number", None) or header.first_number
        detail = f"{header.count} readings came, {' + '.join(map(str, parts))} are accounted for"
        report.differ("count", detail, header.epoch, header.partition, number)
