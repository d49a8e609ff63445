"""Opening tasks, doing them, passing them on; and finishing those whose act was done."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from core.erp.kernel.access.effective_permits import permits_now
from core.erp.kernel.calendars import service as calendars
from core.erp.kernel.calendars.rules import due, working_days
from core.erp.kernel.errors import Invalid, Refused
from core.erp.kernel.model import User
from core.erp.kernel.permits import declared
from core.erp.kernel.tables import table
from core.erp.kernel.tasks.model import BY_HAND, Task
from core.erp.kernel.tasks.rules import first_reminder
from core.erp.kernel.tasks.workflow import STANDING, TASK, concerned
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message, kept


def open_task(
    u: Unit,
    kind: str,
    text: Message | str,
    *,
    due_at: datetime,
    permit: str | None = None,
    assignee: str | None = None,
    entity: str | None = None,
    entity_id: int | None = None,
    site_id: int | None = None,
    remind_at: datetime | None = None,
) -> Task:
    """A task for whoever holds the permit, or for a person (a login). Raises ValueError for a permit nobody declares.

    Where one of that kind, source and permit stands already, it says this from now on, and its people are told again.
    """
    if permit is not None and permit not in declared():
        raise ValueError(f"no module declares the permit {permit}")
    title, message = kept(text)
    there = None if kind == BY_HAND else _standing(u, kind, entity, entity_id, permit)
    if there is not None:
        return _again(u, there, title, message, due_at)
    made = Task(
        kind=kind,
        title=title,
        title_message=message,
        entity=entity,
        entity_id=entity_id,
        site_id=site_id,
        permit=permit,
        assignee=assignee,
        due_at=due_at,
        remind_at=first_reminder(remind_at, due_at),
        created_at=u.now,
        created_by=u.actor.login,
    )
    u.session.add(made)
    u.session.flush()
    u.audit("task.create", "task", made.id, after=made.model_dump(exclude={"id", "title_message"}))
    u.outbox("task.create", made.id, task_facts(made))
    return made


def _standing(u: Unit, kind: str, entity: str | None, entity_id: int | None, permit: str | None) -> Task | None:
    t = table(Task).c
    wanted = {t.kind: kind, t.entity: entity, t.entity_id: entity_id, t.permit: permit}
    same = [column.is_not_distinct_from(value) for column, value in wanted.items()]
    statement = select(Task).where(*same, t.state.in_(sorted(STANDING))).with_for_update()
    return u.session.scalars(statement.execution_options(populate_existing=True)).first()


def _again(u: Unit, task: Task, title: str, message: dict[str, Any] | None, due_at: datetime) -> Task:
    before = {"title": task.title, "due_at": task.due_at}
    task.title, task.title_message, task.due_at, task.remind_at = title, message, due_at, first_reminder(None, due_at)
    u.session.add(task)
    u.session.flush()
    u.audit("task.renew", "task", task.id, before=before, after={"title": title, "due_at": due_at})
    u.outbox("task.remind", task.id, task_facts(task))
    return task


def task_facts(task: Any) -> dict[str, Any]:
    """What whoever sends messages needs to know of it."""
    names = ("kind", "title", "title_message", "entity", "entity_id", "site_id", "permit", "assignee", "due_at")
    return {name: getattr(task, name) for name in names}


# --- by a person


def add(
    u: Unit,
    *,
    title: str,
    permit: str | None = None,
    assignee: str | None = None,
    site_id: int | None = None,
    due_at: datetime | None = None,
    remind_at: datetime | None = None,
) -> Task:
    """A task that a person opens by hand, due at the end of the next working day unless they say when.

    Raises Invalid, or Refused where the person may not do it.
    """
    if (permit is None) == (assignee is None):
        raise Invalid("tasks.for_whom")
    if permit is not None and permit not in declared():
        raise Invalid("tasks.no_such_permit", permit=permit)
    if assignee is not None:
        require_able(u, assignee, None, site_id)
    at = due_at or due(calendars.of(u, site_id), u.now, working_days(1))
    if at < u.now - timedelta(minutes=1):
        raise Invalid("tasks.due_in_the_past", due=at)
    return open_task(
        u, BY_HAND, title, due_at=at, permit=permit, assignee=assignee, site_id=site_id, remind_at=remind_at
    )


def take(u: Unit, task_id: int) -> Task:
    """I do it. Also where a colleague with the same permit had taken it: the trail says so."""
    return _pass_on(u, u.get_one(Task, task_id, lock=True), "take", u.actor.login, None)


def hand_over(u: Unit, task_id: int, *, to: str, reason: str | None = None) -> Task:
    """Somebody else does it, who may. Raises Invalid (no such person), Refused (lacks permit or site)."""
    task = u.get_one(Task, task_id, lock=True)
    require_able(u, to, task.permit, task.site_id)
    _pass_on(u, task, "hand_over", to, reason)
    u.outbox("task.remind", task_id, task_facts(task))
    return task


def _pass_on(u: Unit, task: Task, move: str, login: str, reason: str | None) -> Task:
    concerned(u, task)
    before = task.assignee
    with u.session.no_autoflush:  # the database takes no task that is taken by nobody
        task.assignee = login
        TASK.apply(u, task, move, reason=reason, also={"assignee": login, "from_assignee": before})
    return task


def give_back(u: Unit, task_id: int) -> Task:
    """Whoever holds the permit may take it again. Raises Refused for a task that is for one person only."""
    task = u.get_one(Task, task_id, lock=True)
    if task.permit is None:
        raise Refused("tasks.for_one_person")
    before = task.assignee
    TASK.apply(u, task, "give_back", also={"assignee": None, "from_assignee": before})
    task.assignee = None
    u.session.add(task)
    u.session.flush()
    return task


def done(u: Unit, task_id: int, *, conclusion: str) -> Task:
    """It is done, with a word on how."""
    return _close(u, u.get_one(Task, task_id, lock=True), "done", conclusion)


def cancel(u: Unit, task_id: int, *, reason: str) -> Task:
    """It need not be done, says who has opened it or oversees."""
    return _close(u, u.get_one(Task, task_id, lock=True), "cancel", reason)


# --- by the system


def finish(u: Unit, entity: str, entity_id: int, kind: str | None = None, *, conclusion: str | None = None) -> int:
    """What a record's tasks (of that kind) asked for was done; gives how many there were."""
    return _close_all(u, entity, entity_id, kind, "finish", conclusion)


def withdraw(u: Unit, entity: str, entity_id: int, kind: str | None = None, *, reason: str | None = None) -> int:
    """A record's tasks (of that kind) are about nothing any more; gives how many there were."""
    return _close_all(u, entity, entity_id, kind, "withdraw", reason)


def of(u: Unit, entity: str, entity_id: int) -> Sequence[Task]:
    """Every task about a record, oldest first."""
    t = table(Task).c
    return u.session.scalars(select(Task).where(t.entity == entity, t.entity_id == entity_id).order_by(t.id)).all()


def _close_all(u: Unit, entity: str, entity_id: int, kind: str | None, move: str, word: str | None) -> int:
    t = table(Task).c
    about = [t.entity == entity, t.entity_id == entity_id, t.state.in_(sorted(STANDING))]
    if kind is not None:
        about.append(t.kind == kind)
    statement = select(Task).where(*about).order_by(t.id).with_for_update()
    standing = u.session.scalars(statement.execution_options(populate_existing=True)).all()
    for task in standing:
        _close(u, task, move, word)
    return len(standing)


def _close(u: Unit, task: Task, move: str, word: str | None) -> Task:
    with u.session.no_autoflush:
        task.closed_at, task.closed_by, task.conclusion, task.remind_at = u.now, u.actor.login, word, None
        TASK.apply(u, task, move, reason=word)
    return task


def require_able(u: Unit, login: str, permit: str | None, site_id: int | None) -> None:
    """Raises Invalid where nobody is called so, Refused where they may not do it: no such permit, not at the site."""
    c = table(User).c
    user = u.conn.execute(select(c.id, c.site_ids).where(c.login == login, c.active)).first()
    if user is None:
        raise Invalid("tasks.no_such_person", login=login)
    held = permits_now(u.conn, user.id)
    if (permit or "task.act") not in held or "task.act" not in held:
        raise Refused("tasks.lacks_permit", login=login, name=Message(f"permit.{permit or 'task.act'}"))
    if site_id is not None and user.site_ids and site_id not in user.site_ids:
        raise Refused("tasks.not_at_site", login=login)
