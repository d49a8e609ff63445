"""Readings that came in no batch of a gateway: imported by hand, or dead letters that land after all."""

import uuid
from collections.abc import Sequence

from sqlalchemy import text

from core.erp.kernel.unit import Unit
from core.ingest.validation import partition_of_point
from core.series.landing import Landed, land
from core.telemetry.batch import Body, digest, encode_body
from core.telemetry.reading import Reading

KIND = "own"

_BATCH = text(
    "INSERT INTO batch (gateway, site, epoch, partition, number, kind, sha256, count, landed_count, duplicate_count,"
    " conflict_count, dead_count, first_at, last_at, cut_at, received_at, status) VALUES (:origin, :site, :epoch,"
    " :partition, 1, :kind, :sha256, :count, 0, 0, 0, 0, :first, :last, :now, :now, 'landed') RETURNING id"
)
_COUNT = text(
    "UPDATE batch SET landed_count = :new, duplicate_count = :duplicates, conflict_count = :conflicts WHERE id = :id"
)


def land_own(u: Unit, origin: str, readings: Sequence[Reading]) -> Landed:
    """Lands readings in a batch of the core's own, so that they are shipped like all others; says what was new.

    `origin` stands for the gateway. What was all known leaves no batch. Raises NeedsOlder as `land` does.
    """
    if not readings:
        return Landed()
    times = [reading.at for reading in readings]
    first = readings[0].point
    batch: int = u.conn.execute(
        _BATCH,
        {
            "origin": origin, "site": first.partition("/")[0], "epoch": uuid.uuid4().hex,
            "partition": partition_of_point(first), "kind": KIND, "sha256": digest(encode_body(Body(tuple(readings)))),
            "count": len(times), "first": min(times), "last": max(times), "now": u.now,
        },
    ).scalar_one()  # fmt: skip
    landed = land(u.conn, readings, [batch] * len(readings), u.now)
    counts = {"new": len(landed.new), "duplicates": len(landed.duplicates), "conflicts": len(landed.conflicts)}
    if landed.new or landed.conflicts:
        u.conn.execute(_COUNT, {"id": batch, **counts})
    else:
        u.conn.execute(text("DELETE FROM batch WHERE id = :id"), {"id": batch})
    return landed
