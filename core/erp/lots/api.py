"""Routes of what spans sublots: merging them, what stands against taking one, what it was made of."""

from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import JSONResponse, Response
from sqlalchemy import select
from starlette.concurrency import run_in_threadpool

from core.erp.kernel.door import needs, routes
from core.erp.kernel.http import Door, Id
from core.erp.kernel.print_routes import PRINTED, printed
from core.erp.kernel.records.read import row_of
from core.erp.kernel.scope import scoped
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.lots import queries, service
from core.erp.lots.labels import SUBLOT_LABEL, label_of
from core.erp.lots.model import Genealogy
from core.erp.lots.records import SUBLOTS
from core.erp.lots.rules import Purpose
from core.erp.lots.scopes import GENEALOGY
from core.erp.lots.shapes import EdgeOut, MergeIn, MovableOut, ObstacleOut, SublotOut

router = routes(tags=["lots"])


@router.post("/sublots/merge", status_code=201, response_model=SublotOut)
@needs("stock.move")
def merge(body: MergeIn, door: Door) -> JSONResponse:
    """Sublots of one lot, status and place become one, with the worst budget, all holds and restrictions."""

    def work(u: Unit) -> SublotOut:
        made = service.merge(u, body.sublot_ids, code=body.code)
        return SublotOut.model_validate(queries.sublot_row(u, made.id))

    return door.post(work)


@router.get("/sublots/{sublot_id}/label", response_class=Response, responses=PRINTED)
@needs("stock.read")
async def label(sublot_id: Id, request: Request, door: Door) -> Response:
    """A label of 80 × 50 mm as PDF, in English and Chinese, with a GS1 DataMatrix where the item has a GTIN."""
    found = await run_in_threadpool(door.read, lambda u: label_of(u, sublot_id))
    return await printed(request, door.actor.login, SUBLOT_LABEL, found.data, found.at, f"label-{found.code}")


@router.get("/sublots/{sublot_id}/movable")
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
        row_of(u, SUBLOTS, sublot_id)
        against = service.movable(u, sublot_id, purpose, context=context)
        return MovableOut(
            sublot_id=sublot_id,
            purpose=purpose,
            movable=not against,
            obstacles=[ObstacleOut.of(o, u.language) for o in against],
        )

    return door.read(work)


@router.get("/sublots/{sublot_id}/genealogy")
@needs("stock.read")
def genealogy(sublot_id: Id, door: Door) -> list[EdgeOut]:
    """What it was made of and what was made of it, directly; of goods the reader does not see nothing is told."""
    g = table(Genealogy)
    edges = select(g).where((g.c.parent_id == sublot_id) | (g.c.child_id == sublot_id)).order_by(g.c.id)

    def work(u: Unit) -> list[EdgeOut]:
        row_of(u, SUBLOTS, sublot_id)
        return [EdgeOut.model_validate(row) for row in u.conn.execute(scoped(edges, GENEALOGY, u.actor))]

    return door.read(work)
