"""Tables of custody: where each sublot was, when, and when we learned it; what handling units hold."""

from datetime import datetime
from typing import Any

from sqlalchemy import Column, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from core.erp.kernel.model import identity, moment, ref


class CustodyFact(SQLModel, table=True):
    """From `at` on the sublot was in the zone (None: not with us, or used up), until its next fact. Append-only.

    Bitemporal: `at` is when it was so, `known_at` when we learned it. A fact that was wrong is answered by another
    row that names it in `retracts_id` (and says nothing else: its `at` and zone repeat the wrong one's).
    """

    __tablename__ = "custody_fact"
    __table_args__ = (Index("custody_sublot", "sublot_id", "at"), Index("custody_zone", "zone_id", "at"))

    id: int = identity()
    sublot_id: int = ref()
    zone_id: int | None = ref(nullable=True)
    at: datetime = moment()
    known_at: datetime = moment()
    actor: str
    reason: str = ""
    reason_message: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB))
    retracts_id: int | None = ref(nullable=True)
    copy_of_id: int | None = ref(nullable=True)
    """The parent's fact this one repeats, where a split copied the history."""


class HandlingUnit(SQLModel, table=True):
    """An SSCC-labelled box, pallet or shipper. `zone_id` is the zone it is, where it is monitored itself."""

    __tablename__ = "handling_unit"

    id: int = identity()
    sscc: str = Field(unique=True)
    kind: str = "pallet"
    zone_id: int | None = ref(nullable=True)


class HandlingUnitContent(SQLModel, table=True):
    """A sublot was in a handling unit from-until."""

    __tablename__ = "handling_unit_content"

    id: int = identity()
    handling_unit_id: int = ref(index=True)
    sublot_id: int = ref(index=True)
    from_at: datetime = moment()
    to_at: datetime | None = moment(nullable=True)
