"""The acts of CAPA actions: given to their owners, done, verified by somebody else, or sent back."""

from collections.abc import Mapping
from typing import Any

from core.erp.capa import queries
from core.erp.capa.deadlines import ACTION as ACTION_DUE
from core.erp.capa.model import Capa, CapaAction
from core.erp.capa.workflow import ACTION, DROPPED, VERIFIED, require_draft
from core.erp.kernel.calendars import service as calendars
from core.erp.kernel.calendars.rules import due, working_days
from core.erp.kernel.deadlines import service as deadlines
from core.erp.kernel.tasks import service as tasks
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message

VERIFY, COMPLETE = "capa.verify", "capa.complete"
"""Kinds of tasks."""
_SOON = working_days(5)


def check(u: Unit, fields: Mapping[str, Any]) -> None:
    """Refused while the plan is in force, and where its owner cannot do it (no such person, permit or site)."""
    capa = queries.capa_of(u, fields["capa_id"])
    require_draft(capa)
    tasks.require_able(u, fields["owner"], "capa.act", capa.site_id)


def do(u: Unit, action_id: int, *, result: str) -> CapaAction:
    """Its owner has done it, or whoever keeps the CAPA in their place; somebody else looks at it next."""
    capa, found = _locked(u, action_id)
    with u.session.no_autoflush:
        found.result, found.done_by, found.done_at = result, u.actor.login, u.now
        ACTION.apply(u, found, "done", reason=result)
    deadlines.meet(u, ACTION_DUE, "capa_action", action_id)
    _ask(u, capa, VERIFY, Message("capa.to_verify", number=capa.number, what=found.what), "capa_action", action_id)
    return found


def verify(u: Unit, action_id: int) -> CapaAction:
    """Somebody else has seen that it is done; with the last of them the CAPA can be completed."""
    capa, found = _locked(u, action_id)
    ACTION.apply(u, found, "verify")
    tasks.finish(u, "capa_action", action_id, VERIFY)
    if all(one.state in {VERIFIED, DROPPED} for one in queries.actions_of(u, capa.id)):
        _ask(u, capa, COMPLETE, Message("capa.to_complete", number=capa.number), "capa", capa.id)
    return found


def send_back(u: Unit, action_id: int, *, reason: str) -> CapaAction:
    """It is not done: its owner has it again, due as it was."""
    capa, found = _locked(u, action_id)
    with u.session.no_autoflush:
        found.result = found.done_by = found.done_at = None
        ACTION.apply(u, found, "send_back", reason=reason)
    tasks.finish(u, "capa_action", action_id, VERIFY, conclusion=reason)
    give(u, capa, found)
    return found


def _locked(u: Unit, action_id: int) -> tuple[Capa, CapaAction]:
    """An action behind its CAPA: locks are taken in that order."""
    capa = queries.capa_of(u, u.get_one(CapaAction, action_id).capa_id)
    return capa, u.get_one(CapaAction, action_id, lock=True)


def give(u: Unit, capa: Capa, action: CapaAction) -> None:
    """The owner has it from now on: due at the end of its day, warned of before."""
    due_at = calendars.of(u, capa.site_id).closes(action.due_on)
    about = f"{capa.number}: {action.what}"
    whose: dict[str, Any] = {"site_id": capa.site_id, "assignee": action.owner, "due_at": due_at}
    begun = deadlines.begin(u, ACTION_DUE, "capa_action", action.id, about, **whose)
    said = Message("capa.to_do", number=capa.number, what=action.what)
    tasks.open_task(u, deadlines.task_kind(begun), said, entity="capa_action", entity_id=action.id, **whose)


def _ask(u: Unit, capa: Capa, kind: str, said: Message, entity: str, entity_id: int) -> None:
    at = due(calendars.of(u, capa.site_id), u.now, _SOON)
    more: dict[str, Any] = {"entity": entity, "entity_id": entity_id, "site_id": capa.site_id}
    tasks.open_task(u, kind, said, due_at=at, permit="capa.manage", **more)
