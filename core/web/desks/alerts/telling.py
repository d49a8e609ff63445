"""Who was told of a record, by which channel, when, and whether they saw it: a part of other pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

from core.erp.kernel.printing.record_sheet import Beside
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message
from core.web.frame.visit import Visit

MOST = 200
_TOLD = text("""
    SELECT m.id, m.called, m.channel, m.kind, m.created_at, m.state, m.sent_at, m.seen_at, m.not_before, m.drill
    FROM alert_message m WHERE m.alert_ids && CAST(:ids AS bigint[]) ORDER BY m.created_at, m.id LIMIT :most
""")
_OF_SOURCE = text("""
    SELECT id, title, title_message, state, taken_by, taken_at, comment FROM alert
    WHERE entity = :entity AND entity_id = :id
    UNION SELECT a.id, a.title, a.title_message, a.state, a.taken_by, a.taken_at, a.comment FROM alert a
    JOIN alert_part p ON p.alert_id = a.id WHERE p.entity = :entity AND p.entity_id = :id ORDER BY id
""")


@dataclass(frozen=True, slots=True)
class Line:
    """One person, or place, at one time: by which channels, and what came of each."""

    called: str
    kind: str
    at: datetime
    ways: tuple[Row[Any], ...]
    seen_at: datetime | None


@dataclass(frozen=True, slots=True)
class Telling:
    """Who was told of a record, and who has taken it."""

    alerts: Sequence[Row[Any]]
    lines: Sequence[Line]


def telling_of(u: Unit, visit: Visit, entity: str, record_id: int) -> Telling | None:
    """Who was told; None for whoever may not know, or where nobody was to be told."""
    if not visit.may("alert.read"):
        return None
    alerts = u.conn.execute(_OF_SOURCE, {"entity": entity, "id": record_id}).all()
    return Telling(alerts, lines_of(u, [one.id for one in alerts])) if alerts else None


def lines_of(u: Unit, alert_ids: Sequence[int]) -> list[Line]:
    """Who was told of these alerts, in order; what one person was told by several channels is one line."""
    found: dict[tuple[str, str, datetime], list[Row[Any]]] = {}
    for row in u.conn.execute(_TOLD, {"ids": list(alert_ids), "most": MOST}):
        found.setdefault((row.called, row.kind, row.created_at), []).append(row)
    return [
        Line(*key, tuple(rows), min((one.seen_at for one in rows if one.seen_at is not None), default=None))
        for key, rows in found.items()
    ]


def beside(u: Unit, visit: Visit, entity: str, record_id: int) -> list[Beside]:
    """Who was told of a record and who has taken it, for its sheet; nothing for whoever may not know."""
    telling = telling_of(u, visit, entity, record_id)
    if telling is None:
        return []
    told = [
        Beside(
            line.at,
            line.called,
            Message(
                "alerting.sheet_told",
                channel=Message(f"choice.channel.{way.channel}"),
                state=Message(f"state.alert_message.{way.state}"),
            ),
        )
        for line in telling.lines
        for way in line.ways
    ]
    taken = [one for one in telling.alerts if one.taken_by is not None]
    return told + [Beside(one.taken_at, one.taken_by, Message("alerting.sheet_taken"), one.comment) for one in taken]
