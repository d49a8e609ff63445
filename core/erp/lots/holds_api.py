"""Routes of holds and restrictions."""

from fastapi.responses import JSONResponse
from sqlalchemy import select

from core.erp.kernel.door import needs, routes
from core.erp.kernel.errors import NotFound
from core.erp.kernel.http import PROBLEMS, Cursor, Door, FilterId, Id, Limit, Page, not_future, paginate
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.lots import service
from core.erp.lots.model import Hold, Restriction, Sublot
from core.erp.lots.shapes import HoldIn, HoldKind, HoldOut, ReasonIn, RestrictionIn, RestrictionOut

router = routes(tags=["holds"], responses=PROBLEMS)


@router.get("/holds")
@needs("stock.read")
def list_holds(
    door: Door,
    sublot_id: FilterId = None,
    lot_id: FilterId = None,
    shipment_id: FilterId = None,
    excursion_id: FilterId = None,
    kind: HoldKind | None = None,
    open_only: bool = True,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Page[HoldOut]:
    """Holds, newest first. For a sublot its lot's holds are listed too."""
    h, s = table(Hold), table(Sublot)
    given = {h.c.lot_id: lot_id, h.c.shipment_id: shipment_id, h.c.excursion_id: excursion_id, h.c.kind: kind}
    where = [column == value for column, value in given.items() if value is not None]
    if sublot_id is not None:
        lot = select(s.c.lot_id).where(s.c.id == sublot_id).scalar_subquery()
        where.append((h.c.sublot_id == sublot_id) | (h.c.lot_id == lot))
    if open_only:
        where.append(h.c.lifted_at.is_(None))

    def work(u: Unit) -> Page[HoldOut]:
        rows, following = paginate(u, select(h).where(*where), h.c.id, cursor, limit, newest_first=True)
        return Page(items=[HoldOut.model_validate(row).in_language(u.language) for row in rows], next=following)

    return door.read(work)


@router.get("/holds/{hold_id}")
@needs("stock.read")
def one_hold(hold_id: Id, door: Door) -> HoldOut:
    """One hold."""

    def work(u: Unit) -> HoldOut:
        row = u.conn.execute(select(table(Hold)).where(table(Hold).c.id == hold_id)).one_or_none()
        if row is None:
            raise NotFound("lots.no_hold", hold_id=hold_id)
        return HoldOut.model_validate(row).in_language(u.language)

    return door.read(work)


@router.post("/holds", status_code=201, response_model=list[HoldOut])
@needs("hold.place")
def place(body: HoldIn, door: Door) -> JSONResponse:
    """Places a hold, and on everything it must reach; the one asked for comes first."""

    def work(u: Unit) -> list[HoldOut]:
        given = body.model_dump(exclude={"since_at"})
        placed = service.place_hold(u, since_at=not_future(body.since_at, u), **given)
        return [HoldOut.model_validate(hold).in_language(u.language) for hold in placed]

    return door.post(work)


@router.post("/holds/{hold_id}/lift", response_model=HoldOut)
@needs("hold.lift", "batch.release", "logger.waive", "excursion.disposition")
def lift(hold_id: Id, body: ReasonIn, door: Door) -> JSONResponse:
    """Lifts this one hold and nothing else; needs the permit the hold names."""

    def work(u: Unit) -> HoldOut:
        return HoldOut.model_validate(service.lift_hold(u, hold_id, body.reason)).in_language(u.language)

    return door.post(work, status=200)


@router.get("/sublots/{sublot_id}/restrictions")
@needs("stock.read")
def list_restrictions(sublot_id: Id, door: Door) -> list[RestrictionOut]:
    """Conditions on a sublot's use, lifted ones included."""
    r = table(Restriction)
    rows = select(r).where(r.c.sublot_id == sublot_id).order_by(r.c.id)
    return door.read(lambda u: [RestrictionOut.model_validate(row) for row in u.conn.execute(rows)])


@router.post("/sublots/{sublot_id}/restrictions", status_code=201, response_model=RestrictionOut)
@needs("lot.restrict")
def restrict(sublot_id: Id, body: RestrictionIn, door: Door) -> JSONResponse:
    """Puts a condition on use."""
    return door.post(
        lambda u: RestrictionOut.model_validate(service.restrict(u, sublot_id, body.kind, body.value, body.reason))
    )


@router.post("/restrictions/{restriction_id}/lift", response_model=RestrictionOut)
@needs("lot.restrict")
def lift_restriction(restriction_id: Id, body: ReasonIn, door: Door) -> JSONResponse:
    """Takes a condition away from this one sublot."""
    return door.post(
        lambda u: RestrictionOut.model_validate(service.lift_restriction(u, restriction_id, body.reason)), status=200
    )
