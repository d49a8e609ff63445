"""Rows of batches: written with what is expected of their readings, put right where some were known before."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from core.ingest.decoding import Arrival
from core.series.landing import Landed

BatchKey = tuple[str, str, int, int]
"""Gateway, epoch, partition and number of a batch."""

_TYPES = {
    "gateway": "text",
    "site": "text",
    "epoch": "text",
    "partition": "int",
    "number": "bigint",
    "kind": "text",
    "sha256": "bytea",
    "count": "int",
    "first_at": "timestamptz",
    "last_at": "timestamptz",
    "cut_at": "timestamptz",
    "received_at": "timestamptz",
    "landed_count": "int",
    "dead_count": "int",
}
# arrays, not a list of VALUES: hundreds of rows of parameters cost several times as much to parse as to insert
_INSERT = text(
    f"INSERT INTO batch ({', '.join(_TYPES)}, duplicate_count, conflict_count, status)"  # noqa: S608 - our own columns
    f" SELECT k.*, 0, 0, 'landed' FROM unnest("
    f"{', '.join(f'CAST(:{name} AS {kind}[])' for name, kind in _TYPES.items())}) k"
    " RETURNING id, gateway, epoch, partition, number"
)
_CORRECT_COUNTS = text(
    "UPDATE batch SET landed_count = k.a, duplicate_count = k.b, conflict_count = k.c"
    " FROM unnest(CAST(:i AS bigint[]), CAST(:a AS int[]), CAST(:b AS int[]), CAST(:c AS int[])) k(i, a, b, c)"
    " WHERE batch.id = k.i"
)


def insert_batches(
    conn: Connection,
    arrivals: Mapping[BatchKey, Arrival],
    landing: Mapping[BatchKey, int],
    dead: Mapping[BatchKey, int],
    now: datetime,
) -> dict[BatchKey, int]:
    """Writes the batches and gives their ids. By batch: how many readings are about to land, as if all were new, and
    how many are dead.
    """
    if not arrivals:
        return {}
    rows = [
        {**_row(found, now), "landed_count": landing.get(key, 0), "dead_count": dead.get(key, 0)}
        for key, found in arrivals.items()
    ]
    made = conn.execute(_INSERT, {name: [row[name] for row in rows] for name in _TYPES})
    ids = {(gateway, epoch, partition, number): batch for batch, gateway, epoch, partition, number in made}
    return {key: ids[key] for key in arrivals}


def _row(found: Arrival, now: datetime) -> dict[str, Any]:
    header = found.header
    # of the readings themselves: the shipper looks for them there, whatever the header says
    times = [reading.at for reading in found.body.readings]
    return {
        "gateway": header.gateway,
        "site": header.site,
        "epoch": header.epoch,
        "partition": header.partition,
        "number": header.number,
        "kind": header.kind,
        "sha256": header.sha256,
        "count": header.count,
        "first_at": min(times, default=None),
        "last_at": max(times, default=None),
        "cut_at": header.cut_at,
        "received_at": now,
    }


def correct_counts(conn: Connection, batch_ids: Sequence[int], landed: Landed) -> None:
    """Corrects the counts of batches some of whose readings were not new; `batch_ids` are those of the readings."""
    columns = [
        Counter(batch_ids[seq] for seq in seqs)
        for seqs in (landed.new, landed.duplicates, [seq for seq, _, _ in landed.conflicts])
    ]
    concerned: Collection[int] = sorted(columns[1].keys() | columns[2].keys())
    if concerned:
        counts = {name: [of[batch] for batch in concerned] for name, of in zip("abc", columns, strict=True)}
        conn.execute(_CORRECT_COUNTS, {"i": list(concerned), **counts})
