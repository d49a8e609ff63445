"""Closing an epoch whose spool is lost: a signed act, after which what is missing is a gap on record, and later
watermarks of the gateway count again.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, text

from core.erp.exposure.rules.gaps import SPOOL_LOST
from core.erp.kernel.errors import Conflict, Invalid, NotFound
from core.erp.kernel.unit import Unit
from core.ingest.confirmation import NUMBERS_MAX
from core.ingest.progress import recount
from core.ingest.transaction import JudgePort, hold_partitions
from core.telemetry.address import PARTITIONS
from core.telemetry.batch import MISSING_MAX, Gap


def epoch_record(conn: Connection, gateway: str, epoch: str) -> dict[str, Any]:
    """What a signature to close an epoch signs: gateway, epoch, how far it is confirmed, what is known to be missing.

    `missing` lists, per partition, at most MISSING_MAX numbers below the highest that came, of the NUMBERS_MAX after
    the last confirmed one. Raises NotFound.
    """
    known = conn.execute(
        text("SELECT first_seen_at FROM gateway_epoch WHERE gateway = :g AND epoch = :e"), {"g": gateway, "e": epoch}
    ).first()
    if known is None:
        raise NotFound("ingest.no_epoch", gateway=gateway, epoch=epoch)
    rows = conn.execute(
        text("SELECT partition, through FROM batch_progress WHERE gateway = :g AND epoch = :e ORDER BY 1"),
        {"g": gateway, "e": epoch},
    ).all()
    return {
        "gateway": gateway,
        "epoch": epoch,
        "first_seen_at": known.first_seen_at,
        "through": {str(row.partition): row.through for row in rows},
        "missing": {str(row.partition): _missing(conn, gateway, epoch, row.partition, row.through) for row in rows},
    }


def _missing(conn: Connection, gateway: str, epoch: str, partition: int, through: int) -> Sequence[int]:
    return list(
        conn.execute(
            text(
                "SELECT n FROM generate_series(cast(:t AS bigint) + 1, (SELECT least(max(number), "
                "cast(:t AS bigint) + :most) FROM batch WHERE gateway = :g AND epoch = :e AND partition = :p)) n "
                "WHERE NOT EXISTS (SELECT FROM batch b WHERE b.gateway = :g AND b.epoch = :e AND b.partition = :p "
                "AND b.number = n) ORDER BY n LIMIT :limit"
            ),
            {"t": through, "g": gateway, "e": epoch, "p": partition, "limit": MISSING_MAX, "most": NUMBERS_MAX},
        ).scalars()
    )


def close_epoch(
    u: Unit, judge: JudgePort, gateway: str, epoch: str, *, reason: str, signature_id: int | None
) -> Mapping[str, Any]:
    """Closes the epoch: records gaps for every zone the gateway spoke for, and lets the watermarks that waited count.

    The gap of a zone runs from the gateway's last counting watermark there to the first batch of the epoch that came
    after, or to now. `signature_id` is the kernel's signature over `epoch_record`; only a part of the system may do
    without. Gives the record. Raises Forbidden, NotFound, Conflict (closed already), Invalid (no reason, no
    signature).
    """
    u.need("epoch.close")
    if not reason.strip():
        raise Invalid("ingest.epoch_without_reason")
    if signature_id is None and not u.actor.system:
        raise Invalid("ingest.epoch_without_signature")
    hold_partitions(u.conn, range(PARTITIONS))
    record = epoch_record(u.conn, gateway, epoch)
    closed = u.conn.execute(
        text(
            "INSERT INTO epoch_closed (gateway, epoch, closed_at, actor, reason, signature_id, missing) "
            "VALUES (:g, :e, :at, :actor, :reason, :signature, cast(:missing AS jsonb)) ON CONFLICT DO NOTHING"
        ),
        {
            "g": gateway,
            "e": epoch,
            "at": u.now,
            "actor": u.actor.login,
            "reason": reason,
            "signature": signature_id,
            "missing": msgspec.json.encode(record["missing"]).decode(),
        },
    )
    if closed.rowcount == 0:
        raise Conflict("ingest.epoch_closed", gateway=gateway, epoch=epoch)
    gaps = _gaps(u, gateway, epoch, reason)
    u.audit("epoch.close", "epoch", f"{gateway}:{epoch}", after=record, reason=reason)
    u.outbox("epoch.closed", gateway, {"gateway": gateway, "epoch": epoch, "reason": reason, "gaps": len(gaps)})
    judge.fold(u, [], [], recount(u, gateway), gaps)
    return record


def _gaps(u: Unit, gateway: str, epoch: str, reason: str) -> list[tuple[str, Gap]]:
    stop: datetime = u.conn.execute(
        text(
            "SELECT coalesce(min(b.cut_at), :now) FROM gateway_epoch mine "
            "JOIN gateway_epoch later ON later.gateway = mine.gateway AND later.id > mine.id "
            "JOIN (SELECT gateway, epoch, cut_at FROM batch "
            "UNION ALL SELECT gateway, epoch, first_cut_at FROM batch_fold) b "
            "ON b.gateway = later.gateway AND b.epoch = later.epoch "
            "WHERE mine.gateway = :g AND mine.epoch = :e"
        ),
        {"g": gateway, "e": epoch, "now": u.now},
    ).scalar_one()
    spoken = u.conn.execute(
        text(
            "SELECT z.address, max(w.upto) AS upto FROM source_watermark w JOIN zone z ON z.id = w.zone_id "
            "WHERE w.gateway = :g GROUP BY 1 ORDER BY 1"
        ),
        {"g": gateway},
    ).all()
    text_ = f"{SPOOL_LOST}: {reason}"
    found = [(gateway, Gap(row.address, row.upto, stop, text_)) for row in spoken if row.upto < stop]
    if found:
        return found
    # it never spoke for a zone: the loss is on record all the same
    return [(gateway, Gap(f"source:{gateway}", stop, stop, text_))]
