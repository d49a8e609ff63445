"""The acts of CAPA: opened, analysed, planned and checked by signature."""

from functools import partial

from sqlmodel import SQLModel

from core.erp.capa import actions, queries, rules
from core.erp.capa.deadlines import ACTION as ACTION_DUE
from core.erp.capa.deadlines import CHECK, PLAN
from core.erp.capa.model import Capa, CapaCheck, CapaPlan
from core.erp.capa.workflow import CAPA, DROPPED, OPEN
from core.erp.kernel.attachments import service as attachments
from core.erp.kernel.calendars import service as calendars
from core.erp.kernel.deadlines import service as deadlines
from core.erp.kernel.numbering.service import take
from core.erp.kernel.signatures import Act, Proof, Signing, begin_signing
from core.erp.kernel.tasks import service as tasks
from core.erp.kernel.unit import Unit, json_value
from core.erp.kernel.words import Message


def open_capa(
    u: Unit,
    *,
    site_id: int,
    kind: str,
    source: str,
    reference: str,
    deviation_id: int | None,
    incident_id: int | None,
    title: str,
    problem: str,
) -> Capa:
    """A new one, under the next number of the year it is at the site. Raises Invalid where its source names nothing."""
    rules.check_source(source, deviation_id, incident_id, reference)
    made = Capa(
        number=take(u, rules.CAPA_NUMBER, day=calendars.today(u, site_id)),
        site_id=site_id,
        kind=kind,
        source=source,
        reference=reference,
        deviation_id=deviation_id,
        incident_id=incident_id,
        title=title,
        problem=problem,
        opened_at=u.now,
    )
    _add(u, made)
    u.audit("capa.create", "capa", made.id, after=made.model_dump())
    u.outbox("capa.create", made.id, {"number": made.number, "site_id": site_id})
    _begin_planning(u, made)
    return made


def analyse(u: Unit, capa_id: int, *, cause_method: str, cause: str) -> Capa:
    """Its cause is known, or known better: what a plan is made against."""
    found = queries.capa_of(u, capa_id)
    found.cause_method, found.cause = cause_method, cause
    CAPA.apply(u, found, "analyse", also={"cause_method": cause_method, "cause": cause})
    return found


def withdraw(u: Unit, capa_id: int, *, reason: str) -> Capa:
    """It was opened by mistake: its number stays its own, and nobody is told of it again."""
    found = queries.capa_of(u, capa_id)
    CAPA.apply(u, found, "withdraw", reason=reason)
    deadlines.cancel(u, PLAN, "capa", capa_id)
    return found


# --- the plan


def plan_signing(capa_id: int, *, reason: str) -> Signing[CapaPlan]:
    """Cause, actions and criterion are signed: from now on each action is due, and none of it is changed."""
    act = Act(Message("meaning.capa_plan"), "capa", (str(capa_id),), reason)
    return Signing("capa.sign", act, lambda u, proof: _plan(u, capa_id, act, proof))


def _plan(u: Unit, capa_id: int, act: Act, proof: Proof) -> CapaPlan:
    found = queries.capa_of(u, capa_id)
    CAPA.apply(u, found, "plan", reason=act.reason)  # before anything is signed
    assert found.check_on is not None
    wanted = [one for one in queries.actions_of(u, capa_id) if one.state != DROPPED]
    record = {
        **found.model_dump(exclude={"state"}),
        "actions": [one.model_dump() for one in wanted],
        "files": attachments.fingerprint(u, "capa", capa_id),
    }
    signature = begin_signing(u, proof, act).sign(capa_id, record)
    made = CapaPlan(
        capa_id=capa_id,
        check_from=calendars.of(u, found.site_id).at(found.check_on, 0),
        signature_id=signature.id,
        signed_by=u.actor.login,
        signed_at=u.now,
        record=json_value(record),
    )
    _add(u, made)
    deadlines.meet(u, PLAN, "capa", capa_id)
    for one in wanted:
        if one.state == OPEN:
            actions.give(u, found, one)
    return made


def revise(u: Unit, capa_id: int, *, reason: str) -> Capa:
    """The plan is changed and signed anew; the one before stays to be read. Nobody has to do anything meanwhile."""
    found = queries.capa_of(u, capa_id)
    CAPA.apply(u, found, "revise", reason=reason)
    for one in queries.actions_of(u, capa_id):
        deadlines.cancel(u, ACTION_DUE, "capa_action", one.id)
    deadlines.cancel(u, CHECK, "capa", capa_id)
    tasks.withdraw(u, "capa", capa_id, actions.COMPLETE)
    _begin_planning(u, found)
    return found


def complete(u: Unit, capa_id: int) -> Capa:
    """Every action is done and verified: from the day of its check on it is seen whether that was effective."""
    found = queries.capa_of(u, capa_id)
    CAPA.apply(u, found, "complete")
    tasks.finish(u, "capa", capa_id, actions.COMPLETE)
    plan = queries.newest_plan(u, capa_id)
    assert plan is not None
    deadlines.begin(u, CHECK, "capa", capa_id, _called(found), site_id=found.site_id, start=plan.check_from)
    return found


# --- the check of effectiveness


def close_signing(capa_id: int, *, finding: str) -> Signing[CapaCheck]:
    """By its criterion it was effective, signs somebody else than who planned it: it is closed."""
    return _check_signing(capa_id, finding, effective=True)


def reopen_signing(capa_id: int, *, finding: str) -> Signing[CapaCheck]:
    """By its criterion it was not effective: it is open again, and the plan before stays to be read."""
    return _check_signing(capa_id, finding, effective=False)


def _check_signing(capa_id: int, finding: str, *, effective: bool) -> Signing[CapaCheck]:
    meaning = Message("meaning.capa_effective" if effective else "meaning.capa_not_effective")
    act = Act(meaning, "capa", (str(capa_id),), finding)
    return Signing("capa.sign", act, partial(_check, capa_id, act, effective))


def _check(capa_id: int, act: Act, effective: bool, u: Unit, proof: Proof) -> CapaCheck:
    found = queries.capa_of(u, capa_id)
    CAPA.apply(u, found, "close" if effective else "reopen", reason=act.reason)
    plan = queries.newest_plan(u, capa_id)
    assert plan is not None
    record = {
        "plan_id": plan.id,
        "plan": plan.record,
        "effective": effective,
        "finding": act.reason,
        "files": attachments.fingerprint(u, "capa", capa_id),
    }
    signature = begin_signing(u, proof, act).sign(capa_id, record)
    made = CapaCheck(
        capa_id=capa_id,
        plan_id=plan.id,
        effective=effective,
        finding=act.reason,
        signature_id=signature.id,
        signed_by=u.actor.login,
        signed_at=u.now,
        record=json_value(record),
    )
    _add(u, made)
    deadlines.meet(u, CHECK, "capa", capa_id)
    if not effective:
        _begin_planning(u, found)
    return made


def _begin_planning(u: Unit, capa: Capa) -> None:
    deadlines.begin(u, PLAN, "capa", capa.id, _called(capa), site_id=capa.site_id)


def _called(capa: Capa) -> str:
    return f"{capa.number}: {capa.title}"


def _add(u: Unit, row: SQLModel) -> None:
    u.session.add(row)
    u.session.flush()
