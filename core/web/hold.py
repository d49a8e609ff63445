"""One hold: what it is for, and its lifting by whoever it names."""

from typing import Any

from nicegui import ui

from core.erp.lots import service as lots
from core.web import queries as q
from core.web.formatting import NONE, clock
from core.web.old_frame import Visit, facts, heading, refusal

UNDECIDED = frozenset({"open", "ended", "assessed"})


async def hold(of: Visit, hold_id: int) -> None:
    """The page of one hold."""
    found = await of.read(lambda u: (q.hold(u, hold_id),), "stock.read")
    if found is None:
        return
    (row,) = found
    if row is None:
        ui.label(f"There is no hold {hold_id}.")
        return
    with ui.element("h1").classes("text-xl font-medium"):
        ui.label(f"Hold {row['id']} on {row['target']}")
    facts(
        (
            ("Kind", row["kind"]),
            ("Reason", row["reason"]),
            ("Certainty", row["certainty"] or NONE),
            ("Since", clock(row["since_at"])),
            ("Known", clock(row["placed_at"])),
            ("Placed by", row["placed_by"]),
            ("Inherited from", f"hold {row['origin_hold_id']}" if row["origin_hold_id"] else NONE),
            (
                "Lifted by",
                f"whoever may {row['lift_permit']}"
                if row["lifted_at"] is None
                else f"{row['lifted_by']}, {clock(row['lifted_at'])} UTC: {row['lift_reason']}",
            ),
        )
    )
    if row["sublot_id"]:
        ui.link("To the sublot", f"/sublots/{row['sublot_id']}")
    if row["lifted_at"] is None:
        _lift(of, row)


def _lift(of: Visit, row: dict[str, Any]) -> None:
    if row["excursion_state"] in UNDECIDED:
        ui.link(f"It is lifted by disposing of excursion {row['excursion_id']}", f"/excursions/{row['excursion_id']}")
        return
    if not of.actor.may(row["lift_permit"]):
        return
    with ui.card().classes("w-full max-w-2xl mt-4"):
        heading("Lift")
        ui.label("Lifts this one hold and nothing else; others that stand go on standing.").classes(
            "text-sm text-grey-8"
        )
        reason = ui.textarea("Reason").classes("w-full")
        label = refusal()

        async def lift() -> None:
            why = reason.value or ""
            if await of.act(lambda u: lots.lift_hold(u, row["id"], why), row["lift_permit"], label):
                ui.navigate.reload()

        ui.button("Lift the hold", on_click=lift)
