"""What I am to do: the tasks given to me, and those that are free for a permit of mine."""

from typing import Annotated

from fastapi import Query
from sqlalchemy import func, select

from core.erp.kernel.door import needs, routes
from core.erp.kernel.http import Answer, Door
from core.erp.kernel.tables import table
from core.erp.kernel.tasks.model import Task
from core.erp.kernel.tasks.scopes import mine
from core.erp.kernel.tasks.shapes import TaskOut
from core.erp.kernel.unit import Unit

router = routes(tags=["tasks"])


class MineOut(Answer):
    """My tasks, those due first; how many there are, and how many of them are late."""

    items: list[TaskOut]
    total: int
    late: int


@router.get("/my-tasks")
@needs("task.read")
def my_tasks(door: Door, limit: Annotated[int, Query(ge=1, le=500)] = 100) -> MineOut:
    """What I am to do, those due first. `GET /tasks` has everybody's that I may see."""
    t = table(Task)

    def work(u: Unit) -> MineOut:
        condition = mine(u.actor)
        rows = u.conn.execute(select(t).where(condition).order_by(t.c.due_at, t.c.id).limit(limit)).all()
        counted = select(func.count(), func.count().filter(t.c.due_at < u.now)).select_from(t).where(condition)
        total, late = u.conn.execute(counted).one()
        items = [TaskOut.model_validate(row).in_language(u.language) for row in rows]
        return MineOut(items=items, total=total, late=late)

    return door.read(work)
