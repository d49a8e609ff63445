"""Tables of the landing: points, readings partitioned by week, and the second values that did not fit.

The room stands below the kernel, so it declares its columns itself. Keys between these tables are not foreign keys:
a check per row costs the landing a third of its speed, and only `landing.land` writes here.
"""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import BigInteger, Column, DateTime, Index, Numeric, PrimaryKeyConstraint, SmallInteger
from sqlmodel import Field, SQLModel


class SeriesPoint(SQLModel, table=True):
    """A point's address and the number it is stored under."""

    __tablename__ = "series_point"

    id: int | None = Field(default=None, sa_column=Column(BigInteger, primary_key=True, autoincrement=True))
    address: str = Field(unique=True)


class ReadingRow(SQLModel, table=True):
    """A reading; the first value at (point_id, at) stays for ever. Append-only; partitions are made on demand.

    `kind` says which column has the value: 0 none, 1 num, 2 whole, 3 whole as 0/1, 4 txt.
    """

    __tablename__ = "reading"
    __table_args__ = (
        # readings of one point lie far apart in the table, by the batch they came in: the key carries what charts ask,
        # so that thousands of them are read in order from a few pages
        PrimaryKeyConstraint("point_id", "at", postgresql_include=["num", "whole", "kind", "quality"]),
        # a batch's rows lie together, so a block range index finds them and costs next to nothing to keep
        Index(
            "reading_batch",
            "batch_id",
            postgresql_using="brin",
            postgresql_with={"pages_per_range": 16, "autosummarize": "on"},
        ),
        {"postgresql_partition_by": "RANGE (at)"},
    )

    point_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    at: datetime = Field(sa_column=Column(DateTime(timezone=True), primary_key=True))
    edge_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    source_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    batch_id: int | None = Field(default=None, sa_column=Column(BigInteger))
    num: float | None = None
    whole: int | None = Field(default=None, sa_column=Column(BigInteger))
    kind: int = Field(sa_column=Column(SmallInteger, nullable=False))
    quality: int = Field(sa_column=Column(SmallInteger, nullable=False))
    simulated: bool = False
    unit: str
    reason: str = ""
    txt: str | None = None


class ReadingConflict(SQLModel, table=True):
    """A second, different value at (point_id, at); the first stays in `reading`. Append-only."""

    __tablename__ = "reading_conflict"
    __table_args__ = (Index("reading_conflict_point", "point_id", "at"),)

    id: int | None = Field(default=None, sa_column=Column(BigInteger, primary_key=True, autoincrement=True))
    point_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    edge_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    source_at: datetime | None = Field(default=None, sa_column=Column(DateTime(timezone=True)))
    batch_id: int | None = Field(default=None, sa_column=Column(BigInteger))
    num: float | None = None
    whole: int | None = Field(default=None, sa_column=Column(BigInteger))
    kind: int = Field(sa_column=Column(SmallInteger, nullable=False))
    quality: int = Field(sa_column=Column(SmallInteger, nullable=False))
    simulated: bool = False
    unit: str
    reason: str = ""
    txt: str | None = None
    known_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class SeriesDropped(SQLModel, table=True):
    """A week (its Monday, 00:00 UTC) that was shipped and dropped: only the store behind has all of it.

    What is put back, or lands late, makes the week's partition again; the row stays.
    """

    __tablename__ = "series_dropped"

    week: datetime = Field(sa_column=Column(DateTime(timezone=True), primary_key=True))
    dropped_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


class ReadingShipped(SQLModel, table=True):
    """What of a point's day (00:00 UTC) a gateway told and was shipped: how many readings, and the sum of their
    fingerprints (`core.series.shipped`), by which the store behind can be compared once they are no longer here.
    """

    __tablename__ = "reading_shipped"

    gateway: str = Field(primary_key=True)
    point_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    day: datetime = Field(sa_column=Column(DateTime(timezone=True), primary_key=True))
    count: int = Field(sa_column=Column(BigInteger, nullable=False))
    digest: Decimal = Field(sa_column=Column(Numeric(40, 0), nullable=False))


class ReadingRestored(SQLModel, table=True):
    """A point's day (00:00 UTC) of a dropped week that was put back, whole, until the week is dropped again."""

    __tablename__ = "reading_restored"

    point_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    day: datetime = Field(sa_column=Column(DateTime(timezone=True), primary_key=True))
    restored_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
