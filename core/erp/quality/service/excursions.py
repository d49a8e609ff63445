"""What QA does with an excursion: assess, dispose with a signature, close."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, text

from core.erp.kernel import signatures
from core.erp.kernel.errors import Invalid, Refused, absent
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit, json_value
from core.erp.kernel.words import Message
from core.erp.lots import service as lots
from core.erp.lots.events import HoldLifted
from core.erp.lots.model import Hold, Restriction, Sublot
from core.erp.lots.workflow import SUBLOT
from core.erp.quality.model import Disposition, Excursion
from core.erp.quality.rules import LIVE, REJECTING, RELEASING
from core.erp.quality.workflow import EXCURSION

DECISIONS = RELEASING | REJECTING


@dataclass(frozen=True, slots=True)
class NewRestriction:
    """A condition on use that a `restrict` decision puts on the sublot: lots.rules.restricted says what kinds mean."""

    kind: str
    value: dict[str, Any]


def get(u: Unit, excursion_id: int, *, lock: bool = False) -> Excursion:
    """The excursion as it stands; `lock` takes its sublot's row first, then its own. Raises NotFound."""
    u.session.flush()
    if lock:
        sublot = u.conn.scalar(select(table(Excursion).c.sublot_id).where(table(Excursion).c.id == excursion_id))
        if sublot is not None:
            lots.lock_sublots(u, [sublot])
    found = u.get(Excursion, excursion_id, lock=lock)
    if found is None:
        raise absent("excursion", excursion_id)
    return found


def assess(u: Unit, excursion_id: int, assessment: str) -> Excursion:
    """QA has looked at an excursion and says what it means. Releases nothing.

    One that goes on is refused, unless nobody measures its goods any more: then nothing can end it.
    """
    excursion = get(u, excursion_id, lock=True)
    EXCURSION.apply(u, excursion, "assess", reason=assessment)
    excursion.assessed_by, excursion.assessment = u.actor.login, assessment
    u.session.add(excursion)
    u.session.flush()
    return excursion


def signed_record(
    excursion: Excursion, decision: str, reason: str, restrictions: Sequence[NewRestriction] = ()
) -> dict[str, Any]:
    """What a disposition signs: the excursion as it stood, its count, the decision, its conditions, and why."""
    names = (
        "id",
        "incident_id",
        "sublot_id",
        "zone_id",
        "version_id",
        "limit_key",
        "kind",
        "started_at",
        "broke_at",
        "ended_at",
        "known_at",
        "certainty",
        "lowest",
        "highest",
        "assessed_by",
        "assessment",
    )
    values = {name: getattr(excursion, name) for name in names}
    counts = {"out": excursion.out.total_seconds(), "accepted_before": excursion.accepted_before.total_seconds()}
    conditions = {"restrictions": [{"kind": r.kind, "value": r.value} for r in restrictions]} if restrictions else {}
    signed = {**values, **counts, "decision": decision, "reason": reason, **conditions}
    return {str(k): v for k, v in json_value(signed).items()}


def disposition_signing(
    excursion_id: int, decision: str, reason: str, *, restrictions: Sequence[NewRestriction] = ()
) -> signatures.Signing[Disposition]:
    """The act of signing `disposition`."""

    def work(u: Unit, proof: signatures.Proof) -> Disposition:
        return disposition(u, excursion_id, decision, reason, proof, restrictions=restrictions)

    return signatures.Signing("excursion.disposition", _act([excursion_id], decision, reason), work)


def dispositions_signing(
    excursion_ids: Sequence[int], decision: str, reason: str, *, restrictions: Sequence[NewRestriction] = ()
) -> signatures.Signing[list[Disposition]]:
    """The act of signing `dispose_many`."""

    def work(u: Unit, proof: signatures.Proof) -> list[Disposition]:
        return dispose_many(u, excursion_ids, decision, reason, proof, restrictions=restrictions)

    return signatures.Signing("excursion.disposition", _act(excursion_ids, decision, reason), work)


def _act(excursion_ids: Sequence[int], decision: str, reason: str) -> signatures.Act:
    ids = tuple(str(one) for one in sorted(set(excursion_ids)))
    meaning = Message("quality.disposition_meaning", decision=Message(f"decision.{decision}"))
    return signatures.Act(meaning, "excursion", ids, reason)


def disposition(
    u: Unit,
    excursion_id: int,
    decision: str,
    reason: str,
    proof: signatures.Proof,
    *,
    restrictions: Sequence[NewRestriction] = (),
) -> Disposition:
    """QA's signed decision on one excursion × sublot.

    `accept` and `restrict` lift the excursion's own hold (with those of superseded excursions of the same run, which
    it replaced) and nothing else; `restrict` also puts its restrictions on the sublot. `reject`, `rework`, `return`
    and `destroy` leave the hold and reject the sublot. Nothing is released: that is another act.
    Raises IllegalMove unless assessed, Forbidden (permit, proof), Invalid (decision, reason).
    """
    return dispose_many(u, [excursion_id], decision, reason, proof, restrictions=restrictions)[0]


def _dispose(
    u: Unit, excursion_id: int, decision: str, signer: signatures.Signer, restrictions: Sequence[NewRestriction]
) -> Disposition:
    """The decision on one excursion that has made its move, signed; its sublot is locked."""
    reason = signer.reason
    excursion = get(u, excursion_id, lock=True)
    record = signed_record(excursion, decision, reason, restrictions)
    signature = signer.sign(excursion_id, record)
    excursion.accepted = excursion.out
    u.session.add(excursion)
    u.session.flush()
    lifted = holds_of_cause(u, [excursion_id])[excursion_id] if decision in RELEASING else []
    for hold in lifted:
        lots.lift_hold(u, hold, f"disposition of excursion {excursion_id}: {decision}: {reason}")
    for wanted in restrictions:
        _add_restriction(u, excursion.sublot_id, wanted, reason)
    if decision in REJECTING:
        _reject(u, excursion.sublot_id, f"excursion {excursion_id}: {decision}: {reason}")
    made = Disposition(
        excursion_id=excursion_id,
        decision=decision,
        reason=reason,
        signature_id=signature.id,
        accepted=excursion.out,
        at=u.now,
        record=record,
        hold_ids=lifted,
    )
    u.session.add(made)
    u.session.flush()
    u.audit("disposition.signed", "excursion", excursion_id, after={**record, "hold_ids": lifted}, reason=reason)
    u.outbox(
        "disposition.signed",
        excursion_id,
        {"decision": decision, "reason": reason, "sublot_id": excursion.sublot_id, "hold_ids": lifted},
    )
    return made


def dispose_many(
    u: Unit,
    excursion_ids: Sequence[int],
    decision: str,
    reason: str,
    proof: signatures.Proof,
    *,
    restrictions: Sequence[NewRestriction] = (),
) -> list[Disposition]:
    """The same decision on several excursions: one act of signing, one signature per record, all or none.

    Sublots are locked ascending before the first is signed.
    """
    _check(decision, reason, restrictions)
    if not excursion_ids:
        raise Invalid("quality.no_excursion_named")
    c = table(Excursion).c
    found = u.conn.execute(select(c.id, c.sublot_id).where(c.id.in_(sorted(set(excursion_ids))))).all()
    missing = set(excursion_ids) - {row.id for row in found}
    if missing:
        raise absent("excursion", min(missing))
    lots.lock_sublots(u, [row.sublot_id for row in found])
    ordered = [row.id for row in sorted(found, key=lambda row: (row.sublot_id, row.id))]
    EXCURSION.apply_many(u, Excursion, ordered, "dispose", reason=reason)  # before anything is signed
    signer = signatures.begin_signing(u, proof, _act(excursion_ids, decision, reason))
    return [_dispose(u, excursion_id, decision, signer, restrictions) for excursion_id in ordered]


def close(u: Unit, excursion_id: int) -> Excursion:
    """Nothing is left to do about an excursion that has been disposed of."""
    excursion = get(u, excursion_id, lock=True)
    EXCURSION.apply(u, excursion, "close")
    return excursion


def _check(decision: str, reason: str, restrictions: Sequence[NewRestriction]) -> None:
    if decision not in DECISIONS:
        raise Invalid("quality.no_decision", decision=decision, decisions=sorted(DECISIONS))
    if not reason.strip():
        raise Invalid("quality.disposition_without_reason")
    if (decision == "restrict") != bool(restrictions):
        raise Invalid("quality.restrictions_of_restrict")


def _add_restriction(u: Unit, sublot_id: int, wanted: NewRestriction, reason: str) -> None:
    """Puts the condition on the sublot, unless the very same one stands there already."""
    r = table(Restriction).c
    u.session.flush()
    same = (r.sublot_id == sublot_id, r.kind == wanted.kind, r.value == wanted.value, r.lifted_at.is_(None))
    if u.conn.scalar(select(r.id).where(*same)) is None:
        lots.restrict(u, sublot_id, wanted.kind, wanted.value, reason)


_HOLDS_OF_CAUSE = text("""
    WITH RECURSIVE same(root, id) AS (
        SELECT r, r FROM unnest(CAST(:ids AS bigint[])) r
        UNION
        SELECT s.root, e.replaces_id FROM excursion e JOIN same s ON e.id = s.id WHERE e.replaces_id IS NOT NULL
    ), up(root, id) AS (
        SELECT id, sublot_id FROM excursion WHERE id = ANY (CAST(:ids AS bigint[]))
        UNION
        SELECT up.root, g.parent_id FROM genealogy g JOIN up ON g.child_id = up.id
        WHERE g.transformation LIKE 'split:%' OR g.transformation LIKE 'merge:%'
    )
    SELECT s.root, h.id FROM hold h JOIN same s ON h.excursion_id = s.id WHERE h.lifted_at IS NULL
    UNION
    SELECT e.id, h.id FROM excursion e
    JOIN hold h ON h.sublot_id = e.sublot_id AND h.lifted_at IS NULL
    JOIN hold o ON o.id = h.origin_hold_id AND (e.id, o.sublot_id) IN (SELECT root, id FROM up)
    JOIN excursion x ON x.id = o.excursion_id AND x.version_id = e.version_id AND x.limit_key = e.limit_key
    -- a run that was signed before it had ended goes no further than that
    LEFT JOIN LATERAL (SELECT max(d.at) AS at FROM disposition d WHERE d.excursion_id = x.id) signed ON true
    WHERE e.id = ANY (CAST(:ids AS bigint[])) AND (x.started_at = e.started_at OR (
        x.started_at < COALESCE(e.ended_at, 'infinity')
        AND e.started_at < COALESCE(x.ended_at, signed.at, 'infinity')))
    ORDER BY 1, 2
""")


def holds_of_cause(u: Unit, excursion_ids: Sequence[int]) -> dict[int, list[int]]:
    """By excursion, the standing holds of its cause on its sublot, and no other: what a releasing decision lifts.

    Its own, those of the superseded excursions it replaced, and the copies that a split or a merger took from its
    parents for the very same run: the goods went through it once, and its own excursion is of the worst of them. What
    a work order's output inherited is another thing and stays.
    """
    found: dict[int, list[int]] = {one: [] for one in excursion_ids}
    for excursion, hold in u.conn.execute(_HOLDS_OF_CAUSE, {"ids": sorted(found)}):
        found[excursion].append(hold)
    return found


def _reject(u: Unit, sublot_id: int, reason: str) -> None:
    sublot = u.session.get_one(Sublot, sublot_id, populate_existing=True)
    if sublot.state in SUBLOT.moves["reject"].sources:
        SUBLOT.apply(u, sublot, "reject", reason=reason)


def veto_hold_lift(u: Unit, lifted: HoldLifted) -> None:
    """The hold of an excursion that still stands is lifted by its disposition only: a veto on any other way."""
    e, h = table(Excursion).c, table(Hold).c
    live = u.conn.execute(
        select(e.id, e.state)
        .join_from(table(Hold), table(Excursion), e.id == h.excursion_id)
        .where(h.id == lifted.hold_id, e.state.in_(sorted(LIVE)))
    ).first()
    if live is not None:
        state = Message(f"state.excursion.{live.state}")
        raise Refused("quality.hold_of_live_excursion", hold_id=lifted.hold_id, excursion_id=live.id, state=state)
