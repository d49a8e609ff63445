"""Routes of shipments: plan, pick, dispatch, departed, arrived, accept; loggers, put-back tasks, field actions."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import Query
from fastapi.responses import JSONResponse
from sqlalchemy import ColumnElement, select

from core.erp.kernel.door import needs, routes
from core.erp.kernel.http import PROBLEMS, Body, Cursor, Door, DoorKeeper, FilterId, Id, Limit, Moment, Page, paginate
from core.erp.kernel.shapes import ReasonIn
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.lots.model import StockTask
from core.erp.shipments import service
from core.erp.shipments.model import FieldAction, Shipment, ShipmentLine
from core.erp.shipments.shapes import (
    ConclusionIn,
    FactIn,
    FieldActionOut,
    FieldActionState,
    LineIn,
    LoggerIn,
    PackIn,
    PutBackIn,
    ReturnIn,
    ReturnOut,
    ShipmentDetail,
    ShipmentIn,
    ShipmentOut,
    ShipmentState,
    TaskKind,
    TaskOut,
    UnitOut,
    WaiveIn,
)
from core.erp.shipments.views import HELD, SHIPMENTS, detail, field_action

router = routes(tags=["shipments"], responses=PROBLEMS)

_s, _l, _t, _f = table(Shipment), table(ShipmentLine), table(StockTask), table(FieldAction)


@router.get("/shipments")
@needs("shipment.read")
def list_shipments(
    door: Door,
    state: Annotated[list[ShipmentState] | None, Query(examples=[["in_transit"]])] = None,
    consignee: str | None = None,
    *,
    held: bool | None = None,
    sublot_id: Annotated[FilterId, Query(description="shipments that carry this sublot")] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Page[ShipmentOut]:
    """Shipments, newest first."""
    where: list[ColumnElement[bool]] = [_s.c.state.in_(state)] if state else []
    if consignee is not None:
        where.append(_s.c.consignee == consignee)
    if held is not None:
        where.append(HELD if held else ~HELD)
    if sublot_id is not None:
        where.append(_s.c.id.in_(select(_l.c.shipment_id).where(_l.c.sublot_id == sublot_id)))

    def work(u: Unit) -> Page[ShipmentOut]:
        rows, following = paginate(u, SHIPMENTS.where(*where), _s.c.id, cursor, limit, newest_first=True)
        return Page(items=[ShipmentOut.model_validate(row) for row in rows], next=following)

    return door.read(work)


@router.post("/shipments", status_code=201, response_model=ShipmentDetail)
@needs("shipment.plan")
def create(body: ShipmentIn, door: Door) -> JSONResponse:
    """Plans a shipment and reserves its goods."""

    def work(u: Unit) -> ShipmentDetail:
        made = service.create(
            u,
            body.code,
            body.consignee,
            [(line.sublot_id, line.amount) for line in body.lines],
            [
                service.PlannedLeg(x.origin, x.destination, x.vehicle_zone_id, x.to_zone_id, x.carrier)
                for x in body.legs
            ],
            kind=body.kind,
            market=body.market,
            receiving_zone_id=body.receiving_zone_id,
            due_at=body.due_at,
            consignee_id=body.consignee_id,
            loggers=[service.RequiredLogger(x.serial, x.zone_id) for x in body.loggers],
        )
        return detail(u, made.id)

    return door.post(work)


@router.get("/shipments/{shipment_id}")
@needs("shipment.read")
def one_shipment(shipment_id: Id, door: Door) -> ShipmentDetail:
    """One shipment with its lines, legs, loggers and every hold on it or its goods."""
    return door.read(lambda u: detail(u, shipment_id))


def _post_change(
    door: DoorKeeper, shipment_id: int, change: Callable[[Unit], object], status: int = 200
) -> JSONResponse:
    def work(u: Unit) -> ShipmentDetail:
        change(u)
        return detail(u, shipment_id)

    return door.post(work, status=status)


@router.post("/shipments/{shipment_id}/lines", status_code=201, response_model=ShipmentDetail)
@needs("shipment.plan")
def add_line(shipment_id: Id, body: LineIn, door: Door) -> JSONResponse:
    """Another line of a shipment that is still planned."""
    return _post_change(door, shipment_id, lambda u: service.add_line(u, shipment_id, body.sublot_id, body.amount), 201)


@router.post("/shipments/{shipment_id}/pick", response_model=ShipmentDetail)
@needs("stock.pick")
def pick(shipment_id: Id, door: Door) -> JSONResponse:
    """Takes every line to hand; refused, as a whole, for whatever stands against any."""
    return _post_change(door, shipment_id, lambda u: service.pick(u, shipment_id))


@router.post("/shipments/{shipment_id}/dispatch", response_model=ShipmentDetail)
@needs("shipment.dispatch")
def dispatch(shipment_id: Id, door: Door) -> JSONResponse:
    """Hands the goods to the vehicle now; refused with every obstacle."""
    return _post_change(door, shipment_id, lambda u: service.dispatch(u, shipment_id))


@router.post("/shipments/{shipment_id}/departed", response_model=ShipmentDetail)
@needs("shipment.report")
def departed(shipment_id: Id, body: FactIn, door: Door) -> JSONResponse:
    """A fact: it left then. It stands; a breach opens a deviation and holds the shipment."""

    def change(u: Unit) -> object:
        return service.departed(u, shipment_id, body.at, body.reason, leg=body.leg or 1)

    return _post_change(door, shipment_id, change)


@router.post("/shipments/{shipment_id}/arrived", response_model=ShipmentDetail)
@needs("shipment.report", "stock.receive")
def arrived(shipment_id: Id, body: FactIn, door: Door) -> JSONResponse:
    """A fact: it arrived then. Held or with loggers to be read, it arrives into quarantine."""
    return _post_change(
        door, shipment_id, lambda u: service.arrived(u, shipment_id, body.at, body.reason, leg=body.leg)
    )


@router.post("/shipments/{shipment_id}/accept", response_model=ShipmentDetail)
@needs("stock.receive", "shipment.report")
def accept(shipment_id: Id, door: Door) -> JSONResponse:
    """The consignee takes it; refused while a hold stands or a logger is missing."""
    return _post_change(door, shipment_id, lambda u: service.accept(u, shipment_id))


@router.post("/shipments/{shipment_id}/refuse", response_model=ShipmentDetail)
@needs("stock.receive", "shipment.report")
def refuse(shipment_id: Id, body: ReasonIn, door: Door) -> JSONResponse:
    """The consignee does not take it."""
    return _post_change(door, shipment_id, lambda u: service.refuse(u, shipment_id, body.reason))


@router.post("/shipments/{shipment_id}/cancel", response_model=ShipmentDetail)
@needs("shipment.plan")
def cancel(shipment_id: Id, body: ReasonIn, door: Door) -> JSONResponse:
    """Calls off a shipment of which nothing has left: its goods are free again, what was picked is to be put back."""
    return _post_change(door, shipment_id, lambda u: service.cancel(u, shipment_id, body.reason))


@router.post("/shipments/{shipment_id}/loggers", status_code=201, response_model=ShipmentDetail)
@needs("shipment.plan")
def require_logger(shipment_id: Id, body: LoggerIn, door: Door) -> JSONResponse:
    """Its receipt waits for this logger."""
    return _post_change(
        door, shipment_id, lambda u: service.require_logger(u, shipment_id, body.serial, body.zone_id), 201
    )


class LoggerReadIn(Body):
    """When it was read out; now if not said."""

    at: Moment | None = None


@router.post("/shipments/{shipment_id}/loggers/{serial}/read", response_model=ShipmentDetail)
@needs("logger.import")
def logger_read(shipment_id: Id, serial: str, body: LoggerReadIn, door: Door) -> JSONResponse:
    """The logger has been read out: refused unless what it recorded was imported (which says so by itself)."""
    when: datetime | None = body.at
    return _post_change(door, shipment_id, lambda u: service.confirm_logger_read(u, shipment_id, serial, at=when))


@router.post("/shipments/{shipment_id}/loggers/{serial}/waive", response_model=ShipmentDetail)
@needs("logger.waive")
async def waive_logger(shipment_id: Id, serial: str, body: WaiveIn, door: Door) -> JSONResponse:
    """QA does without the logger, by signature."""
    act = service.waiver_signing(shipment_id, serial, body.reason)
    return await door.sign(act, body, lambda u, _: detail(u, shipment_id), status=200)


@router.post("/shipment-lines/{line_id}/pack", response_model=UnitOut)
@needs("stock.pick", "shipment.plan")
def pack(line_id: Id, body: PackIn, door: Door) -> JSONResponse:
    """Packs a line into the handling unit of that SSCC."""

    def work(u: Unit) -> UnitOut:
        return UnitOut.model_validate(service.pack(u, line_id, body.sscc, kind=body.kind, zone_id=body.zone_id))

    return door.post(work, status=200)


@router.post("/shipment-lines/{line_id}/put-back", response_model=ShipmentDetail)
@needs("stock.pick")
def put_back(line_id: Id, body: PutBackIn, door: Door) -> JSONResponse:
    """Takes a line out of a shipment that has not left; its tasks are done with that."""

    def work(u: Unit) -> ShipmentDetail:
        line = service.put_back(u, line_id, body.zone_id)
        return detail(u, line.shipment_id)

    return door.post(work, status=200)


@router.post("/shipment-lines/{line_id}/return", status_code=201, response_model=ReturnOut)
@needs("stock.receive")
def returned(line_id: Id, body: ReturnIn, door: Door) -> JSONResponse:
    """Goods came back from the consignee: a sublot of its own, in quarantine."""

    def work(u: Unit) -> ReturnOut:
        back = service.returned(u, line_id, body.amount, body.zone_id, at=body.at, reason=body.reason)
        return ReturnOut.model_validate(back)

    return door.post(work)


@router.get("/shipment-tasks")
@needs("shipment.read")
def list_tasks(
    door: Door, kind: TaskKind | None = None, *, done: bool = False, cursor: Cursor = None, limit: Limit = 100
) -> Page[TaskOut]:
    """What holds ask for: goods to put back (with their line and place), reservations to re-allocate.

    Done by POST /api/v1/shipment-lines/{line_id}/put-back, or by POST /api/v1/stock-tasks/{id}/done.
    """
    where: list[ColumnElement[bool]] = [_t.c.done_at.is_not(None) if done else _t.c.done_at.is_(None)]
    if kind is not None:
        where.append(_t.c.kind == kind)
    query = (
        select(_t, _l.c.id.label("line_id"), _l.c.from_zone_id.label("zone_id"))
        .outerjoin(_l, _l.c.reservation_id == _t.c.reservation_id)
        .where(*where)
    )

    def work(u: Unit) -> Page[TaskOut]:
        rows, following = paginate(u, query, _t.c.id, cursor, limit)
        return Page(items=[TaskOut.model_validate(row) for row in rows], next=following)

    return door.read(work)


@router.get("/field-actions")
@needs("shipment.read")
def list_field_actions(
    door: Door, state: FieldActionState | None = "open", cursor: Cursor = None, limit: Limit = 100
) -> Page[FieldActionOut]:
    """Excursions that became known after goods had left: whom to tell, of how much, by when."""
    where = [_f.c.state == state] if state else []

    def work(u: Unit) -> Page[FieldActionOut]:
        rows, following = paginate(u, select(_f.c.id).where(*where), _f.c.id, cursor, limit, newest_first=True)
        return Page(items=[field_action(u, row.id) for row in rows], next=following)

    return door.read(work)


@router.get("/field-actions/{action_id}")
@needs("shipment.read")
def one_field_action(action_id: Id, door: Door) -> FieldActionOut:
    """One field action."""
    return door.read(lambda u: field_action(u, action_id))


@router.post("/field-actions/{action_id}/consignees/{consignee_id}/notified", response_model=FieldActionOut)
@needs("shipment.report", "excursion.disposition")
def consignee_notified(action_id: Id, consignee_id: Id, door: Door) -> JSONResponse:
    """The consignee has been notified."""

    def work(u: Unit) -> FieldActionOut:
        service.notify_consignee(u, consignee_id, action_id)
        return field_action(u, action_id)

    return door.post(work, status=200)


@router.post("/field-actions/{action_id}/close", response_model=FieldActionOut)
@needs("excursion.disposition")
def close_field_action(action_id: Id, body: ConclusionIn, door: Door) -> JSONResponse:
    """QA concludes it once everybody has been told."""

    def work(u: Unit) -> FieldActionOut:
        service.close_field_action(u, action_id, body.conclusion)
        return field_action(u, action_id)

    return door.post(work, status=200)
