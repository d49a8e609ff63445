"""The table of calendars."""

from typing import Any

from sqlalchemy import BigInteger, Column
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from core.erp.kernel.model import identity


class WorkCalendar(SQLModel, table=True):
    """When a site works. `week`: hours by weekday (mon…sun); `days`: those that are otherwise, with their names.

    What is due was counted by the calendar as it stood then; the audit trail has each earlier one.
    """

    __tablename__ = "work_calendar"

    id: int = identity()
    site_id: int = Field(sa_column=Column(BigInteger, nullable=False, unique=True))
    timezone: str
    week: dict[str, list[str]] = Field(sa_column=Column(JSONB, nullable=False))
    days: list[dict[str, Any]] = Field(sa_column=Column(JSONB, nullable=False))
