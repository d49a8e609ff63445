"""Tables of imports: each run with what it made, and how the headings of a file were mapped before."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, LargeBinary, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from core.erp.kernel.model import identity, moment


class ImportRun(SQLModel, table=True):
    """A file that made records of one entity. It stands once, until it is undone.

    `mapping` is what every column was taken for and how values were read, `digest` its SHA-256; `mode` is `all` (or
    nothing) or `good` (rows only). `faults` are those told of the rows left out, at most `faults.SHOWN`.
    """

    __tablename__ = "import_run"
    __table_args__ = (
        CheckConstraint("mode IN ('all', 'good')"),
        CheckConstraint("num_nonnulls(undone_at, undone_by, undo_reason) IN (0, 3)"),
        Index("import_run_once", "entity", "sha256", "digest", unique=True, postgresql_where=text("undone_at IS NULL")),
        Index("import_run_entity", "entity", "id"),
    )

    id: int = identity()
    entity: str
    at: datetime = moment()
    by: str
    file: str
    sha256: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    mapping: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    digest: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    mode: str
    lines: int
    made: int
    bad: int
    faults: list[dict[str, Any]] = Field(sa_column=Column(JSONB, nullable=False))
    undone_at: datetime | None = moment(nullable=True)
    undone_by: str | None = None
    undo_reason: str | None = None


class ImportLine(SQLModel, table=True):
    """Which record a line of an imported file made. Append-only."""

    __tablename__ = "import_line"
    __table_args__ = (Index("import_line_record", "entity", "record_id"),)

    run_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    line: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    entity: str
    record_id: int = Field(sa_column=Column(BigInteger, nullable=False))


class ImportMapping(SQLModel, table=True):
    """What somebody said last of a file with these headings (`headings`: SHA-256 of their set), per entity."""

    __tablename__ = "import_mapping"

    entity: str = Field(primary_key=True)
    headings: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    mapping: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    at: datetime = moment()
    by: str
