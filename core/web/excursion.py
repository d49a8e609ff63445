"""One excursion: its evidence, what the goods went through, and what QA says and signs about it."""

from typing import Any

from nicegui import ui

from core.erp.exposure.service import Exposure, exposure
from core.erp.kernel.unit import Unit
from core.erp.quality import service as quality
from core.web import excursion_chart
from core.web import queries as q
from core.web.decision_forms import assessment_form, disposition_form
from core.web.formatting import NONE, clock, length, limit, number
from core.web.home import holds_table
from core.web.old_frame import Visit, facts, heading, table

LIMITS = (
    ("key", "Limit"),
    ("proven", "Out, proven"),
    ("uncertain", "Out, if uncertain values are believed"),
    ("worst", "Out, worst case"),
    ("longest", "Longest proven stretch"),
    ("budget", "Budget left"),
)


async def excursion(of: Visit, excursion_id: int) -> None:
    """The page of one excursion."""

    def ask(u: Unit) -> Any:
        row = q.excursion(u, excursion_id)
        if row is None:
            return (None,)
        start, stop = excursion_chart.span_around(row, u.now)
        found = excursion_chart.lines(u, row, start, stop)
        return (
            row,
            excursion_chart.options(found, row, start, stop),
            exposure(u.conn, row["sublot_id"], u.now),
            q.dispositions(u, excursion_id),
            q.holds_of(u, row["sublot_id"]),
            q.signed_before(u),
            bool(found),
        )

    found = await of.read(ask, "quality.read", "exposure.read")
    if found is None:
        return
    if found[0] is None:
        ui.label(f"There is no excursion {excursion_id}.")
        return
    row, chart, went_through, decided, holds, signed, read = found
    _show_facts(row)
    heading("Evidence")
    ui.echart(chart).classes("w-full h-96")
    if not read:
        ui.label("No readings of this span are in the database any more.")
    show_exposure(went_through)
    if decided:
        heading("Disposition")
        for one in decided:
            ui.label(signature_text(one["name"], one["at"], one["meaning"], one["reason"])).classes("font-medium")
            lifted = ", ".join(map(str, one["hold_ids"])) or "none"
            ui.label(f"Accepted {length(one['accepted'])} out of the limit; holds lifted: {lifted}.")
    _forms(of, row, first=not signed)
    heading("Holds on this sublot")
    holds_table(holds)


def _show_facts(row: dict[str, Any]) -> None:
    with ui.element("h1").classes("text-xl font-medium"):
        ui.label(f"Excursion {row['id']}: lot {row['lot']}, sublot {row['sublot']}")
    facts(
        (
            ("Item", row["item"]),
            ("Limit", f"{row['limit_key']}: {limit(row['op'], row['threshold'], row['kind'], row['delay'])}"),
            ("Profile", f"{row['profile']} version {row['profile_version']}"),
            ("State", row["state"]),
            ("Certainty", row["certainty"]),
            ("Out since", clock(row["started_at"])),
            ("Broke", f"{clock(row['broke_at'])} in {row['zone'] or 'no zone'}"),
            ("Ended", clock(row["ended_at"])),
            ("Known", clock(row["known_at"])),
            ("Out for", length(row["out_for"])),
            ("Min / max", f"{number(row['lowest'])} / {number(row['highest'])} °C"),
            ("Incident", f"{row['incident_id']}: {row['incident']}"),
            ("Assessment", f"{row['assessment']} ({row['assessed_by']})" if row["assessment"] else NONE),
        )
    )


def show_exposure(found: Exposure | None) -> None:
    """What a sublot went through up to now."""
    heading("What the sublot went through, up to now")
    if found is None:
        ui.label("No exposure: these goods have no profile, or were never in a place.")
        return
    facts(
        (
            ("From", clock(found.start)),
            ("To", clock(found.stop)),
            ("Min / mean / max", " / ".join(number(v) for v in (found.lowest, found.mean, found.highest)) + " °C"),
            (
                "Mean kinetic temperature",
                f"{number(found.mkt, 2)} °C"
                if found.mkt is not None
                else "not applicable (frozen goods, or coverage is not complete)",
            ),
            ("Covered by good readings", f"{found.covered * 100:.2f} %"),
        )
    )
    rows = [
        {
            "id": one.key,
            "key": one.key,
            "proven": length(one.proven),
            "uncertain": length(one.uncertain),
            "worst": length(one.worst),
            "longest": length(one.longest),
            "budget": length(one.budget) if one.budget is not None else "not cumulative",
        }
        for one in found.limits
    ]
    table(LIMITS, rows, "The profile has no limits")


def signature_text(name: str, at: Any, meaning: str, reason: str | None) -> str:
    """A signature as people read it (21 CFR 11.50): printed name, time, meaning."""
    return f"Signed by {name}, {clock(at)} UTC, {meaning}: {reason or ''}"


def _forms(of: Visit, row: dict[str, Any], *, first: bool) -> None:
    if row["state"] == "open" and of.actor.may("excursion.assess"):
        ui.label("It goes on: it can be assessed when it has ended.").classes("mt-4")
    number_ = row["id"]
    if row["state"] == "ended" and of.actor.may("excursion.assess"):
        assessment_form(of, "Record assessment", lambda u, meaning: quality.assess(u, number_, meaning))
    if row["state"] == "assessed" and of.actor.may("excursion.disposition"):
        disposition_form(
            of,
            "Sign the disposition",
            lambda d: quality.disposition_signing(number_, d.decision, d.reason, restrictions=d.restrictions),
            first=first,
        )
