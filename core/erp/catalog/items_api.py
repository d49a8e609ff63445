"""Routes of items and their storage profiles."""

from fastapi.responses import JSONResponse
from sqlalchemy import select

from core.erp.catalog import service
from core.erp.catalog.model import Item, ItemProfile, ProfileLimit, ProfileVersion, StorageProfile
from core.erp.catalog.shapes import (
    AssignIn,
    AssignOut,
    ItemIn,
    ItemOut,
    LimitShape,
    ProfileIn,
    ProfileOut,
    VersionIn,
    VersionOut,
)
from core.erp.kernel.door import needs, routes
from core.erp.kernel.http import PROBLEMS, Cursor, Door, Id, Limit, Page, paginate
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit

router = routes(responses=PROBLEMS)


@router.get("/items")
@needs("catalog.read")
def list_items(door: Door, code: str | None = None, cursor: Cursor = None, limit: Limit = 100) -> Page[ItemOut]:
    """All items."""
    t = table(Item)
    where = [t.c.code == code] if code is not None else []

    def work(u: Unit) -> Page[ItemOut]:
        rows, following = paginate(u, select(t).where(*where), t.c.id, cursor, limit)
        return Page(items=[ItemOut.model_validate(row) for row in rows], next=following)

    return door.read(work)


@router.post("/items", status_code=201, response_model=ItemOut)
@needs("catalog.manage")
def add_item(body: ItemIn, door: Door) -> JSONResponse:
    """A product or material."""
    return door.post(lambda u: ItemOut.model_validate(service.create_item(u, **body.model_dump())))


@router.get("/items/{item_id}")
@needs("catalog.read")
def one_item(item_id: Id, door: Door) -> ItemOut:
    """One item."""
    return door.read(lambda u: ItemOut.model_validate(service.get(u, Item, item_id)))


@router.get("/items/{item_id}/profiles")
@needs("catalog.read")
def item_profiles(item_id: Id, door: Door) -> list[AssignOut]:
    """By which profile versions an item was judged, from when."""
    t = table(ItemProfile)
    rows = select(t).where(t.c.item_id == item_id).order_by(t.c.from_at, t.c.id)
    return door.read(lambda u: [AssignOut.model_validate(row) for row in u.conn.execute(rows)])


@router.post("/items/{item_id}/profiles", status_code=201, response_model=AssignOut)
@needs("catalog.profiles")
def assign_profile(item_id: Id, body: AssignIn, door: Door) -> JSONResponse:
    """Judges an item by a profile version from then on."""
    return door.post(
        lambda u: AssignOut.model_validate(service.assign_profile(u, item_id, body.version_id, body.from_at or u.now))
    )


@router.get("/profiles")
@needs("catalog.read")
def list_profiles(door: Door, code: str | None = None, cursor: Cursor = None, limit: Limit = 100) -> Page[ProfileOut]:
    """All storage profiles."""
    t = table(StorageProfile)
    where = [t.c.code == code] if code is not None else []

    def work(u: Unit) -> Page[ProfileOut]:
        rows, following = paginate(u, select(t).where(*where), t.c.id, cursor, limit)
        return Page(items=[ProfileOut.model_validate(row) for row in rows], next=following)

    return door.read(work)


@router.post("/profiles", status_code=201, response_model=ProfileOut)
@needs("catalog.profiles")
def add_profile(body: ProfileIn, door: Door) -> JSONResponse:
    """A storage profile, still without a version."""
    return door.post(lambda u: ProfileOut.model_validate(service.create_profile(u, body.code, body.name)))


def version_answer(u: Unit, version: ProfileVersion) -> VersionOut:
    """A version with its limits."""
    out = VersionOut.model_validate(version)
    limits = service.limits_of(u, [version.id])[version.id]
    return out.model_copy(update={"limits": [LimitShape.model_validate(limit) for limit in limits]})


@router.get("/profiles/{profile_id}/versions")
@needs("catalog.read")
def list_versions(profile_id: Id, door: Door) -> list[VersionOut]:
    """A profile's versions with their limits."""
    v = table(ProfileVersion)

    def work(u: Unit) -> list[VersionOut]:
        service.get(u, StorageProfile, profile_id)
        ids = u.conn.execute(select(v.c.id).where(v.c.profile_id == profile_id).order_by(v.c.version)).scalars().all()
        return [version_answer(u, u.session.get_one(ProfileVersion, version_id)) for version_id in ids]

    return door.read(work)


@router.post("/profiles/{profile_id}/versions", status_code=201, response_model=VersionOut)
@needs("catalog.profiles")
def add_version(profile_id: Id, body: VersionIn, door: Door) -> JSONResponse:
    """The next version of a profile; never changed once made."""

    def work(u: Unit) -> VersionOut:
        options = body.model_dump(exclude={"limits", "allowed_gap"})
        limits = [ProfileLimit(**limit.model_dump()) for limit in body.limits]
        return version_answer(u, service.add_version(u, profile_id, body.allowed_gap, limits, **options))

    return door.post(work)
