"""Tables of exposure: zone summaries per profile version and hour, and how far they go."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Index, Interval, LargeBinary, PrimaryKeyConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from core.erp.kernel.model import identity, moment, ref


class ZoneSummary(SQLModel, table=True):
    """What a profile version's limits saw in a zone during one closed hour: exposure.rules.Summary, encoded.

    `clean` is true when every instant was covered by good readings in range: such rows need not be read for counts.
    """

    __tablename__ = "zone_summary"
    __table_args__ = (Index("zone_summary_unclean", "zone_id", "version_id", "start_at", postgresql_where="NOT clean"),)

    zone_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    version_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    start_at: datetime = Field(sa_column=Column(DateTime(timezone=True), primary_key=True))
    clean: bool
    data: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class ZoneProfile(SQLModel, table=True):
    """A profile version that is judged in a zone, and since when its summaries exist."""

    __tablename__ = "zone_profile"

    zone_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    version_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    from_at: datetime = moment()


class PointHour(SQLModel, table=True):
    """What is kept of a point's readings of an hour, in the quantity's canonical unit: how a sensor usually is."""

    __tablename__ = "point_hour"
    # the hours of one point lie far apart in the table: the key carries what charts over months ask
    __table_args__ = (PrimaryKeyConstraint("point_id", "hour_at", postgresql_include=["low", "high"]),)

    point_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    hour_at: datetime = Field(sa_column=Column(DateTime(timezone=True), primary_key=True))
    low: float
    high: float
    median: float
    readings: int
    rises: int
    """Rises as a defrost's whose highest reading lies in the hour."""


class SourceWatermark(SQLModel, table=True):
    """How far a source of a gateway has spoken for a zone.

    `received_at` is when the core last heard of it, `advanced_at` when it last told anything further.

    `behind` is how far it stays back while all is well. One that is retired (removed from its gateway) holds nobody
    back; if it speaks of a later time, it counts again.
    """

    __tablename__ = "source_watermark"

    zone_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    gateway: str = Field(primary_key=True)
    source: str = Field(primary_key=True)
    redundancy_group: str = ""
    """Gateways of one group read the same sources: of each it is enough that one speaks. Empty: it stands alone."""
    upto: datetime = moment()
    behind: timedelta = Field(
        default=timedelta(0), sa_column=Column(Interval, nullable=False, server_default=text("'0'"))
    )
    received_at: datetime = moment()
    advanced_at: datetime | None = moment(nullable=True)
    retired_at: datetime | None = moment(nullable=True)


class GapRecord(SQLModel, table=True):
    """A span for which a point, or a whole zone, is known to have nothing. Append-only.

    An open one (`stop_at` empty) is closed, and one that late data shortened or filled is put right, by a row that
    names it in `replaces_id`; filled ones stop where they start. `gap_standing` is the view of those that stand.
    """

    __tablename__ = "gap_record"
    __table_args__ = (Index("gap_zone", "zone_id", "start_at"),)

    id: int = identity()
    zone_id: int | None = ref(nullable=True)
    point_id: int | None = ref(nullable=True)
    start_at: datetime = moment()
    stop_at: datetime | None = moment(nullable=True)
    reason: str
    reason_message: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB))
    known_at: datetime = moment()
    replaces_id: int | None = ref(nullable=True, index=True)
