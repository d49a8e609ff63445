"""Tables of quality: incidents, excursions, dispositions, batch releases, deviations, zone alarms."""

from datetime import datetime, timedelta

from sqlalchemy import CheckConstraint, Column, Index, Interval, UniqueConstraint
from sqlmodel import Field, SQLModel

from core.erp.catalog.model import ref
from core.erp.kernel.model import identity, moment


class Incident(SQLModel, table=True):
    """One cause (a room that got warm, a sensor that fell silent) and the excursions it made."""

    __tablename__ = "incident"
    __table_args__ = (UniqueConstraint("zone_id", "kind", "started_at"),)

    id: int | None = identity()
    zone_id: int | None = ref(nullable=True, index=True)
    kind: str
    """limit, gap, silent_gateway."""
    started_at: datetime = moment()
    known_at: datetime = moment()
    title: str


class Excursion(SQLModel, table=True):
    """One limit of a profile broken by what one sublot went through.

    Its identity is (sublot, profile version, limit, started_at): a function of the data. `broke_at` is when the
    count reached its delay, `known_at` when we learned it. States: open, ended, assessed, dispositioned, closed,
    superseded. `certainty`: proven, uncertain, unproven. `accepted` is the count a disposition has accepted.
    """

    __tablename__ = "excursion"
    __table_args__ = (
        UniqueConstraint("sublot_id", "version_id", "limit_key", "started_at", "accepted_before"),
        CheckConstraint("certainty IN ('proven', 'uncertain', 'unproven')"),
        CheckConstraint("state IN ('open', 'ended', 'assessed', 'dispositioned', 'closed', 'superseded')"),
        Index("excursion_sublot", "sublot_id"),
        Index("excursion_zone", "zone_id"),
        Index("excursion_state", "state"),
    )

    id: int | None = identity()
    incident_id: int | None = ref(index=True)
    sublot_id: int | None = ref()
    zone_id: int | None = ref(nullable=True)
    version_id: int | None = ref()
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


class Disposition(SQLModel, table=True):
    """QA's signed decision on one excursion of one sublot. Append-only; lifts its own hold and nothing else."""

    __tablename__ = "disposition"
    __table_args__ = (CheckConstraint("decision IN ('accept', 'restrict', 'reject', 'rework', 'return', 'destroy')"),)

    id: int | None = identity()
    excursion_id: int | None = ref(index=True)
    decision: str
    reason: str
    signature_id: int | None = ref()
    accepted: timedelta = Field(sa_column=Column(Interval, nullable=False))
    at: datetime = moment()


class BatchRelease(SQLModel, table=True):
    """The signed act by which a sublot leaves quarantine. Append-only."""

    __tablename__ = "batch_release"

    id: int | None = identity()
    sublot_id: int | None = ref(index=True)
    signature_id: int | None = ref()
    at: datetime = moment()


class Deviation(SQLModel, table=True):
    """A fact that broke a rule when it was posted; QA's to assess. States: open, closed."""

    __tablename__ = "deviation"

    id: int | None = identity()
    sublot_id: int | None = ref(nullable=True, index=True)
    shipment_id: int | None = ref(nullable=True)
    title: str
    detail: str
    happened_at: datetime = moment()
    known_at: datetime = moment()
    state: str = "open"


class ZoneAlarm(SQLModel, table=True):
    """A zone out of its own band, or silent. ISA-18.2 states; the operator's.

    `kind`: high, low, stale, silent_gateway. States: unacknowledged, acknowledged, returned_unacknowledged, normal
    (closed), with `shelved_until`, `suppressed`, `out_of_service` beside it. Shelving never silences the judge.
    """

    __tablename__ = "zone_alarm"
    __table_args__ = (
        CheckConstraint("state IN ('unacknowledged', 'acknowledged', 'returned_unacknowledged', 'normal')"),
        Index("zone_alarm_open", "zone_id", "kind", unique=True, postgresql_where="state <> 'normal' AND returned_at IS NULL"),
    )

    id: int | None = identity()
    zone_id: int | None = ref(index=True)
    kind: str
    state: str = "unacknowledged"
    started_at: datetime = moment()
    raised_at: datetime = moment()
    returned_at: datetime | None = moment(nullable=True)
    acknowledged_at: datetime | None = moment(nullable=True)
    acknowledged_by: str | None = None
    shelved_until: datetime | None = moment(nullable=True)
    shelve_reason: str | None = None
    suppressed: bool = False
    out_of_service: bool = False
    value: float | None = None
