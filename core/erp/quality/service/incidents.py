"""Incidents: excursions of one cause, found by zone, kind and time."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import insert, or_, select

from core.erp.catalog.model import Zone
from core.erp.exposure.events import Breach
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.quality.model import Excursion, Incident
from core.erp.quality.rules import incident_kind

_INCIDENT, _EXCURSION = table(Incident), table(Excursion)

_TITLES = {"limit": "{zone}: limit broken", "gap": "{zone}: goods unwatched"}


_Span = tuple[int, Breach]
"""An incident and when one of its excursions was out."""


def assign(u: Unit, breaches: Sequence[Breach]) -> list[int]:
    """The incident of each breach, in the same order; missing ones are made.

    A breach belongs to the incident of its zone and kind of which an excursion was out at the same time; the earliest
    breach of a new group names the start. The caller holds the zones' locks.
    """
    found = _standing(u, {b.zone_id for b in breaches}, min(b.started_at for b in breaches))
    answer: dict[int, int] = {}
    for index in sorted(range(len(breaches)), key=lambda i: (breaches[i].zone_id, breaches[i].started_at)):
        breach = breaches[index]
        spans = found.setdefault((breach.zone_id, incident_kind(breach.certainty)), [])
        incident = next((known for known, span in spans if _meet(span, breach)), None)
        if incident is None:
            incident = _make(u, breach)
        spans.append((incident, breach))
        answer[index] = incident
    return [answer[index] for index in range(len(breaches))]


def _meet(one: Breach, other: Breach) -> bool:
    return (one.ended_at is None or other.started_at < one.ended_at) and (
        other.ended_at is None or one.started_at < other.ended_at
    )


def _standing(u: Unit, zones: set[int], since: datetime) -> dict[tuple[int, str], list[_Span]]:
    c, i = _EXCURSION.c, _INCIDENT.c
    rows = u.conn.execute(
        select(
            i.id, i.zone_id, i.kind, c.limit_key, c.kind.label("how"), c.started_at, c.broke_at, c.ended_at,
            c.certainty, c.out, c.lowest, c.highest,
        )
        .join(_INCIDENT, i.id == c.incident_id)
        .where(i.zone_id.in_(sorted(zones)), or_(c.ended_at.is_(None), c.ended_at > since))
        .order_by(i.id)
    )  # fmt: skip
    found: dict[tuple[int, str], list[_Span]] = {}
    for incident, zone, kind, *rest in rows:
        found.setdefault((zone, kind), []).append((incident, Breach(*rest, zone)))
    return found


def _make(u: Unit, breach: Breach) -> int:
    zone = table(Zone).c
    kind = incident_kind(breach.certainty)
    name = u.conn.scalar(select(zone.address).where(zone.id == breach.zone_id))
    same = u.conn.scalar(
        select(_INCIDENT.c.id).where(
            _INCIDENT.c.zone_id == breach.zone_id, _INCIDENT.c.kind == kind, _INCIDENT.c.started_at == breach.started_at
        )
    )
    if same is not None:
        return int(same)
    row = {
        "zone_id": breach.zone_id, "kind": kind, "started_at": breach.started_at, "known_at": u.now,
        "title": _TITLES[kind].format(zone=name),
    }  # fmt: skip
    made = u.conn.scalar(insert(_INCIDENT).values(row).returning(_INCIDENT.c.id))
    assert made is not None
    u.audit("incident.opened", "incident", made, after=row)
    u.outbox("incident.opened", made, row)
    return int(made)
