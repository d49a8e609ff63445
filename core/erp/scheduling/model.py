"""Tables of scheduling: the dispatch list of each work centre, as last remade."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Index, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from core.erp.kernel.model import identity, moment, ref


class DispatchPlan(SQLModel, table=True):
    """When and why a work centre's list was last remade. Its row is the lock under which the list is remade."""

    __tablename__ = "dispatch_plan"

    work_centre_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    version: int = 0
    made_at: datetime = moment()
    cause: str
    cause_message: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB))


class DispatchEntry(SQLModel, table=True):
    """One ready operation on a work centre's list; `rank` 1 goes next."""

    __tablename__ = "dispatch_entry"
    __table_args__ = (
        UniqueConstraint("work_centre_id", "rank"),
        UniqueConstraint("work_centre_id", "operation_id"),
        Index("dispatch_entry_order", "order_id"),
    )

    id: int = identity()
    work_centre_id: int = ref()
    rank: int
    operation_id: int = ref()
    order_id: int = ref()
