"""Routes that change zones, points and limits. `If-Match` with a GET's `ETag` refuses what others changed since."""

from typing import Annotated

from fastapi import Header, Response
from fastapi.responses import JSONResponse

from core.erp.catalog import revisions, service
from core.erp.catalog.change_shapes import PointChange, ProfileChange, ZoneChange
from core.erp.catalog.items_api import version_answer
from core.erp.catalog.model import Point, Zone
from core.erp.catalog.shapes import PointOut, VersionOut, ZoneOut
from core.erp.kernel.door import needs, routes
from core.erp.kernel.http import PROBLEMS, Door, Id
from core.erp.kernel.unit import Unit

router = routes(responses=PROBLEMS)

IfMatch = Annotated[
    str | None, Header(max_length=200, description="the ETag it had when you read it: refused if it is another by now")
]


@router.get("/zones/{zone_id}")
@needs("catalog.read")
def one_zone(zone_id: Id, door: Door, response: Response) -> ZoneOut:
    """One zone; its `ETag` goes into `If-Match` of a change."""

    def work(u: Unit) -> ZoneOut:
        zone = service.get(u, Zone, zone_id)
        response.headers["ETag"] = revisions.etag(zone)
        return ZoneOut.model_validate(zone)

    return door.read(work)


@router.patch("/zones/{zone_id}", response_model=ZoneOut)
@needs("catalog.manage")
def change_zone(zone_id: Id, body: ZoneChange, door: Door, if_match: IfMatch = None) -> JSONResponse:
    """Changes a zone's name, kind, band, allowed gap, worst temperature, or whether it accepts held stock; audited.

    A band and an allowed gap count from now on. The address never changes; where the zone stands is a dated fact of its
    own (`/nestings`). A worst temperature by which goods were judged stays.
    """
    changes = body.model_dump(exclude_unset=True)
    return door.post(
        lambda u: ZoneOut.model_validate(revisions.change_zone(u, zone_id, changes, expected=if_match)),
        status=200,
    )


@router.get("/points/{point_id}")
@needs("catalog.read")
def one_point(point_id: Id, door: Door, response: Response) -> PointOut:
    """One point; its `ETag` goes into `If-Match` of a change."""

    def work(u: Unit) -> PointOut:
        point = service.get(u, Point, point_id)
        response.headers["ETag"] = revisions.etag(point)
        return PointOut.model_validate(point)

    return door.read(work)


@router.patch("/points/{point_id}", response_model=PointOut)
@needs("catalog.points")
def change_point(point_id: Id, body: PointChange, door: Door, if_match: IfMatch = None) -> JSONResponse:
    """Changes a point's role, unit or plausible values; audited. Its goods are judged again by them.

    Another unit is refused once the point has readings.
    """
    changes = body.model_dump(exclude_unset=True)
    return door.post(
        lambda u: PointOut.model_validate(revisions.change_point(u, point_id, changes, expected=if_match)),
        status=200,
    )


@router.patch("/profiles/{profile_id}", response_model=VersionOut)
@needs("catalog.profiles")
def change_profile(profile_id: Id, body: ProfileChange, door: Door) -> JSONResponse:
    """Edits a profile's newest version, named by `base`: the outcome is the next version, and none ever changes.

    With `from_at` the profile's items are judged by it from then on; without, assign it to items when you want.
    """
    changes = body.model_dump(exclude_unset=True, exclude={"base", "limits", "remove", "from_at"})
    limits = [limit.model_dump(exclude_unset=True) for limit in body.limits]

    def work(u: Unit) -> VersionOut:
        version = revisions.change_profile(u, profile_id, body.base, changes, limits, body.remove, from_at=body.from_at)
        return version_answer(u, version)

    return door.post(work, status=200)
