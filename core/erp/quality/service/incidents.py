"""Incidents: excursions of one cause, found by zone, kind and time."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.dialects.postgresql import insert as upsert

from core.erp.catalog.model import Zone
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message, render
from core.erp.quality.model import Excursion, Incident
from core.erp.quality.rules import Breach, incident_kind
from core.erp.quality.service.ends import known_end

_INCIDENT, _EXCURSION = table(Incident), table(Excursion)

_TITLES = {"limit": "quality.zone_limit_broken", "gap": "quality.zone_unwatched"}
"""By the kind of an incident, the message that is its title."""

_Span = tuple[int, datetime, datetime | None]
"""An incident and when one of its excursions was out: [from, to), to None while it is."""


def assign_incidents(u: Unit, breaches: Sequence[Breach]) -> list[int]:
    """The incident of each breach, in the same order; missing ones are made.

    A breach belongs to the incident of its zone and kind of which an excursion was out at the same time; the earliest
    breach of a new group names the start.
    """
    found = _open_incidents(u, {b.zone_id for b in breaches}, min(b.started_at for b in breaches))
    answer: dict[int, int] = {}
    for index in sorted(range(len(breaches)), key=lambda i: (breaches[i].zone_id, breaches[i].started_at)):
        breach = breaches[index]
        spans = found.setdefault((breach.zone_id, incident_kind(breach.certainty)), [])
        incident = next((span[0] for span in spans if _overlap(span, breach)), None)
        if incident is None:
            incident = _make(u, breach)
        spans.append((incident, breach.started_at, breach.ended_at))
        answer[index] = incident
    return [answer[index] for index in range(len(breaches))]


def _overlap(span: _Span, breach: Breach) -> bool:
    _, start, end = span
    return (end is None or breach.started_at < end) and (breach.ended_at is None or start < breach.ended_at)


def _open_incidents(u: Unit, zones: set[int], since: datetime) -> dict[tuple[int, str], list[_Span]]:
    c, i, end = _EXCURSION.c, _INCIDENT.c, known_end()
    rows = u.conn.execute(
        select(i.id, i.zone_id, i.kind, c.started_at, end)
        .join(_INCIDENT, i.id == c.incident_id)
        .where(i.zone_id.in_(sorted(zones)), or_(end.is_(None), end > since))
        .order_by(i.id)
    )
    found: dict[tuple[int, str], list[_Span]] = {}
    for incident, zone, kind, start, end in rows:
        found.setdefault((zone, kind), []).append((incident, start, end))
    return found


def _make(u: Unit, breach: Breach) -> int:
    zone = table(Zone).c
    kind = incident_kind(breach.certainty)
    name = u.conn.scalar(select(zone.address).where(zone.id == breach.zone_id))
    title = Message(_TITLES[kind], zone=name or "")
    row = {
        "zone_id": breach.zone_id,
        "kind": kind,
        "started_at": breach.started_at,
        "known_at": u.now,
        "title": render(title),
        "title_message": title.as_json(),
    }
    made = u.conn.scalar(upsert(_INCIDENT).values(row).on_conflict_do_nothing().returning(_INCIDENT.c.id))
    if made is None:  # another transaction made it meanwhile, or all its excursions are over
        c = _INCIDENT.c
        same = (c.zone_id == breach.zone_id, c.kind == kind, c.started_at == breach.started_at)
        return int(u.conn.execute(select(c.id).where(*same)).scalar_one())
    u.audit("incident.opened", "incident", made, after=row)
    u.outbox("incident.opened", made, row)
    return int(made)
