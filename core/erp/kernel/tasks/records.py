"""The records of tasks: listed, opened by hand, and what is done with one."""

from sqlalchemy import Boolean, literal_column

from core.erp.kernel.records import Column, Create, Entity, Hidden, Verb
from core.erp.kernel.shapes import ReasonIn
from core.erp.kernel.tasks import service
from core.erp.kernel.tasks.model import Task
from core.erp.kernel.tasks.scopes import TASKS
from core.erp.kernel.tasks.shapes import DoneIn, PassOnIn, TaskIn, TaskOut
from core.erp.kernel.tasks.workflow import ACT, TASK

TASK_RECORDS = Entity(
    name="task",
    path="tasks",
    table=Task,
    cycle=TASK,
    answer=TaskOut,
    label="title",
    read="task.read",
    scope=TASKS,
    columns=(
        Column("state", filter="in"),
        Column("kind", filter="eq"),
        Column("entity", filter="eq"),
        Column("entity_id", filter="eq"),
        Column("site_id", filter="eq", link="site"),
        Column("permit", filter="eq"),
        Column("assignee", filter="eq"),
        Column("due_at", filter="range", sort=True),
    ),
    # written out, so that every plan finds the index of those that stand
    hidden=Hidden(literal_column("task.state IN ('open', 'taken')", Boolean), unless="state"),
    order="due_at",
    create=Create(ACT, TaskIn, act=service.add, undo="cancel"),
    verbs=(
        Verb("take", act=service.take),
        Verb("hand_over", PassOnIn, service.hand_over, path="hand-over", many=True),
        Verb("give_back", act=service.give_back, path="give-back"),
        Verb("done", DoneIn, service.done, many=True),
        Verb("cancel", ReasonIn, service.cancel),
    ),
)

ENTITIES = (TASK_RECORDS,)
