"""The table of browser sessions."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, LargeBinary
from sqlmodel import Field, SQLModel

from core.erp.kernel.model import identity, moment

STANDING = "ended_at IS NULL"


class BrowserSession(SQLModel, table=True):
    """Somebody signed in with a browser. Only the SHA-256 of its cookie is kept: who reads the table is not let in.

    `last_used_at` is written at most once a minute. A session whose time is over may still have no `ended_at`.
    """

    __tablename__ = "browser_session"
    __table_args__ = (
        CheckConstraint("num_nonnulls(ended_at, ended_why) IN (0, 2)"),
        CheckConstraint("ended_why IN ('out', 'wrong', 'password', 'inactive', 'expired', 'administrator')"),
        Index("browser_session_standing", "user_id", postgresql_where=STANDING),
        Index("browser_session_began", "began_at", "id"),
    )

    id: int = identity()
    secret_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False, unique=True))
    user_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    token_epoch: int
    """The user's when it began: a change of password or a deactivation since then ends it."""
    began_at: datetime = moment()
    last_used_at: datetime = moment()
    ended_at: datetime | None = moment(nullable=True)
    ended_why: str | None = None
    address: str
    """Where it was begun from."""
