"""What QA signs after a restore: to when, and what is known to be missing, here and at those who were told.

Three know more than a restored database: the witness's journal (acts), receivers of messages (webhook, Grafana), and
gateways, which remember how far they had been confirmed.
"""

from collections import defaultdict
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, text

from core.erp.kernel.audit_journal import Journal
from core.erp.kernel.model import AuditSeal, Restoration
from core.erp.kernel.tables import table
from core.erp.kernel.unit import json_value

MAX_LISTED = 1000
"""Rows named in the record at most, of each kind; all are counted."""

_RECEIVERS = text("""
    SELECT s.handler AS receiver, s.pattern AS topics, d.done_at AS delivered_at, o.id, o.at, o.topic, o.key,
        (SELECT count(*) FROM outbox_task w WHERE w.handler = s.handler AND w.done_at IS NULL) AS waiting
    FROM outbox_subscription s
    LEFT JOIN LATERAL (
        SELECT t.outbox_id, t.done_at FROM outbox_task t
        WHERE t.handler = s.handler AND t.done_at IS NOT NULL ORDER BY t.id DESC LIMIT 1
    ) d ON true
    LEFT JOIN outbox o ON o.id = d.outbox_id
    WHERE s.external ORDER BY s.handler
""")
# as of the last seal, since gateways may have gone on before the restore was noticed; by the index on (gateway, cut_at)
_GATEWAYS = text("""
    SELECT w.gateway, w.heard, coalesce(
        (SELECT b.received_at FROM batch b WHERE b.gateway = w.gateway AND b.received_at <= :sealed
            ORDER BY b.cut_at DESC LIMIT 1),
        (SELECT max(f.last_received_at) FROM batch_fold f WHERE f.gateway = w.gateway AND f.last_received_at <= :sealed)
    ) AS confirmed_to
    FROM (SELECT gateway, max(received_at) AS heard FROM source_watermark GROUP BY gateway) w
""")
# what has come again: all through `through`, as far as it had been confirmed
_LOST = text("""
    SELECT l.gateway, l.epoch, l.partition, l.confirmed, b.cut_at AS confirmed_cut_at, l.once_confirmed,
        greatest(least(p.through, l.once_confirmed) - l.confirmed, 0) AS come_again,
        greatest(least(l.gone, l.once_confirmed) - l.confirmed, 0) AS cannot_come
    FROM confirmation_lost l LEFT JOIN batch_progress p USING (gateway, epoch, partition)
    LEFT JOIN batch b ON (b.gateway, b.epoch, b.partition, b.number) = (l.gateway, l.epoch, l.partition, l.confirmed)
    WHERE l.at >= coalesce(CAST(:since AS timestamptz), '-infinity')
    ORDER BY l.gateway, l.epoch, l.partition, l.confirmed
""")


def receivers(conn: Connection) -> list[dict[str, Any]]:
    """Who is told by message, as the database knows of it when it is found: before they are told anything again."""
    return [
        {"receiver": row.receiver, "topics": row.topics, "newest_delivered": _delivery(row), "waiting": row.waiting}
        for row in conn.execute(_RECEIVERS)
    ]


def _delivery(row: Any) -> dict[str, Any] | None:
    """The newest message that the receiver is known to have: what it was sent after that is not known here."""
    if row.id is None:
        return None
    times = {"at": row.at.isoformat(), "delivered_at": row.delivered_at.isoformat()}
    return {"event": row.id, "topic": row.topic, "key": row.key, **times}


def lacking(conn: Connection, row: Restoration, journal: Journal) -> dict[str, Any]:
    """The record as it stands: what the journal, receivers and gateways tell that the database lacks.

    `later_unknown`: no witness tells what came after the backup, so that nothing missing is listed does not mean that
    nothing is.
    Of each gateway: `confirmed_to`, when the newest batch came that was there with the last seal; `heard_since`, None
    until it has spoken to the restored core: within a minute of that it says how far it had been confirmed; and `lost`,
    where that was further (numbers of batches, and when the last that is here was cut; `come_again` and `cannot_come`
    count them).
    """
    seals = table(AuditSeal)
    sealed_at = conn.execute(select(seals.c.at).where(seals.c.number == row.database_seal)).scalar()
    missing = journal.after(row.database_seal)
    return {
        "restored_to": sealed_at.isoformat() if sealed_at is not None else None,
        "missing_seals": [row.database_seal + 1, row.witnessed_seal],
        "later_unknown": row.witnessed_seal == row.database_seal,
        "missing_rows": len(missing),
        "missing": [asdict(entry) for entry in missing[:MAX_LISTED]],
        "missing_unlisted": sorted(
            set(range(row.database_seal + 1, row.witnessed_seal + 1)) - {entry.seal for entry in missing}
        )[:MAX_LISTED],
        "receivers": row.receivers,
        "gateways": _gateways(conn, row, sealed_at),
    }


def _gateways(conn: Connection, row: Restoration, sealed_at: datetime | None) -> list[dict[str, Any]]:
    here = {one.gateway: one for one in conn.execute(_GATEWAYS, {"sealed": sealed_at})}
    lost: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in conn.execute(_LOST, {"since": sealed_at}).mappings():
        lost[one["gateway"]].append({name: json_value(value) for name, value in one.items() if name != "gateway"})
    return [
        {
            "gateway": gateway,
            "confirmed_to": json_value(here[gateway].confirmed_to) if gateway in here else None,
            "heard_since": json_value(here[gateway].heard) if _is_back(here.get(gateway), row.found_at) else None,
            "lost_batches": sum(one["once_confirmed"] - one["confirmed"] for one in lost[gateway]),
            "lost": lost[gateway][:MAX_LISTED],
        }
        for gateway in sorted({*here, *lost})
    ]


def _is_back(here: Any, found_at: datetime) -> bool:
    return here is not None and here.heard > found_at
