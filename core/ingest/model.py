"""Tables of the ingest: batches confirmed, how far, epochs, dead letters, alarms, and which worker has what."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Index, LargeBinary, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

from core.erp.kernel.model import identity, moment


class BatchRow(SQLModel, table=True):
    """A confirmed batch: its row is the confirmation. `count` = landed + duplicates + conflicts + dead.

    The figures say what became of its readings when it came; a dead letter replayed later lands in a batch of the
    core's own (`kind` core). `status` is landed, or shipped once its readings are in the series store behind;
    `shipped_at` is when that first was so. A row lives as long as its readings are here, then in a `BatchFold`.
    """

    __tablename__ = "batch"
    __table_args__ = (
        UniqueConstraint("gateway", "epoch", "partition", "number"),
        Index("batch_unshipped", "id", postgresql_where=text("status = 'landed' AND landed_count > 0")),
        Index("batch_time", "gateway", "cut_at"),
    )

    id: int = identity()
    gateway: str
    site: str
    epoch: str
    partition: int
    number: int = Field(sa_column=Column(BigInteger, nullable=False))
    kind: str
    sha256: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    count: int
    landed_count: int = 0
    duplicate_count: int = 0
    conflict_count: int = 0
    dead_count: int = 0
    first_at: datetime | None = moment(nullable=True)
    last_at: datetime | None = moment(nullable=True)
    cut_at: datetime = moment()
    received_at: datetime = moment()
    status: str = "landed"
    shipped_at: datetime | None = moment(nullable=True)


class BatchFold(SQLModel, table=True):
    """A run of confirmed batches that were cut within one hour (UTC), one number after another without holes.

    `chain` is the chained hash of all of them by ascending number, as in the gateway's own folds. The figures are of
    those `gone`, whose own rows are removed; `slowest` is the longest that one of these was on the way, in seconds.
    """

    __tablename__ = "batch_fold"
    # carries what boards over months ask: there are a hundred thousand folds then
    __table_args__ = (Index("batch_fold_time", "gateway", "hour", postgresql_include=["slowest", "conflict_count"]),)

    gateway: str = Field(primary_key=True)
    epoch: str = Field(primary_key=True)
    partition: int = Field(primary_key=True)
    first_number: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    last_number: int = Field(sa_column=Column(BigInteger, nullable=False))
    site: str
    hour: datetime = moment()
    chain: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    gone: int = 0
    count: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    landed_count: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    duplicate_count: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    conflict_count: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    first_at: datetime | None = moment(nullable=True)
    last_at: datetime | None = moment(nullable=True)
    first_cut_at: datetime = moment()
    last_cut_at: datetime = moment()
    last_received_at: datetime = moment()
    slowest: float = 0.0


class BatchProgress(SQLModel, table=True):
    """All numbers through `through` are confirmed. `follows` once all earlier epochs are complete for the partition."""

    __tablename__ = "batch_progress"

    gateway: str = Field(primary_key=True)
    epoch: str = Field(primary_key=True)
    partition: int = Field(primary_key=True)
    through: int = Field(sa_column=Column(BigInteger, nullable=False))
    follows: bool = Field(default=False, sa_column=Column(Boolean, nullable=False))


class ConfirmationLost(SQLModel, table=True):
    """A gateway that had been told all through `once_confirmed` is confirmed asked, and this database had all through
    `confirmed`: it was restored. At or below `gone` the gateway has nothing any more to send again. Append-only; once
    for each `confirmed`.
    """

    __tablename__ = "confirmation_lost"

    gateway: str = Field(primary_key=True)
    epoch: str = Field(primary_key=True)
    partition: int = Field(primary_key=True)
    confirmed: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    once_confirmed: int = Field(sa_column=Column(BigInteger, nullable=False))
    gone: int = Field(sa_column=Column(BigInteger, nullable=False))
    at: datetime = moment()


class GatewayEpoch(SQLModel, table=True):
    """An epoch heard of. `announced` once a number 1 has said what came before: `previous` and its last numbers.

    `sources` are those that the gateway's configuration, whose hash is `config`, then named; null where it never said.
    """

    __tablename__ = "gateway_epoch"
    __table_args__ = (UniqueConstraint("gateway", "epoch"),)

    id: int = identity()
    gateway: str
    epoch: str
    announced: bool = False
    previous: str | None = None
    last_numbers: dict[str, int] = Field(default_factory=dict, sa_column=Column(JSONB, nullable=False))
    config: str | None = None
    sources: list[str] | None = Field(default=None, sa_column=Column(ARRAY(Text)))
    first_seen_at: datetime = moment()


class EpochClosed(SQLModel, table=True):
    """A signed act: this epoch's spool is lost, what is missing will never come. Append-only."""

    __tablename__ = "epoch_closed"

    gateway: str = Field(primary_key=True)
    epoch: str = Field(primary_key=True)
    closed_at: datetime = moment()
    actor: str
    reason: str
    signature_id: int | None = Field(default=None, sa_column=Column(BigInteger))
    missing: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSONB, nullable=False))


class PendingWatermark(SQLModel, table=True):
    """Watermarks of a confirmed batch that wait for lower numbers or earlier epochs."""

    __tablename__ = "pending_watermark"

    gateway: str = Field(primary_key=True)
    epoch: str = Field(primary_key=True)
    partition: int = Field(primary_key=True)
    number: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    data: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class DeadLetter(SQLModel, table=True):
    """What could not be decoded, validated or stored, as it came, with its reason; never removed.

    `kind` is message (a whole message that is no batch, or not the batch it says), part (one reading, watermark or
    gap of a batch that cannot be decoded), reading (decoded, refused) or unstored (refused by the series store).
    """

    __tablename__ = "dead_letter"
    __table_args__ = (Index("dead_letter_open", "reason", "id", postgresql_where=text("replayed_at IS NULL")),)

    id: int = identity()
    at: datetime = moment()
    batch_id: int | None = Field(default=None, sa_column=Column(BigInteger))
    gateway: str | None = None
    partition: int | None = None
    kind: str
    reason: str
    detail: str
    detail_message: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB))
    point: str | None = None
    reading_at: datetime | None = moment(nullable=True)
    raw: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    replayed_at: datetime | None = moment(nullable=True)
    replayed_by: str | None = None
    outcome: str | None = None


class IngestAlarm(SQLModel, table=True):
    """Something a person must look at: a stopped partition, a batch that is not what it was."""

    __tablename__ = "ingest_alarm"
    __table_args__ = (Index("ingest_alarm_open", "kind", "partition", postgresql_where=text("cleared_at IS NULL")),)

    id: int = identity()
    at: datetime = moment()
    kind: str
    partition: int | None = None
    gateway: str | None = None
    detail: str
    detail_message: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB))
    cleared_at: datetime | None = moment(nullable=True)


class IngestWorker(SQLModel, table=True):
    """A worker that lives, by the database's clock."""

    __tablename__ = "ingest_worker"

    name: str = Field(primary_key=True)
    until: datetime = moment()


class IngestLease(SQLModel, table=True):
    """Which worker folds a partition, until when, by the database's clock."""

    __tablename__ = "ingest_lease"

    partition: int = Field(primary_key=True)
    worker: str
    until: datetime = moment()
