"""The audit desk's routes."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from fastapi import Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from core.erp.kernel.audit_verification import VerificationProgress, verify
from core.erp.kernel.digits import whole
from core.erp.kernel.door import needs
from core.erp.kernel.records import read
from core.erp.kernel.records.registry import entities
from core.erp.kernel.tables import values_of
from core.erp.kernel.trail import review
from core.erp.kernel.trail.shapes import ReviewIn, ReviewSignedOut
from core.erp.kernel.unit import Unit
from core.erp.kernel.witness import WITNESS_FILE, Witness
from core.erp.kernel.words import Message
from core.web.desks.faults import faults
from core.web.frame.routes import page_routes
from core.web.frame.visit import Outcome, Visit, Visiting
from core.web.records.acts import act_said, names_of
from core.web.records.parsing import read_form

router = page_routes()
ADDRESS = "/audit-desk"
ROWS = 10
"""Newest rows of the trail; all of them are behind the search."""
UNSEALED_LATE = timedelta(seconds=10)
EVERY = timedelta(days=90)
"""How long after a review the next one is proposed."""
FIELDS = {
    "start": "web.from",
    "stop": "web.to",
    "next_due": "web.next_review_due",
    "reason": "web.review_remark",
    "password": "web.password",
    "login": "web.login",
}


@router.get(ADDRESS)
@needs("audit.read")
def desk(visit: Visiting) -> Response:
    """Whether the trail is whole, its reviews, and what was done last."""
    return visit.read(lambda u: _page(u, visit))


@router.post(f"{ADDRESS}/verify")
@needs("audit.review")
async def verify_now(visit: Visiting) -> Response:
    """Reads every row, every seal and the witness, and writes down what was found."""
    witness = Witness(visit.request.app.state.settings.data_dir / WITNESS_FILE)
    checked = VerificationProgress()
    findings = await run_in_threadpool(visit.door.look, lambda u: verify(u.conn, u.now, witness, checked))

    def work(u: Unit) -> list[BaseModel]:
        review.record_verification(u, findings, checked.rows, checked.seals)
        return []

    outcome = await visit.post(work)
    return await _after(visit, outcome)


@router.post(f"{ADDRESS}/reviews")
@needs("audit.review")
async def sign(visit: Visiting) -> Response:
    """Signs that a period of the trail was reviewed."""
    if visit.resumed:
        return await run_in_threadpool(visit.read, lambda u: _page(u, visit))
    body, errors = await run_in_threadpool(
        visit.read, lambda u: read_form(u, entities()["audit_row"], ReviewIn, visit.form, visit.zone)
    )
    if not visit.given("password"):
        errors = {**errors, "password": Message("web.fill_in")}
    if body is None or errors:
        return await run_in_threadpool(visit.read, lambda u: _page(u, visit, 422, errors=errors))
    signing = review.signing(body.start, body.stop, body.next_due, body.reason)
    outcome = await visit.sign(signing, body, lambda _, signed: ReviewSignedOut(signature_id=signed))
    return await _after(visit, outcome)


async def _after(visit: Visit, outcome: Outcome) -> Response:
    if outcome.refused:
        return await run_in_threadpool(visit.read, lambda u: _page(u, visit, outcome.status, refused=outcome.detail))
    return RedirectResponse(ADDRESS, 303)


def _page(
    u: Unit, visit: Visit, status: int = 200, *, errors: Mapping[str, Message] | None = None, refused: str = ""
) -> Response:
    sealed, verified, reviews = review.sealed(u), review.last_verification(u), review.reviews(u)
    witness = Witness(visit.request.app.state.settings.data_dir / WITNESS_FILE)
    witness.refresh()
    rows = _newest(u)
    wrong = {name: visit.words.say(what) for name, what in (errors or {}).items()}
    return visit.page(
        "desks/audit.html",
        status,
        sealed=sealed,
        late=sealed.oldest is not None and u.now - sealed.oldest > UNSEALED_LATE,
        witnessed=witness.last.number if witness.last is not None else None,
        broken=witness.broken,
        verified=verified,
        reviews=reviews,
        overdue=bool(reviews) and reviews[0].next_due < u.now.date(),
        rows=[(row, act_said(row["action"], visit.words), _address(row)) for row in rows],
        names=names_of(u, [row["actor"] for row in rows] + ([verified.by] if verified else [])),
        kinds=sorted(
            ((name, visit.words.label(f"record.{name}")) for name in entities()), key=lambda pair: pair[1].lower()
        ),
        proposed=_proposed(u, visit, reviews, verified),
        errors=wrong,
        faults=faults(visit.words, FIELDS, errors or {}),
        refused=refused,
        now=u.now,
    )


def _newest(u: Unit) -> list[dict[str, Any]]:
    found = read.page(u, entities()["audit_row"], read.Asked(sort="-id", limit=ROWS))
    return [values_of(row) for row in found.rows]


def _address(row: Mapping[str, Any]) -> str | None:
    """The page of the record that a row is of, where it has one."""
    entity = entities().get(row["entity"])
    return f"/{entity.path}/{row['entity_id']}" if entity is not None and whole(row["entity_id"]) is not None else None


def _proposed(
    u: Unit, visit: Visit, reviews: list[review.Review], verified: review.Verification | None
) -> dict[str, str]:
    """What the form begins with: from the end of the last review, or of the trail, up to the last verification."""
    begun = reviews[0].stop if reviews else review.first_row_at(u) or u.now
    until = verified.at if verified is not None else u.now
    written = {name: visit.given(name) for name in ("start", "stop", "next_due", "reason")}
    start, stop = _minute(begun, visit), _minute(until, visit)
    due = (u.now + EVERY).astimezone(visit.zone).date()
    offered = {"start": start, "stop": stop, "next_due": due.isoformat(), "reason": ""}
    return {name: written[name] or offered[name] for name in offered}


def _minute(at: datetime, visit: Visit) -> str:
    return at.astimezone(visit.zone).strftime("%Y-%m-%dT%H:%M")
