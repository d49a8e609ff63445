"""Routes of incidents: what one cause did, and QA's acts on all of it."""

from fastapi.responses import JSONResponse
from sqlalchemy import func, select

from core.erp.catalog.model import Zone
from core.erp.kernel.door import needs, routes
from core.erp.kernel.errors import NotFound
from core.erp.kernel.http import Cursor, Door, FilterId, Id, Limit, Page, paginate
from core.erp.kernel.tables import table
from core.erp.kernel.unit import Unit
from core.erp.quality import service
from core.erp.quality.model import Excursion, Incident
from core.erp.quality.shapes import (
    AssessIn,
    BatchDispositionIn,
    DispositionOut,
    ExcursionDetail,
    IncidentKind,
    IncidentOut,
)
from core.erp.quality.views import excursion_detail

router = routes(tags=["quality"])

_e, _z = table(Excursion), table(Zone)
_n = table(Incident)
_INCIDENTS = (
    select(
        _n,
        _z.c.address.label("zone"),
        func.count(_e.c.id).filter(_e.c.state != "superseded").label("excursions"),
        func.count(_e.c.id).filter(_e.c.state.in_(("open", "ended", "assessed"))).label("undecided"),
    )
    .select_from(_n)
    .outerjoin(_e, _e.c.incident_id == _n.c.id)
    .outerjoin(_z, _z.c.id == _n.c.zone_id)
    .group_by(_n.c.id, _z.c.address)
)


@router.get("/incidents")
@needs("quality.read")
def list_incidents(
    door: Door,
    kind: IncidentKind | None = None,
    zone_id: FilterId = None,
    *,
    undecided: bool = False,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Page[IncidentOut]:
    """Incidents, newest first, with how many excursions each has and how many await a decision."""
    where = [c == v for c, v in {_n.c.kind: kind, _n.c.zone_id: zone_id}.items() if v is not None]
    query = _INCIDENTS.where(*where)
    if undecided:
        query = query.having(func.count(_e.c.id).filter(_e.c.state.in_(("open", "ended", "assessed"))) > 0)

    def work(u: Unit) -> Page[IncidentOut]:
        rows, following = paginate(u, query, _n.c.id, cursor, limit, newest_first=True)
        return Page(items=[IncidentOut.model_validate(row).in_language(u.language) for row in rows], next=following)

    return door.read(work)


@router.get("/incidents/{incident_id}")
@needs("quality.read")
def one_incident(incident_id: Id, door: Door) -> IncidentOut:
    """One incident; its excursions: GET /api/v1/excursions?incident_id=…"""

    def work(u: Unit) -> IncidentOut:
        row = u.conn.execute(_INCIDENTS.where(_n.c.id == incident_id)).one_or_none()
        if row is None:
            raise NotFound("quality.no_incident", incident_id=incident_id)
        return IncidentOut.model_validate(row).in_language(u.language)

    return door.read(work)


@router.post("/incidents/{incident_id}/assess", response_model=list[ExcursionDetail])
@needs("excursion.assess")
def assess_incident(incident_id: Id, body: AssessIn, door: Door) -> JSONResponse:
    """The same assessment of every excursion of the incident that has ended. Releases nothing."""

    def work(u: Unit) -> list[ExcursionDetail]:
        assessed = service.assess_incident(u, incident_id, body.assessment)
        return [excursion_detail(u, one.id) for one in assessed if one.id is not None]

    return door.post(work, status=200)


@router.post("/incidents/{incident_id}/dispositions", status_code=201, response_model=list[DispositionOut])
@needs("excursion.disposition")
async def dispose_incident(incident_id: Id, body: BatchDispositionIn, door: Door) -> JSONResponse:
    """One signed act on all that is undecided of an incident; each excursion × sublot is recorded by itself.

    `excursion_ids` are those that the signer has seen: refused (409) if the incident has others, or some are decided.
    """
    restrictions = [service.NewRestriction(r.kind, r.value) for r in body.restrictions]
    act = service.incident_disposition_signing(
        incident_id, body.excursion_ids, body.decision, body.reason, restrictions=restrictions
    )
    return await door.sign(act, body, lambda _, made: [DispositionOut.model_validate(one) for one in made])
