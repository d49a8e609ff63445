"""The set-up desk's routes."""

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Form, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel
from sqlalchemy import ColumnElement, func, select
from starlette.concurrency import run_in_threadpool

from core.erp.kernel.door import needs
from core.erp.kernel.model import User
from core.erp.kernel.records import read, verbs
from core.erp.kernel.records.registry import entities
from core.erp.kernel.scope import scoped
from core.erp.kernel.tables import table, values_of
from core.erp.kernel.unit import Unit
from core.web.desks.setup.missing import missing
from core.web.desks.setup.places import UNKNOWN_POINT, gateways, put_aside, sites
from core.web.frame.routes import page_routes
from core.web.frame.visit import Visit, Visiting

router = page_routes()
REASONS = {
    UNKNOWN_POINT: "web.aside_unknown_point",
    "wrong_unit": "web.aside_wrong_unit",
    "wrong_partition": "web.aside_wrong_partition",
    "absurd_time": "web.aside_absurd_time",
    "absurd_value": "web.aside_absurd_value",
    "unstorable_text": "web.aside_unstorable_text",
    "not_a_batch": "web.aside_not_a_batch",
    "wrong_subject": "web.aside_wrong_subject",
    "batch_mismatch": "web.aside_batch_mismatch",
    "after_tombstone": "web.aside_after_tombstone",
    "after_fold": "web.aside_after_fold",
    "series_store": "web.aside_series_store",
}
"""What is said of why something was put aside; of another reason its own name."""
REPLAYED_MOST = 200
"""Dead letters that one click tries again: more are tried by the next."""
SHOWN = 8


@router.get("/setup")
@needs("catalog.read")
def setup(visit: Visiting) -> Response:
    """Everything that is set up, and what of it is not complete."""
    return visit.read(lambda u: visit.page("desks/setup.html", **_found(u, visit)))


def _found(u: Unit, visit: Visit) -> dict[str, Any]:
    ingest = visit.may("ingest.read")
    return {
        "missing": missing(u),
        "sites": sites(u),
        "profiles": _first(u, "storage_profile", visit, "catalog.read"),
        "gateways": gateways(u) if ingest else [],
        "aside": put_aside(u) if ingest else [],
        "reasons": REASONS,
        "unknown_point": UNKNOWN_POINT,
        "users": _users(u) if visit.may("user.read") else None,
        "roles": _first(u, "role", visit, "user.read"),
        "imports": _first(u, "import_run", visit, "import.read"),
        "test": visit.request.app.state.settings.instance == "test",
        "tried": visit.request.query_params.get("tried"),
        "landed": visit.request.query_params.get("landed"),
        "refused": "",
        "now": u.now,
    }


def _first(u: Unit, name: str, visit: Visit, permit: str) -> list[dict[str, Any]]:
    """The newest rows of a list."""
    if not visit.actor.may(permit):
        return []
    found = read.page(u, entities()[name], read.Asked(sort="-id", limit=SHOWN))
    return [values_of(row) for row in found.rows]


def _users(u: Unit) -> Any:
    users = table(User).c
    counted: list[ColumnElement[Any]] = [
        func.count().filter(users.active).label("active"),
        func.count().filter(func.cardinality(users.proposed_roles) > 0).label("to_approve"),
        func.count().filter(users.active & users.one_time_until.is_not(None)).label("one_time"),
    ]
    return u.conn.execute(scoped(select(*counted), entities()["user"].scope, u.actor)).one()


class Tried(BaseModel):
    """How many dead letters were tried again, and how many of their readings landed."""

    tried: int
    landed: int


@router.post("/setup/replay")
@needs("ingest.manage")
async def replay(visit: Visiting, reason: Annotated[str, Form()]) -> Response:
    """Tries again what was put aside for one reason: its point has been made, its source mended."""
    outcome = await visit.post(lambda u: _replay(u, reason))
    if outcome.refused:
        return await run_in_threadpool(
            visit.read,
            lambda u: visit.page("desks/setup.html", outcome.status, **{**_found(u, visit), "refused": outcome.detail}),
        )
    return RedirectResponse("/setup?" + urlencode(outcome.body) + "#aside", 303)


def _replay(u: Unit, reason: str) -> Tried:
    letters = entities()["dead_letter"]
    verb = next(one for one in letters.verbs if one.name == "replay")
    asked = read.Asked({"reason": reason, "state": "open"}, limit=REPLAYED_MOST)
    done = [verbs.do(u, letters, verb, row.id, None) for row in read.page(u, letters, asked).rows]
    return Tried(tried=len(done), landed=sum(one.landed for one in done))
