"""Routes of lots, sublots and what may be done with them."""

from typing import Annotated

from fastapi import Query
from fastapi.responses import JSONResponse
from sqlalchemy import select

from core.erp.kernel.door import needs, routes
from core.erp.kernel.http import PROBLEMS, Cursor, Door, FilterId, Id, Limit, Page, not_future, paginate
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.lots import queries, service
from core.erp.lots.holds_api import router as holds
from core.erp.lots.ledger_api import router as ledger
from core.erp.lots.model import Genealogy, Lot, Sublot
from core.erp.lots.rules import Purpose
from core.erp.lots.shapes import (
    ArriveIn,
    EdgeOut,
    LotIn,
    LotOut,
    MergeIn,
    MovableOut,
    ObstacleOut,
    ReasonIn,
    ReceiveIn,
    SplitIn,
    SublotOut,
    SublotState,
)

router = routes(responses=PROBLEMS)


@router.get("/lots", tags=["lots"])
@needs("stock.read")
def list_lots(
    door: Door, item_id: FilterId = None, number: str | None = None, cursor: Cursor = None, limit: Limit = 100
) -> Page[LotOut]:
    """All lots."""
    t = table(Lot)
    given = {t.c.item_id: item_id, t.c.number: number}
    where = [column == value for column, value in given.items() if value is not None]

    def work(u: Unit) -> Page[LotOut]:
        rows, following = paginate(u, select(t).where(*where), t.c.id, cursor, limit)
        return Page(items=[LotOut.model_validate(row) for row in rows], next=following)

    return door.read(work)


@router.post("/lots", tags=["lots"], status_code=201, response_model=LotOut)
@needs("stock.receive")
def add_lot(body: LotIn, door: Door) -> JSONResponse:
    """A new lot."""
    return door.post(lambda u: LotOut.model_validate(service.create_lot(u, **body.model_dump())))


@router.get("/lots/{lot_id}", tags=["lots"])
@needs("stock.read")
def one_lot(lot_id: Id, door: Door) -> LotOut:
    """One lot."""
    return door.read(lambda u: LotOut.model_validate(service.get_lot(u, lot_id)))


def _shown(u: Unit, sublot: Sublot) -> SublotOut:
    return queries.sublot_by_id(u, sublot.id)


@router.post("/lots/{lot_id}/receive", tags=["lots"], status_code=201, response_model=SublotOut)
@needs("stock.receive")
def receive(lot_id: Id, body: ReceiveIn, door: Door) -> JSONResponse:
    """Goods came in: a sublot begins, in quarantine."""
    return door.post(lambda u: _shown(u, service.receive(u, lot_id, **body.model_dump())))


@router.get("/sublots", tags=["sublots"])
@needs("stock.read")
def list_sublots(
    door: Door,
    state: Annotated[SublotState | None, Query(examples=["released"])] = None,
    zone_id: FilterId = None,
    lot_id: FilterId = None,
    item_id: FilterId = None,
    held: bool | None = None,
    code: Annotated[str | None, Query(max_length=64)] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Page[SublotOut]:
    """Sublots that pass every filter given."""
    statement = queries.filtered(state=state, zone_id=zone_id, lot_id=lot_id, item_id=item_id, held=held, code=code)

    def work(u: Unit) -> Page[SublotOut]:
        rows, following = paginate(u, statement, table(Sublot).c.id, cursor, limit)
        return Page(items=[queries.sublot_answer(row) for row in rows], next=following)

    return door.read(work)


@router.post("/sublots/merge", tags=["sublots"], status_code=201, response_model=SublotOut)
@needs("stock.move")
def merge(body: MergeIn, door: Door) -> JSONResponse:
    """Sublots of one lot, status and place become one, with the worst budget, all holds and restrictions."""
    return door.post(lambda u: _shown(u, service.merge(u, body.sublot_ids, code=body.code)))


@router.get("/sublots/{sublot_id}", tags=["sublots"])
@needs("stock.read")
def one_sublot(sublot_id: Id, door: Door) -> SublotOut:
    """One sublot."""
    return door.read(lambda u: queries.sublot_by_id(u, sublot_id))


@router.get("/sublots/{sublot_id}/movable", tags=["sublots"])
@needs("stock.read")
def movable(
    sublot_id: Id,
    purpose: Purpose,
    door: Door,
    market: str | None = None,
    customer: str | None = None,
    shipment_id: Annotated[int | None, Query(ge=1)] = None,
) -> MovableOut:
    """Whether the sublot may be taken for the purpose now, and everything that stands against it."""
    context = {"market": market, "customer": customer, "shipment_id": shipment_id}

    def work(u: Unit) -> MovableOut:
        service.get_sublot(u, sublot_id)
        against = service.movable(u, sublot_id, purpose, context=context)
        return MovableOut(
            sublot_id=sublot_id,
            purpose=purpose,
            movable=not against,
            obstacles=[ObstacleOut.of(o, u.language) for o in against],
        )

    return door.read(work)


@router.post("/sublots/{sublot_id}/arrive", tags=["sublots"], response_model=SublotOut)
@needs("stock.receive")
def arrive(sublot_id: Id, body: ArriveIn, door: Door) -> JSONResponse:
    """An expected sublot is here, in quarantine."""
    return door.post(
        lambda u: _shown(
            u, service.arrive(u, sublot_id, body.amount, body.zone_id, at=not_future(body.at, u), reason=body.reason)
        ),
        status=200,
    )


@router.post("/sublots/{sublot_id}/split", tags=["sublots"], status_code=201, response_model=SublotOut)
@needs("stock.move")
def split(sublot_id: Id, body: SplitIn, door: Door) -> JSONResponse:
    """Part of it becomes a sublot of its own, with the whole history."""
    return door.post(lambda u: _shown(u, service.split(u, sublot_id, body.amount, code=body.code)))


def _decision(move: str, summary: str) -> None:
    """The route of one of QA's decisions on a sublot."""

    def decide(sublot_id: Id, body: ReasonIn, door: Door) -> JSONResponse:
        return door.post(lambda u: _shown(u, service.change_status(u, sublot_id, move, body.reason)), status=200)

    decide.__doc__ = f"{summary} This moves no stock: what leaves does so by a posting for that purpose."
    decide.__name__ = f"{move}_sublot"
    needs("lot.disposition")(decide)
    router.post(f"/sublots/{{sublot_id}}/{move}", tags=["sublots"], response_model=SublotOut)(decide)


for _move, _summary in (
    ("reject", "It is no good."),
    ("retest", "It was released and is tested again, in quarantine."),
    ("rework", "What was rejected is worked over."),
    ("return", "What was rejected goes back to where it came from."),
    ("destroy", "What was rejected is destroyed."),
):
    _decision(_move, _summary)


@router.get("/sublots/{sublot_id}/genealogy", tags=["sublots"])
@needs("stock.read")
def genealogy(sublot_id: Id, door: Door) -> list[EdgeOut]:
    """What it was made of and what was made of it, directly."""
    g = table(Genealogy)
    edges = select(g).where((g.c.parent_id == sublot_id) | (g.c.child_id == sublot_id)).order_by(g.c.id)
    return door.read(lambda u: [EdgeOut.model_validate(row) for row in u.conn.execute(edges)])


router.include_router(ledger)
router.include_router(holds)
