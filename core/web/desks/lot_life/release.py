"""The responsible person's signed release of a sublot, with everything that stands against it in words."""

from typing import Any

from fastapi import Response
from starlette.concurrency import run_in_threadpool

from core.erp.kernel.door import needs
from core.erp.kernel.http import Id
from core.erp.kernel.records.read import row_of
from core.erp.kernel.records.registry import entities
from core.erp.kernel.records.shown import shown
from core.erp.kernel.unit import Unit
from core.erp.quality import service as quality
from core.erp.quality.shapes import ReleaseIn
from core.web.frame.routes import page_routes
from core.web.frame.visit import Outcome, Visit, Visiting
from core.web.records.forms import Form, form_page, sent
from core.web.records.inputs import Filled

router = page_routes()


def _form(u: Unit, visit: Visit, record_id: int) -> Form:
    sublot, words = entities()["sublot"], visit.words
    code = row_of(u, sublot, record_id).code
    notes = tuple(words.say(one.message) for one in quality.release_obstacles(u, record_id, automatic=False))
    button, back = words.t("web.act_sign_release"), f"/sublots/{record_id}"
    heading = words.t("web.verb_on", verb=words.t("web.batch_release"), what=code)
    return Form(
        sublot, heading, button, ReleaseIn, f"{back}/release", back, signed=True, record={}, title=code, notes=notes
    )


@router.get("/sublots/{record_id:int}/release")
@needs("batch.release")
def show(visit: Visiting, record_id: Id) -> Response:
    """The form, and what stands against it."""
    return visit.read(lambda u: form_page(u, visit, _form(u, visit, record_id), Filled()))


@router.post("/sublots/{record_id:int}/release")
@needs("batch.release")
async def send(visit: Visiting, record_id: Id) -> Response:
    """Signs it."""
    form = await run_in_threadpool(visit.read, lambda u: _form(u, visit, record_id))

    async def act(body: Any) -> Outcome:
        signing = quality.release_signing(record_id, body.reason)
        return await visit.sign(signing, body, lambda u, _: shown(u, entities()["sublot"], record_id))

    return await sent(visit, form, act, lambda _: f"/sublots/{record_id}")
