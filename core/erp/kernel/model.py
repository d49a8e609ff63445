"""Tables of the kernel: users, audit rows and their seals, outbox, idempotency keys, signatures."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    Interval,
    LargeBinary,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

from core.erp.kernel.search_indexes import beginnings


def moment(*, nullable: bool = False, **options: Any) -> Any:
    """A column for an instant with its time zone."""
    return Field(sa_column=Column(DateTime(timezone=True), nullable=nullable, **options))


def identity() -> Any:
    """A 64-bit primary key that the database gives."""
    return Field(default=None, sa_column=Column(BigInteger, primary_key=True, autoincrement=True))


def ref(*, nullable: bool = False, index: bool = False) -> Any:
    """A column for another record's id."""
    return Field(default=None, sa_column=Column(BigInteger, nullable=nullable, index=index))


ACTIVE_OR_WITHDRAWN = "state IN ('active', 'withdrawn')"
"""The check of its table."""


def active_or_withdrawn() -> Any:
    """The `state` of master data, which is active until somebody withdraws it."""
    return Field(default="active", sa_column=Column(Text, nullable=False, server_default="active"))


class User(SQLModel, table=True):
    """Somebody who signs in. `roles` are codes of roles: of permits.Role, or composed by the site (access).

    `proposed_roles` sign or manage users, and count once a second person has approved them: not `proposed_by`.
    """

    __tablename__ = "app_user"
    __table_args__ = (beginnings("app_user", "login"),)

    id: int = identity()
    login: str = Field(unique=True)
    name: str
    password_hash: str
    roles: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    proposed_roles: list[str] = Field(
        default_factory=list, sa_column=Column(ARRAY(Text), nullable=False, server_default="{}")
    )
    proposed_by: str | None = None
    active: bool = True
    created_at: datetime = moment()
    token_epoch: int = 0
    """Grows with each change of password and each deactivation: tokens of an earlier epoch are dead."""
    one_time_until: datetime | None = moment(nullable=True)
    """The password was given by somebody else: until then it opens the choice of one's own, and nothing more."""
    site_ids: list[int] = Field(
        default_factory=list, sa_column=Column(ARRAY(BigInteger), nullable=False, server_default="{}")
    )
    """The sites the user belongs to; empty: all of them."""
    partner_id: int | None = ref(nullable=True)
    """Whose person this is: outside people have a partner, inside people none."""
    language: str = Field(default="", sa_column=Column(Text, nullable=False, server_default=""))
    """The language chosen; empty: the browser's."""


class RevokedToken(SQLModel, table=True):
    """A session that has ended before its time. Kept `until` none of its tokens could be used or renewed any more."""

    __tablename__ = "revoked_token"

    jti: str = Field(primary_key=True)
    user_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    at: datetime = moment()
    until: datetime = moment(index=True)
    why: str = "out"
    """`out`: its owner signed out; `wrong`: too many wrong passwords in a row when signing records."""


class AuditRow(SQLModel, table=True):
    """Who did what to which record, when and why, with values before and after. Append-only.

    `hash` is an HMAC over the row's own content, `nonce` included, under the key that `key_id` names (audit_keys); the
    sealer chains committed rows (rule 5).
    """

    __tablename__ = "audit"
    __table_args__ = (Index("audit_entity", "entity", "entity_id"), Index("audit_at", "at"))

    id: int = identity()
    at: datetime = moment()
    actor: str
    action: str
    entity: str
    entity_id: str
    before: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB))
    after: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB))
    reason: str | None = None
    nonce: int = Field(sa_column=Column(BigInteger, nullable=False))
    key_id: str
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class AuditSeal(SQLModel, table=True):
    """A sealed batch of audit rows: their ids in sealing order and an HMAC chained to the seal before. Append-only.

    `witness` is whose file it was then told to, and `witnessed` the last seal that was in it.
    """

    __tablename__ = "audit_seal"

    number: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    at: datetime = moment()
    row_ids: list[int] = Field(sa_column=Column(ARRAY(BigInteger), nullable=False))
    previous: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    key_id: str
    witness: str
    witnessed: int = Field(sa_column=Column(BigInteger, nullable=False))


class AuditSealed(SQLModel, table=True):
    """Which seal an audit row is in. Append-only."""

    __tablename__ = "audit_sealed"

    audit_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    seal: int = Field(sa_column=Column(BigInteger, nullable=False))


class Restoration(SQLModel, table=True):
    """The database was found behind its witness: a backup was put back, or the newest rows were cut off.

    Until QA has signed it, what a hold would stop is stopped (`lotwise_obstacles`). `database_seal` is the last seal
    that was there, `witnessed_seal` the last that was witnessed; `receivers` is what the database then knew of who
    is told by message, before they were told more; `record` is what was signed.
    """

    __tablename__ = "restoration"
    __table_args__ = (UniqueConstraint("database_seal", "witnessed_seal"),)

    id: int = identity()
    found_at: datetime = moment()
    database_seal: int = Field(sa_column=Column(BigInteger, nullable=False))
    witnessed_seal: int = Field(sa_column=Column(BigInteger, nullable=False))
    receivers: list[dict[str, Any]] = Field(sa_column=Column(JSONB, nullable=False))
    signature_id: int | None = Field(default=None, sa_column=Column(BigInteger, unique=True))
    signed_at: datetime | None = moment(nullable=True)
    record: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB))


class OutboxRow(SQLModel, table=True):
    """Something to tell others once the transaction is committed. Append-only."""

    __tablename__ = "outbox"
    __table_args__ = (Index("outbox_topic", "topic"),)

    id: int = identity()
    at: datetime = moment()
    topic: str
    key: str
    payload: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))


class OutboxTask(SQLModel, table=True):
    """One row per outbox row and handler, deleted never; `done_at` set when handled once."""

    __tablename__ = "outbox_task"
    __table_args__ = (
        UniqueConstraint("outbox_id", "handler"),
        Index("outbox_task_open", "handler", "next_at", postgresql_where="done_at IS NULL"),
    )

    id: int = identity()
    outbox_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    handler: str
    attempts: int = 0
    next_at: datetime = moment()
    done_at: datetime | None = moment(nullable=True)
    last_error: str | None = None


class OutboxSubscription(SQLModel, table=True):
    """A handler and the topics it wants (a LIKE pattern). A trigger makes the task with the outbox row.

    `external`: it tells another server, which a restore of this database does not rewind.
    """

    __tablename__ = "outbox_subscription"

    handler: str = Field(primary_key=True)
    pattern: str
    external: bool = Field(default=False, sa_column=Column(Boolean, nullable=False))


class Heartbeat(SQLModel, table=True):
    """When a part of the background work last came round, by the database's clock, and within what it should again."""

    __tablename__ = "heartbeat"

    part: str = Field(primary_key=True)
    at: datetime = moment()
    due_within: timedelta = Field(sa_column=Column(Interval, nullable=False))


class IdempotencyKey(SQLModel, table=True):
    """The answer already given to a posting, so that the same key posts once (rule 9)."""

    __tablename__ = "idempotency_key"

    key: str = Field(primary_key=True)
    actor: str = Field(primary_key=True)
    request_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    status: int
    response: Any = Field(sa_column=Column(JSONB, nullable=False))
    at: datetime = moment()


class Signature(SQLModel, table=True):
    """Name, time, meaning and the hash of the record it signs (21 CFR 11.50, 11.70). Append-only."""

    __tablename__ = "signature"
    __table_args__ = (
        Index("signature_entity", "entity", "entity_id"),
        Index("signature_at", "at", "id"),
        Index("signature_session", "session", postgresql_where="session IS NOT NULL"),
    )

    id: int = identity()
    user_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    name: str
    at: datetime = moment()
    meaning: str
    """As the signer saw it, in the signer's language."""
    meaning_message: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB))
    entity: str
    entity_id: str
    record_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    reason: str | None = None
    session: str | None = None
    """The session (of a token or a browser) it was made in; the first signing of a session gives login and password."""


class LoginAttempt(SQLModel, table=True):
    """Somebody tried a password, to sign in from an address or to sign a record in a session: what limits count."""

    __tablename__ = "login_attempt"
    __table_args__ = (
        Index("login_attempt_login", "login", "at"),
        Index("login_attempt_session", "session", postgresql_where="session IS NOT NULL"),
    )

    id: int = identity()
    login: str
    address: str
    at: datetime = moment()
    ok: bool
    session: str | None = None
    """The session in which a record was to be signed; None for a sign-in."""
