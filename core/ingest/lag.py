"""How far the ingest is behind: what metrics are drawn from and alarms decided by."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, text

from core.ingest.alarms import STOPPED
from core.telemetry.address import PARTITIONS


@dataclass(frozen=True, slots=True)
class Stopped:
    """A partition that takes nothing until somebody acts, and why."""

    partition: int
    detail: str
    detail_message: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Lag:
    """What waits, and for how long.

    `quiet` is, by gateway, how long ago its last batch was received; `runs_with_holes` counts (gateway, epoch,
    partition) that miss a number below one that came; `unowned` partitions have no worker.
    """

    unshipped_batches: int
    unshipped_readings: int
    oldest_unshipped: timedelta | None
    dead_letters: dict[str, int]
    pending_watermarks: int
    runs_with_holes: int
    stopped: tuple[Stopped, ...]
    alarms: int
    quiet: dict[str, timedelta]
    unowned: tuple[int, ...]


def ingest_lag(engine: Engine, now: datetime) -> Lag:
    """Reads it all in one snapshot. Unshipped counts mean nothing where no series store is behind."""
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as conn:
        batches, readings, oldest = conn.execute(
            text(
                "SELECT count(*), coalesce(sum(landed_count), 0), min(received_at) FROM batch "
                "WHERE status = 'landed' AND landed_count > 0"
            )
        ).one()
        dead = conn.execute(text("SELECT reason, count(*) FROM dead_letter WHERE replayed_at IS NULL GROUP BY 1"))
        stopped = conn.execute(
            text(
                "SELECT partition, detail, detail_message FROM ingest_alarm "
                "WHERE kind = :k AND cleared_at IS NULL ORDER BY 1"
            ),
            {"k": STOPPED},
        )
        quiet = conn.execute(
            # the latest of each gateway, not the maximum over all batches: its newest run is its highest id
            text(
                "SELECT g.gateway, greatest((SELECT max(b.received_at) FROM batch b WHERE b.gateway = g.gateway "
                "AND b.cut_at = (SELECT max(cut_at) FROM batch c WHERE c.gateway = g.gateway)), "
                "(SELECT max(f.last_received_at) FROM batch_fold f WHERE f.gateway = g.gateway "
                "AND f.hour = (SELECT max(hour) FROM batch_fold c WHERE c.gateway = g.gateway))) "
                "FROM (SELECT DISTINCT gateway FROM gateway_epoch) g"
            )
        )
        unowned = conn.execute(
            text(
                "SELECT n FROM generate_series(0, :last) n WHERE NOT EXISTS "
                "(SELECT FROM ingest_lease l WHERE l.partition = n AND l.until >= now()) ORDER BY 1"
            ),
            {"last": PARTITIONS - 1},
        ).scalars()
        holes = conn.execute(
            text(
                "SELECT count(*) FROM batch_progress p WHERE EXISTS (SELECT FROM batch b WHERE b.gateway = p.gateway "
                "AND b.epoch = p.epoch AND b.partition = p.partition AND b.number > p.through)"
            )
        ).scalar_one()
        return Lag(
            unshipped_batches=batches,
            unshipped_readings=int(readings),
            oldest_unshipped=now - oldest if oldest is not None else None,
            dead_letters={row[0]: row[1] for row in dead},
            pending_watermarks=conn.execute(text("SELECT count(*) FROM pending_watermark")).scalar_one(),
            runs_with_holes=holes,
            stopped=tuple(Stopped(*row) for row in stopped),
            alarms=conn.execute(text("SELECT count(*) FROM ingest_alarm WHERE cleared_at IS NULL")).scalar_one(),
            quiet={gateway: now - at for gateway, at in quiet if at is not None},
            unowned=tuple(unowned.all()),
        )
