"""Routes of the catalog: places, points, instruments."""

from typing import Annotated, Any, TypeVar

from fastapi import Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlmodel import SQLModel

from core.erp.catalog import service
from core.erp.catalog.changes_api import router as changes
from core.erp.catalog.items_api import router as items
from core.erp.catalog.model import Calibration, Installation, Point, Sensor, Zone, ZoneNesting
from core.erp.catalog.shapes import (
    CalibrationIn,
    CalibrationOut,
    InstallationIn,
    InstallationOut,
    NestingIn,
    NestingOut,
    PointIn,
    PointOut,
    SensorIn,
    SensorOut,
    ZoneIn,
    ZoneOut,
)
from core.erp.kernel.door import needs, routes
from core.erp.kernel.http import PROBLEMS, Body, Cursor, Door, DoorKeeper, FilterId, Id, Limit, Moment, Page, paginate
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit

router = routes(tags=["catalog"], responses=PROBLEMS)
Out = TypeVar("Out", bound=BaseModel)


def listed(
    door: DoorKeeper, model: type[SQLModel], out: type[Out], cursor: str | None, limit: int, **filters: Any
) -> Page[Out]:
    """A page of a plain table; filters that are None do not count."""
    t = table(model)
    where = [t.c[name] == value for name, value in filters.items() if value is not None]

    def work(u: Unit) -> Page[Out]:
        rows, following = paginate(u, select(t).where(*where), t.c.id, cursor, limit)
        return Page(items=[out.model_validate(row, from_attributes=True) for row in rows], next=following)

    return door.read(work)


@router.get("/zones")
@needs("catalog.read")
def list_zones(
    door: Door, site_id: FilterId = None, address: str | None = None, cursor: Cursor = None, limit: Limit = 100
) -> Page[ZoneOut]:
    """All zones."""
    return listed(door, Zone, ZoneOut, cursor, limit, site_id=site_id, address=address)


@router.post("/zones", status_code=201, response_model=ZoneOut)
@needs("catalog.manage")
def add_zone(body: ZoneIn, door: Door) -> JSONResponse:
    """A space whose climate matters. Its address (site/area/zone) never changes."""
    return door.post(lambda u: ZoneOut.model_validate(service.create_zone(u, **body.model_dump())))


@router.get("/nestings")
@needs("catalog.read")
def list_nestings(
    door: Door, zone_id: FilterId = None, parent_id: FilterId = None, cursor: Cursor = None, limit: Limit = 100
) -> Page[NestingOut]:
    """Which zone stood in which, from-until."""
    return listed(door, ZoneNesting, NestingOut, cursor, limit, zone_id=zone_id, parent_id=parent_id)


@router.post("/nestings", status_code=201, response_model=NestingOut)
@needs("catalog.points", "custody.post")
def add_nesting(body: NestingIn, door: Door) -> JSONResponse:
    """A zone stands in another from `from_at` on (a shipper in a truck): a fact, which may be learned late.

    Of the zones around goods the innermost that is monitored judges them; what they went through since then is judged
    again. Written by whoever looks after the places, or whoever loads (`custody.post`).
    """

    def work(u: Unit) -> NestingOut:
        _loads(u)
        return NestingOut.model_validate(service.nest_zone(u, **body.model_dump()))

    return door.post(work)


def _loads(u: Unit) -> None:
    if not u.actor.may("catalog.points"):
        u.need("custody.post")


class EndIn(Body):
    """When something ended."""

    to_at: Moment


@router.post("/nestings/{nesting_id}/end", response_model=NestingOut)
@needs("catalog.points", "custody.post")
def end_nesting(nesting_id: Id, body: EndIn, door: Door) -> JSONResponse:
    """The zone left the other one."""

    def work(u: Unit) -> NestingOut:
        _loads(u)
        return NestingOut.model_validate(service.end_nesting(u, nesting_id, body.to_at))

    return door.post(work, status=200)


@router.get("/points")
@needs("catalog.read")
def list_points(
    door: Door,
    zone_id: FilterId = None,
    role: Annotated[str | None, Query(pattern="^(required|spare|machine)$")] = None,
    address: str | None = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Page[PointOut]:
    """All points."""
    return listed(door, Point, PointOut, cursor, limit, zone_id=zone_id, role=role, address=address)


@router.post("/points", status_code=201, response_model=PointOut)
@needs("catalog.points")
def add_point(body: PointIn, door: Door) -> JSONResponse:
    """One measured quantity of a zone or machine."""
    return door.post(lambda u: PointOut.model_validate(service.create_point(u, **body.model_dump())))


@router.get("/sensors")
@needs("catalog.read")
def list_sensors(
    door: Door, serial: Annotated[str | None, Field(max_length=200)] = None, cursor: Cursor = None, limit: Limit = 100
) -> Page[SensorOut]:
    """All instruments."""
    return listed(door, Sensor, SensorOut, cursor, limit, serial=serial)


@router.post("/sensors", status_code=201, response_model=SensorOut)
@needs("catalog.points")
def add_sensor(body: SensorIn, door: Door) -> JSONResponse:
    """A physical instrument."""
    return door.post(lambda u: SensorOut.model_validate(service.create_sensor(u, **body.model_dump())))


@router.get("/installations")
@needs("catalog.read")
def list_installations(
    door: Door, sensor_id: FilterId = None, point_id: FilterId = None, cursor: Cursor = None, limit: Limit = 100
) -> Page[InstallationOut]:
    """Which sensor spoke for which point, from-until."""
    return listed(door, Installation, InstallationOut, cursor, limit, sensor_id=sensor_id, point_id=point_id)


@router.post("/installations", status_code=201, response_model=InstallationOut)
@needs("catalog.points")
def add_installation(body: InstallationIn, door: Door) -> JSONResponse:
    """A sensor speaks for a point from then on; the one before ends there."""
    return door.post(lambda u: InstallationOut.model_validate(service.install_sensor(u, **body.model_dump())))


@router.get("/calibrations")
@needs("catalog.read")
def list_calibrations(
    door: Door, sensor_id: FilterId = None, cursor: Cursor = None, limit: Limit = 100
) -> Page[CalibrationOut]:
    """All calibrations."""
    return listed(door, Calibration, CalibrationOut, cursor, limit, sensor_id=sensor_id)


@router.post("/calibrations", status_code=201, response_model=CalibrationOut)
@needs("calibration.record")
def add_calibration(body: CalibrationIn, door: Door) -> JSONResponse:
    """A calibration. A failed as-found check judges everything again since the last good one."""
    return door.post(lambda u: CalibrationOut.model_validate(service.record_calibration(u, **body.model_dump())))


router.include_router(items)
router.include_router(changes)
