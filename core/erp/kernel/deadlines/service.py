"""Beginning, meeting, moving and ending deadlines, in the transaction of the act on their record."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import insert, select, update

from core.erp.kernel.calendars import service as calendars
from core.erp.kernel.calendars.rules import Count, due
from core.erp.kernel.deadlines.model import Deadline, DeadlineStep
from core.erp.kernel.deadlines.rules import plan
from core.erp.kernel.deadlines.terms import Term
from core.erp.kernel.deadlines.workflow import DEADLINE, OPEN
from core.erp.kernel.errors import Conflict
from core.erp.kernel.tables import table
from core.erp.kernel.tasks import service as tasks
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message, kept

_s = table(DeadlineStep).c


def begin(
    u: Unit,
    term: Term,
    entity: str,
    entity_id: int,
    about: str | Message,
    *,
    site_id: int | None = None,
    assignee: str | None = None,
    due_at: datetime | None = None,
    within: Count | None = None,
    start: datetime | None = None,
) -> Deadline:
    """A record's deadline: at `due_at`, or `within` so much (the term's own) of `start` (now), by the site's calendar.

    With an `assignee` (a login) that person gets its tasks, in place of whoever holds the term's permit.
    Raises Conflict where one of that term is open, ValueError where nothing says when it is due.
    """
    if find(u, term, entity, entity_id) is not None:
        raise Conflict("deadlines.there_already", term=term.called)
    counted = None if due_at is not None else within or term.within
    begun = start or u.now
    if due_at is None:
        if counted is None:
            raise ValueError(f"when is {term.name} of {entity} {entity_id} due?")
        due_at = due(calendars.of(u, site_id), begun, counted)
    said, message = kept(about)
    made = Deadline(
        term=term.name,
        entity=entity,
        entity_id=entity_id,
        about=said,
        about_message=message,
        site_id=site_id,
        permit=term.permit,
        assignee=assignee,
        begun_at=begun,
        begun_by=u.actor.login,
        counted=str(counted) if counted is not None else None,
        due_at=due_at,
    )
    u.session.add(made)
    u.session.flush()
    _plan(u, made, term)
    u.audit("deadline.begin", "deadline", made.id, after=made.model_dump(exclude={"id", "about_message", "next_at"}))
    return made


def find(u: Unit, term: Term, entity: str, entity_id: int, *, lock: bool = False) -> Deadline | None:
    """The record's open deadline of that term."""
    d = table(Deadline).c
    same = (d.term == term.name, d.entity == entity, d.entity_id == entity_id, d.state == OPEN)
    statement = select(Deadline).where(*same)
    if lock:
        statement = statement.with_for_update()
    return u.session.scalars(statement.execution_options(populate_existing=True)).first()


def of(u: Unit, entity: str, entity_id: int) -> Sequence[Deadline]:
    """Every deadline of a record, oldest first."""
    d = table(Deadline).c
    return u.session.scalars(select(Deadline).where(d.entity == entity, d.entity_id == entity_id).order_by(d.id)).all()


def meet(u: Unit, term: Term, entity: str, entity_id: int) -> bool:
    """What was to be done was done, in time or late: its tasks are finished. False where none was open."""
    found = find(u, term, entity, entity_id, lock=True)
    if found is not None:
        close(u, found, "meet")
        tasks.finish(u, entity, entity_id, task_kind(found))
    return found is not None


def cancel(u: Unit, term: Term, entity: str, entity_id: int) -> bool:
    """There is nothing to be done any more: its tasks are withdrawn. False where none was open."""
    found = find(u, term, entity, entity_id, lock=True)
    if found is not None:
        close(u, found, "cancel")
        tasks.withdraw(u, entity, entity_id, task_kind(found))
    return found is not None


def reschedule(u: Unit, term: Term, entity: str, entity_id: int, due_at: datetime, *, reason: str) -> Deadline:
    """Due at another time: steps not yet done are void, and new ones are planned. Raises Conflict: none is open."""
    found = find(u, term, entity, entity_id, lock=True)
    if found is None:
        raise Conflict("deadlines.none_open", term=term.called)
    before = found.due_at
    _void(u, found)
    found.due_at, found.counted = due_at, None
    tasks.withdraw(u, entity, entity_id, task_kind(found))
    _plan(u, found, term)
    u.audit(
        "deadline.reschedule", "deadline", found.id, before={"due_at": before}, after={"due_at": due_at}, reason=reason
    )
    return found


def task_kind(deadline: Deadline) -> str:
    """The kind of the tasks that a deadline opens."""
    return f"deadline.{deadline.term}"


def close(u: Unit, deadline: Deadline, move: str) -> None:
    """Ends a locked deadline by a move of its life cycle; steps not yet done are void."""
    _void(u, deadline)
    with u.session.no_autoflush:
        deadline.next_at, deadline.closed_at, deadline.closed_by = None, u.now, u.actor.login
        DEADLINE.apply(u, deadline, move)


def next_step(u: Unit, deadline: Deadline) -> DeadlineStep | None:
    """The first of its steps that is not done."""
    mine = (_s.deadline_id == deadline.id, _s.done_at.is_(None))
    statement = select(DeadlineStep).where(*mine).order_by(_s.at, _s.id).limit(1)
    return u.session.scalars(statement.execution_options(populate_existing=True)).first()


def _plan(u: Unit, deadline: Deadline, term: Term) -> None:
    steps = plan(calendars.of(u, deadline.site_id), deadline.due_at, u.now, term.warnings, term.escalations)
    rows = [{"deadline_id": deadline.id, "kind": one.kind, "at": one.at, "permit": one.permit} for one in steps]
    u.conn.execute(insert(DeadlineStep), [{**row, "failures": 0} for row in rows])
    deadline.next_at = steps[0].at
    u.session.add(deadline)
    u.session.flush()


def _void(u: Unit, deadline: Deadline) -> None:
    undone = (_s.deadline_id == deadline.id, _s.done_at.is_(None))
    u.conn.execute(update(DeadlineStep).where(*undone).values(done_at=u.now, outcome="void"))
