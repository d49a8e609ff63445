"""Conditions on a sublot's use: those that stand, another put on it, one taken away."""

from typing import Any

from nicegui import ui

from core.erp.kernel.unit import Unit
from core.erp.lots import service as lots
from core.web.decision_forms import RESTRICTIONS, restriction
from core.web.formatting import clock
from core.web.old_frame import Visit, heading, refusal, table

COLUMNS = (("kind", "Condition"), ("value", "Restricted to"), ("reason", "Reason"), ("by", "By"), ("since", "Since"))
LIFT = """<q-td :props="props"><q-btn dense flat color="primary" label="Lift"
    @click="() => $parent.$emit('lift', props.row.id)" /></q-td>"""


def restrictions(of: Visit, sublot_id: int, rows: list[dict[str, Any]]) -> None:
    """The section of a sublot's page; whoever may restrict finds the forms."""
    may = of.actor.may("lot.restrict")
    if not rows and not may:
        return
    heading("Conditions on use")
    shown = [
        {
            "id": row["id"],
            "kind": row["kind"].replace("_", " "),
            "value": _value_text(row["value"]),
            "reason": row["reason"],
            "by": row["placed_by"],
            "since": clock(row["placed_at"]),
        }
        for row in rows
    ]
    made = table((*COLUMNS, ("act", "")) if may else COLUMNS, shown, "None")
    if may:
        _forms(of, sublot_id, made)


def _value_text(value: dict[str, Any]) -> str:
    return "; ".join(
        f"{key} {', '.join(map(str, what)) if isinstance(what, list) else what}" for key, what in value.items()
    )


def _forms(of: Visit, sublot_id: int, made: ui.table) -> None:
    with ui.expansion("Put a condition on it, or lift one").classes("w-full max-w-2xl"):
        kind = ui.select(RESTRICTIONS, label="Condition").classes("w-full")
        value = ui.input("Restricted to").classes("w-full")
        why = ui.input("Why").classes("w-full")
        label = refusal()

        async def place() -> None:
            def work(u: Unit) -> None:
                wanted = restriction(kind.value, value.value or "")
                lots.restrict(u, sublot_id, wanted.kind, wanted.value, why.value or "")

            if await of.act(work, "lot.restrict", label):
                ui.navigate.reload()

        async def lift(restriction_id: int) -> None:
            if await of.act(lambda u: lots.lift_restriction(u, restriction_id, why.value or ""), "lot.restrict", label):
                ui.navigate.reload()

        ui.button("Restrict", on_click=place)
    made.add_slot("body-cell-act", LIFT)
    made.on("lift", lambda event: lift(int(event.args)))
