"""The page of patterns: what eyes and the accessibility test look at first. Only a test instance has it."""

from fastapi import Response

from core.erp.kernel.door import signed_in_only
from core.erp.kernel.unit import Unit
from core.erp.kernel.workflow import workflows
from core.web.desks.patterns import samples
from core.web.desks.plant.queries import zones
from core.web.frame.routes import SAID, page_routes
from core.web.frame.visit import Visit, Visiting
from core.web.records.inputs import summary

router = page_routes()
TONES = {
    "harm": "web.tone_harm",
    "hold": "web.tone_hold",
    "warn": "web.tone_warn",
    "unknown": "web.tone_unknown",
    "wait": "web.tone_wait",
    "ok": "web.tone_ok",
    "no": "web.tone_no",
}


@router.get("/patterns")
@signed_in_only()
def patterns(visit: Visiting) -> Response:
    """Every component in every state."""
    return visit.read(lambda u: _page(u, visit))


def _page(u: Unit, visit: Visit) -> Response:
    fields, tiles = samples.fields(visit.words), samples.zones(u.now)
    drawn = zones(u, {}) if visit.may("exposure.read") else []
    return visit.page(
        "desks/patterns.html",
        tones=TONES,
        refusals=SAID,
        cycles=samples.cycles(),
        fields=fields,
        faults=summary(fields),
        zones=tiles,
        sparks=samples.sparks(tiles),
        judged=u.now,
        now=u.now,
        panel=samples.panel(visit.words),
        path=samples.path(u, workflows()["sublot"]),
        chart_of=next((f"/charts/zones/{one.id}" for one in drawn), None),
    )
