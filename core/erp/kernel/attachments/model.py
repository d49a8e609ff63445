"""Tables of attachments: documents that hang on records, and their versions."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from core.erp.kernel.model import identity, moment, ref


class Attachment(SQLModel, table=True):
    """A document on a record (`entity`, `entity_id`); its content is in its versions. Withdrawn, never removed."""

    __tablename__ = "attachment"
    __table_args__ = (Index("attachment_record", "entity", "entity_id"),)

    id: int = identity()
    entity: str
    entity_id: int = ref()
    kind: str = "document"
    title: str
    state: str = "current"
    created_at: datetime = moment()
    created_by: str
    withdrawn_reason: str | None = None


class AttachmentVersion(SQLModel, table=True):
    """One version of a document: the file `files/<sha256>`. Append-only; the newest counts, the others stay."""

    __tablename__ = "attachment_version"
    __table_args__ = (
        UniqueConstraint("attachment_id", "number"),
        CheckConstraint("number >= 1"),
        CheckConstraint("size > 0"),
        CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'"),
    )

    id: int = identity()
    attachment_id: int = ref()
    number: int
    name: str
    media_type: str
    size: int = Field(sa_column=Column(BigInteger, nullable=False))
    sha256: str = Field(index=True)
    note: str | None = None
    added_at: datetime = moment()
    added_by: str
