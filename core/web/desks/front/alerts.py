"""Alerts that wait for the reader: they were told of them, and nobody does anything about them yet."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

from core.erp.kernel.unit import Unit
from core.erp.kernel.words import sentence
from core.web.desks.front.needs import MOST, Found, Need, ago
from core.web.frame.states import Tone
from core.web.frame.visit import Visit

# what the reader acknowledges as an alarm takes its alert: it is not asked for twice
_WAITING = text("""
    SELECT a.id, a.title, a.title_message, a.severity, a.event, a.began_at, a.drill, count(*) OVER () AS total
    FROM alert a
    WHERE a.state = 'standing' AND a.over_at IS NULL AND (NOT :acknowledges OR a.entity IS DISTINCT FROM 'alarm')
        AND EXISTS (SELECT FROM alert_message m WHERE m.login = :login AND m.alert_ids @> ARRAY[a.id])
    ORDER BY array_position(ARRAY['harm', 'alarm', 'notice'], a.severity), a.id DESC LIMIT :most
""")
_LOOKS: dict[str, Tone] = {"harm": "harm", "alarm": "warn", "notice": "wait"}


def alerts(u: Unit, visit: Visit) -> Found:
    """The gravest first."""
    asked = {"login": visit.actor.login, "acknowledges": visit.may("alarm.acknowledge"), "most": MOST}
    rows = u.conn.execute(_WAITING, asked).all()
    return Found([_need(visit, row, u.now) for row in rows], rows[0].total if rows else 0)


def _need(visit: Visit, row: Row[Any], now: datetime) -> Need:
    words = visit.words
    return Need(
        _LOOKS[row.severity],
        words.label("field.drill") if row.drill else words.t(f"choice.severity.{row.severity}"),
        words.say(sentence(row.title, row.title_message)),
        f"/alerts/{row.id}/take",
        words.label("move.alert.take"),
        words.t(f"choice.event.{row.event}"),
        ago(visit, row.began_at, now),
        first=True,
    )
