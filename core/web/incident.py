"""One incident: all that one cause did, and QA's acts on all of it at once."""

from typing import Any

from nicegui import ui

from core.erp.kernel.unit import Unit
from core.erp.quality import service as quality
from core.web import queries as q
from core.web.decision_forms import assessment_form, disposition_form
from core.web.formatting import NONE, clock
from core.web.home import EXCURSIONS, excursion_row
from core.web.old_frame import Visit, facts, heading, table


async def incident(of: Visit, incident_id: int) -> None:
    """The page of one incident."""

    def ask(u: Unit) -> Any:
        return q.incident(u, incident_id), q.signed_before(u)

    found = await of.read(ask, "quality.read")
    if found is None:
        return
    row, signed = found
    if row is None:
        ui.label(f"There is no incident {incident_id}.")
        return
    with ui.element("h1").classes("text-xl font-medium"):
        ui.label(f"Incident {row['id']}: {row['title']}")
    facts(
        (
            ("Kind", row["kind"].replace("_", " ")),
            ("Where", row["zone"] or row["gateway"] or NONE),
            ("Since", clock(row["started_at"])),
            ("Ended", clock(row["ended_at"])),
            ("Known", clock(row["known_at"])),
        )
    )
    heading("Excursions")
    table(EXCURSIONS, map(excursion_row, row["excursions"]), "None", links=("id", "sublot"), badges=("certainty",))
    _acts(of, row, first=not signed)


def _acts(of: Visit, row: dict[str, Any], *, first: bool) -> None:
    """What may be done with all of it: assess what has ended; dispose once nothing waits for its assessment."""
    by_state: dict[str, list[int]] = {}
    for one in row["excursions"]:
        by_state.setdefault(one["state"], []).append(one["id"])
    number = row["id"]
    ended, assessed, still = (by_state.get(state, []) for state in ("ended", "assessed", "open"))
    if still and of.actor.may("excursion.assess"):
        ui.label(f"{len(still)} of them go on: they can be assessed when they have ended.").classes("mt-4")
    if ended and of.actor.may("excursion.assess"):
        verb = f"Record assessment of {len(ended)}"
        assessment_form(of, verb, lambda u, meaning: quality.assess_incident(u, number, meaning))
    elif assessed and not still and of.actor.may("excursion.disposition"):
        disposition_form(
            of,
            f"Sign the disposition of {len(assessed)}",
            lambda d: quality.incident_disposition_signing(
                number, assessed, d.decision, d.reason, restrictions=d.restrictions
            ),
            first=first,
        )
