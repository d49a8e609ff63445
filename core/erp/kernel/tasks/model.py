"""The table of tasks."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, Column, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from core.erp.kernel.model import identity, moment, ref

BY_HAND = "by_hand"
"""The kind of a task that a person has opened."""
STANDING = "state IN ('open', 'taken')"
"""The condition of the indexes by which what is still to be done is found."""


class Task(SQLModel, table=True):
    """Something to do by `due_at`, for whoever holds `permit` (until one of them is the `assignee`), or for a person.

    `kind` and source (`entity`, `entity_id`) say what it is about: of one kind, source and permit at most one stands.
    """

    __tablename__ = "task"
    __table_args__ = (
        CheckConstraint("permit IS NOT NULL OR assignee IS NOT NULL"),
        CheckConstraint("(entity IS NULL) = (entity_id IS NULL)"),
        CheckConstraint("num_nonnulls(closed_at, closed_by) = CASE WHEN state IN ('open', 'taken') THEN 0 ELSE 2 END"),
        CheckConstraint("state <> 'taken' OR assignee IS NOT NULL"),
        Index("task_due", "due_at", "id"),
        Index("task_standing", "due_at", "id", postgresql_where=STANDING),
        Index("task_source", "entity", "entity_id"),
        Index("task_assignee", "assignee", postgresql_where=STANDING),
        Index("task_remind", "remind_at", postgresql_where=f"remind_at IS NOT NULL AND {STANDING}"),
        Index(
            "task_once",
            "kind",
            "entity",
            "entity_id",
            "permit",
            unique=True,
            postgresql_nulls_not_distinct=True,
            postgresql_where=f"kind <> '{BY_HAND}' AND {STANDING}",
        ),
    )

    id: int = identity()
    kind: str
    title: str
    title_message: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    entity: str | None = None
    entity_id: int | None = ref(nullable=True)
    site_id: int | None = ref(nullable=True, index=True)
    permit: str | None = None
    assignee: str | None = None
    """A user's login."""
    due_at: datetime = moment()
    remind_at: datetime | None = moment(nullable=True)
    """When its people are told again; None: not any more."""
    state: str = "open"
    created_at: datetime = moment()
    created_by: str
    closed_at: datetime | None = moment(nullable=True)
    closed_by: str | None = None
    conclusion: str | None = None
