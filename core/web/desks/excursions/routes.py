"""The excursion desk's routes: the inbox, an excursion, an incident, and QA's acts on them."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from core.erp.kernel.digits import whole
from core.erp.kernel.door import needs
from core.erp.kernel.http import Id
from core.erp.kernel.misfits import misfit
from core.erp.kernel.print_routes import printed
from core.erp.kernel.printing.record_sheet import RECORD_SHEET, Sheet, sheet_of
from core.erp.kernel.records.read import row_of
from core.erp.kernel.shapes import id_in
from core.erp.kernel.unit import Unit
from core.erp.kernel.words import Message
from core.erp.quality import service as quality
from core.erp.quality.records import EXCURSIONS
from core.erp.quality.shapes import AssessIn, DispositionOut
from core.web.desks.alerts.telling import beside
from core.web.desks.excursions import pages
from core.web.desks.excursions.cases import Case
from core.web.desks.excursions.decisions import (
    SEEN,
    DecisionForm,
    as_seen,
    done,
    read_decision,
    signing_of,
    written,
)
from core.web.desks.excursions.inbox import ROWS, inbox, next_after
from core.web.desks.faults import faults
from core.web.desks.limits import broken_look
from core.web.frame.routes import page_routes
from core.web.frame.visit import Outcome, Visit, Visiting
from core.web.records.lists import list_page

router = page_routes()
FARTHEST = 999_999
"""Rows that the list is read beyond."""
FIELDS = {
    "decision": "web.decision",
    "restriction": "web.condition",
    "names": "web.names",
    "use_by": "web.use_by",
    "days": "web.life_left",
    "reason": "field.reason",
    "password": "web.password",
    "assessment": "web.assessment",
}
"""The forms' fields and the ids of their labels."""
Load = Callable[[Unit, int], Case]
Show = Callable[..., Response]


@router.get("/excursions")
@needs("quality.read")
def waiting(visit: Visiting) -> Response:
    """What waits, by incident; with any filter in its address the list of all excursions."""
    query = visit.request.query_params
    if set(query) - {"after"}:
        return visit.read(lambda u: list_page(u, EXCURSIONS, visit))
    after = min(whole(query.get("after", "")) or 0, FARTHEST)

    def work(u: Unit) -> Response:
        found, total = inbox(u, after)
        context: dict[str, Any] = {
            "found": found,
            "total": total,
            "after": after,
            "rows": ROWS,
            "now": u.now,
            "broken": broken_look,
        }
        return visit.page("desks/excursions.html", **context)

    return visit.read(work)


@router.get("/excursions/next")
@needs("quality.read")
def following(visit: Visiting, after: int = 0, incident: int = 0) -> Response:
    """Leads to what is to be decided next, or back to the inbox."""
    address = visit.read(lambda u: next_after(u, [after], incident))
    return RedirectResponse(address or "/excursions", 303)


@router.get("/excursions/{record_id}")
@needs("quality.read")
def excursion(visit: Visiting, record_id: Id) -> Response:
    """One excursion."""
    return visit.read(lambda u: pages.excursion_page(u, visit, pages.seen_excursion(u, record_id)))


@router.get("/incidents/{record_id}")
@needs("quality.read")
def incident(visit: Visiting, record_id: Id) -> Response:
    """One incident."""
    return visit.read(lambda u: pages.incident_page(u, visit, pages.seen_incident(u, record_id)))


@router.get("/excursions/{record_id}/sheet")
@needs("quality.read")
async def sheet(request: Request, visit: Visiting, record_id: Id) -> Response:
    """The excursion on paper, with who was told of it."""

    def work(u: Unit) -> Sheet:
        row_of(u, EXCURSIONS, record_id)
        return sheet_of(u, EXCURSIONS, record_id, visit.zone, beside(u, visit, "excursion", record_id))

    made = await run_in_threadpool(visit.read, work)
    return await printed(request, visit.actor.login, RECORD_SHEET, made.data, made.at, f"excursion-{record_id}")


@router.get("/excursions/{record_id:int}/assess")
@router.get("/excursions/{record_id}/dispositions")
@needs("quality.read")
def to_excursion(record_id: Id) -> Response:
    """Its acts are on its page."""
    return RedirectResponse(f"/excursions/{record_id}#decide", 303)


@router.get("/incidents/{record_id}/assess")
@router.get("/incidents/{record_id}/dispositions")
@needs("quality.read")
def to_incident(record_id: Id) -> Response:
    """Its acts are on its page."""
    return RedirectResponse(f"/incidents/{record_id}#decide", 303)


@router.post("/excursions/{record_id:int}/assess")
@needs("excursion.assess")
async def assess_excursion(visit: Visiting, record_id: Id) -> Response:
    """What QA makes of an excursion."""

    def act(u: Unit, assessment: str) -> None:
        quality.assess(u, record_id, assessment)

    return await _assess(visit, record_id, pages.seen_excursion, pages.excursion_page, act, f"/excursions/{record_id}")


@router.post("/incidents/{record_id}/assess")
@needs("excursion.assess")
async def assess_incident(visit: Visiting, record_id: Id) -> Response:
    """The same of every excursion of an incident that waits for it."""

    def act(u: Unit, assessment: str) -> None:
        quality.assess_incident(u, record_id, assessment)

    return await _assess(visit, record_id, pages.seen_incident, pages.incident_page, act, f"/incidents/{record_id}")


@router.post("/excursions/{record_id}/dispositions")
@needs("excursion.disposition")
async def decide_excursion(visit: Visiting, record_id: Id) -> Response:
    """QA's signed decision on one excursion."""
    return await _decide(visit, record_id, pages.seen_excursion, pages.excursion_page, f"/excursions/{record_id}")


@router.post("/incidents/{record_id}/dispositions")
@needs("excursion.disposition")
async def decide_incident(visit: Visiting, record_id: Id) -> Response:
    """QA's decision, signed once, on every excursion of an incident that the signer saw."""
    return await _decide(visit, record_id, pages.seen_incident, pages.incident_page, f"/incidents/{record_id}")


# --- acts


async def _assess(
    visit: Visit, record_id: int, load: Load, show: Show, act: Callable[[Unit, str], None], address: str
) -> Response:
    text = visit.given("assessment").strip()
    if visit.resumed:
        return await _again(visit, record_id, load, show, {}, 200)
    try:
        body = AssessIn(assessment=text)
    except ValidationError as error:
        what = misfit(error.errors()[0]) if text else Message("web.fill_in")
        return await _again(visit, record_id, load, show, {"assessment": what}, 422)

    def work(u: Unit) -> list[Any]:
        load(u, record_id)
        act(u, text)
        return []

    outcome = await visit.post(work, body)
    if outcome.refused:
        return await _again(visit, record_id, load, show, {}, outcome.status, outcome)
    return RedirectResponse(f"{address}#decide", 303)


async def _decide(visit: Visit, record_id: int, load: Load, show: Show, address: str) -> Response:
    if visit.resumed:
        return await _again(visit, record_id, load, show, {}, 200)
    case = await run_in_threadpool(visit.read, lambda u: load(u, record_id))
    incident = load is pages.seen_incident
    ids = _numbers(visit, "excursion_ids") if incident else [record_id]
    left = _numbers(visit, "left")
    body, errors = read_decision(visit, ids)
    if body is None:
        return await _again(visit, record_id, load, show, errors, 422)
    signing = signing_of(case, body, left, incident=incident)
    act = as_seen(signing, ids, visit.given(SEEN), lambda u: load(u, record_id))
    outcome = await visit.sign(act, body, lambda _, made: [DispositionOut.model_validate(one) for one in done(made)])
    if outcome.refused:
        return await _again(visit, record_id, load, show, {}, outcome.status, outcome)
    return RedirectResponse(f"{address}#decide", 303)


def _numbers(visit: Visit, name: str) -> list[int]:
    """Ids that a form sent; what is none is left out: the act is refused then, for it is not what was seen."""
    return [number for one in visit.form.get(name, []) if (number := id_in(one)) is not None]


async def _again(
    visit: Visit,
    record_id: int,
    load: Load,
    show: Show,
    errors: dict[str, Message],
    status: int,
    outcome: Outcome | None = None,
) -> Response:
    """The page again, with what was written and what is wrong."""
    form = DecisionForm(written(visit).written, errors)
    wrong = faults(visit.words, FIELDS, errors)

    def work(u: Unit) -> Response:
        case = load(u, record_id)
        refused = "" if outcome is None else _why(visit, case, outcome)
        return show(u, visit, case, form, status, refused=refused, faults=wrong)

    return await run_in_threadpool(visit.read, work)


def _why(visit: Visit, case: Case, outcome: Outcome) -> str:
    """Why nothing was done; who was first, where somebody was."""
    words, ids = visit.words, _numbers(visit, "excursion_ids")
    first = [one for one in case.decided if one.excursion_id in ids]
    if outcome.status == HTTPStatus.CONFLICT and first:
        last = first[-1]
        decided = words.t(pages.DECIDED[last.decision])
        return words.t("web.decided_meanwhile", name=last.name, decided=decided, at=words.clock(last.at))
    return outcome.detail
