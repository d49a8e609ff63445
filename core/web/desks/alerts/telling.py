"""Who was told of a record, by which channel, when, and whether they saw it: a part of other pages."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

from core.erp.kernel.printing.record_sheet import Beside
from core.erp.kernel.records.registry import entities
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message
from core.web.frame.visit import Visit

MOST = 200
_TOLD = text("""
    SELECT m.id, m.called, m.channel, m.kind, m.created_at, m.state, m.sent_at, m.seen_at, m.not_before, m.drill
    FROM alert_message m WHERE m.alert_ids && CAST(:ids AS bigint[]) ORDER BY m.created_at, m.id LIMIT :most
""")
_OF_SOURCE = text("""
    WITH of AS (SELECT * FROM jsonb_to_recordset(CAST(:of AS jsonb)) AS o(entity text, entity_id bigint)),
    known AS (
        SELECT a.id FROM alert a JOIN of USING (entity, entity_id)
        UNION SELECT p.alert_id FROM alert_part p JOIN of USING (entity, entity_id)
    )
    SELECT a.id, a.title, a.title_message, a.state, a.taken_by, a.taken_at, a.comment
    FROM alert a JOIN known USING (id) ORDER BY a.id DESC LIMIT :most
""")
_HOLDS = text("""
    WITH RECURSIVE cause AS (
        SELECT h.id, h.origin_hold_id, h.excursion_id FROM hold h WHERE h.id = ANY (:ids)
        UNION SELECT o.id, o.origin_hold_id, o.excursion_id FROM cause c JOIN hold o ON o.id = c.origin_hold_id
    )
    SELECT id, excursion_id FROM cause
""")
_ON_SHIPMENT = text("""
    SELECT h.id FROM hold h WHERE h.shipment_id = :id
    UNION SELECT h.id FROM shipment_line l JOIN hold h ON h.sublot_id = l.sublot_id WHERE l.shipment_id = :id
    ORDER BY id DESC LIMIT :most
""")
ALERTS = 20
"""Alerts of one record that are named above the list of who was told, the newest."""
Source = tuple[str, int]
"""What an alert is of: a record by its kind and id."""


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
    return telling_of_all(u, visit, [(entity, record_id)])


def telling_of_all(u: Unit, visit: Visit, of: Sequence[Source]) -> Telling | None:
    """The same of several records, as of one."""
    if not of or not visit.may("alert.read"):
        return None
    named = json.dumps([{"entity": entity, "entity_id": number} for entity, number in of])
    alerts = u.conn.execute(_OF_SOURCE, {"of": named, "most": ALERTS}).all()
    return Telling(alerts[::-1], lines_of(u, [one.id for one in alerts])) if alerts else None


def telling_of_holds(u: Unit, visit: Visit, hold_ids: Sequence[int]) -> Telling | None:
    """Who was told of holds: of themselves, of those that they come from, and of the excursions that placed them."""
    rows = u.conn.execute(_HOLDS, {"ids": list(hold_ids)}).all() if hold_ids else []
    holds = [("hold", row.id) for row in rows]
    return telling_of_all(u, visit, [*holds, *(("excursion", row.excursion_id) for row in rows if row.excursion_id)])


def telling_of_shipment(u: Unit, visit: Visit, shipment_id: int) -> Telling | None:
    """Who was told of what holds a shipment, or goods of it."""
    holds = u.conn.scalars(_ON_SHIPMENT, {"id": shipment_id, "most": MOST}).all()
    return telling_of_holds(u, visit, holds)


def lines_of(u: Unit, alert_ids: Sequence[int]) -> list[Line]:
    """Who was told of these alerts, in order; what one person was told by several channels is one line."""
    found: dict[tuple[str, str, datetime], list[Row[Any]]] = {}
    for row in u.conn.execute(_TOLD, {"ids": list(alert_ids), "most": MOST}):
        found.setdefault((row.called, row.kind, row.created_at), []).append(row)
    return [
        Line(*key, tuple(rows), min((one.seen_at for one in rows if one.seen_at is not None), default=None))
        for key, rows in found.items()
    ]


_PARTS = text("""
    SELECT p.entity, p.entity_id, i.code AS item, l.number AS lot, s.code AS sublot, sh.code AS shipment,
        count(*) OVER () AS total
    FROM alert_part p
    LEFT JOIN excursion e ON p.entity = 'excursion' AND e.id = p.entity_id
    LEFT JOIN hold h ON p.entity = 'hold' AND h.id = p.entity_id
    LEFT JOIN sublot s ON s.id = coalesce(e.sublot_id, h.sublot_id)
    LEFT JOIN lot l ON l.id = coalesce(s.lot_id, h.lot_id)
    LEFT JOIN item i ON i.id = l.item_id
    LEFT JOIN shipment sh ON sh.id = h.shipment_id
    WHERE p.alert_id = :id ORDER BY p.id LIMIT :most
""")
PARTS = 50


@dataclass(frozen=True, slots=True)
class PartLine:
    """What belongs to an alert: its kind of record, its number and page, and the goods that it is about."""

    entity: str
    number: int
    address: str
    about: str


def parts_of(u: Unit, alert_id: int) -> tuple[list[PartLine], int]:
    """The first of them, and how many there are."""
    rows = u.conn.execute(_PARTS, {"id": alert_id, "most": PARTS}).all()
    found = [
        PartLine(
            row.entity,
            row.entity_id,
            f"/{entities()[row.entity].path}/{row.entity_id}",
            " · ".join(one for one in (row.item, row.lot, row.sublot, row.shipment) if one),
        )
        for row in rows
    ]
    return found, rows[0].total if rows else 0


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
