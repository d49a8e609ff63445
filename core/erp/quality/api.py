"""Routes of quality: QA's queue, incidents, excursions, dispositions, release, deviations, zone alarms."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime
from sqlalchemy import func, select, text

from core.erp.catalog.model import Item, Zone
from core.erp.kernel.errors import NotFound
from core.erp.kernel.http import PROBLEMS, Cursor, Door, Id, Limit, Page, paged
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.lots import service as lots
from core.erp.lots.model import Hold, Lot, Sublot
from core.erp.quality import service
from core.erp.quality.alarms_api import router as alarms
from core.erp.quality.model import BatchRelease, Deviation, Disposition, Excursion, Incident
from core.erp.quality.shapes import (
    AssessIn,
    BatchDispositionIn,
    ConclusionIn,
    DeviationOut,
    DispositionIn,
    DispositionOut,
    ExcursionDetail,
    ExcursionOut,
    HoldOut,
    IncidentOut,
    Queue,
    ReleaseIn,
    ReleaseOut,
    Reviewed,
)
from core.erp.quality.workflow import EXCURSION

router = APIRouter(tags=["quality"], responses=PROBLEMS)
router.include_router(alarms)


_e, _s, _l, _i, _z = table(Excursion), table(Sublot), table(Lot), table(Item), table(Zone)
_EXCURSIONS = (
    select(_e, _s.c.code.label("sublot"), _l.c.number.label("lot"), _i.c.code.label("item"), _z.c.address.label("zone"))
    .select_from(_e)
    .join(_s, _s.c.id == _e.c.sublot_id)
    .join(_l, _l.c.id == _s.c.lot_id)
    .join(_i, _i.c.id == _l.c.item_id)
    .outerjoin(_z, _z.c.id == _e.c.zone_id)
)
"""Excursions with the names that people know things by."""


@router.get("/excursions")
def list_excursions(
    door: Door,
    state: Annotated[list[str] | None, Query(examples=[["open", "ended"]])] = None,
    certainty: str | None = None,
    sublot_id: int | None = None,
    lot_id: int | None = None,
    zone_id: int | None = None,
    incident_id: int | None = None,
    since: AwareDatetime | None = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Page[ExcursionOut]:
    """Excursions, newest first. `state` may be given several times; superseded ones are listed when asked for."""
    where = [_e.c.state.in_(state) if state else _e.c.state != "superseded"]
    given = {_e.c.certainty: certainty, _e.c.sublot_id: sublot_id, _s.c.lot_id: lot_id, _e.c.zone_id: zone_id,
             _e.c.incident_id: incident_id}  # fmt: skip
    where += [column == value for column, value in given.items() if value is not None]
    if since is not None:
        where.append(_e.c.broke_at >= since)

    def work(u: Unit) -> Page[ExcursionOut]:
        rows, following = paged(u, _EXCURSIONS.where(*where), _e.c.id, cursor, limit, newest_first=True)
        return Page(items=[ExcursionOut.model_validate(row) for row in rows], next=following)

    return door.read(work)


def _excursion(u: Unit, excursion_id: int) -> ExcursionDetail:
    row = u.conn.execute(_EXCURSIONS.where(_e.c.id == excursion_id)).one_or_none()
    if row is None:
        raise NotFound(f"no excursion {excursion_id}", excursion_id=excursion_id)
    d, h = table(Disposition), table(Hold)
    made = u.conn.execute(select(d).where(d.c.excursion_id == excursion_id).order_by(d.c.id)).all()
    holds = u.conn.execute(select(h).where(h.c.excursion_id == excursion_id).order_by(h.c.id)).all()
    return ExcursionDetail(
        **ExcursionOut.model_validate(row).model_dump(),
        moves=[name for name in EXCURSION.available(row.state) if EXCURSION.moves[name].needs],
        holds=[HoldOut.model_validate(hold) for hold in holds],
        dispositions=[DispositionOut.model_validate(one) for one in made],
    )


@router.get("/excursions/{excursion_id}")
def one_excursion(excursion_id: Id, door: Door) -> ExcursionDetail:
    """One excursion with its holds, its dispositions and what may be done next.

    The readings behind it: GET /api/v1/readings/chart of the zone's points over `started_at` … `ended_at`; what the
    goods went through: GET /api/v1/sublots/{sublot_id}/exposure.
    """
    return door.read(lambda u: _excursion(u, excursion_id))


@router.post("/excursions/{excursion_id}/assess", response_model=ExcursionDetail)
def assess(excursion_id: Id, body: AssessIn, door: Door) -> JSONResponse:
    """QA has looked at an excursion that has ended. Releases nothing."""

    def work(u: Unit) -> ExcursionDetail:
        service.assess(u, excursion_id, body.assessment)
        return _excursion(u, excursion_id)

    return door.post(work, status=200)


@router.post("/excursions/{excursion_id}/dispositions", status_code=201, response_model=DispositionOut)
def dispose(excursion_id: Id, body: DispositionIn, door: Door) -> JSONResponse:
    """QA's signed decision: reason, and the password again. Lifts the excursion's own hold and nothing else."""

    def work(u: Unit) -> DispositionOut:
        made = service.disposition(
            u, excursion_id, body.decision, body.reason, body.password.get_secret_value(), login=body.login,
            restrictions=[service.Restrict(r.kind, r.value) for r in body.restrictions],
        )  # fmt: skip
        return DispositionOut.model_validate(made)

    return door.post(work)


@router.post("/dispositions", status_code=201, response_model=list[DispositionOut])
def dispose_many(body: BatchDispositionIn, door: Door) -> JSONResponse:
    """The same decision on several excursions (of one incident): one signature per record, all or none."""

    def work(u: Unit) -> list[DispositionOut]:
        made = service.dispose_many(
            u, body.excursion_ids, body.decision, body.reason, body.password.get_secret_value(), login=body.login,
            restrictions=[service.Restrict(r.kind, r.value) for r in body.restrictions],
        )  # fmt: skip
        return [DispositionOut.model_validate(one) for one in made]

    return door.post(work)


@router.post("/excursions/{excursion_id}/close", response_model=ExcursionDetail)
def close(excursion_id: Id, door: Door) -> JSONResponse:
    """Nothing is left to do about it."""

    def work(u: Unit) -> ExcursionDetail:
        service.close(u, excursion_id)
        return _excursion(u, excursion_id)

    return door.post(work, status=200)


_n = table(Incident)
_INCIDENTS = (
    select(
        _n, _z.c.address.label("zone"),
        func.count(_e.c.id).filter(_e.c.state != "superseded").label("excursions"),
        func.count(_e.c.id).filter(_e.c.state.in_(("open", "ended", "assessed"))).label("undecided"),
    )
    .select_from(_n)
    .outerjoin(_e, _e.c.incident_id == _n.c.id)
    .outerjoin(_z, _z.c.id == _n.c.zone_id)
    .group_by(_n.c.id, _z.c.address)
)  # fmt: skip


@router.get("/incidents")
def list_incidents(
    door: Door, kind: str | None = None, zone_id: int | None = None, *, undecided: bool = False,
    cursor: Cursor = None, limit: Limit = 100,
) -> Page[IncidentOut]:  # fmt: skip
    """Incidents, newest first, with how many excursions each has and how many await a decision."""
    where = [c == v for c, v in {_n.c.kind: kind, _n.c.zone_id: zone_id}.items() if v is not None]
    query = _INCIDENTS.where(*where)
    if undecided:
        query = query.having(func.count(_e.c.id).filter(_e.c.state.in_(("open", "ended", "assessed"))) > 0)

    def work(u: Unit) -> Page[IncidentOut]:
        rows, following = paged(u, query, _n.c.id, cursor, limit, newest_first=True)
        return Page(items=[IncidentOut.model_validate(row) for row in rows], next=following)

    return door.read(work)


@router.get("/incidents/{incident_id}")
def one_incident(incident_id: Id, door: Door) -> IncidentOut:
    """One incident; its excursions: GET /api/v1/excursions?incident_id=…"""

    def work(u: Unit) -> IncidentOut:
        row = u.conn.execute(_INCIDENTS.where(_n.c.id == incident_id)).one_or_none()
        if row is None:
            raise NotFound(f"no incident {incident_id}", incident_id=incident_id)
        return IncidentOut.model_validate(row)

    return door.read(work)


@router.get("/sublots/{sublot_id}/release-review")
def release_review(sublot_id: Id, door: Door) -> Reviewed:
    """What a release would sign, and every reason against it: signed, and automatic."""

    def work(u: Unit) -> Reviewed:
        lots.get_sublot(u, sublot_id)
        return Reviewed(
            record=service.review(u, sublot_id),
            against=[asdict(a) for a in service.against(u, sublot_id, automatic=False)],
            against_automatic=[asdict(a) for a in service.against(u, sublot_id, automatic=True)],
        )

    return door.read(work)


@router.post("/sublots/{sublot_id}/release", status_code=201, response_model=ReleaseOut)
def release(sublot_id: Id, body: ReleaseIn, door: Door) -> JSONResponse:
    """Batch release by signature: its own act, by its own permit."""

    def work(u: Unit) -> ReleaseOut:
        made = service.release(u, sublot_id, body.password.get_secret_value(), body.reason, login=body.login)
        return ReleaseOut.model_validate(made)

    return door.post(work)


@router.post("/sublots/{sublot_id}/auto-release", status_code=201, response_model=ReleaseOut)
def auto_release(sublot_id: Id, door: Door) -> JSONResponse:
    """Automatic release of a receipt about which nothing is in doubt; refused with every reason otherwise."""
    return door.post(lambda u: ReleaseOut.model_validate(service.auto_release(u, sublot_id)), permit="stock.receive")


@router.get("/batch-releases")
def list_releases(
    door: Door, sublot_id: int | None = None, cursor: Cursor = None, limit: Limit = 100
) -> Page[ReleaseOut]:
    """Releases, newest first, with the record each has signed."""
    b = table(BatchRelease)
    where = [b.c.sublot_id == sublot_id] if sublot_id is not None else []

    def work(u: Unit) -> Page[ReleaseOut]:
        rows, following = paged(u, select(b).where(*where), b.c.id, cursor, limit, newest_first=True)
        return Page(items=[ReleaseOut.model_validate(row) for row in rows], next=following)

    return door.read(work)


@router.get("/deviations")
def list_deviations(
    door: Door, state: str | None = None, sublot_id: int | None = None, shipment_id: int | None = None,
    cursor: Cursor = None, limit: Limit = 100,
) -> Page[DeviationOut]:  # fmt: skip
    """Facts that broke a rule, newest first."""
    t = table(Deviation)
    given = {t.c.state: state, t.c.sublot_id: sublot_id, t.c.shipment_id: shipment_id}
    where = [column == value for column, value in given.items() if value is not None]

    def work(u: Unit) -> Page[DeviationOut]:
        rows, following = paged(u, select(t).where(*where), t.c.id, cursor, limit, newest_first=True)
        return Page(items=[DeviationOut.model_validate(row) for row in rows], next=following)

    return door.read(work)


@router.post("/deviations/{deviation_id}/close", response_model=DeviationOut)
def close_deviation(deviation_id: Id, body: ConclusionIn, door: Door) -> JSONResponse:
    """QA concludes a deviation. Its hold is lifted by itself."""

    def work(u: Unit) -> DeviationOut:
        return DeviationOut.model_validate(service.close_deviation(u, deviation_id, body.conclusion))

    return door.post(work, status=200)


_QUEUE = {
    "to_assess": "SELECT count(*) FROM excursion WHERE state = 'ended'",
    "to_decide": "SELECT count(*) FROM excursion WHERE state = 'assessed'",
    "still_out": "SELECT count(*) FROM excursion WHERE state = 'open'",
    "orphan_holds": "SELECT count(*) FROM hold h JOIN excursion e ON e.id = h.excursion_id "
                    "WHERE h.lifted_at IS NULL AND e.state = 'superseded'",
    "open_holds": "SELECT count(*) FROM hold WHERE lifted_at IS NULL",
    "open_deviations": "SELECT count(*) FROM deviation WHERE state = 'open'",
    "in_quarantine": "SELECT count(*) FROM sublot WHERE state = 'quarantine'",
}  # fmt: skip


@router.get("/quality/queue")
def queue(door: Door, limit: Limit = 100) -> Queue:
    """What waits for QA: counts, and the undecided excursions, those whose goods are longest unsure first."""

    def work(u: Unit) -> Queue:
        counts = {name: u.conn.execute(text(sql)).scalar_one() for name, sql in _QUEUE.items()}
        waiting = _EXCURSIONS.where(_e.c.state.in_(("assessed", "ended", "open"))).order_by(_e.c.known_at, _e.c.id)
        rows = u.conn.execute(waiting.limit(limit)).all()
        return Queue(**counts, excursions=[ExcursionOut.model_validate(row) for row in rows])

    return door.read(work)
