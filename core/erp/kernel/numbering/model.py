"""The table of numbering: how far each gapless series has counted."""

from sqlalchemy import BigInteger, CheckConstraint, Column
from sqlmodel import Field, SQLModel


class NumberCounter(SQLModel, table=True):
    """The last number that a gapless series gave in one site and year ("" and 0: the series does not count by them).

    It grows by one at a time, in the transaction that stores the number (trigger number_counter_guard).
    """

    __tablename__ = "number_counter"
    __table_args__ = (CheckConstraint("last >= 1"),)

    series: str = Field(primary_key=True)
    site: str = Field(primary_key=True)
    year: int = Field(primary_key=True)
    last: int = Field(sa_column=Column(BigInteger, nullable=False))
