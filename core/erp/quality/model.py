"""Tables of quality: incidents, excursions, dispositions, batch releases, deviations, zone alarms."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Interval, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel

from core.erp.kernel.model import identity, moment, ref


class Incident(SQLModel, table=True):
    """One cause (a room that got warm, a sensor that fell silent) and the excursions it made.

    A silent gateway is one incident however many zones it speaks for: `gateway` names it and `zone_id` is empty.
    """

    __tablename__ = "incident"
    __table_args__ = (
        UniqueConstraint("zone_id", "kind", "started_at"),
        Index(
            "incident_silent", "gateway", unique=True, postgresql_where="kind = 'silent_gateway' AND ended_at IS NULL"
        ),
    )

    id: int = identity()
    zone_id: int | None = ref(nullable=True, index=True)
    kind: str
    """limit, gap, silent_gateway."""
    started_at: datetime = moment()
    known_at: datetime = moment()
    title: str
    title_message: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB))
    gateway: str | None = None
    ended_at: datetime | None = moment(nullable=True)


class Excursion(SQLModel, table=True):
    """One limit of a profile broken by what one sublot went through.

    Its identity is (sublot, profile version, limit, started_at): a function of the data. `broke_at` is when the
    count reached its delay, `known_at` when we learned it. States: open, ended, assessed, dispositioned, closed,
    superseded. `certainty`: proven, uncertain, unproven. `accepted` is the count a disposition has accepted.
    The identity binds what stands: a superseded row keeps its own, so that data may come round to it again.
    """

    __tablename__ = "excursion"
    __table_args__ = (
        Index(
            "excursion_identity",
            "sublot_id",
            "version_id",
            "limit_key",
            "started_at",
            "accepted_before",
            unique=True,
            postgresql_where="state <> 'superseded'",
        ),
        CheckConstraint("certainty IN ('proven', 'uncertain', 'unproven')"),
        CheckConstraint("state IN ('open', 'ended', 'assessed', 'dispositioned', 'closed', 'superseded')"),
        Index("excursion_sublot", "sublot_id"),
        Index("excursion_zone", "zone_id"),
        Index("excursion_state", "state"),
    )

    id: int = identity()
    incident_id: int = ref(index=True)
    sublot_id: int = ref()
    zone_id: int | None = ref(nullable=True)
    version_id: int = ref()
    limit_key: str
    kind: str
    started_at: datetime = moment()
    broke_at: datetime = moment()
    ended_at: datetime | None = moment(nullable=True)
    known_at: datetime = moment()
    certainty: str
    out: timedelta = Field(sa_column=Column(Interval, nullable=False))
    """Time out of the limit in this excursion, at the excursion's certainty."""
    lowest: float | None = None
    highest: float | None = None
    state: str = "open"
    accepted_before: timedelta = Field(default=timedelta(0), sa_column=Column(Interval, nullable=False))
    """What an earlier disposition had accepted of the same count, when a further breach opened this one."""
    accepted: timedelta | None = Field(default=None, sa_column=Column(Interval, nullable=True))
    replaces_id: int | None = ref(nullable=True, index=True)
    """The superseded excursion that this one continues: late data moved the start of the same run."""
    assessed_by: str | None = None
    assessment: str | None = None


class Disposition(SQLModel, table=True):
    """QA's signed decision on one excursion of one sublot. Append-only; lifts its own hold and nothing else.

    `record` is what was signed, as canonical JSON values; `hold_ids` are the holds the decision lifted.
    """

    __tablename__ = "disposition"
    __table_args__ = (
        CheckConstraint("decision IN ('accept', 'restrict', 'reject', 'rework', 'return', 'destroy')"),
        Index("disposition_signature", "signature_id", unique=True),
    )

    id: int = identity()
    excursion_id: int = ref(index=True)
    decision: str
    reason: str
    signature_id: int = ref()
    accepted: timedelta = Field(sa_column=Column(Interval, nullable=False))
    at: datetime = moment()
    record: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    hold_ids: list[int] = Field(sa_column=Column(ARRAY(BigInteger), nullable=False))


class BatchRelease(SQLModel, table=True):
    """The act by which a sublot leaves quarantine, signed unless `automatic`. Append-only.

    `record` is what the signature covers: the sublot, its exposure and the audit trail that was reviewed.
    `transaction` is the one that wrote it: the sublot becomes released in the same (a trigger asks).
    """

    __tablename__ = "batch_release"
    __table_args__ = (
        CheckConstraint("automatic = (signature_id IS NULL)"),
        Index("batch_release_signature", "signature_id", unique=True),
    )

    id: int = identity()
    sublot_id: int = ref(index=True)
    signature_id: int | None = ref(nullable=True)
    at: datetime = moment()
    automatic: bool = False
    record: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    transaction: int | None = Field(
        default=None,
        sa_column=Column(BigInteger, nullable=False, server_default=text("pg_current_xact_id()::text::bigint")),
    )


class Deviation(SQLModel, table=True):
    """A fact that broke a rule when it was posted; QA's to assess. States: open, closed."""

    __tablename__ = "deviation"
    __table_args__ = (
        CheckConstraint("num_nonnulls(conclusion, closed_by, closed_at) = CASE state WHEN 'closed' THEN 3 ELSE 0 END"),
    )

    id: int = identity()
    sublot_id: int | None = ref(nullable=True, index=True)
    shipment_id: int | None = ref(nullable=True)
    title: str
    title_message: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB))
    detail: str
    detail_message: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB))
    happened_at: datetime = moment()
    known_at: datetime = moment()
    state: str = "open"
    conclusion: str | None = None
    closed_by: str | None = None
    closed_at: datetime | None = moment(nullable=True)


class ZoneAlarm(SQLModel, table=True):
    """A zone out of its own band, or silent; or a sensor of it not to be trusted. ISA-18.2 states; the operator's.

    `kind`: high, low, stale, silent_gateway; of one sensor (`point_id`): sensor_stuck, sensor_jumps, sensor_drifts,
    sensor_no_defrost, with what was found in `detail_message`. States: unacknowledged, acknowledged,
    returned_unacknowledged, normal (closed), with `shelved_until`, `suppressed`, `out_of_service` beside it. Shelving
    never silences the judge.
    """

    __tablename__ = "zone_alarm"
    __table_args__ = (
        CheckConstraint("state IN ('unacknowledged', 'acknowledged', 'returned_unacknowledged', 'normal')"),
        Index(
            "zone_alarm_open",
            "zone_id",
            "kind",
            text("coalesce(point_id, 0)"),
            unique=True,
            postgresql_where="state <> 'normal' AND returned_at IS NULL",
        ),
    )

    id: int = identity()
    zone_id: int = ref(index=True)
    kind: str
    state: str = "unacknowledged"
    started_at: datetime = moment()
    raised_at: datetime = moment()
    returned_at: datetime | None = moment(nullable=True)
    acknowledged_at: datetime | None = moment(nullable=True)
    acknowledged_by: str | None = None
    comment: str | None = None
    """What whoever acknowledged it did about it."""
    shelved_until: datetime | None = moment(nullable=True)
    shelve_reason: str | None = None
    suppressed: bool = False
    out_of_service: bool = False
    value: float | None = None
    point_id: int | None = ref(nullable=True)
    detail: str | None = None
    detail_message: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB))


class ZoneAlarmMode(SQLModel, table=True):
    """How alarms of one kind in one zone are shown: shelved for a while, suppressed by design, or out of service.

    Outlives the single alarm, which copies it when raised. It changes what the operator hears, never what is judged.
    """

    __tablename__ = "zone_alarm_mode"

    zone_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    kind: str = Field(primary_key=True)
    shelved_until: datetime | None = moment(nullable=True)
    suppressed: bool = False
    out_of_service: bool = False
    reason: str
    by: str
    at: datetime = moment()
