"""Tables of the catalog: sites, zones and their nesting, points, sensors, calibrations, items, storage profiles."""

from datetime import datetime, timedelta

from sqlalchemy import CheckConstraint, Column, Index, Interval, UniqueConstraint
from sqlmodel import Field, SQLModel

from core.erp.kernel.model import ACTIVE_OR_WITHDRAWN, active_or_withdrawn, identity, moment, ref
from core.erp.kernel.search_indexes import beginnings, bigrams


def interval_column(*, nullable: bool = False) -> timedelta | None:
    """A column for a length of time."""
    return Field(default=None, sa_column=Column(Interval, nullable=nullable))  # type: ignore[no-any-return]  # SQLModel's Field gives what the annotation says


class Site(SQLModel, table=True):
    """A place of business. Its time zone decides what day it is there, and so when goods expire (rule 10)."""

    __tablename__ = "site"
    __table_args__ = (CheckConstraint(ACTIVE_OR_WITHDRAWN), beginnings("site", "code"), bigrams("site", "name"))

    id: int = identity()
    code: str = Field(unique=True)
    name: str
    timezone: str = "UTC"
    state: str = active_or_withdrawn()


class Zone(SQLModel, table=True):
    """Any space whose climate matters: a cold room, a truck box, a shipper, an oven, a dock.

    `address` is site/area/zone and never changes. The band is the room's own (its alarm), whatever stands in it;
    in degrees Celsius. A zone without required points spends at `worst_temperature` if that is declared.
    """

    __tablename__ = "zone"
    __table_args__ = (
        CheckConstraint(ACTIVE_OR_WITHDRAWN),
        CheckConstraint("band_low IS NULL OR band_high IS NULL OR band_low < band_high"),
        Index("zone_site_address", "site_id", "address", "id"),
        beginnings("zone", "address"),
        bigrams("zone", "name"),
    )

    id: int = identity()
    site_id: int = ref()
    address: str = Field(unique=True)
    name: str
    kind: str = "room"
    accepts_held: bool = False
    worst_temperature: float | None = None
    band_low: float | None = None
    band_high: float | None = None
    band_delay: timedelta = Field(default=timedelta(0), sa_column=Column(Interval, nullable=False))
    band_hysteresis: float = 0.0
    allowed_gap: timedelta = Field(default=timedelta(minutes=30), sa_column=Column(Interval, nullable=False))
    simulated: bool = False
    state: str = active_or_withdrawn()


class ZoneNesting(SQLModel, table=True):
    """A zone stands in another from-until (shipper in truck). The innermost monitored zone judges."""

    __tablename__ = "zone_nesting"

    id: int = identity()
    zone_id: int = ref(index=True)
    parent_id: int = ref(index=True)
    from_at: datetime = moment()
    to_at: datetime | None = moment(nullable=True)


class Point(SQLModel, table=True):
    """One measured quantity of a zone or machine. `role` is required or spare; `unit` is UCUM.

    `gap_limits` values outside plausible_low…plausible_high make a reading bad (out of sensor range).
    """

    __tablename__ = "point"
    __table_args__ = (
        CheckConstraint(ACTIVE_OR_WITHDRAWN),
        CheckConstraint("role IN ('required', 'spare', 'machine')"),
        beginnings("point", "address"),
    )

    id: int = identity()
    zone_id: int = ref(index=True)
    address: str = Field(unique=True)
    quantity: str
    unit: str
    role: str = "required"
    plausible_low: float | None = None
    plausible_high: float | None = None
    state: str = active_or_withdrawn()


class Sensor(SQLModel, table=True):
    """A physical instrument."""

    __tablename__ = "sensor"
    __table_args__ = (CheckConstraint(ACTIVE_OR_WITHDRAWN), beginnings("sensor", "serial"))

    id: int = identity()
    serial: str = Field(unique=True)
    model: str = ""
    state: str = active_or_withdrawn()


class Installation(SQLModel, table=True):
    """A sensor spoke for a point from-until. Exchanging a sensor resets nothing."""

    __tablename__ = "installation"

    id: int = identity()
    sensor_id: int = ref(index=True)
    point_id: int = ref(index=True)
    from_at: datetime = moment()
    to_at: datetime | None = moment(nullable=True)


class Calibration(SQLModel, table=True):
    """A calibration of a sensor. Overdue makes its readings uncertain from `due_at`.

    `as_found_error` is the largest error found before adjustment, reading minus reference: +0.4 read too high;
    `as_found_tolerance` is what it may be, either way, at most. When `as_found_ok` is false every reading since the
    last good calibration is judged again as uncertain by as much both ways: an error found at one moment does not say
    which way the sensor had drifted before. `as_left_error` is what remained after adjustment; `uncertainty` is the
    expanded one (k = 2) of both. With `to_sign` it makes no reading good before a second person has signed it.
    `known_at` is when we learned it.
    """

    __tablename__ = "calibration"

    id: int = identity()
    sensor_id: int = ref(index=True)
    done_at: datetime = moment()
    due_at: datetime = moment()
    as_found_ok: bool = True
    as_found_error: float = 0.0
    as_found_tolerance: float | None = None
    as_left_error: float | None = None
    as_left_ok: bool = True
    uncertainty: float | None = None
    guarded: bool = False
    certificate: str = ""
    to_sign: bool = False
    recorded_by: str = ""
    known_at: datetime = moment()


class CalibrationReview(SQLModel, table=True):
    """A second person's word on a calibration that has to be signed: accepted by signature, or refused. Append-only."""

    __tablename__ = "calibration_review"
    __table_args__ = (UniqueConstraint("calibration_id"),)

    id: int = identity()
    calibration_id: int = ref()
    sensor_id: int = ref(index=True)
    accepted: bool
    reason: str
    signature_id: int | None = ref(nullable=True)
    reviewed_by: str
    reviewed_at: datetime = moment()


class CalibrationPlan(SQLModel, table=True):
    """How often a sensor is calibrated, within which error, and whether a second person signs it off.

    `due_at` is when its next calibration is due; at once for a sensor that has none. `guarded`: the uncertainty of the
    calibration counts against it (guarded acceptance, ISO/IEC 17025 7.8.6), else the error alone decides.
    """

    __tablename__ = "calibration_plan"
    __table_args__ = (
        CheckConstraint(ACTIVE_OR_WITHDRAWN),
        CheckConstraint("tolerance > 0"),
        Index("calibration_plan_active", "sensor_id", unique=True, postgresql_where="state = 'active'"),
        Index("calibration_plan_due", "due_at", "id"),
        Index("calibration_plan_sensor", "sensor_id"),
    )

    id: int = identity()
    sensor_id: int = ref()
    interval: timedelta = Field(sa_column=Column(Interval, nullable=False))
    tolerance: float
    guarded: bool = False
    sign_off: bool = False
    due_at: datetime = moment()
    state: str = "active"


class StorageProfile(SQLModel, table=True):
    """What an item tolerates; the content is in its versions."""

    __tablename__ = "storage_profile"
    __table_args__ = (
        CheckConstraint(ACTIVE_OR_WITHDRAWN),
        beginnings("storage_profile", "code"),
        bigrams("storage_profile", "name"),
    )

    id: int = identity()
    code: str = Field(unique=True)
    name: str
    state: str = active_or_withdrawn()


class ProfileVersion(SQLModel, table=True):
    """One version of a storage profile; immutable once used. See exposure.rules.Profile for the meaning of each."""

    __tablename__ = "profile_version"
    __table_args__ = (UniqueConstraint("profile_id", "version"),)

    id: int = identity()
    profile_id: int = ref(index=True)
    version: int
    allowed_gap: timedelta = Field(sa_column=Column(Interval, nullable=False))
    shortest_event: timedelta = Field(default=timedelta(0), sa_column=Column(Interval, nullable=False))
    probe_kind: str = "air"
    mkt_limit: float | None = None
    mkt_window: timedelta | None = interval_column(nullable=True)
    activation_energy: float = 83.14472
    created_at: datetime = moment()


class ProfileLimit(SQLModel, table=True):
    """One limit of a profile version. `op` is >, >=, < or <=; `kind` instant, consecutive or cumulative."""

    __tablename__ = "profile_limit"
    __table_args__ = (
        UniqueConstraint("version_id", "key"),
        CheckConstraint("op IN ('>', '>=', '<', '<=')"),
        CheckConstraint("kind IN ('instant', 'consecutive', 'cumulative')"),
    )

    id: int = identity()
    version_id: int = ref(index=True)
    key: str
    quantity: str = "temperature"
    unit: str = "Cel"
    op: str
    threshold: float
    kind: str
    delay: timedelta = Field(default=timedelta(0), sa_column=Column(Interval, nullable=False))
    hysteresis: float = 0.0
    allowance: str | None = None
    """Limits of one version with the same allowance share one budget: the delay of the first of them."""


class Item(SQLModel, table=True):
    """A product or material. `profile_id` may be empty for goods without storage conditions."""

    __tablename__ = "item"
    __table_args__ = (CheckConstraint(ACTIVE_OR_WITHDRAWN), beginnings("item", "code"), bigrams("item", "name"))

    id: int = identity()
    code: str = Field(unique=True)
    name: str
    uom: str = "each"
    profile_id: int | None = ref(nullable=True, index=True)
    kind: str = "product"
    gtin: str | None = None
    shelf_life: timedelta | None = interval_column(nullable=True)
    state: str = active_or_withdrawn()


class ItemProfile(SQLModel, table=True):
    """Which profile version an item is judged by, from `from_at` on. Append-only."""

    __tablename__ = "item_profile"
    __table_args__ = (Index("item_profile_item", "item_id", "from_at"),)

    id: int = identity()
    item_id: int = ref()
    version_id: int = ref(index=True)
    from_at: datetime = moment()
