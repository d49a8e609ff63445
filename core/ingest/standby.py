"""A gateway of a redundancy group that no longer speaks while another does: no zone is silent, but nobody stands by."""

from datetime import timedelta

from sqlalchemy import text

from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message
from core.ingest.alarms import raise_alarm

SILENT = "standby_silent"
_ALONE = text("SELECT pg_advisory_xact_lock(1281852235)")
_SILENT = text("""
    WITH voice AS (
        SELECT redundancy_group, gateway, source, max(upto) AS upto, max(upto + behind) AS live FROM source_watermark
        WHERE redundancy_group <> '' AND retired_at IS NULL GROUP BY 1, 2, 3
    )
    SELECT v.gateway, v.redundancy_group, string_agg(v.source, ', ' ORDER BY v.source) AS sources, min(v.upto) AS since
    FROM voice v WHERE v.live < CAST(:before AS timestamptz) AND EXISTS (
        SELECT FROM voice o WHERE o.redundancy_group = v.redundancy_group AND o.source = v.source
        AND o.live >= CAST(:before AS timestamptz)
    ) GROUP BY 1, 2
""")
_CLEARED = text("""
    UPDATE ingest_alarm a SET cleared_at = :now WHERE a.kind = :kind AND a.cleared_at IS NULL AND NOT EXISTS (
        SELECT FROM (
            SELECT max(upto + behind) AS live FROM source_watermark w
            WHERE w.gateway = a.gateway AND w.redundancy_group <> '' AND w.retired_at IS NULL GROUP BY w.source
        ) v WHERE v.live < :before
    ) RETURNING gateway
""")


def update_standby_alarms(u: Unit, overdue: timedelta) -> None:
    """Raises an alarm for each gateway of a group that is overdue with a source of which another of its group speaks;
    clears it once the gateway speaks again, or its sources are retired. Of a group that is silent altogether the zones
    are silent (core.erp.exposure.judge.timer).
    """
    u.conn.execute(_ALONE)
    parameters = {"now": u.now, "kind": SILENT, "before": u.now - overdue}
    for row in u.conn.execute(_SILENT, parameters).all():
        detail = Message("ingest.standby_silent", group=row.redundancy_group, sources=row.sources, since=row.since)
        text_ = raise_alarm(u, SILENT, detail, gateway=row.gateway)
        if text_ is not None:
            u.outbox("ingest.alarm", row.gateway, {"kind": SILENT, "detail": text_})
    for gateway in u.conn.execute(_CLEARED, parameters).scalars().all():
        u.outbox("ingest.going", gateway, {"kind": SILENT, "gateway": gateway})
