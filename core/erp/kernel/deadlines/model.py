"""Tables of deadlines and their steps."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Column, Index, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from core.erp.kernel.model import identity, moment, ref


class Deadline(SQLModel, table=True):
    """By when something is to be done with a record (`entity`, `entity_id`). Late is computed, never a state.

    `term` is the kind of deadline, as a module declares it; `about` what the record is called; `assignee` the login of
    whom it is for, where it is not for all who hold `permit`; `counted` how `due_at` was counted from `begun_at`, if it
    was. `next_at` is when its next step is done; of one record and term one is open.
    """

    __tablename__ = "deadline"
    __table_args__ = (
        CheckConstraint("(state = 'open') = (closed_at IS NULL)"),
        Index("deadline_open", "term", "entity", "entity_id", unique=True, postgresql_where="state = 'open'"),
        Index("deadline_next", "next_at", "id", postgresql_where="next_at IS NOT NULL"),
        Index("deadline_due", "due_at", "id"),
        Index("deadline_record", "entity", "entity_id"),
    )

    id: int = identity()
    term: str
    entity: str
    entity_id: int = ref()
    about: str
    about_message: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    site_id: int | None = ref(nullable=True, index=True)
    permit: str
    assignee: str | None = None
    begun_at: datetime = moment()
    begun_by: str
    counted: str | None = None
    due_at: datetime = moment()
    next_at: datetime | None = moment(nullable=True)
    state: str = "open"
    closed_at: datetime | None = moment(nullable=True)
    closed_by: str | None = None


class DeadlineStep(SQLModel, table=True):
    """A step of a deadline: what is done at `at`, once. `outcome`: done, refused (the effect), void (met, or moved)."""

    __tablename__ = "deadline_step"
    __table_args__ = (
        CheckConstraint("kind IN ('warn', 'due', 'escalate')"),
        CheckConstraint("outcome IN ('done', 'refused', 'void')"),
        CheckConstraint("(done_at IS NULL) = (outcome IS NULL)"),
        Index("deadline_step_order", "deadline_id", "at", "id"),
    )

    id: int = identity()
    deadline_id: int = ref()
    kind: str
    at: datetime = moment()
    permit: str | None = None
    done_at: datetime | None = moment(nullable=True)
    outcome: str | None = None
    note: str | None = None
    note_message: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    failures: int = 0
    last_error: str | None = Field(default=None, sa_column=Column(Text))
