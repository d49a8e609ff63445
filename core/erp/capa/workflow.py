"""Life cycles of CAPA and its actions, and what must be so before they move on."""

from typing import Any

from core.erp.capa import queries, rules
from core.erp.capa.model import Capa
from core.erp.kernel.calendars import service as calendars
from core.erp.kernel.errors import Forbidden, Refused
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message
from core.erp.kernel.workflow import Move, Workflow

OPEN, ANALYSED, PLANNED, DONE, CLOSED, WITHDRAWN = "open", "analysed", "planned", "done", "closed", "withdrawn"
VERIFIED, DROPPED = "verified", "dropped"
DRAFT = frozenset({OPEN, ANALYSED})
"""In which what will be signed may still be changed."""


def ready_to_sign(u: Unit, capa: Any) -> None:
    """Refused: what the plan lacks."""
    before = queries.newest_plan(u, capa.id)
    again = before is not None and queries.check_of(u, before.id) is not None
    today, actions = calendars.today(u, capa.site_id), queries.actions_of(u, capa.id)
    fault = rules.plan_fault(actions, capa.criterion, capa.check_on, today, again=again)
    if fault is not None:
        raise Refused("capa.not_to_be_signed", number=capa.number, why=fault)


def all_done(u: Unit, capa: Any) -> None:
    """Refused: an action is not verified, or the day of the check has come."""
    fault = rules.done_fault(queries.actions_of(u, capa.id), capa.check_on, calendars.today(u, capa.site_id))
    if fault is not None:
        raise Refused("capa.not_done", number=capa.number, why=fault)


def ready_to_check(u: Unit, capa: Any) -> None:
    """Refused before the day that was chosen with the plan, Forbidden to whoever has signed it.

    Whoever else had a hand in it may check: they attach what they have found.
    """
    plan = queries.newest_plan(u, capa.id)
    if plan is None:
        raise Refused("capa.planned_unsigned", number=capa.number)
    if u.now < plan.check_from:
        raise Refused("capa.checked_too_early", number=capa.number, since=plan.check_from)
    if u.actor.login == plan.signed_by:
        raise Forbidden("capa.checked_by_planner", number=capa.number, login=plan.signed_by)


def never_planned(u: Unit, capa: Any) -> None:
    """Refused once a plan was signed: it ends by a check then, and by nothing else."""
    if queries.newest_plan(u, capa.id) is not None:
        raise Refused("capa.planned_already", number=capa.number)


CAPA = Workflow(
    "capa",
    (
        Move("analyse", DRAFT, ANALYSED, permit="capa.manage"),
        Move(
            "plan",
            frozenset({ANALYSED}),
            PLANNED,
            permit="capa.sign",
            guard=ready_to_sign,
            reasoned=True,
            meaning="meaning.capa_plan",
        ),
        Move("revise", frozenset({PLANNED, DONE}), ANALYSED, permit="capa.manage", reasoned=True),
        Move("complete", frozenset({PLANNED}), DONE, permit="capa.manage", guard=all_done),
        Move(
            "close",
            frozenset({DONE}),
            CLOSED,
            permit="capa.sign",
            guard=ready_to_check,
            reasoned=True,
            meaning="meaning.capa_effective",
        ),
        Move(
            "reopen",
            frozenset({DONE}),
            OPEN,
            permit="capa.sign",
            guard=ready_to_check,
            reasoned=True,
            meaning="meaning.capa_not_effective",
        ),
        Move("withdraw", DRAFT, WITHDRAWN, permit="capa.manage", guard=never_planned, reasoned=True),
    ),
    begins=(OPEN,),
)


def in_force(u: Unit, action: Any) -> None:
    """Refused while its plan is not signed, or not any more."""
    capa = queries.capa_of(u, action.capa_id)
    if capa.state != PLANNED:
        raise Refused("capa.plan_not_in_force", number=capa.number, state=Message(f"state.capa.{capa.state}"))


def its_owner(u: Unit, action: Any) -> None:
    """Forbidden to whoever does not own the action, and does not keep the CAPA."""
    in_force(u, action)
    if u.actor.login != action.owner and not u.actor.may("capa.manage"):
        raise Forbidden("capa.owned_by", owner=action.owner)


def another(u: Unit, action: Any) -> None:
    """Forbidden to whoever has done it."""
    in_force(u, action)
    if u.actor.login == action.done_by:
        move, record = Message("move.capa_action.verify"), Message("record.capa_action")
        raise Forbidden("workflow.second_person", move=move, record=record, login=u.actor.login)


def in_draft(u: Unit, action: Any) -> None:
    """Refused while its plan is in force."""
    require_draft(queries.capa_of(u, action.capa_id))


def require_draft(capa: Capa) -> None:
    """Raises Refused once a plan is signed: what was signed stays as it was signed."""
    if capa.state not in DRAFT:
        raise Refused("capa.plan_is_signed", number=capa.number, state=Message(f"state.capa.{capa.state}"))


ACTION = Workflow(
    "capa_action",
    (
        Move("done", frozenset({OPEN}), DONE, permit="capa.act", guard=its_owner, reasoned=True),
        Move("verify", frozenset({DONE}), VERIFIED, permit="capa.manage", guard=another),
        Move("send_back", frozenset({DONE}), OPEN, permit="capa.manage", guard=in_force, reasoned=True),
        Move("drop", frozenset({OPEN}), DROPPED, permit="capa.manage", guard=in_draft, reasoned=True),
    ),
    begins=(OPEN,),
)
