"""Alarms of the ingest: raised once, cleared once, told through the outbox."""

from sqlalchemy import text

from core.erp.kernel.unit import Unit

STOPPED = "stopped"


def raise_stopped(u: Unit, partition: int, detail: str) -> None:
    """A partition cannot go on. Raised once while it stands."""
    standing = u.conn.execute(
        text("SELECT 1 FROM ingest_alarm WHERE kind = :k AND partition = :p AND cleared_at IS NULL"),
        {"k": STOPPED, "p": partition},
    ).first()
    if standing is None:
        u.conn.execute(
            text("INSERT INTO ingest_alarm (at, kind, partition, detail) VALUES (:at, :k, :p, :d)"),
            {"at": u.now, "k": STOPPED, "p": partition, "d": detail[:2000]},
        )
        u.outbox("ingest.stopped", partition, {"partition": partition, "detail": detail[:2000]})


def clear_stopped(u: Unit, partition: int) -> None:
    """The partition goes on."""
    cleared = u.conn.execute(
        text(
            "UPDATE ingest_alarm SET cleared_at = :at WHERE kind = :k AND partition = :p AND cleared_at IS NULL "
            "RETURNING id"
        ),
        {"at": u.now, "k": STOPPED, "p": partition},
    ).first()
    if cleared is not None:
        u.outbox("ingest.going", partition, {"partition": partition})
