"""The records of deadlines: read only, since each follows from what is done with its record."""

from typing import Any

from sqlalchemy import Boolean, literal_column, select

from core.erp.kernel.deadlines.model import Deadline, DeadlineStep
from core.erp.kernel.deadlines.rules import late_by
from core.erp.kernel.deadlines.running import IN_TIME
from core.erp.kernel.deadlines.scopes import DEADLINES
from core.erp.kernel.deadlines.shapes import DeadlineOut, StepOut
from core.erp.kernel.deadlines.workflow import DEADLINE
from core.erp.kernel.records import Column, Entity, Hidden, Section
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit


def _steps(u: Unit, row: Any) -> list[StepOut]:
    """Its steps in order."""
    s = table(DeadlineStep)
    rows = u.conn.execute(select(s).where(s.c.deadline_id == row.id).order_by(s.c.at, s.c.id))
    return [_shown(u, one) for one in rows.mappings()]


def _shown(u: Unit, step: Any) -> StepOut:
    done = step["done_at"] if step["outcome"] != "void" else None
    late = late_by(step["at"], done) if done is not None else None
    return StepOut(**step, late=late if late is not None and late > IN_TIME else None).in_language(u.language)


DEADLINE_RECORDS = Entity(
    name="deadline",
    path="deadlines",
    table=Deadline,
    cycle=DEADLINE,
    answer=DeadlineOut,
    label="about",
    read="deadline.read",
    scope=DEADLINES,
    columns=(
        Column("state", filter="in"),
        Column("term", filter="eq"),
        Column("entity", filter="eq"),
        Column("entity_id", filter="eq"),
        Column("site_id", filter="eq", link="site"),
        Column("due_at", filter="range", sort=True),
    ),
    hidden=Hidden(literal_column("deadline.state = 'open'", Boolean), unless="state"),
    order="due_at",
    sections=(Section("steps", _steps, list[StepOut]),),
)

ENTITIES = (DEADLINE_RECORDS,)
