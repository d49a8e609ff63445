"""The release desk's routes: what waits, and the signature over one sublot or several."""

from fastapi import Response
from fastapi.responses import RedirectResponse

from core.erp.kernel.digits import whole
from core.erp.kernel.door import needs
from core.erp.kernel.errors import Invalid
from core.erp.kernel.http import BIGGEST_ID, Id
from core.erp.kernel.records.registry import entities
from core.erp.kernel.unit import Unit
from core.web.desks.release.checks import HEADINGS, missing
from core.web.desks.release.signing import sign, signing_page
from core.web.desks.release.waiting import LOOKED_AT, ROWS, waiting
from core.web.frame.routes import page_routes
from core.web.frame.visit import Visit, Visiting
from core.web.records.pickers import find

router = page_routes()
TOGETHER = "/release/sign"


@router.get("/release")
@needs("quality.read")
def desk(visit: Visiting, item: str = "", after: int = 0) -> Response:
    """What waits for release, the most urgent first, and what is missing of each."""
    return visit.read(lambda u: _desk(u, visit, item.strip()[:200], min(max(after, 0), LOOKED_AT)))


def _desk(u: Unit, visit: Visit, item: str, after: int) -> Response:
    u.need("stock.read")
    ids = find(u, entities()["item"], item) if item else []
    rows, total = waiting(u, (ids or [0])[0] if item else None, after)
    signed = [one for one in visit.request.query_params.getlist("signed") if whole(one) is not None]
    return visit.page(
        "desks/release.html",
        rows=rows,
        total=min(total, LOOKED_AT),
        capped=total > LOOKED_AT,
        after=after,
        most=ROWS,
        item=item,
        missing=missing(u, visit, rows),
        headings=HEADINGS,
        signed=len(signed),
        now=u.now,
    )


@router.get(TOGETHER)
@needs("batch.release")
def show_together(visit: Visiting) -> Response:
    """The chosen ones, to be signed together."""
    ids = _chosen(visit.request.query_params.getlist("sublot"))
    return visit.read(lambda u: signing_page(u, visit, ids, TOGETHER))


@router.post(TOGETHER)
@needs("batch.release")
async def sign_together(visit: Visiting) -> Response:
    """Signs them."""
    again, released = await sign(visit, _chosen(visit.form.get("sublot", [])), TOGETHER)
    return again or RedirectResponse("/release?" + "&".join(f"signed={one}" for one in released), 303)


@router.get("/sublots/{record_id:int}/release")
@needs("batch.release")
def show(visit: Visiting, record_id: Id) -> Response:
    """One sublot, to be signed; all of it or a part."""
    return visit.read(lambda u: signing_page(u, visit, [record_id], f"/sublots/{record_id}/release"))


@router.post("/sublots/{record_id:int}/release")
@needs("batch.release")
async def send(visit: Visiting, record_id: Id) -> Response:
    """Signs it."""
    again, released = await sign(visit, [record_id], f"/sublots/{record_id}/release")
    return again or RedirectResponse(f"/sublots/{released[0]}", 303)


def _chosen(texts: list[str]) -> list[int]:
    """Sublots by number, each once. Raises Invalid for none, for too many and for what is no number."""
    ids = sorted({number for one in texts if (number := whole(one)) is not None and 0 < number <= BIGGEST_ID})
    if not ids or len(ids) > ROWS:
        raise Invalid("web.choose_some", most=ROWS)
    return ids
