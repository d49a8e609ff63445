"""People are reminded of tasks: by the process that leads, once, whenever it was away."""

from datetime import datetime

from sqlalchemy import Engine, select

from core.erp.kernel.events import Events
from core.erp.kernel.tables import table
from core.erp.kernel.tasks.model import Task
from core.erp.kernel.tasks.rules import next_reminder
from core.erp.kernel.tasks.service import task_facts
from core.erp.kernel.tasks.workflow import STANDING
from core.erp.kernel.unit import system, unit

AT_ONCE = 100
_SYSTEM = system("tasks")


def remind(engine: Engine, events: Events, now: datetime) -> int:
    """Tells of tasks whose reminder has come, the earliest first; gives how many. Two may do so at once.

    The outbox row says since when it is `late`: behind its due time, or None.
    """
    told_of = 0
    while count := _some(engine, events, now):
        told_of += count
    return told_of


def _some(engine: Engine, events: Events, now: datetime) -> int:
    t = table(Task).c
    wanted = (
        select(Task)
        .where(t.remind_at <= now, t.state.in_(sorted(STANDING)))
        .order_by(t.remind_at, t.id)
        .limit(AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    with unit(engine, _SYSTEM, events, now) as u:
        tasks = u.session.scalars(wanted).all()
        for task in tasks:
            late = task.due_at if task.due_at <= now else None
            u.outbox("task.remind", task.id, {**task_facts(task), "late_since": late})
            task.remind_at = next_reminder(now, task.due_at)
            u.session.add(task)
        return len(tasks)
