"""Routes of the ledger: intentions and facts, reservations, tasks."""

from typing import Annotated, Any

from fastapi import Query
from fastapi.responses import JSONResponse
from sqlalchemy import select

from core.erp.kernel.door import needs, routes
from core.erp.kernel.errors import NotFound
from core.erp.kernel.http import PROBLEMS, Cursor, Door, FilterId, Id, Limit, Page, paginate
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.lots import service
from core.erp.lots.model import Reservation, StockMove, StockTask
from core.erp.lots.shapes import (
    Context,
    CountIn,
    FactIn,
    MoveIn,
    MoveOut,
    ReasonIn,
    ReservationOut,
    ReservationState,
    ReserveIn,
    TaskOut,
)

router = routes(tags=["stock"], responses=PROBLEMS)


def _context(given: Context | None) -> dict[str, Any]:
    return given.model_dump(exclude_none=True) if given is not None else {}


@router.get("/moves")
@needs("stock.read")
def list_moves(
    door: Door,
    sublot_id: FilterId = None,
    reference: Annotated[str | None, Query(max_length=200)] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Page[MoveOut]:
    """The ledger, oldest first."""
    t = table(StockMove)
    given = {t.c.sublot_id: sublot_id, t.c.reference: reference}
    where = [column == value for column, value in given.items() if value is not None]

    def work(u: Unit) -> Page[MoveOut]:
        rows, following = paginate(u, select(t).where(*where), t.c.id, cursor, limit)
        return Page(items=[MoveOut.model_validate(row) for row in rows], next=following)

    return door.read(work)


@router.post("/sublots/{sublot_id}/move", status_code=201, response_model=MoveOut)
@needs("stock.move")
def move(sublot_id: Id, body: MoveIn, door: Door) -> JSONResponse:
    """Takes stock out: an intention, checked again in the transaction that posts it. 409 names every obstacle."""
    return door.post(
        lambda u: MoveOut.model_validate(
            service.move(
                u,
                sublot_id,
                body.amount,
                body.target,
                purpose=body.purpose,
                reference=body.reference,
                reason=body.reason,
                context=_context(body.context),
            )
        )
    )


@router.post("/sublots/{sublot_id}/facts", status_code=201, response_model=MoveOut)
@needs("fact.post")
def fact(sublot_id: Id, body: FactIn, door: Door) -> JSONResponse:
    """What has happened: posted with its true time, never refused; a breach opens a deviation and a hold."""
    return door.post(
        lambda u: MoveOut.model_validate(
            service.post_fact(
                u,
                sublot_id,
                body.amount,
                body.target,
                purpose=body.purpose,
                reference=body.reference,
                at=body.at,
                reason=body.reason,
            )
        )
    )


@router.post("/sublots/{sublot_id}/found", status_code=201, response_model=MoveOut)
@needs("fact.post")
def found(sublot_id: Id, body: CountIn, door: Door) -> JSONResponse:
    """More is there than on record."""
    return door.post(
        lambda u: MoveOut.model_validate(service.post_found(u, sublot_id, body.amount, at=body.at, reason=body.reason))
    )


@router.post("/sublots/{sublot_id}/lost", status_code=201, response_model=MoveOut)
@needs("fact.post")
def lost(sublot_id: Id, body: CountIn, door: Door) -> JSONResponse:
    """Less is there than on record."""
    return door.post(
        lambda u: MoveOut.model_validate(service.post_lost(u, sublot_id, body.amount, at=body.at, reason=body.reason))
    )


@router.post("/moves/{move_id}/reverse", status_code=201, response_model=MoveOut)
@needs("stock.move")
def reverse(move_id: Id, body: ReasonIn, door: Door) -> JSONResponse:
    """Undoes a move by its mirror image."""
    return door.post(lambda u: MoveOut.model_validate(service.reverse(u, move_id, reason=body.reason)))


@router.post("/sublots/{sublot_id}/reserve", status_code=201, response_model=ReservationOut)
@needs("stock.move", "stock.reserve")
def reserve(sublot_id: Id, body: ReserveIn, door: Door) -> JSONResponse:
    """Keeps a quantity for a work order or shipment."""

    def work(u: Unit) -> ReservationOut:
        if not u.actor.may("stock.move"):
            u.need("stock.reserve")
        return ReservationOut.model_validate(
            service.reserve(u, sublot_id, body.amount, body.purpose, body.reference, context=_context(body.context))
        )

    return door.post(work)


@router.get("/reservations")
@needs("stock.read")
def list_reservations(
    door: Door,
    sublot_id: FilterId = None,
    reference: Annotated[str | None, Query(max_length=200)] = None,
    state: ReservationState | None = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Page[ReservationOut]:
    """Reservations."""
    t = table(Reservation)
    given = {t.c.sublot_id: sublot_id, t.c.reference: reference, t.c.state: state}
    where = [column == value for column, value in given.items() if value is not None]

    def work(u: Unit) -> Page[ReservationOut]:
        rows, following = paginate(u, select(t).where(*where), t.c.id, cursor, limit)
        return Page(items=[ReservationOut.model_validate(row) for row in rows], next=following)

    return door.read(work)


@router.post("/reservations/{reservation_id}/pick", response_model=ReservationOut)
@needs("stock.pick")
def pick(reservation_id: Id, door: Door, context: Context | None = None) -> JSONResponse:
    """Takes reserved goods to hand: refused for whatever stands against them now."""
    return door.post(
        lambda u: ReservationOut.model_validate(service.pick(u, reservation_id, context=_context(context))), status=200
    )


@router.post("/reservations/{reservation_id}/consume", status_code=201, response_model=MoveOut)
@needs("stock.move")
def consume(reservation_id: Id, door: Door, context: Context | None = None) -> JSONResponse:
    """Posts reserved goods out of stock, for their purpose."""
    return door.post(lambda u: MoveOut.model_validate(service.consume(u, reservation_id, context=_context(context))))


@router.post("/reservations/{reservation_id}/cancel", response_model=ReservationOut)
@needs("stock.pick", "stock.reserve")
def cancel(reservation_id: Id, body: ReasonIn, door: Door) -> JSONResponse:
    """Gives reserved goods free."""
    return door.post(
        lambda u: ReservationOut.model_validate(service.cancel_reservation(u, reservation_id, reason=body.reason)),
        status=200,
    )


@router.post("/reservations/{reservation_id}/resume", response_model=ReservationOut)
@needs("stock.pick")
def resume(reservation_id: Id, door: Door) -> JSONResponse:
    """A suspended reservation is active again, if its goods may be taken."""
    return door.post(lambda u: ReservationOut.model_validate(service.resume_reservation(u, reservation_id)), status=200)


@router.get("/stock-tasks")
@needs("stock.read")
def list_tasks(
    door: Door,
    open_only: bool = True,
    kind: Annotated[str | None, Query(pattern="^(put_back|reallocate)$")] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Page[TaskOut]:
    """What holds ask the warehouse and the planner to do."""
    t = table(StockTask)
    statement = select(t)
    if open_only:
        statement = statement.where(t.c.done_at.is_(None))
    if kind is not None:
        statement = statement.where(t.c.kind == kind)

    def work(u: Unit) -> Page[TaskOut]:
        rows, following = paginate(u, statement, t.c.id, cursor, limit)
        return Page(items=[TaskOut.model_validate(row) for row in rows], next=following)

    return door.read(work)


@router.post("/stock-tasks/{task_id}/done", response_model=TaskOut)
@needs("stock.pick")
def task_done(task_id: Id, door: Door) -> JSONResponse:
    """The goods are back, or another sublot was found."""

    def work(u: Unit) -> TaskOut:
        service.close_task(u, task_id)
        row = u.conn.execute(select(table(StockTask)).where(table(StockTask).c.id == task_id)).one_or_none()
        if row is None:
            raise NotFound("lots.no_task", task_id=task_id)
        return TaskOut.model_validate(row)

    return door.post(work, status=200)
