"""Routes of production: work centres, bills, work orders and what happens to them on the floor."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Query
from fastapi.responses import JSONResponse
from sqlalchemy import ColumnElement, select

from core.erp.kernel.door import needs, routes
from core.erp.kernel.errors import NotFound
from core.erp.kernel.http import PROBLEMS, Cursor, Door, DoorKeeper, FilterId, Id, Limit, Page, paginate
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.production import service
from core.erp.production.model import Bom, BomLine, WorkCentre, WorkOrder, WorkOrderMaterial
from core.erp.production.shapes import (
    BomIn,
    BomLineOut,
    BomOut,
    CentreIn,
    CentreOut,
    MoveIn,
    OrderDetail,
    OrderIn,
    OrderOut,
    OrderState,
    OutputIn,
    ReserveIn,
    ReturnIn,
    ScrapIn,
    StartIn,
    StateIn,
    SublotCreatedOut,
    UsedUpIn,
)
from core.erp.production.views import ORDERS, detail

router = routes(tags=["production"], responses=PROBLEMS)

_c, _b, _o = table(WorkCentre), table(Bom), table(WorkOrder)


@router.get("/work-centres")
@needs("production.read")
def list_centres(door: Door, cursor: Cursor = None, limit: Limit = 100) -> Page[CentreOut]:
    """All work centres."""

    def work(u: Unit) -> Page[CentreOut]:
        rows, following = paginate(u, select(_c), _c.c.id, cursor, limit)
        return Page(items=[CentreOut.model_validate(row) for row in rows], next=following)

    return door.read(work)


@router.post("/work-centres", status_code=201, response_model=CentreOut)
@needs("production.plan")
def create_centre(body: CentreIn, door: Door) -> JSONResponse:
    """A new work centre."""

    def work(u: Unit) -> CentreOut:
        return CentreOut.model_validate(service.create_work_centre(u, body.code, body.name, body.zone_id))

    return door.post(work)


@router.post("/work-centres/{code}/state", response_model=CentreOut)
@needs("machine.state")
def set_state(code: str, body: StateIn, door: Door) -> JSONResponse:
    """A machine went up or down. Dispatch lists are remade in the same transaction."""

    def work(u: Unit) -> CentreOut:
        return CentreOut.model_validate(
            service.report_centre_state(u, code, up=body.up, reason=body.reason, at=body.at)
        )

    return door.post(work, status=200)


def _bom(u: Unit, bom_id: int) -> BomOut:
    row = u.session.get(Bom, bom_id)
    if row is None:
        raise NotFound(f"no bill {bom_id}", bom_id=bom_id)
    line = table(BomLine)
    lines = u.conn.execute(select(line).where(line.c.bom_id == bom_id).order_by(line.c.id)).all()
    return BomOut.model_validate({**row.model_dump(), "lines": [BomLineOut.model_validate(x) for x in lines]})


@router.get("/boms")
@needs("production.read")
def list_boms(door: Door, item_id: FilterId = None, cursor: Cursor = None, limit: Limit = 100) -> Page[BomOut]:
    """Bills of material."""
    where = [_b.c.item_id == item_id] if item_id is not None else []

    def work(u: Unit) -> Page[BomOut]:
        rows, following = paginate(u, select(_b.c.id).where(*where), _b.c.id, cursor, limit)
        return Page(items=[_bom(u, row.id) for row in rows], next=following)

    return door.read(work)


@router.post("/boms", status_code=201, response_model=BomOut)
@needs("production.plan")
def create_bom(body: BomIn, door: Door) -> JSONResponse:
    """A new version of how an item is made."""

    def work(u: Unit) -> BomOut:
        made = service.create_bom(
            u,
            body.item_id,
            body.output_amount,
            [(line.item_id, line.amount) for line in body.lines],
            [service.Step(s.number, s.name, s.work_centre, tuple(s.alternatives), s.duration) for s in body.steps],
            tolerance=body.tolerance,
        )
        return _bom(u, made.id)

    return door.post(work)


@router.get("/work-orders")
@needs("production.read")
def list_orders(
    door: Door,
    state: Annotated[list[OrderState] | None, Query(examples=[["released", "running"]])] = None,
    item_id: FilterId = None,
    sublot_id: Annotated[FilterId, Query(description="orders that take from this sublot")] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Page[OrderOut]:
    """Work orders, newest first."""
    where: list[ColumnElement[bool]] = [_o.c.state.in_(state)] if state else []
    if item_id is not None:
        where.append(_o.c.item_id == item_id)
    if sublot_id is not None:
        m = table(WorkOrderMaterial)
        where.append(_o.c.id.in_(select(m.c.order_id).where(m.c.sublot_id == sublot_id)))

    def work(u: Unit) -> Page[OrderOut]:
        rows, following = paginate(u, ORDERS.where(*where), _o.c.id, cursor, limit, newest_first=True)
        return Page(items=[OrderOut.model_validate(row).in_language(u.language) for row in rows], next=following)

    return door.read(work)


@router.post("/work-orders", status_code=201, response_model=OrderDetail)
@needs("production.plan")
def plan(body: OrderIn, door: Door) -> JSONResponse:
    """Plans an order by a bill."""

    def work(u: Unit) -> OrderDetail:
        made = service.plan(u, body.code, body.bom_id, body.amount, body.due_at, priority=body.priority)
        return detail(u, made.id)

    return door.post(work)


@router.get("/work-orders/{order_id}")
@needs("production.read")
def one_order(order_id: Id, door: Door) -> OrderDetail:
    """One work order."""
    return door.read(lambda u: detail(u, order_id))


def _post_change(door: DoorKeeper, order_id: int, change: Callable[[Unit], object], status: int = 200) -> JSONResponse:
    def work(u: Unit) -> OrderDetail:
        change(u)
        return detail(u, order_id)

    return door.post(work, status=status)


@router.post("/work-orders/{order_id}/moves", response_model=OrderDetail)
@needs("production.plan", "production.release", "production.report")
def move(order_id: Id, body: MoveIn, door: Door) -> JSONResponse:
    """Makes a move of the order's life cycle; refused with what is lacking or held."""
    return _post_change(door, order_id, lambda u: service.move_order(u, order_id, body.move, reason=body.reason))


@router.post("/work-orders/{order_id}/materials", status_code=201, response_model=OrderDetail)
@needs("stock.reserve")
def reserve(order_id: Id, body: ReserveIn, door: Door) -> JSONResponse:
    """Reserves an amount of a sublot for the order."""
    return _post_change(door, order_id, lambda u: service.reserve(u, order_id, body.sublot_id, body.amount), 201)


@router.post("/work-orders/{order_id}/used-up", status_code=201, response_model=OrderDetail)
@needs("fact.post")
def used_up(order_id: Id, body: UsedUpIn, door: Door) -> JSONResponse:
    """A fact: never refused; a breach opens a deviation and a hold."""

    def change(u: Unit) -> object:
        return service.report_used_up(u, order_id, body.sublot_id, body.amount, at=body.at, reason=body.reason)

    return _post_change(door, order_id, change, 201)


@router.post("/work-orders/{order_id}/materials/{material_id}/issue", response_model=OrderDetail)
@needs("production.report", "stock.pick")
def issue(order_id: Id, material_id: Id, door: Door) -> JSONResponse:
    """Brings reserved material to the line (picks it)."""
    return _post_change(door, order_id, lambda u: service.issue(u, material_id, order_id=order_id))


@router.post("/work-orders/{order_id}/materials/{material_id}/consume", response_model=OrderDetail)
@needs("production.report")
def consume(order_id: Id, material_id: Id, door: Door) -> JSONResponse:
    """Uses reserved material up."""
    return _post_change(door, order_id, lambda u: service.consume(u, material_id, order_id=order_id))


@router.post("/work-orders/{order_id}/materials/{material_id}/return", status_code=201, response_model=SublotCreatedOut)
@needs("production.report")
def return_material(order_id: Id, material_id: Id, body: ReturnIn, door: Door) -> JSONResponse:
    """Material that came back from the line: a sublot of its own, in quarantine."""

    def work(u: Unit) -> SublotCreatedOut:
        back = service.return_material(u, material_id, body.amount, body.zone_id, order_id=order_id)
        return SublotCreatedOut.model_validate(back)

    return door.post(work)


@router.post("/work-orders/{order_id}/outputs", status_code=201, response_model=SublotCreatedOut)
@needs("production.report")
def output(order_id: Id, body: OutputIn, door: Door) -> JSONResponse:
    """A sublot is born of the order, in quarantine, linked to what it was made of."""

    def work(u: Unit) -> SublotCreatedOut:
        born = service.report_output(
            u, order_id, body.amount, body.zone_id, at=body.at, code=body.code, serial=body.serial
        )
        return SublotCreatedOut.model_validate(born)

    return door.post(work)


@router.post("/work-orders/{order_id}/scrap", response_model=OrderDetail)
@needs("production.report")
def scrap(order_id: Id, body: ScrapIn, door: Door) -> JSONResponse:
    """Output that is no good, counted for the balance."""
    return _post_change(door, order_id, lambda u: service.report_scrap(u, order_id, body.amount, body.reason))


@router.post("/operations/{operation_id}/start", response_model=OrderDetail)
@needs("production.report")
def start(operation_id: Id, body: StartIn, door: Door) -> JSONResponse:
    """Starts an operation; the order's material is tested again in the same transaction."""

    def work(u: Unit) -> OrderDetail:
        step = service.start_operation(u, operation_id, body.work_centre)
        return detail(u, step.order_id)

    return door.post(work, status=200)


@router.post("/operations/{operation_id}/finish", response_model=OrderDetail)
@needs("production.report")
def finish(operation_id: Id, door: Door) -> JSONResponse:
    """An operation is done."""

    def work(u: Unit) -> OrderDetail:
        step = service.finish_operation(u, operation_id)
        return detail(u, step.order_id)

    return door.post(work, status=200)
