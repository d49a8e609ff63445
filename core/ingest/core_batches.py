"""Readings that came in no batch of a gateway: imported by hand, or dead letters that land after all."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from sqlalchemy import text

from core.erp.kernel.unit import Unit
from core.ingest.validation import partition_of_point
from core.series.dropped_ranges import DroppedRangeNeeded
from core.series.landing import Landed, land
from core.telemetry.batch import Body, digest, digest_of, encode_body
from core.telemetry.compact import PointReadings, Readings, moment_of
from core.telemetry.reading import Reading

KIND = "core"

_BATCH = text(
    "INSERT INTO batch (gateway, site, epoch, partition, number, kind, sha256, count, landed_count, duplicate_count,"
    " conflict_count, dead_count, first_at, last_at, cut_at, received_at, status) VALUES (:origin, :site, :epoch,"
    " :partition, 1, :kind, :sha256, :count, 0, 0, 0, 0, :first, :last, :now, :now, 'landed') RETURNING id"
)
_COUNT = text(
    "UPDATE batch SET landed_count = :new, duplicate_count = :duplicates, conflict_count = :conflicts WHERE id = :id"
)


@dataclass(frozen=True, slots=True)
class LandedInParts:
    """What came of readings in columns: those that are new, how many stood there already, and (kept, second) of those
    that stood there with another value.
    """

    new: Readings
    duplicates: int
    conflicts: tuple[tuple[Reading, Reading], ...]


def land_in_parts(u: Unit, origin: str, readings: Readings, most: int) -> LandedInParts:
    """As `land_core_batch`, about `most` at a time, for more readings than memory should hold at once.

    Each point's must be in the order of time. Raises DroppedRangeNeeded for all of them at once.
    """
    if not readings:
        return LandedInParts(readings, 0, ())
    times = readings.times()
    batch = _insert_batch(
        u,
        origin,
        readings.points[0].point,
        digest_of(readings, len(readings)),
        len(readings),
        (moment_of(int(times.min())), moment_of(int(times.max()))),
    )
    new: dict[str, list[PointReadings]] = {}
    duplicates, conflicts, older = 0, [], []
    for column, first, stop in readings.parts(most):
        part = list(column.between(first, stop))
        try:
            landed = land(u.conn, part, [batch] * len(part), u.now)
        except DroppedRangeNeeded as need:
            older.append(need)
            continue
        duplicates += len(landed.duplicates)
        conflicts += [(kept, second) for _, kept, second in landed.conflicts]
        if landed.new:
            places = np.array(landed.new, np.int64) + first
            new.setdefault(column.point, []).append(replace(column, values=column.values.where(places)))
    if older:
        points = {point for need in older for point in need.points}
        raise DroppedRangeNeeded(points, min(need.start for need in older), max(need.stop for need in older))
    found = LandedInParts(Readings(one for parts in new.values() for one in parts), duplicates, tuple(conflicts))
    _write_counts(u, batch, len(found.new), duplicates, len(conflicts))
    return found


def land_core_batch(u: Unit, origin: str, readings: Sequence[Reading]) -> Landed:
    """Lands readings in a batch of the core's own, so that they are shipped like all others; says what was new.

    `origin` stands for the gateway. What was all known leaves no batch. Raises DroppedRangeNeeded as `land` does.
    """
    if not readings:
        return Landed()
    times = [reading.at for reading in readings]
    sha256 = digest(encode_body(Body(tuple(readings))))
    batch = _insert_batch(u, origin, readings[0].point, sha256, len(times), (min(times), max(times)))
    landed = land(u.conn, readings, [batch] * len(readings), u.now)
    _write_counts(u, batch, len(landed.new), len(landed.duplicates), len(landed.conflicts))
    return landed


def _insert_batch(u: Unit, origin: str, point: str, sha256: bytes, count: int, span: tuple[datetime, datetime]) -> int:
    made: int = u.conn.execute(
        _BATCH,
        {
            "origin": origin,
            "site": point.partition("/")[0],
            "epoch": uuid.uuid4().hex,
            "partition": partition_of_point(point),
            "kind": KIND,
            "sha256": sha256,
            "count": count,
            "first": span[0],
            "last": span[1],
            "now": u.now,
        },
    ).scalar_one()
    return made


def _write_counts(u: Unit, batch: int, new: int, duplicates: int, conflicts: int) -> None:
    """What came of the batch; one of which nothing was new is none."""
    if new or conflicts:
        u.conn.execute(_COUNT, {"id": batch, "new": new, "duplicates": duplicates, "conflicts": conflicts})
    else:
        u.conn.execute(text("DELETE FROM batch WHERE id = :id"), {"id": batch})
