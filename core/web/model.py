"""The table of the pages' own: lists as somebody looks at them."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlmodel import SQLModel

from core.erp.kernel.model import identity, moment


class SavedView(SQLModel, table=True):
    """A list as its owner looks at it: filters, sort and columns as they stand in its address, never a cursor.

    With a `role` it is offered to everybody who holds that role; each sees in it what their own permits and scope give.
    """

    __tablename__ = "saved_view"
    __table_args__ = (
        UniqueConstraint("owner", "entity", "name"),
        CheckConstraint("length(name) BETWEEN 1 AND 60"),
        CheckConstraint("length(query) <= 4000 AND query !~ '(^|&)cursor='"),
        Index("saved_view_of_role", "entity", "role"),
    )

    id: int = identity()
    owner: str
    entity: str
    name: str
    role: str | None = None
    query: str
    saved_at: datetime = moment()
