"""Alarms of the ingest: raised once, cleared once, told through the outbox."""

from typing import Any

from sqlalchemy import ColumnElement, insert, select, update

from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message
from core.ingest.model import IngestAlarm
from core.ingest.wording import stored

STOPPED = "stopped"
UNSHIPPED = "unshipped"
_alarm = table(IngestAlarm)


def raise_alarm(u: Unit, kind: str, detail: Message, **of: Any) -> str | None:
    """Raises an alarm of the kind, `of` a partition or a gateway, once while it stands; its English text, None where
    it stands already.
    """
    if u.conn.execute(select(_alarm.c.id).where(*_standing(kind, of))).first() is not None:
        return None
    row = {"at": u.now, "kind": kind, **stored(detail), **of}
    u.conn.execute(insert(_alarm).values(**row))
    return str(row["detail"])


def clear_alarm(u: Unit, kind: str, **of: Any) -> bool:
    """Clears it; whether it stood."""
    cleared = update(_alarm).where(*_standing(kind, of)).values(cleared_at=u.now).returning(_alarm.c.id)
    return u.conn.execute(cleared).first() is not None


def _standing(kind: str, of: dict[str, Any]) -> list[ColumnElement[bool]]:
    named = [_alarm.c[name] == value for name, value in of.items()]
    return [_alarm.c.kind == kind, _alarm.c.cleared_at.is_(None), *named]


def raise_stopped(u: Unit, partition: int, detail: Message) -> None:
    """A partition cannot go on."""
    text = raise_alarm(u, STOPPED, detail, partition=partition)
    if text is not None:
        u.outbox("ingest.stopped", partition, {"partition": partition, "detail": text})


def clear_stopped(u: Unit, partition: int) -> None:
    """The partition goes on."""
    if clear_alarm(u, STOPPED, partition=partition):
        u.outbox("ingest.going", partition, {"partition": partition})


def raise_unshipped(u: Unit, detail: Message) -> None:
    """The series store takes nothing."""
    text = raise_alarm(u, UNSHIPPED, detail)
    if text is not None:
        u.outbox("ingest.unshipped", UNSHIPPED, {"detail": text})


def clear_unshipped(u: Unit) -> None:
    """It takes readings again."""
    if clear_alarm(u, UNSHIPPED):
        u.outbox("ingest.shipping", UNSHIPPED, {})
