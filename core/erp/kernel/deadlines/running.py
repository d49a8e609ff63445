"""Steps of deadlines whose time has come: each once, in order, by the process that leads, however long it was away.

A step has a transaction of its own, under its deadline's lock: two that lead for a moment do nothing twice. What is
late is said: in the outbox row, with the step, in the log.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine, select, update
from sqlalchemy.exc import DBAPIError

from core.erp.kernel.database_errors import translate
from core.erp.kernel.deadlines import service
from core.erp.kernel.deadlines.model import Deadline, DeadlineStep
from core.erp.kernel.deadlines.rules import StepKind, late_by, wait_after
from core.erp.kernel.deadlines.terms import Effect, Term, about_sentence, terms
from core.erp.kernel.deadlines.workflow import OPEN
from core.erp.kernel.errors import LotwiseError
from core.erp.kernel.events import Events
from core.erp.kernel.rehearsal import attempted
from core.erp.kernel.tables import table
from core.erp.kernel.tasks import service as tasks
from core.erp.kernel.unit import Unit, When, clock_of, system, transact
from core.erp.kernel.words import Message, kept, sentence

log = logging.getLogger(__name__)

_SYSTEM = system("deadlines")
IN_TIME = timedelta(minutes=5)
"""A step within that of its time is not called late."""
AT_ONCE = 500


class UnknownTerm(LookupError):
    """No module declares a deadline's term any more."""


@dataclass(frozen=True, slots=True)
class StepDone:
    """A step that was tried, and how long behind its time."""

    deadline_id: int
    kind: str
    late: timedelta


def run(
    engine: Engine, events: Events, when: When = None, *, known: Mapping[str, Term] | None = None, most: int = AT_ONCE
) -> list[StepDone]:
    """Does the steps whose time has come, the earliest first, at most so many; gives them."""
    tried: list[StepDone] = []
    while len(tried) < most and (one := _one(engine, events, when, terms() if known is None else known)) is not None:
        tried.append(one)
    late = [one.late for one in tried if one.late > IN_TIME]
    if late:
        log.warning("%d steps of deadlines came late, the latest by %s", len(late), max(late))
    return tried


def _one(engine: Engine, events: Events, when: When, known: Mapping[str, Term]) -> StepDone | None:
    now = clock_of(when)()
    begun: list[DeadlineStep] = []

    def work(u: Unit) -> StepDone | None:
        deadline = _locked(u, now)
        step = service.next_step(u, deadline) if deadline is not None else None
        if deadline is None or step is None:
            return None
        begun.append(step)
        _do(u, known, deadline, step)
        return StepDone(deadline.id, step.kind, late_by(step.at, u.now))

    try:
        return transact(engine, _SYSTEM, events, work, when)
    except Exception as error:  # a step's fault costs no other: it is written down and tried again
        if not begun:
            raise
        step = begun[-1]
        log.exception("step %s of deadline %s failed", step.id, step.deadline_id)
        _postpone(engine, step, error, now)
        return StepDone(step.deadline_id, step.kind, late_by(step.at, now))


def _locked(u: Unit, now: datetime) -> Deadline | None:
    """The deadline whose step is next, unless somebody else has it in hand."""
    d = table(Deadline).c
    first = select(Deadline).where(d.next_at <= now).order_by(d.next_at, d.id).limit(1)
    return u.session.scalars(first.with_for_update(skip_locked=True)).first()


def _postpone(engine: Engine, step: DeadlineStep, error: Exception, now: datetime) -> None:
    failures = step.failures + 1
    steps, deadlines = table(DeadlineStep), table(Deadline)
    said = f"{type(error).__name__}: {error}"
    with engine.begin() as conn:
        mine = update(steps).where(steps.c.id == step.id, steps.c.done_at.is_(None))
        conn.execute(mine.values(failures=failures, last_error=said))
        its = update(deadlines).where(deadlines.c.id == step.deadline_id, deadlines.c.next_at.is_not(None))
        conn.execute(its.values(next_at=now + wait_after(failures)))


def _do(u: Unit, known: Mapping[str, Term], deadline: Deadline, step: DeadlineStep) -> None:
    effect = _effect(known, deadline) if step.kind == StepKind.DUE else None
    refused = _refused(u, effect, deadline) if effect is not None else None
    note, message = kept(refused) if refused is not None else (None, None)
    step.done_at, step.outcome = u.now, "done" if refused is None else "refused"
    step.note, step.note_message, step.last_error = note, message, None
    u.session.add(step)
    u.session.flush()
    _notify(u, deadline, step)
    if effect is None or refused is not None:
        _open_task(u, deadline, step, refused)
    _go_on(u, deadline, passed=effect is not None and refused is None)


def _effect(known: Mapping[str, Term], deadline: Deadline) -> Effect | None:
    term = known.get(deadline.term)
    if term is None:
        raise UnknownTerm(f"no module declares the term {deadline.term}")
    return term.effect


def _refused(u: Unit, effect: Effect, deadline: Deadline) -> Message | str | None:
    """Why the effect was refused, of which nothing is left then; None: it is done."""
    try:
        with attempted(u):
            effect(u, deadline)
    except LotwiseError as error:
        return error.message or str(error)
    except DBAPIError as error:
        known = translate(error)
        if known is None:
            raise
        return known.message or str(known)
    return None


def _notify(u: Unit, deadline: Deadline, step: DeadlineStep) -> None:
    names = ("term", "entity", "entity_id", "about", "about_message", "site_id", "due_at", "assignee")
    said = {name: getattr(deadline, name) for name in names}
    said |= {"permit": step.permit or deadline.permit, "at": step.at, "outcome": step.outcome}
    late = late_by(step.at, u.now)
    u.outbox(f"deadline.{step.kind}", deadline.id, {**said, "late": late if late > IN_TIME else None})


def _open_task(u: Unit, deadline: Deadline, step: DeadlineStep, refused: Message | str | None) -> None:
    about = sentence(deadline.about, deadline.about_message)
    called = {"term": Message(f"term.{deadline.term}"), "about": about}
    said = about_sentence(deadline)
    if refused is not None:
        said = Message("deadlines.effect_refused", **called, why=refused)
    elif step.kind == StepKind.ESCALATE:
        said = Message("deadlines.overdue", **called, due=deadline.due_at)
    tasks.open_task(
        u,
        service.task_kind(deadline),
        said,
        due_at=deadline.due_at,
        permit=step.permit or (deadline.permit if deadline.assignee is None else None),
        assignee=deadline.assignee if step.permit is None else None,
        entity=deadline.entity,
        entity_id=deadline.entity_id,
        site_id=deadline.site_id,
    )


def _go_on(u: Unit, deadline: Deadline, *, passed: bool) -> None:
    """To the next step; a deadline whose effect is done has passed, unless the effect has ended it already."""
    u.session.refresh(deadline)
    if deadline.state != OPEN:
        return
    if passed:
        service.close(u, deadline, "pass")
        tasks.withdraw(u, deadline.entity, deadline.entity_id, service.task_kind(deadline))
        return
    following = service.next_step(u, deadline)
    deadline.next_at = following.at if following is not None else None
    u.session.add(deadline)
    u.session.flush()
