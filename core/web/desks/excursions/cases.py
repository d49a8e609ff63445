"""What a decision is about: one excursion, or those of an incident, with the names that people know things by."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import Row, select, text

from core.erp.kernel.scope import scoped
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message, sentence
from core.erp.quality import service as quality
from core.erp.quality.model import Excursion
from core.erp.quality.records import EXCURSIONS
from core.erp.quality.workflow import ASSESSED, ENDED, OPEN, SUPERSEDED

WAITING = frozenset({OPEN, ENDED, ASSESSED})
"""States of an excursion that QA has still to decide."""

_ROWS = text("""
    SELECT e.id, e.incident_id, e.sublot_id, e.zone_id, e.version_id, e.limit_key, e.kind, e.started_at, e.broke_at,
        e.ended_at, e.known_at, e.certainty, e.out AS out_for, e.lowest, e.highest, e.state, e.accepted,
        e.accepted_before, e.replaces_id, e.assessed_by, e.assessment,
        s.code AS sublot, s.state AS sublot_state, s.lot_id, l.number AS lot, l.item_id, i.code AS item,
        i.name AS item_name, i.uom, z.address, COALESCE(z.name, z.address) AS zone,
        v.version, v.profile_id, v.allowed_gap, t.code AS profile
    FROM excursion e JOIN sublot s ON s.id = e.sublot_id JOIN lot l ON l.id = s.lot_id JOIN item i ON i.id = l.item_id
    JOIN profile_version v ON v.id = e.version_id JOIN storage_profile t ON t.id = v.profile_id
    LEFT JOIN zone z ON z.id = e.zone_id
    WHERE e.id = ANY (CAST(:ids AS bigint[])) ORDER BY e.id
""")
_INCIDENT = text("""
    SELECT n.id, n.kind, n.title, n.title_message, n.started_at, n.known_at, n.ended_at, n.gateway, n.zone_id,
        COALESCE(z.name, z.address) AS zone
    FROM incident n LEFT JOIN zone z ON z.id = n.zone_id WHERE n.id = :id
""")
_DISPOSITIONS = text("""
    SELECT d.excursion_id, d.decision, d.reason, d.accepted, d.at, d.hold_ids, d.record -> 'restrictions' AS conditions,
        g.name, g.meaning, g.meaning_message
    FROM disposition d JOIN signature g ON g.id = d.signature_id
    WHERE d.excursion_id = ANY (CAST(:ids AS bigint[])) ORDER BY d.id
""")


@dataclass(frozen=True, slots=True)
class Case:
    """One page: the excursions on it, and of these what waits, in which state."""

    incident: Row[Any]
    excursions: Sequence[Row[Any]]
    assessable: tuple[int, ...]
    """Those that may be assessed now: ended, or going on where nobody measures the goods."""
    endless: tuple[int, ...]
    """Those that go on and that nothing would end: nobody measures their goods."""
    decided: Sequence[Row[Any]]

    @property
    def waiting(self) -> list[Row[Any]]:
        """What QA has still to decide."""
        return [one for one in self.excursions if one.state in WAITING]

    @property
    def decidable(self) -> list[int]:
        """What may be decided now: it was assessed."""
        return [one.id for one in self.excursions if one.state == ASSESSED]

    @property
    def left(self) -> list[int]:
        """What waits and cannot be decided yet."""
        return [one.id for one in self.waiting if one.state != ASSESSED]

    @property
    def goes_on(self) -> bool:
        """Whether what may be decided has not ended: a signature does not end it."""
        return any(one.state == ASSESSED and one.ended_at is None for one in self.excursions)

    @property
    def next(self) -> str:
        """What is next: decide, assess, wait (it goes on), close, or nothing."""
        if self.decidable:
            return "decide"
        if self.assessable:
            return "assess"
        if self.waiting:
            return "wait"
        return "close" if any(one.state == "dispositioned" for one in self.excursions) else "nothing"

    @property
    def title(self) -> str | Message:
        """What the incident is called."""
        return titled(self.incident)

    def seen(self, lifted: Sequence[int]) -> str:
        """What a signature would cover, as one word: another one means that something has changed since.

        Of one that goes on the count is left out: it grows while it is read.
        """
        parts = [
            (one.id, one.state, one.certainty, str(one.ended_at), str(one.out_for) if one.ended_at else "")
            for one in self.excursions
            if one.id in self.decidable
        ]
        return sha256(repr((parts, sorted(lifted))).encode()).hexdigest()[:24]


def titled(incident: Row[Any]) -> str | Message:
    """What an incident is called, its zone by the name that people have for it."""
    said = sentence(incident.title, incident.title_message)
    if isinstance(said, Message) and "zone" in said.params and incident.zone is not None:
        return Message(said.id, **{**said.params, "zone": incident.zone})
    return said


def of_excursion(u: Unit, excursion_id: int) -> Case:
    """The case of one excursion, whatever its state; the reader is known to see it."""
    rows = u.conn.execute(_ROWS, {"ids": [excursion_id]}).all()
    return _case(u, rows[0].incident_id, rows)


def of_incident(u: Unit, incident_id: int) -> Case:
    """The case of an incident's excursions of which later data refuted none, as far as the reader sees them."""
    c = table(Excursion).c
    mine = select(c.id).where(c.incident_id == incident_id, c.state != SUPERSEDED)
    ids = list(u.conn.scalars(scoped(mine, EXCURSIONS.scope, u.actor)))
    return _case(u, incident_id, u.conn.execute(_ROWS, {"ids": ids}).all())


def _case(u: Unit, incident_id: int, rows: Sequence[Row[Any]]) -> Case:
    states = {row.id: row.state for row in rows if row.state in WAITING}
    assessable = quality.assessable(u, states)
    return Case(
        u.conn.execute(_INCIDENT, {"id": incident_id}).one(),
        rows,
        tuple(assessable),
        tuple(one for one in assessable if states[one] == OPEN),
        u.conn.execute(_DISPOSITIONS, {"ids": [row.id for row in rows]}).all(),
    )
