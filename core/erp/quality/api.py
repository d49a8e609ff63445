"""Routes of quality: QA's queue, incidents, excursions, dispositions, release, zone alarms."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Query
from fastapi.responses import JSONResponse
from sqlalchemy import Select, func, select

from core.erp.kernel.door import needs, routes
from core.erp.kernel.http import PROBLEMS, Cursor, Door, FilterId, Id, Limit, Moment, Page, paginate
from core.erp.kernel.scope import Scope, scoped
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.lots import scopes as lots_scopes
from core.erp.lots import service as lots
from core.erp.lots.model import Hold, Sublot
from core.erp.quality import scopes, service
from core.erp.quality.alarms_api import router as alarms
from core.erp.quality.incidents_api import router as incidents
from core.erp.quality.model import BatchRelease, Deviation, Disposition, Excursion
from core.erp.quality.shapes import (
    AssessIn,
    BatchDispositionIn,
    Certainty,
    DispositionIn,
    DispositionOut,
    ExcursionDetail,
    ExcursionOut,
    ExcursionState,
    Queue,
    ReleaseIn,
    ReleaseObstacleOut,
    ReleaseOut,
    ReleaseReviewOut,
)
from core.erp.quality.views import EXCURSIONS, excursion_detail

router = routes(tags=["quality"], responses=PROBLEMS)
router.include_router(alarms)
router.include_router(incidents)


_e, _s = table(Excursion), table(Sublot)


@router.get("/excursions")
@needs("quality.read")
def list_excursions(
    door: Door,
    state: Annotated[list[ExcursionState] | None, Query(examples=[["open", "ended"]])] = None,
    certainty: Certainty | None = None,
    sublot_id: FilterId = None,
    lot_id: FilterId = None,
    zone_id: FilterId = None,
    incident_id: FilterId = None,
    since: Moment | None = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Page[ExcursionOut]:
    """Excursions, newest first. `state` may be given several times; superseded ones are listed when asked for."""
    where = [_e.c.state.in_(state) if state else _e.c.state != "superseded"]
    given = {
        _e.c.certainty: certainty,
        _e.c.sublot_id: sublot_id,
        _s.c.lot_id: lot_id,
        _e.c.zone_id: zone_id,
        _e.c.incident_id: incident_id,
    }
    where += [column == value for column, value in given.items() if value is not None]
    if since is not None:
        where.append(_e.c.broke_at >= since)

    def work(u: Unit) -> Page[ExcursionOut]:
        rows, following = paginate(u, EXCURSIONS.where(*where), _e.c.id, cursor, limit, newest_first=True)
        return Page(items=[ExcursionOut.model_validate(row) for row in rows], next=following)

    return door.read(work)


@router.get("/excursions/{excursion_id}")
@needs("quality.read")
def one_excursion(excursion_id: Id, door: Door) -> ExcursionDetail:
    """One excursion with its holds, its dispositions and what may be done next.

    The readings behind it: GET /api/v1/readings/chart of the zone's points over `started_at` … `ended_at`; what the
    goods went through: GET /api/v1/sublots/{sublot_id}/exposure.
    """
    return door.read(lambda u: excursion_detail(u, excursion_id))


@router.post("/excursions/{excursion_id}/assess", response_model=ExcursionDetail)
@needs("excursion.assess")
def assess(excursion_id: Id, body: AssessIn, door: Door) -> JSONResponse:
    """QA has looked at an excursion that has ended. Releases nothing."""

    def work(u: Unit) -> ExcursionDetail:
        service.assess(u, excursion_id, body.assessment)
        return excursion_detail(u, excursion_id)

    return door.post(work, status=200)


def _conditions(body: DispositionIn) -> list[service.NewRestriction]:
    return [service.NewRestriction(r.kind, r.value) for r in body.restrictions]


def _answers(_: Unit, made: Sequence[Disposition]) -> list[DispositionOut]:
    return [DispositionOut.model_validate(one) for one in made]


@router.post("/excursions/{excursion_id}/dispositions", status_code=201, response_model=DispositionOut)
@needs("excursion.disposition")
async def dispose(excursion_id: Id, body: DispositionIn, door: Door) -> JSONResponse:
    """QA's signed decision: reason, and the password again. Lifts the excursion's own hold and nothing else."""
    act = service.disposition_signing(excursion_id, body.decision, body.reason, restrictions=_conditions(body))
    return await door.sign(act, body, lambda _, made: DispositionOut.model_validate(made))


@router.post("/dispositions", status_code=201, response_model=list[DispositionOut])
@needs("excursion.disposition")
async def dispose_many(body: BatchDispositionIn, door: Door) -> JSONResponse:
    """The same decision on several excursions (of one incident): one signature per record, all or none."""
    act = service.dispositions_signing(body.excursion_ids, body.decision, body.reason, restrictions=_conditions(body))
    return await door.sign(act, body, _answers)


@router.post("/excursions/{excursion_id}/close", response_model=ExcursionDetail)
@needs("excursion.disposition")
def close(excursion_id: Id, door: Door) -> JSONResponse:
    """Nothing is left to do about it."""

    def work(u: Unit) -> ExcursionDetail:
        service.close(u, excursion_id)
        return excursion_detail(u, excursion_id)

    return door.post(work, status=200)


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
async def release(sublot_id: Id, body: ReleaseIn, door: Door) -> JSONResponse:
    """Batch release by signature: its own act, by its own permit."""
    act = service.release_signing(sublot_id, body.reason)
    return await door.sign(act, body, lambda _, made: ReleaseOut.model_validate(made))


@router.post("/sublots/{sublot_id}/auto-release", status_code=201, response_model=ReleaseOut)
@needs("stock.receive")
def auto_release(sublot_id: Id, door: Door) -> JSONResponse:
    """Automatic release of a receipt about which nothing is in doubt; refused with every reason otherwise."""
    return door.post(lambda u: ReleaseOut.model_validate(service.auto_release(u, sublot_id)))


@router.get("/batch-releases")
@needs("quality.read")
def list_releases(
    door: Door, sublot_id: FilterId = None, cursor: Cursor = None, limit: Limit = 100
) -> Page[ReleaseOut]:
    """Releases, newest first, with the record each has signed."""
    b = table(BatchRelease)
    where = [b.c.sublot_id == sublot_id] if sublot_id is not None else []

    def work(u: Unit) -> Page[ReleaseOut]:
        rows, following = paginate(u, select(b).where(*where), b.c.id, cursor, limit, newest_first=True)
        return Page(items=[ReleaseOut.model_validate(row) for row in rows], next=following)

    return door.read(work)


_hold, _deviation = table(Hold), table(Deviation)
_superseded = select(_e.c.id).where(_e.c.state == "superseded")
_QUEUE: dict[str, tuple[Select[Any], Scope]] = {
    "to_assess": (select(_e.c.id).where(_e.c.state == "ended"), scopes.EXCURSIONS),
    "to_decide": (select(_e.c.id).where(_e.c.state == "assessed"), scopes.EXCURSIONS),
    "still_out": (select(_e.c.id).where(_e.c.state == "open"), scopes.EXCURSIONS),
    "orphan_holds": (
        select(_hold.c.id).where(_hold.c.lifted_at.is_(None), _hold.c.excursion_id.in_(_superseded)),
        lots_scopes.HOLDS,
    ),
    "open_holds": (select(_hold.c.id).where(_hold.c.lifted_at.is_(None)), lots_scopes.HOLDS),
    "open_deviations": (select(_deviation.c.id).where(_deviation.c.state == "open"), scopes.DEVIATIONS),
    "in_quarantine": (select(_s.c.id).where(_s.c.state == "quarantine"), lots_scopes.SUBLOTS),
}


@router.get("/quality/queue")
@needs("quality.read")
def queue(door: Door, limit: Limit = 100) -> Queue:
    """What waits for QA: counts, and the undecided excursions, those whose goods are longest unsure first."""

    def work(u: Unit) -> Queue:
        counts = {
            name: u.conn.execute(select(func.count()).select_from(scoped(rows, scope, u.actor).subquery())).scalar_one()
            for name, (rows, scope) in _QUEUE.items()
        }
        undecided = EXCURSIONS.where(_e.c.state.in_(("assessed", "ended", "open")))
        waiting = scoped(undecided, scopes.EXCURSIONS, u.actor).order_by(_e.c.known_at, _e.c.id)
        rows = u.conn.execute(waiting.limit(limit)).all()
        return Queue(**counts, excursions=[ExcursionOut.model_validate(row) for row in rows])

    return door.read(work)
