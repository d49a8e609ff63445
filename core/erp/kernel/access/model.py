"""Tables of access: roles that a site composes. Users are the kernel's (`core.erp.kernel.model`)."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Column, Index, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel

from core.erp.kernel.model import identity, moment
from core.erp.kernel.search_indexes import beginnings

DRAFT, APPROVED, WITHDRAWN = "draft", "approved", "withdrawn"


class ComposedRole(SQLModel, table=True):
    """One edition of a role that a site composes of permits. States: draft, approved, withdrawn.

    Of a code at most one edition is approved, and that one counts; what an approved edition permits never changes: a
    new one replaces it. An `outside` role is for people of a partner.
    """

    __tablename__ = "role"
    __table_args__ = (
        UniqueConstraint("code", "edition"),
        CheckConstraint("state IN ('draft', 'approved', 'withdrawn')"),
        Index("role_draft", "code", unique=True, postgresql_where="state = 'draft'"),
        Index("role_approved", "code", unique=True, postgresql_where="state = 'approved'"),
        beginnings("role", "code"),
    )

    id: int = identity()
    code: str
    edition: int = 1
    name: str
    permits: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    outside: bool = False
    state: str = "draft"
    created_at: datetime = moment()
