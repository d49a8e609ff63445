"""The records of the catalog: places, points, instruments, items, and what they tolerate."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import SQLModel

from core.erp.catalog import calibrations, instruments, queries, revisions, scopes, service
from core.erp.catalog.calibration_shapes import CalibrationIn, CalibrationOut, PlanChange, PlanIn, PlanOut, SignOffIn
from core.erp.catalog.change_shapes import (
    ItemChange,
    LimitChange,
    PointChange,
    ProfileChange,
    SensorChange,
    SiteChange,
    ZoneChange,
)
from core.erp.catalog.model import (
    Calibration,
    CalibrationPlan,
    Installation,
    Item,
    ItemProfile,
    Point,
    ProfileLimit,
    Sensor,
    Site,
    StorageProfile,
    Zone,
    ZoneNesting,
)
from core.erp.catalog.shapes import (
    AssignIn,
    AssignOut,
    EndIn,
    InstallationIn,
    InstallationOut,
    ItemIn,
    ItemOut,
    LimitShape,
    NestingIn,
    NestingOut,
    PointIn,
    PointOut,
    ProfileIn,
    ProfileOut,
    SensorIn,
    SensorOut,
    SiteIn,
    SiteOut,
    VersionIn,
    VersionOut,
    ZoneIn,
    ZoneOut,
)
from core.erp.catalog.withdrawal import ACTIVE
from core.erp.catalog.workflow import (
    ITEM,
    MAKES_SITES,
    MANAGE,
    MANAGES_ITEMS,
    PLAN,
    POINT,
    POINTS,
    PROFILE,
    PROFILES,
    SENSOR,
    SITE,
    ZONE,
)
from core.erp.kernel.records import Change, Column, Create, Entity, Files, Filter, Hidden, Search, Section, Verb
from core.erp.kernel.shapes import ReasonIn
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit

READ = "catalog.read"
APPROVE, TO_SIGN = "calibration.approve", frozenset({"to_sign"})
LOADS = (POINTS, "custody.post")
"""Who says which zone stands in which: whoever looks after the places, or whoever loads."""


IN_USE = frozenset({ACTIVE})
STATE = Column("state", filter="in")
LIFE = (Verb("withdraw"), Verb("reinstate"))


def _active(model: type[SQLModel]) -> Hidden:
    """Lists show what is in use, unless they are asked for a state."""
    return Hidden(table(model).c.state == ACTIVE, unless="state")


def _add_version(
    u: Unit, profile_id: int, *, allowed_gap: timedelta, limits: Sequence[LimitShape], **options: Any
) -> VersionOut:
    """The next version of a profile; never changed once made."""
    rows = [ProfileLimit(**limit.model_dump()) for limit in limits]
    (made,) = queries.with_limits(u, [service.add_version(u, profile_id, allowed_gap, rows, **options)])
    return made


def _change_profile(u: Unit, profile_id: int, *, limits: Sequence[LimitChange] = (), **changes: Any) -> StorageProfile:
    named = [limit.model_dump(exclude_unset=True) for limit in limits]
    return revisions.change_profile(u, profile_id, limits=named, **changes)


def _assign(u: Unit, item_id: int, *, version_id: int, from_at: datetime | None) -> ItemProfile:
    """Judges an item by a profile version from then on."""
    return service.assign_profile(u, item_id, version_id, from_at or u.now)


SITES = Entity(
    name="site",
    path="sites",
    table=Site,
    read=READ,
    scope=scopes.SITES,
    cycle=SITE,
    answer=SiteOut,
    label="code",
    columns=(Column("code", filter="eq", sort=True, search=True), STATE),
    search=(Search(table(Site).c.name, within=True),),
    hidden=_active(Site),
    create=Create(MAKES_SITES, SiteIn, act=service.create_site, undo="withdraw"),
    change=Change(MANAGE, SiteChange, states=IN_USE),
    verbs=LIFE,
    order="id",
)

ZONES = Entity(
    name="zone",
    path="zones",
    table=Zone,
    read=READ,
    scope=scopes.ZONES,
    cycle=ZONE,
    answer=ZoneOut,
    label="address",
    columns=(
        Column("site_id", filter="eq", link="site"),
        Column("address", filter="eq", sort=True, search=True),
        STATE,
    ),
    search=(Search(table(Zone).c.name, within=True),),
    hidden=_active(Zone),
    create=Create(MANAGE, ZoneIn, act=service.create_zone, undo="withdraw"),
    change=Change(MANAGE, ZoneChange, act=revisions.change_zone, states=IN_USE),
    verbs=LIFE,
    order="id",
)

NESTINGS = Entity(
    name="zone_nesting",
    path="nestings",
    table=ZoneNesting,
    read=READ,
    scope=scopes.NESTINGS,
    answer=NestingOut,
    columns=(
        Column("zone_id", filter="eq", link="zone"),
        Column("parent_id", filter="eq", link="zone"),
    ),
    create=Create(LOADS, NestingIn, act=service.nest_zone),
    verbs=(Verb("end", EndIn, service.end_nesting, permit=LOADS),),
    order="id",
)

POINT_RECORDS = Entity(
    name="point",
    path="points",
    table=Point,
    read=READ,
    scope=scopes.POINTS,
    cycle=POINT,
    answer=PointOut,
    label="address",
    columns=(
        Column("zone_id", filter="eq", link="zone"),
        Column("role", filter="eq"),
        Column("address", filter="eq", sort=True, search=True),
        STATE,
    ),
    hidden=_active(Point),
    create=Create(POINTS, PointIn, act=service.create_point, undo="withdraw"),
    change=Change(POINTS, PointChange, act=revisions.change_point, states=IN_USE),
    verbs=(Verb("withdraw", ReasonIn, revisions.withdraw_point), Verb("reinstate")),
    order="id",
)

SENSORS = Entity(
    name="sensor",
    path="sensors",
    table=Sensor,
    read=READ,
    scope=scopes.SENSORS,
    cycle=SENSOR,
    answer=SensorOut,
    label="serial",
    columns=(Column("serial", filter="eq", sort=True, search=True), STATE),
    filters=(Filter("planned", bool, queries.is_planned),),
    hidden=_active(Sensor),
    create=Create(POINTS, SensorIn, act=service.create_sensor, undo="withdraw"),
    change=Change(POINTS, SensorChange, states=IN_USE),
    guard=instruments.check_sensor,
    verbs=LIFE,
    order="id",
)

INSTALLATIONS = Entity(
    name="installation",
    path="installations",
    table=Installation,
    read=READ,
    scope=scopes.INSTALLATIONS,
    answer=InstallationOut,
    columns=(
        Column("sensor_id", filter="eq", link="sensor"),
        Column("point_id", filter="eq", link="point"),
    ),
    create=Create(POINTS, InstallationIn, act=service.install_sensor),
    order="id",
)

CALIBRATION_PLANS = Entity(
    name="calibration_plan",
    path="calibration-plans",
    table=CalibrationPlan,
    read=READ,
    scope=scopes.CALIBRATION_PLANS,
    cycle=PLAN,
    answer=PlanOut,
    columns=(
        Column("sensor_id", filter="eq", link="sensor"),
        Column("state", filter="in"),
        Column("due_at", filter="range", sort=True),
    ),
    hidden=_active(CalibrationPlan),
    create=Create("calibration.plan", PlanIn, act=calibrations.create_plan, undo="withdraw"),
    change=Change("calibration.plan", PlanChange, states=frozenset({ACTIVE})),
    guard=instruments.check_plan,
    verbs=(Verb("withdraw", ReasonIn, calibrations.withdraw_plan),),
    order="due_at",
)

CALIBRATIONS = Entity(
    name="calibration",
    path="calibrations",
    table=Calibration,
    read=READ,
    scope=scopes.CALIBRATIONS,
    statement=queries.CALIBRATIONS,
    answer=CalibrationOut,
    columns=(Column("sensor_id", filter="eq", link="sensor"), Column("state", filter="in")),
    create=Create("calibration.record", CalibrationIn, act=calibrations.record_calibration),
    verbs=(
        Verb("sign_off", SignOffIn, signing=calibrations.sign_off_signing, permit=APPROVE, states=TO_SIGN, many=True),
        Verb("refuse", ReasonIn, calibrations.refuse_calibration, permit=APPROVE, states=TO_SIGN),
    ),
    files=Files("calibration.record", states=frozenset({"recorded", "to_sign"})),
    order="id",
)

ITEMS = Entity(
    name="item",
    path="items",
    table=Item,
    read=READ,
    scope=scopes.ITEMS,
    cycle=ITEM,
    answer=ItemOut,
    label="code",
    columns=(
        Column("code", filter="eq", sort=True, search=True),
        Column("profile_id", filter="eq", link="storage_profile"),
        STATE,
    ),
    search=(Search(table(Item).c.name, within=True),),
    hidden=_active(Item),
    create=Create(MANAGES_ITEMS, ItemIn, act=service.create_item, many=service.create_items, undo="withdraw"),
    change=Change(MANAGES_ITEMS, ItemChange, states=IN_USE),
    verbs=(
        *LIFE,
        Verb(
            "assign_profile",
            AssignIn,
            _assign,
            permit=PROFILES,
            path="profiles",
            answer=AssignOut,
            status=201,
            many=True,
        ),
    ),
    order="id",
    sections=(Section("profiles", queries.profiles_of, list[AssignOut]),),
)

PROFILE_RECORDS = Entity(
    name="storage_profile",
    path="profiles",
    table=StorageProfile,
    read=READ,
    scope=scopes.PROFILES,
    cycle=PROFILE,
    answer=ProfileOut,
    label="code",
    columns=(Column("code", filter="eq", sort=True, search=True), STATE),
    search=(Search(table(StorageProfile).c.name, within=True),),
    hidden=_active(StorageProfile),
    create=Create(PROFILES, ProfileIn, act=service.create_profile, undo="withdraw"),
    change=Change(PROFILES, ProfileChange, act=_change_profile, states=IN_USE),
    verbs=(
        *LIFE,
        Verb(
            "add_version",
            VersionIn,
            _add_version,
            permit=PROFILES,
            path="versions",
            answer=VersionOut,
            status=201,
            begins=queries.newest_of,
        ),
    ),
    order="id",
    sections=(Section("versions", queries.versions_of, list[VersionOut]),),
)

ENTITIES = (
    SITES,
    ZONES,
    NESTINGS,
    POINT_RECORDS,
    SENSORS,
    INSTALLATIONS,
    CALIBRATION_PLANS,
    CALIBRATIONS,
    ITEMS,
    PROFILE_RECORDS,
)
