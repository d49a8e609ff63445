"""Hand-over with a signature, on a phone at the ramp: what changes hands, what stands against it, who takes it."""

from typing import Any

from fastapi import Response
from starlette.concurrency import run_in_threadpool

from core.erp.kernel.door import needs
from core.erp.kernel.http import Id
from core.erp.kernel.records.registry import entities
from core.erp.kernel.records.shown import shown
from core.erp.kernel.unit import Unit
from core.erp.shipments import service as shipments
from core.erp.shipments.shapes import HandOverIn
from core.web.desks.logistics.shipments import zones_of
from core.web.frame.routes import page_routes
from core.web.frame.visit import Outcome, Visit, Visiting
from core.web.records.forms import Form, form_page, sent
from core.web.records.inputs import Filled

router = page_routes()


def _form(u: Unit, visit: Visit, record_id: int) -> Form:
    shipment, words = entities()["shipment"], visit.words
    record: Any = shown(u, shipment, record_id)
    back, name = f"/shipments/{record_id}", words.label("move.shipment.hand_over")
    return Form(
        shipment,
        words.t("web.verb_on", verb=name, what=record.code),
        name,
        HandOverIn,
        f"{back}/hand-over",
        back,
        signed=True,
        meaning=words.t("meaning.hand_over"),
        record={},
        title=record.code,
        notes=tuple(words.say(one) for one in shipments.hand_over_obstacles(u, record_id)),
        template="desks/hand_over.html",
        about={"shipment": record, "zones": zones_of(u, record)},
    )


@router.get("/shipments/{record_id:int}/hand-over")
@needs("shipment.hand_over")
def show(visit: Visiting, record_id: Id) -> Response:
    """The form, with what changes hands."""
    return visit.read(lambda u: form_page(u, visit, _form(u, visit, record_id), Filled()))


@router.post("/shipments/{record_id:int}/hand-over")
@needs("shipment.hand_over")
async def send(visit: Visiting, record_id: Id) -> Response:
    """Signs it."""
    form = await run_in_threadpool(visit.read, lambda u: _form(u, visit, record_id))

    async def act(body: Any) -> Outcome:
        signing = shipments.hand_over_signing(record_id, body.taken_by, body.vehicle, body.temperature, body.remark)
        return await visit.sign(signing, body, lambda u, _: shown(u, entities()["shipment"], record_id))

    return await sent(visit, form, act, lambda _: f"/shipments/{record_id}")
