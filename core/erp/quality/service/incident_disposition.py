"""QA's acts on a whole incident: one assessment, one signature's password, yet each excursion recorded by itself."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy import select

from core.erp.kernel.errors import Conflict, Refused, absent
from core.erp.kernel.scope import sees
from core.erp.kernel.signatures import Proof, Signing
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message
from core.erp.lots import service as lots
from core.erp.quality.model import Disposition, Excursion, Incident
from core.erp.quality.rules import LIVE
from core.erp.quality.scopes import EXCURSIONS
from core.erp.quality.service.excursions import NewRestriction, assess, dispose_many, dispositions_signing
from core.erp.quality.workflow import ENDED, OPEN


def undecided(u: Unit, incident_id: int) -> dict[int, str]:
    """The excursions of an incident that the actor sees and nobody has disposed of, with their states: those of one
    site are decided there. Raises NotFound.
    """
    if u.session.get(Incident, incident_id) is None:
        raise absent("incident", incident_id)
    c = table(Excursion).c
    u.session.flush()
    where = (c.incident_id == incident_id, c.state.in_(sorted(LIVE)), sees(EXCURSIONS, u.actor))
    return {row.id: row.state for row in u.conn.execute(select(c.id, c.state).where(*where).order_by(c.id))}


def assess_incident(u: Unit, incident_id: int, assessment: str) -> list[Excursion]:
    """The same assessment of every excursion of an incident that waits for one. Refused where none does."""
    waiting = assessable(u, undecided(u, incident_id))
    if not waiting:
        raise Refused("quality.nothing_to_assess", incident_id=incident_id)
    c = table(Excursion).c
    lots.lock_sublots(u, list(u.conn.scalars(select(c.sublot_id).where(c.id.in_(waiting)))))
    return [assess(u, number, assessment) for number in waiting]


def assessable(u: Unit, states: Mapping[int, str]) -> list[int]:
    """Those of the excursions, given with their states, that may be assessed: what has ended, and what goes on where
    nobody measures the goods any more.
    """
    c = table(Excursion).c
    going_on = sorted(number for number, state in states.items() if state == OPEN)
    rows = u.conn.execute(select(c.id, c.sublot_id).where(c.id.in_(going_on))).all() if going_on else []
    unwatched = lots.unjudged(u, sorted({row.sublot_id for row in rows})) if rows else {}
    endless = {row.id for row in rows if row.sublot_id in unwatched}
    return [number for number, state in states.items() if state == ENDED or number in endless]


def incident_disposition_signing(
    incident_id: int,
    excursion_ids: Sequence[int],
    decision: str,
    reason: str,
    *,
    restrictions: Sequence[NewRestriction] = (),
    left: Sequence[int] = (),
) -> Signing[list[Disposition]]:
    """The act of signing `dispose_incident`."""

    def work(u: Unit, proof: Proof) -> list[Disposition]:
        return dispose_incident(
            u, incident_id, excursion_ids, decision, reason, proof, restrictions=restrictions, left=left
        )

    return replace(dispositions_signing(excursion_ids, decision, reason, restrictions=restrictions), work=work)


def dispose_incident(
    u: Unit,
    incident_id: int,
    excursion_ids: Sequence[int],
    decision: str,
    reason: str,
    proof: Proof,
    *,
    restrictions: Sequence[NewRestriction] = (),
    left: Sequence[int] = (),
) -> list[Disposition]:
    """One signed act on what is undecided of an incident, each excursion × sublot recorded by itself; all or none.

    `excursion_ids`, with those `left` undecided knowingly, are what the signer has seen. Raises Conflict if that is
    not, or no longer, all of it, and what `dispose_many` raises.
    """
    waiting, seen = undecided(u, incident_id), {*excursion_ids, *left}
    if seen != waiting.keys():
        missing, gone = sorted(waiting.keys() - seen), sorted(seen - waiting.keys())
        none = [Message("quality.none")]
        raise Conflict(
            "quality.incident_changed",
            incident_id=incident_id,
            missing=missing or none,
            gone=gone or none,
            extra={"missing": missing, "gone": gone},
        )
    return dispose_many(u, excursion_ids, decision, reason, proof, restrictions=restrictions)
