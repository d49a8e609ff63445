"""What the pages of the excursion desk show, read in one transaction each."""

from typing import Any

from fastapi import Response

from core.erp.catalog.limit_words import limit_of
from core.erp.exposure.service import exposure
from core.erp.kernel.records.read import row_of
from core.erp.kernel.unit import Unit
from core.erp.quality.records import EXCURSIONS, INCIDENTS
from core.web.desks import limits
from core.web.desks.alerts.telling import telling_of
from core.web.desks.conditions import condition_said
from core.web.desks.excursions import cases
from core.web.desks.excursions.cases import Case
from core.web.desks.excursions.decisions import DECISIONS, RESTRICTIONS, DecisionForm
from core.web.desks.excursions.earlier import earlier
from core.web.desks.excursions.effects import Effects, effects_of
from core.web.desks.excursions.timeline import timeline
from core.web.desks.stays import stays_of
from core.web.frame.visit import Visit

DECIDED = {
    "accept": "web.decided_accept",
    "restrict": "web.decided_restrict",
    "reject": "web.decided_reject",
    "rework": "web.decided_rework",
    "return": "web.decided_return",
    "destroy": "web.decided_destroy",
}
"""By decision: the id of what was done, as `accepted`."""


def seen_excursion(u: Unit, excursion_id: int) -> Case:
    """The case of an excursion. Raises NotFound, the same for one that the reader does not see."""
    row_of(u, EXCURSIONS, excursion_id)
    return cases.of_excursion(u, excursion_id)


def seen_incident(u: Unit, incident_id: int) -> Case:
    """The case of an incident. Raises NotFound, the same for one that the reader does not see."""
    row_of(u, INCIDENTS, incident_id)
    return cases.of_incident(u, incident_id)


def excursion_page(
    u: Unit, visit: Visit, case: Case, form: DecisionForm | None = None, status: int = 200, **more: Any
) -> Response:
    """One excursion: its evidence, what happened, and the decision."""
    one, effects = case.excursions[0], effects_of(u, case)
    found = exposure(u.conn, one.sublot_id, u.now)
    of_profile = limits.limits_of(u, one.version_id)
    telling = telling_of(u, visit, "excursion", one.id)
    context = _shared(u, visit, case, effects, form, f"/excursions/{one.id}") | {"telling": telling} | more
    return visit.page(
        "desks/excursion.html",
        status,
        one=one,
        exposure=found,
        limits=limits.lines(u, one.sublot_id, one.version_id, of_profile, found, visit.words),
        limit=limits.limit_name(limit_of(of_profile, one.limit_key), visit.words),
        stays=stays_of(u, one.sublot_id),
        **context,
    )


def incident_page(
    u: Unit, visit: Visit, case: Case, form: DecisionForm | None = None, status: int = 200, **more: Any
) -> Response:
    """One incident: its excursions, what happened, and the decision on all of them."""
    by_version = {version: limits.limits_of(u, version) for version in {one.version_id for one in case.excursions}}
    names = {
        one.id: limits.limit_name(limit_of(by_version[one.version_id], one.limit_key), visit.words)
        for one in case.excursions
    }
    effects = effects_of(u, case) if case.excursions else None
    telling = telling_of(u, visit, "incident", case.incident.id)
    context = _shared(u, visit, case, effects, form, f"/incidents/{case.incident.id}") | {"telling": telling} | more
    return visit.page("desks/incident.html", status, limit_names=names, **context)


def _shared(
    u: Unit, visit: Visit, case: Case, effects: Effects | None, form: DecisionForm | None, address: str
) -> dict[str, Any]:
    """What both pages say of the decision, and of what happened."""
    first = case.excursions[0] if case.excursions else None
    ids = [one.id for one in case.excursions]
    return {
        "case": case,
        "effects": effects,
        "form": form or DecisionForm(),
        "address": address,
        "told": timeline(u, case, effects.stopped, visit.words) if effects is not None else [],
        "earlier": earlier(u, first.item_id, first.zone_id, ids) if first is not None else [],
        "seen": case.seen(sorted(effects.lifted)) if effects is not None else "",
        "decisions": DECISIONS,
        "decided_words": DECIDED,
        "restrictions": RESTRICTIONS,
        "condition_said": condition_said(visit.words),
        "broken": limits.broken_look,
        "now": u.now,
        "refused": "",
        "faults": [],
    }
