"""Alarms of the ingest: raised once, cleared once, told through the outbox."""

from sqlalchemy import text

from core.erp.kernel.unit import Unit

STOPPED = "stopped"
UNSHIPPED = "unshipped"


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


def raise_unshipped(u: Unit, detail: str) -> None:
    """The series store takes nothing. Raised once while it stands."""
    raised = u.conn.execute(
        text(
            "INSERT INTO ingest_alarm (at, kind, detail) SELECT cast(:at AS timestamptz), cast(:k AS text), :d "
            "WHERE NOT EXISTS (SELECT FROM ingest_alarm WHERE kind = cast(:k AS text) AND cleared_at IS NULL) "
            "RETURNING id"
        ),
        {"at": u.now, "k": UNSHIPPED, "d": detail[:2000]},
    ).first()
    if raised is not None:
        u.outbox("ingest.unshipped", UNSHIPPED, {"detail": detail[:2000]})


def clear_unshipped(u: Unit) -> None:
    """It takes readings again."""
    cleared = u.conn.execute(
        text("UPDATE ingest_alarm SET cleared_at = :at WHERE kind = :k AND cleared_at IS NULL RETURNING id"),
        {"at": u.now, "k": UNSHIPPED},
    ).first()
    if cleared is not None:
        u.outbox("ingest.shipping", UNSHIPPED, {})
