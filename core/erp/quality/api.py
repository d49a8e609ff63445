"""Routes of what spans records of quality: QA's queue, many decisions at once, release of a sublot."""

from collections.abc import Sequence

from fastapi.responses import JSONResponse
from sqlalchemy import ColumnElement, exists, func, select

from core.erp.kernel.door import needs, routes
from core.erp.kernel.http import Door, Id, Limit
from core.erp.kernel.scope import scoped, visible
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.lots import service as lots
from core.erp.lots.model import Hold, Sublot
from core.erp.quality import service
from core.erp.quality.alarms_api import router as alarms
from core.erp.quality.model import Deviation, Disposition, Excursion
from core.erp.quality.queries import UNDECIDED
from core.erp.quality.records import EXCURSIONS, new_restrictions
from core.erp.quality.shapes import (
    BatchDispositionIn,
    BatchReleaseIn,
    DispositionOut,
    ExcursionOut,
    Queue,
    ReleaseObstacleOut,
    ReleaseOut,
    ReleaseReviewOut,
    SublotReleaseIn,
)

router = routes(tags=["quality"])
router.routes.extend(alarms.routes)


def _answers(_: Unit, made: Sequence[Disposition]) -> list[DispositionOut]:
    return [DispositionOut.model_validate(one) for one in made]


@router.post("/dispositions", status_code=201, response_model=list[DispositionOut])
@needs("excursion.disposition")
async def dispose_many(body: BatchDispositionIn, door: Door) -> JSONResponse:
    """The same decision on several excursions (of one incident): one signature per record, all or none."""
    restrictions = new_restrictions(body.restrictions)
    act = service.dispositions_signing(body.excursion_ids, body.decision, body.reason, restrictions=restrictions)
    return await door.sign(act, body, _answers)


def _obstacles(u: Unit, sublot_id: int, *, automatic: bool) -> list[ReleaseObstacleOut]:
    found = service.release_obstacles(u, sublot_id, automatic=automatic)
    return [ReleaseObstacleOut.of(one, u.language) for one in found]


@router.get("/sublots/{sublot_id}/release-review")
@needs("quality.read")
def release_review(sublot_id: Id, door: Door) -> ReleaseReviewOut:
    """What a release would sign, and every reason against it: signed, and automatic."""

    def work(u: Unit) -> ReleaseReviewOut:
        lots.get_sublot(u, sublot_id)
        return ReleaseReviewOut(
            record=service.review(u, sublot_id),
            against=_obstacles(u, sublot_id, automatic=False),
            against_automatic=_obstacles(u, sublot_id, automatic=True),
        )

    return door.read(work)


@router.post("/sublots/{sublot_id}/release", status_code=201, response_model=ReleaseOut)
@needs("batch.release")
async def release(sublot_id: Id, body: SublotReleaseIn, door: Door) -> JSONResponse:
    """Batch release by signature: its own act, by its own permit. With `amount`, a part is split off and released."""
    act = service.release_signing(sublot_id, body.reason)
    if body.amount is not None:
        act = service.part_release_signing(sublot_id, body.amount, body.reason)
    return await door.sign(act, body, lambda _, made: ReleaseOut.model_validate(made))


@router.post("/batch-releases", status_code=201, response_model=list[ReleaseOut])
@needs("batch.release")
async def release_many(body: BatchReleaseIn, door: Door) -> JSONResponse:
    """Batch release of several sublots: one act of signing, a signature and a record for each, all or none."""
    act = service.releases_signing(body.sublot_ids, body.reason)
    return await door.sign(act, body, lambda _, made: [ReleaseOut.model_validate(one) for one in made])


@router.post("/sublots/{sublot_id}/auto-release", status_code=201, response_model=ReleaseOut)
@needs("stock.receive")
def auto_release(sublot_id: Id, door: Door) -> JSONResponse:
    """Automatic release of a receipt about which nothing is in doubt; refused with every reason otherwise."""
    return door.post(lambda u: ReleaseOut.model_validate(service.auto_release(u, sublot_id)))


_e, _h, _d, _s = table(Excursion).c, table(Hold).c, table(Deviation).c, table(Sublot).c

_QUEUE: dict[str, tuple[str, ColumnElement[bool]]] = {
    "to_assess": ("excursion", _e.state == "ended"),
    "to_decide": ("excursion", _e.state == "assessed"),
    "still_out": ("excursion", _e.state == "open"),
    "orphan_holds": (
        "hold",
        _h.lifted_at.is_(None) & exists().where(_e.id == _h.excursion_id, _e.state == "superseded"),
    ),
    "open_holds": ("hold", _h.lifted_at.is_(None)),
    "open_deviations": ("deviation", _d.state == "open"),
    "in_quarantine": ("sublot", _s.state == "quarantine"),
}
"""What is counted: records of which kind, of those that the reader sees, in which condition."""


@router.get("/quality/queue")
@needs("quality.read")
def queue(door: Door, limit: Limit = 100) -> Queue:
    """What waits for QA: counts, and the undecided excursions, those whose goods are longest unsure first."""

    def work(u: Unit) -> Queue:
        counts = {
            name: u.conn.scalar(select(func.count()).select_from(visible()[kind].keys(u.actor).where(which).subquery()))
            for name, (kind, which) in _QUEUE.items()
        }
        waiting = scoped(EXCURSIONS.select, EXCURSIONS.scope, u.actor).where(_e.state.in_(UNDECIDED))
        rows = u.conn.execute(waiting.order_by(_e.known_at, _e.id).limit(limit)).all()
        return Queue(**counts, excursions=[ExcursionOut.model_validate(row) for row in rows])

    return door.read(work)
